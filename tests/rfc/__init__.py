"""HTTP on the wire: what a real worker makes of raw bytes from either side, as tables of cases.

`cases` says what a case is, `tables/` holds them by topic, `rig` plays one against a worker and a scripted upstream.
"""
