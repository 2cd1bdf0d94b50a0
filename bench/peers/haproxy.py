"""HAProxy with one thread."""

from bench.peers import SHARE, Peer, Place, executable, free_port

CANARY = f"use_backend v2 if {{ req.hdr(x-user-id),crc32(1),mod(100) lt {SHARE} }}"


def haproxy(place: Place, rule: str = "") -> Peer:
    """`rule` may choose the backend v2; v1 is the default."""
    port = free_port()
    text = f"""
global
  maxconn 9000
  nbthread 1
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend all
  bind 127.0.0.1:{port} backlog 4096
  {rule}
  default_backend v1
backend v1
  server only 127.0.0.1:{place.upstream}
backend v2
  server only 127.0.0.1:{place.candidate}
"""
    binary = executable("haproxy")
    command = (binary, "-db", "-f", str(place.directory / "haproxy.cfg"))
    missing = "" if binary else "apt-get install haproxy"
    return Peer("haproxy", port, {"haproxy.cfg": text}, command, missing)
