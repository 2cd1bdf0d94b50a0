"""All tables of cases, by topic."""

from tests.rfc.cases import FromClient, FromUpstream
from tests.rfc.tables import (
    answer_framing,
    answers,
    chunked,
    connection,
    desync_client,
    desync_upstream,
    expect,
    headers,
    host,
    informational,
    length,
    limits,
    no_body,
    request_line,
    smuggling,
    trailers,
    truncation,
    upgrade,
)

TOPICS: dict[str, tuple[FromClient | FromUpstream, ...]] = {
    module.__name__.rpartition(".")[2]: module.CASES
    for module in (
        request_line, host, headers, length, smuggling, chunked, trailers, connection, desync_client, expect, upgrade,
        limits, answers, answer_framing, no_body, informational, truncation, desync_upstream,
    )
}  # fmt: skip
