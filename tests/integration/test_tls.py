"""TLS on the listeners, and towards endpoints: who is not trusted gets nothing; certificates are renewed as we run."""

import asyncio
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec.structs import replace

from router import tls
from router.cli import main as cli
from router.config.schema import Config
from router.control.probes import Check, Prober, checks_of
from router.patterns.limits import UpstreamTls
from router.patterns.plan import DeploymentPlan, VersionSpec
from router.tls import ClientContexts, ClientFiles, ServerTls
from tests.support.authorities import Authority
from tests.support.routers import Router
from tests.support.routers import deployment as in_yaml
from tests.support.upstreams import model, read_request
from tests.support.workers import Answer, WorkerUnderTest, connect, deployment, get, post, read_answer, until

TLS = Path(__file__).parents[1] / "support" / "tls"
CERT, KEY = str(TLS / "cert.pem"), str(TLS / "key.pem")
"""Self-signed for localhost and 127.0.0.1, valid for a hundred years; used nowhere but here."""


async def test_a_listener_speaks_tls() -> None:
    async with model("a") as upstream, WorkerUnderTest(cert=CERT, key=KEY) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        context = ssl.create_default_context(cafile=CERT)
        context.set_alpn_protocols(["h2", "http/1.1"])
        reader, writer = await asyncio.open_connection("127.0.0.1", worker.port, ssl=context)
        spoken = writer.get_extra_info("ssl_object")
        assert spoken.selected_alpn_protocol() == "http/1.1"
        for size in (0, 5, 300_000):
            writer.write(post(b"x" * size))
            answer = await read_answer(reader)
            assert json.loads(answer.body)["got"] == size
        assert upstream.requests[0].get(b"x-forwarded-proto") == b"https"
        writer.write(get(b"/x", b"connection: close"))
        assert (await read_answer(reader)).status == 200
        assert await reader.read() == b""
        writer.close()


async def test_plain_bytes_on_a_tls_listener_get_nowhere() -> None:
    async with model("a") as upstream, WorkerUnderTest(cert=CERT, key=KEY) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        assert b"HTTP/1.1 200" not in await reader.read()
        assert upstream.requests == []
        writer.close()


async def test_an_endpoint_that_is_not_trusted_is_a_502_that_says_why() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("a request reached an endpoint that is not trusted")

    server = await asyncio.start_server(never, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with WorkerUnderTest() as worker:
        await worker.publish(deployment({"v1": f"https://127.0.0.1:{port}"}))
        reader, writer = await connect(worker.port)
        writer.write(get())
        answer = await read_answer(reader)
        assert (answer.status, answer.fields[b"x-router-error"]) == (502, b"connect_failed")
        detail = json.loads(answer.body)["detail"]
        assert f"https://127.0.0.1:{port}" in detail
        assert "certificate" in detail
        writer.close()
    server.close()


# With an authority of our own


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def serving(cert: str, key: str, client_ca: str = "") -> ssl.SSLContext:
    """What a model server would speak; with `client_ca` only to those who have a certificate from it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


@asynccontextmanager
async def secure_model(context: ssl.SSLContext) -> AsyncIterator[str]:
    """A model server with TLS; its URL. The answer is the common name it knows its client by, if any."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_request(reader) is not None:
            known = b"known" if writer.get_extra_info("peercert") else b"nobody"
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(known), known))
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def secured(url: str, trust: UpstreamTls) -> DeploymentPlan:
    return replace(deployment({"v1": url}), versions=(VersionSpec("v1", (url,), tls=trust),))


async def ask(worker: WorkerUnderTest) -> Answer:
    reader, writer = await connect(worker.port)
    writer.write(get())
    try:
        return await read_answer(reader)
    finally:
        writer.close()


