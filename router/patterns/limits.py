"""What one worker grants its clients and its model servers, as part of a snapshot.

Floor 2. Sizes in bytes, times in seconds; 0 means no limit where a field says so.
"""

import msgspec


class ClientLimits(msgspec.Struct, frozen=True):
    """Of one client connection, and of all of them together. A connection keeps those it began with.

    `target`, `head` and `fields` bound a request's head, `head_timeout` its arrival, from the first byte or from the
    connection's start. `keep_alive` is how long a connection may idle, a tenth more or less. `write_timeout` is how
    long a client may take nothing of what is ready for it. `body_rate` (0: none) is the least average of a body, in
    bytes a second over `body_grace`. `pipelined` requests may wait behind one that is being answered. `connections`
    and `connections_per_client` (0: none) are this worker's part, and so is `memory` (0: none): bytes resident beyond
    which requests are turned away.
    """

    target: int = 16 << 10
    head: int = 64 << 10
    fields: int = 200
    head_timeout: float = 10.0
    keep_alive: float = 75.0
    write_timeout: float = 30.0
    body_rate: int = 64
    body_grace: float = 10.0
    pipelined: int = 256
    connections: int = 0
    connections_per_client: int = 0
    memory: int = 0


class UpstreamTls(msgspec.Struct, frozen=True):
    """How a version's endpoints are told apart from impostors, and how we show them who we are.

    `ca` is a PEM file (empty: the system's authorities), `cert` and `key` those we present (empty: none), and
    `server_name` what their certificate must be for (empty: the host of the URL). Without `verify` anyone is believed.
    """

    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""
    verify: bool = True
