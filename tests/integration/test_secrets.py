"""Secrets planted wherever one may stand, and looked for wherever one must not: log, admin API, pairs, command lines,
environments. And what the admin API does with callers it can't trust."""

import asyncio
import json
import os
import socket
from pathlib import Path

from tests.support.routers import Load, Router, deployment
from tests.support.upstreams import model
from tests.support.workers import until

PLANTED = {
    "ADMIN": "planted-admin-token",
    "HOOK": "planted-hook-path",
    "PAGER": "planted-pager-header",
    "SINK": "planted-sink-header",
    "CLIENT": "planted-client-credential",
    "FILE": "planted-token-in-a-file",
}
READS = (
    "deployments", "deployments/m", "deployments/m/history", "deployments/m/samples", "deployments/m/pairs",
    "deployments/m/comparison", "deployments/m/trends", "config", "trends", "me", "openapi.json",
)  # fmt: skip


def traces(where: str, text: str) -> list[str]:
    return [f"{name} in {where}" for name, secret in PLANTED.items() if secret in text]


def planted_router(path: Path, *urls: str) -> Router:
    """Its secrets come from the environment and from a file; its upstreams are these."""
    token_file = path / "token"
    token_file.write_text(PLANTED["FILE"] + "\n")
    router = Router(
        path,
        {
            "m": deployment(
                "{pattern: shadow, primary: v1, shadows: [v2]}",
                more="pairs: {redact: {headers: [authorization, cookie]}}",
                v1=urls[0],
                v2=urls[1],
            )
        },
        token=PLANTED["ADMIN"],
        environ={name: PLANTED[name] for name in ("ADMIN", "HOOK", "PAGER", "SINK")},
        sinks='{webhook: {url: "http://127.0.0.1:1/x", headers: {authorization: "Bearer ${SINK}"}}}',
    )
    router.extra = (
        f"admin: {{listen: '127.0.0.1:{router.admin_port}', tokens: ["
        '{name: ci, token: "${ADMIN}", role: operator}, '
        f"{{name: watcher, token_file: {token_file}}}]}}\n"
        'notify: [{url: "http://127.0.0.1:1/${HOOK}", headers: {authorization: "Bearer ${PAGER}"}}]\n'
    )
    router.write()
    return router