async def test_an_endpoint_is_trusted_by_the_authority_named(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    context = serving(*authority.issue("model", "127.0.0.1"))
    async with secure_model(context) as url, WorkerUnderTest() as worker:
        for trust, status in (
            (UpstreamTls(authority.ca), 200),
            (UpstreamTls(stranger.ca), 502),
            (UpstreamTls(), 502),
            (UpstreamTls(verify=False), 200),
            (UpstreamTls(authority.ca, server_name="models.internal"), 502),
            (UpstreamTls(str(tmp_path / "nowhere.pem")), 502),
            (UpstreamTls(authority.ca), 200),
        ):
            await worker.publish(secured(url, trust))
            assert (await ask(worker)).status == status, trust


async def test_an_endpoint_is_asked_by_the_name_given(authority: Authority) -> None:
    context = serving(*authority.issue("model", "models.internal"))
    async with secure_model(context) as url, WorkerUnderTest() as worker:
        await worker.publish(secured(url, UpstreamTls(authority.ca)))
        answer = await ask(worker)
        assert answer.status == 502
        assert "certificate" in json.loads(answer.body)["detail"]
        await worker.publish(secured(url, UpstreamTls(authority.ca, server_name="models.internal")))
        assert (await ask(worker)).status == 200


async def test_the_router_shows_its_certificate_where_it_has_one(authority: Authority) -> None:
    context = serving(*authority.issue("model", "127.0.0.1"), client_ca=authority.ca)
    cert, key = authority.issue("router", "router.internal")
    async with secure_model(context) as url, WorkerUnderTest() as worker:
        await worker.publish(secured(url, UpstreamTls(authority.ca)))
        assert (await ask(worker)).status == 502
        await worker.publish(secured(url, UpstreamTls(authority.ca, cert, key)))
        assert (await ask(worker)).body == b"known"


async def test_a_listener_wants_tls_of_today(authority: Authority) -> None:
    cert, key = authority.issue("listener", "localhost")
    async with model("a") as upstream, WorkerUnderTest(cert=cert, key=key) as worker:
        await worker.publish(deployment({"v1": upstream.url}))
        old = ssl.create_default_context(cafile=authority.ca)
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("localhost", worker.port, ssl=old)
        new = ssl.create_default_context(cafile=authority.ca)
        new.maximum_version = ssl.TLSVersion.TLSv1_2
        _, writer = await asyncio.open_connection("localhost", worker.port, ssl=new)
        writer.close()


async def serial(port: int, ca: str) -> str:
    """The number of the certificate that a listener shows now."""
    context = ssl.create_default_context(cafile=ca)
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    shown = writer.get_extra_info("peercert")
    writer.close()
    return str(shown["serialNumber"])


def test_renewed_files_are_taken_in_when_they_are_whole(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("listener", "localhost")
    listener = ServerTls(cert, key)
    assert not listener.renew()
    old_key = Path(key).read_bytes()
    authority.issue("listener", "localhost")
    new_key = Path(key).read_bytes()
    Path(key).write_bytes(old_key)
    assert not listener.renew(), "the key is not there yet"
    Path(key).write_bytes(new_key)
    assert listener.renew()
    assert not listener.renew()
    Path(cert).unlink()
    assert not listener.renew()


def test_a_listener_takes_other_files_when_they_are_whole(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("listener", "localhost")
    other_cert, other_key = authority.issue("other", "localhost")
    listener = ServerTls(cert, key)
    listener.use(cert, key)
    assert not listener.renew()
    listener.use(other_cert, key)
    assert not listener.renew(), "the key is of another certificate"
    listener.use(other_cert, other_key)
    assert not listener.renew(), "that is done already"


def test_files_are_refused_with_what_is_wrong_about_them(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("one", "localhost")
    _, other_key = authority.issue("two", "localhost")
    nonsense, locked, secret = tmp_path / "nonsense", tmp_path / "locked", tmp_path / "secret"
    nonsense.write_text("no PEM at all")
    secret.write_bytes(
        load_pem_private_key(Path(key).read_bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass phrase")
        )
    )
    locked.write_bytes(b"")
    assert tls.refusals(authority.ca, cert, key) == {}
    assert tls.refusals("", "", "") == {}
    assert tls.refusals("", cert, other_key) == {"key": "is not the key of this certificate"}
    assert tls.refusals(str(nonsense), "", "") == {"ca": "holds no certificates in PEM form"}
    assert tls.refusals("", str(locked), key) == {"cert": "holds no certificates in PEM form"}
    for file in (nonsense, secret):
        said = {"key": "holds no private key in PEM form without a passphrase"}
        assert tls.refusals("", cert, str(file)) == said
    assert tls.refusals("/nowhere", "/nowhere", key) == dict.fromkeys(
        ("ca", "cert"), "can't be read: No such file or directory"
    )


def test_contexts_to_connect_with_follow_their_files(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ClientContexts()
    files = ClientFiles(*(authority.ca, *authority.issue("router", "router")))
    first = known.get(files, 100.0)
    assert known.get(files, 100.0 + tls.CHECK_EVERY) is first
    authority.issue("router", "router")
    assert known.get(files, 100.0 + tls.CHECK_EVERY + 1) is first, (
        "they are not looked at for every connection"
    )
    assert known.get(files, 100.0 + 3 * tls.CHECK_EVERY) is not first
    with pytest.raises(OSError, match="No such file"):
        known.get(ClientFiles(ca="/nowhere.pem"), 0.0)


def half_renewed(authority: Authority, name: str, *hosts: str) -> tuple[str, str, bytes]:
    """The files of a certificate of which only the certificate is renewed as yet, and what its key will be."""
    cert, key = authority.issue(name, *hosts)
    old_key = Path(key).read_bytes()
    authority.issue(name, *hosts)
    new_key = Path(key).read_bytes()
    Path(key).write_bytes(old_key)
    return cert, key, new_key


def test_a_half_renewed_certificate_costs_no_connection(authority: Authority) -> None:
    known = ClientContexts()
    files = ClientFiles(authority.ca, *authority.issue("router", "router"))
    first = known.get(files, 0.0)
    *_, key, new_key = half_renewed(authority, "router", "router")
    assert known.get(files, 2 * tls.CHECK_EVERY) is first
    Path(key).unlink()
    assert known.get(files, 4 * tls.CHECK_EVERY) is first
    Path(key).write_bytes(new_key)
    assert known.get(files, 6 * tls.CHECK_EVERY) is not first


def test_what_is_wrong_with_files_in_use_is_said_until_it_is_right(authority: Authority) -> None:
    in_use = tls.InUse()
    pair = ("", *authority.issue("listener", "localhost"))
    wanted = {pair, (authority.ca, "", "")}
    assert in_use.look(wanted) == ()
    cert, key, new_key = half_renewed(authority, "listener", "localhost")
    for _ in range(2):
        (said,) = in_use.look(wanted)
        assert said == f"{key} is not the key of this certificate; what it held before stays in use"
    Path(cert).rename(cert + ".away")
    assert in_use.look(wanted) == (
        f"{cert} can't be read: No such file or directory; what it held before stays in use",
    )
    Path(cert + ".away").rename(cert)
    Path(key).write_bytes(new_key)
    assert in_use.look(wanted) == ()


@pytest.mark.slow
async def test_edits_and_new_workers_work_while_a_certificate_is_half_renewed(
    authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue("router", "localhost")
    async with model("a") as upstream:
        router = Router(tmp_path, {"m": in_yaml(v1=upstream.url, path="/m/**")}, workers=1)
        router.write(speaking_tls(router, *pair))
        async with router:
            context = ssl.create_default_context(cafile=authority.ca)
            async with httpx.AsyncClient(verify=context) as client:
                data, admin = (f"https://localhost:{port}" for port in (router.port, router.admin_port))

                async def status() -> dict[str, Any]:
                    told: dict[str, Any] = (await client.get(f"{admin}/api/v1/config")).json()["status"]
                    return told

                async def comes(what: Callable[[dict[str, Any]], bool]) -> None:
                    async with asyncio.timeout(4 * tls.CHECK_EVERY):
                        while not what(await status()):
                            await asyncio.sleep(0.1)

                before = await serial(router.port, authority.ca)
                _, key, new_key = half_renewed(authority, "router", "localhost")
                await comes(lambda told: any("is not the key" in each for each in told["warnings"]))
                router.deployments["n"] = in_yaml(v1=upstream.url, path="/n/**")
                router.write(speaking_tls(router, *pair))
                digest = (await status())["digest"]
                await comes(lambda told: told["digest"] != digest)
                assert (await status())["error"] is None
                assert (await client.get(f"{data}/n/x")).status_code == 200
                assert await serial(router.port, authority.ca) == before
                at = ["--admin", admin, "--ca", authority.ca]
                told = await asyncio.to_thread(CliRunner().invoke, cli, ["status", *at])
                assert "a certificate can't be renewed" in told.output
                (worker,) = router.children("router.worker")
                os.kill(worker, signal.SIGKILL)
                await until(lambda: router.children("router.worker") not in ([], [worker]))
                assert await serial(router.port, authority.ca) == before, (
                    "a worker that starts now serves too"
                )
                Path(key).write_bytes(new_key)
                await comes(lambda told: not told["warnings"])
                async with asyncio.timeout(2 * tls.CHECK_EVERY):
                    while await serial(router.port, authority.ca) == before:
                        await asyncio.sleep(0.1)


async def test_a_renewed_certificate_is_used_without_a_restart(authority: Authority, tmp_path: Path) -> None:
    """By data plane and admin API; and the commands reach an admin API whose authority is ours."""
    cert, key = authority.issue("router", "localhost", "127.0.0.1")
    async with model("a") as upstream:
        router = Router(tmp_path, {"m": in_yaml(v1=upstream.url, path="/**")}, workers=1)
        router.write(speaking_tls(router, cert, key))
        async with router:
            before = [await serial(port, authority.ca) for port in (router.port, router.admin_port)]
            context = ssl.create_default_context(cafile=authority.ca)
            async with httpx.AsyncClient(verify=context) as client:
                kept = f"https://localhost:{router.port}/x"
                assert (await client.get(kept)).status_code == 200
                authority.issue("router", "localhost", "127.0.0.1")

                async def renewed() -> bool:
                    now = [await serial(port, authority.ca) for port in (router.port, router.admin_port)]
                    return not set(now) & set(before)

                async with asyncio.timeout(3 * tls.CHECK_EVERY):
                    while not await renewed():
                        await asyncio.sleep(0.2)
                assert (await client.get(kept)).status_code == 200
            at = ["--admin", f"https://127.0.0.1:{router.admin_port}"]
            told = await asyncio.to_thread(CliRunner().invoke, cli, ["status", *at, "--ca", authority.ca])
            assert (told.exit_code, "v1" in told.output) == (0, True), told.output
            told = await asyncio.to_thread(CliRunner().invoke, cli, ["status", *at])
            assert told.exit_code == 1
            assert "certificate" in told.output
            told = await asyncio.to_thread(
                CliRunner().invoke, cli, ["healthcheck", *at], env={"ROUTER_ADMIN_CA": authority.ca}
            )
            assert told.output == "ready\n"


def speaking_tls(router: Router, cert: str, key: str) -> str:
    """The configuration of a router that has this certificate on both of its listeners."""
    pair = f"tls: {{cert: {cert}, key: {key}}}"
    return (
        router.text()
        .replace(
            f"listen: 127.0.0.1:{router.port}", f"listen: {{address: '127.0.0.1:{router.port}', {pair}}}"
        )
        .replace("admin: {", f"admin: {{{pair}, ")
    )


async def test_an_edit_names_other_certificates(authority: Authority, tmp_path: Path) -> None:
    """They are used at once, also by workers that come later; those that fit no key are refused."""
    first, second = authority.issue("first", "localhost"), authority.issue("second", "localhost")
    router = Router(tmp_path, {"m": in_yaml(v1="http://127.0.0.1:9", path="/**")}, workers=1)
    router.write(speaking_tls(router, *first))
    async with router:

        async def shown() -> list[str]:
            return [await serial(port, authority.ca) for port in (router.port, router.admin_port)]

        before = await shown()
        router.write(speaking_tls(router, second[0], first[1]))
        await until(lambda: "is not the key of this certificate" in router.log.read_text())
        assert await shown() == before
        router.write(speaking_tls(router, *second))
        async with asyncio.timeout(10):
            while set(now := await shown()) & set(before):
                await asyncio.sleep(0.05)
        (worker,) = router.children("router.worker")
        os.kill(worker, signal.SIGKILL)
        await until(lambda: router.children("router.worker") not in ([], [worker]))
        assert await shown() == now


async def test_a_health_check_trusts_and_shows_what_requests_do(authority: Authority) -> None:
    context = serving(*authority.issue("model", "models.internal"), client_ca=authority.ca)
    cert, key = authority.issue("router", "router.internal")
    told: list[tuple[str, ...]] = []
    async with secure_model(context) as url, secure_model(context) as other, asyncio.TaskGroup() as tasks:
        prober = Prober(tasks, told.append)
        trusted = UpstreamTls(authority.ca, cert, key, "models.internal")
        checks = [Check(url, "/health", 0.05, 2.0, trusted), Check(other, "/health", 0.05, 2.0)]
        prober.configure(checks)
        await until(lambda: told)
        prober.configure(
            [*checks, Check(other, "/elsewhere", 0.05, 2.0, UpstreamTls(authority.ca, cert, key))]
        )
        await asyncio.sleep(0.5)
        await prober.close()
    assert told == [(other,)]


def test_checks_carry_the_tls_of_their_version() -> None:
    version = {"url": "https://h:1", "health": {"path": "/ok"}, "tls": {"ca": "ca.pem"}}
    config = Config.model_validate(
        {"deployments": {"d": {"match": {"path": "/a"}, "versions": {"v1": version}}}}
    )
    assert [check.tls.ca for check in checks_of(config)] == ["ca.pem"]
