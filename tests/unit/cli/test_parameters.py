from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from router.cli.parameters import DurationParameter, HeaderParameter, MomentParameter, UrlParameter


def convert(kind: click.ParamType[Any], text: str) -> Any:
    return kind.convert(text, None, None)


def test_a_moment_is_a_date_or_a_time_before_now() -> None:
    assert convert(MomentParameter(), "2026-01-31T08:00Z") == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert convert(MomentParameter(), "2026-01-31T09:00+01:00") == datetime(2026, 1, 31, 8, tzinfo=UTC)
    local = datetime(2026, 1, 31, 9).astimezone()
    assert convert(MomentParameter(), "2026-01-31T09:00") == local
    ago = datetime.now(UTC) - convert(MomentParameter(), "1h30m")
    assert abs(ago - timedelta(hours=1, minutes=30)) < timedelta(seconds=5)


def test_a_duration_has_a_unit_and_is_something() -> None:
    assert convert(DurationParameter(), "250ms") == 0.25
    for text in ("5", "0", "soon"):
        with pytest.raises(click.BadParameter):
            convert(DurationParameter(), text)


def test_a_header_has_a_name_in_lower_case_and_perhaps_a_value() -> None:
    assert convert(HeaderParameter(), "X-Tenant: acme:1") == (b"x-tenant", b"acme:1")
    assert convert(HeaderParameter(), "cookie:") == (b"cookie", b"")


@pytest.mark.parametrize("text", ["x-tenant", ": x", "a b: c", "x: a\r\nevil: 1", "Content-Length: 5"])
def test_what_is_no_header_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        convert(HeaderParameter(), text)


def test_a_url_names_scheme_and_host() -> None:
    assert convert(UrlParameter(), "http://127.0.0.1:9003/base") == "http://127.0.0.1:9003/base"
    with pytest.raises(click.BadParameter, match="a URL names scheme and host"):
        convert(UrlParameter(), "127.0.0.1:9003")


def test_a_moment_that_is_none_says_how_to_write_one() -> None:
    with pytest.raises(click.BadParameter, match="write a moment such as"):
        convert(MomentParameter(), "yesterday")
