"""This program."""

import sys

from bench.peers import SHARE, Peer, Place, free_port

CANARY = (
    f'{{pattern: canary, stable: v1, candidate: v2, sticky: {{header: x-user-id}}, steps: [{{share: "{SHARE}%",'
    " hold: 1h}]}"
)
SHADOW = "{pattern: shadow, primary: v1, shadows: [v2], max_in_flight: 1000}"


def router(
    place: Place,
    name: str,
    rollout: str = "",
    *,
    workers: int = 1,
    versions: int = 2,
    deployments: int = 1,
    path: str = "/v2/models/loan/**",
    more: str = "",
) -> Peer:
    """With so many workers and deployments; `rollout` and `more` are YAML in flow style, `path` may hold the number
    of the deployment (`/d-{}/**`). Without a rollout there is one version."""
    port, admin = free_port(), free_port()
    urls = [place.upstream, place.candidate, *[place.upstream] * versions][: versions if rollout else 1]
    named = ", ".join(f'v{n}: {{url: "http://127.0.0.1:{url}"}}' for n, url in enumerate(urls, 1))
    lines = [f"    versions: {{{named}}}", "    limits: {body: 0}"]
    lines += [f"    rollout: {rollout}"] if rollout else []
    lines += [f"    {more}"] if more else []
    body = "\n".join(lines)
    each = "\n".join(
        f"  loan-{n}:\n    match: {{path: {path.format(n)}}}\n{body}" for n in range(deployments)
    )
    text = f"""
listen: 127.0.0.1:{port}
workers: {workers}
admin: {{listen: 127.0.0.1:{admin}}}
state: {{path: {place.directory}/{name}.db}}
pairs: {{path: {place.directory}/{name}.pairs}}
deployments:
{each}
"""
    command = (sys.executable, "-m", "router.cli", "serve", str(place.directory / f"{name}.yaml"))
    asked = path.format(0).replace("/**", "/infer")
    return Peer(name, port, {f"{name}.yaml": text}, command, path=asked, counted="router.worker", admin=admin)
