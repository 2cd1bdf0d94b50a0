"""HTTP/1.1 as bytes and values: heads, framing, and the parser adapters. Floor 1: no I/O."""
