"""Names and attributes follow the HTTP semantic conventions, and clients make up none of them."""

from router.telemetry.spans import answered, asked, name_of, place


def test_a_known_method_names_the_span() -> None:
    assert asked(b"POST") == {"http.request.method": "POST"}
    assert name_of(b"POST") == "POST"
    assert name_of(b"POST", "/m/**") == "POST /m/**"


def test_an_unknown_method_does_not() -> None:
    assert asked(b"BREW") == {"http.request.method": "_OTHER", "http.request.method_original": "BREW"}
    assert name_of(b"BREW", "/m/**") == "HTTP /m/**"


def test_an_answer_has_a_status_and_a_failure_a_type() -> None:
    assert answered(200, "", failed=False) == {"http.response.status_code": 200}
    assert answered(503, "", failed=True) == {"http.response.status_code": 503, "error.type": "503"}
    assert answered(404, "", failed=False) == {"http.response.status_code": 404}
    assert answered(404, "", failed=True) == {"http.response.status_code": 404, "error.type": "404"}
    assert answered(200, "upstream_reset", failed=True) == {
        "http.response.status_code": 200,
        "error.type": "upstream_reset",
    }
    assert answered(0, "connect_failed", failed=True) == {"error.type": "connect_failed"}


def test_an_address_is_told_as_far_as_it_is_known() -> None:
    assert place("h", 80) == {"server.address": "h", "server.port": 80}
    assert place("", 0) == {}
