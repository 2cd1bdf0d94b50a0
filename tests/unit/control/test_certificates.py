"""Certificates in force: which files they are, and who is told when they can't be renewed."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from router.config.schema import Config, ListenSpec
from router.control import certificates
from router.control.certificates import Certificates, files_of
from router.tls import Kept, ServerTls
from tests.support.authorities import Authority
from tests.support.workers import until


def config(**more: Any) -> Config:
    versions = {
        "v1": {"url": "https://h:1", "tls": {"ca": "ca.pem"}},
        "v2": {"url": "https://h:2", "tls": {"cert": "c.pem", "key": "k.pem"}},
        "v3": {"url": "https://h:3", "tls": {"verify": False}},
    }
    rollout = {"pattern": "shadow", "primary": "v1", "shadows": ["v2", "v3"]}
    loan = {"match": {"path": "/a"}, "versions": versions, "rollout": rollout}
    return Config.model_validate({"deployments": {"loan": loan}, **more})


def test_all_files_that_are_named() -> None:
    assert files_of(config()) == {("ca.pem", "", ""), ("", "c.pem", "k.pem")}
    pair = {"cert": "l.pem", "key": "l.key"}
    listen = [{"address": "127.0.0.1:1", "tls": pair}, "127.0.0.1:2"]
    assert files_of(config(listen=listen)) - files_of(config()) == {("", "l.pem", "l.key")}


async def test_what_cannot_be_renewed_is_told_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(certificates, "CHECK_EVERY", 0.001)
    authority = Authority(tmp_path)
    cert, key = authority.issue("admin", "localhost")
    kept = Certificates(Config.model_validate(
        {"admin": {"tls": {"cert": cert, "key": key}}, "deployments": {"d": {
            "match": {"path": "/a"}, "versions": {"v1": {"url": "http://h:1"}}}}}
    ), lambda listen: None)  # fmt: skip
    assert kept.context is not None
    told: list[tuple[str, ...]] = []
    task = asyncio.create_task(kept.renew(told.append))
    whole = Path(key).read_bytes()
    Path(key).write_bytes(b"half of it")
    await until(lambda: told)
    Path(key).write_bytes(whole)
    await until(lambda: len(told) > 1)
    task.cancel()
    assert told[0] == (
        f"{key} holds no private key in PEM form without a passphrase; what it held before stays in use",
    )
    assert told[1:] == [()]
    assert caplog.text.count("a certificate can't be renewed") == 1, "said once, not at every look"


def test_workers_that_start_while_a_pair_is_broken_get_it_as_it_was(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("listener", "localhost")
    listen = [{"address": "127.0.0.1:1", "tls": {"cert": cert, "key": key}}, "127.0.0.1:2"]
    wanted = config(listen=listen)
    told: list[tuple[ListenSpec, ...]] = []
    kept = Certificates(wanted, told.append)
    kept.use(wanted)
    assert told == [], "they know it already"
    before = Path(cert).read_bytes(), Path(key).read_bytes()
    Path(key).write_bytes(b"half of it")
    for _ in range(2):
        kept.use(wanted)
    (instead,) = told
    assert instead[1] == wanted.listen[1]
    assert instead[0].address == "127.0.0.1:1"
    assert instead[0].tls is not None
    assert (Path(instead[0].tls.cert).read_bytes(), Path(instead[0].tls.key).read_bytes()) == before
    ServerTls(instead[0].tls.cert, instead[0].tls.key)
    authority.issue("listener", "localhost")
    kept.use(wanted)
    assert told[1:] == [wanted.listen], "the files again, once they are whole"
    assert not Path(instead[0].tls.key).exists() or Path(instead[0].tls.key).read_bytes() != before[1]
    kept.use(config())
    kept.close()


def test_without_a_whole_pair_there_is_no_copy_and_no_descriptor_is_lost(tmp_path: Path) -> None:
    kept = Kept(str(tmp_path / "cert"), str(tmp_path / "key"))
    before = len(os.listdir("/proc/self/fd"))
    for content in (b"", b"no PEM"):
        assert not kept.look()
        (tmp_path / "cert").write_bytes(content)
        (tmp_path / "key").write_bytes(content)
    assert not kept.look()
    assert kept.copies == (str(tmp_path / "cert"), str(tmp_path / "key"))
    assert len(os.listdir("/proc/self/fd")) == before