def send(port: int, *lines: str) -> bytes:
    """One request as these lines; what comes back first."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall("\r\n".join((*lines, "", "")).encode("latin-1"))
        return client.recv(65536)


async def test_planted_secrets_are_found_nowhere(tmp_path: Path) -> None:
    async with model("v1") as one, model("v2") as two, planted_router(tmp_path, one.url, two.url) as router:
        async with Load(router.port, clients=2, pause=0.01) as load:
            await load.more(20)
        credential = f"authorization: Bearer {PLANTED['CLIENT']}"
        for lines in (
            ("GET /m/x HTTP/1.1", "host: h", credential, "connection: close"),
            ("GET /m/x HTTP/1.1", "host: h", credential, "x: \0"),
            ("GET /nowhere HTTP/1.1", "host: h", f"cookie: {PLANTED['CLIENT']}"),
        ):
            await asyncio.to_thread(send, router.port, *lines)
        bearer = f"authorization: Bearer {PLANTED['ADMIN']}"
        for lines in (
            ("GET /api/v1/me HTTP/1.1", "host: h", bearer + "\0"),
            ("GET /api/v1/me HTTP/1.1", "host: h", "x: " + "y" * 20_000, bearer),
            ("POST /api/v1/config/reload HTTP/1.1", "host: h", bearer, "content-length: 1e3"),
        ):
            await asyncio.to_thread(send, router.admin_port, *lines)
        await router.act("rollback", reason="an event for the hook")
        assert (await router.get("/api/v1/me")) == {"name": "ci", "role": "operator"}
        status, me = await asyncio.to_thread(router.call, "GET", "/api/v1/me", None, PLANTED["FILE"])
        assert (status, me) == (200, {"name": "watcher", "role": "viewer"})
        router.write(router.text().replace("workers: 2", "wrokers: 2"))
        status, problem = await asyncio.to_thread(router.call, "POST", "/api/v1/config/reload")
        assert status == 400
        found = traces("a refusal", json.dumps(problem))
        for path in READS:
            found += traces(path, json.dumps(await router.get(f"/api/v1/{path}")))
        found += traces("metrics", await router.get("/metrics"))
        await until(lambda: len(router.pairs()) > 10, what="pairs on disk")
        others = [*router.children("router.worker"), *router.children("router.recorder")]
        for pid in (router.process.pid, *others):
            found += traces(f"the command line of {pid}", Path(f"/proc/{pid}/cmdline").read_text())
        for pid in others:
            environ = Path(f"/proc/{pid}/environ").read_text()
            assert "PATH=" in environ
            found += traces(f"the environment of {pid}", environ)
        assert traces("its own", Path(f"/proc/{router.process.pid}/environ").read_text()), "the search finds"
        assert await router.stop() == 0
        for file in (path for path in tmp_path.rglob("*") if path.is_file() and path.name != "token"):
            found += traces(str(file.relative_to(tmp_path)), file.read_bytes().decode("latin-1"))
        assert found == []
        assert "it is no HTTP, refused with 400" in router.log.read_text()


async def test_a_wrong_token_in_the_file_is_not_shown_either(tmp_path: Path) -> None:
    async with model("v1") as one, planted_router(tmp_path, one.url, one.url) as router:
        (tmp_path / "token").write_text("planted")  # too short
        status, problem = await asyncio.to_thread(router.call, "POST", "/api/v1/config/reload")
        assert status == 400
        assert "at least 8 characters" in problem["detail"]
        assert "planted" not in json.dumps(problem) + router.log.read_text()
        os.unlink(tmp_path / "token")
        status, problem = await asyncio.to_thread(router.call, "POST", "/api/v1/config/reload")
        assert (status, "can't be read: " in problem["detail"]) == (400, True)
        status, _ = await asyncio.to_thread(router.call, "GET", "/api/v1/me", None, PLANTED["FILE"])
        assert status == 200, "the configuration before stays in force"
        (tmp_path / "token").write_text("another-token")
        status, _ = await asyncio.to_thread(router.call, "POST", "/api/v1/config/reload")
        assert status == 200
        status, _ = await asyncio.to_thread(router.call, "GET", "/api/v1/me", None, PLANTED["FILE"])
        assert status == 401, "and now it is the new one"


async def test_other_pages_and_other_names_get_nothing(tmp_path: Path) -> None:
    async with model("v1") as one, Router(tmp_path, {"m": deployment(v1=one.url)}, workers=1) as router:

        def admin(line: str, *fields: str) -> bytes:
            return send(router.admin_port, f"{line} HTTP/1.1", *fields)

        local = f"host: 127.0.0.1:{router.admin_port}"
        foreign = "origin: http://evil.example"
        rebound = admin("GET /api/v1/config", "host: evil.example")
        assert rebound.startswith(b"HTTP/1.1 403"), "a name that an attacker had resolve to 127.0.0.1"
        forged = admin("POST /api/v1/deployments/m/rollback", local, foreign)
        assert forged.startswith(b"HTTP/1.1 403"), "a form of another page"
        preflight = admin("OPTIONS /api/v1/config", local, foreign, "access-control-request-method: GET")
        readable = admin("GET /api/v1/config", local, foreign)
        assert readable.startswith(b"HTTP/1.1 200"), "which the browser keeps from the page:"
        assert b"access-control-" not in (rebound + forged + preflight + readable).lower(), "no CORS"
        large = admin(
            "POST /api/v1/deployments/m/rollback", local, "content-length: 100000", "", "x" * 100_000
        )
        assert large.startswith(b"HTTP/1.1 413")
