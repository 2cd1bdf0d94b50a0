"""The admin API described for programs (OpenAPI 3.1), written by hand; a test keeps it equal to the routes.

Floor 4.
"""

from importlib.metadata import version
from typing import Any

from router.control.admin.schemas import OBJECT, SCHEMAS, reference
from router.pairs.comparators.base import VERDICTS

_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The deployment.",
    "schema": {"type": "string"},
}


def _query(name: str, says: str, **schema: Any) -> dict[str, Any]:
    """A parameter behind the question mark."""
    return {"name": name, "in": "query", "description": says, "schema": schema}


_LIMIT = _query("limit", "At most so many, the newest first.", type="integer", minimum=1, maximum=1000)
_VERDICT = _query("verdict", "Only pairs with this verdict.", type="string", enum=list(VERDICTS))
_ID = _query("id", "Only pairs of the request with this id.", type="string")
_FIELD = _query(
    "field",
    "Only pairs in which this field, as a comparison names it, is listed as different.",
    type="string",
)
_SOURCE = _query(
    "source",
    "Where from: the pair log, or what the recorder has counted since it started (at once).",
    type="string",
    enum=["log", "live"],
)
_LAST = _query(
    "last",
    "Read the newest files of the log until they hold so many pairs, 200000 by default; or all.",
    type="string",
)
_INTERVALS = _query(
    "intervals",
    "no: without intervals at what gates say, which cost the router most of the time this call takes. "
    "In a long list there are none anyway.",
    type="string",
    enum=["yes", "no"],
)
_SINCE = _query("since", "Only moments after this Unix time.", type="number")
_NUMBER_OF = {
    "name": "number",
    "in": "path",
    "required": True,
    "description": "As the answer to the call that began it has it.",
    "schema": {"type": "integer"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "A generation. Where the deployment has changed since, nothing is done and the answer is 412.",
    "schema": {"type": "string"},
}
_ETAG = {
    "ETag": {
        "description": "The generation in which the deployment changed last, for If-Match.",
        "schema": {"type": "string"},
    }
}


def _response(description: str, schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": reference(name)}}


def _problem(description: str) -> dict[str, Any]:
    return _response(description, reference("Problem"), "application/problem+json")


_PROBLEM = _problem("What went wrong.")
_CHANGED = _problem("The deployment has changed since.")


def _look(summary: str, schema: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "get": {
            "summary": summary,
            "parameters": list(parameters),
            "responses": {"200": _response("What there is.", schema), "default": _PROBLEM},
        }
    }


def _tagged(path: dict[str, Any]) -> dict[str, Any]:
    """The same, with the header that a command may name."""
    path["get"]["responses"]["200"]["headers"] = _ETAG
    return path


def _act(summary: str, body: str = "Reason", *, needed: bool = False) -> dict[str, Any]:
    return {
        "post": {
            "summary": summary,
            "parameters": [_NAME, _IF_MATCH],
            "requestBody": {"required": needed, "content": _json(body)},
            "responses": {
                "200": _response("It is in force.", reference("Answer")) | {"headers": _ETAG},
                "412": _CHANGED,
                "default": _PROBLEM,
            },
        }
    }


def _do(summary: str, body: str, done: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    """A call that acts on something else than a rollout."""
    return {
        "post": {
            "summary": summary,
            "parameters": list(parameters),
            "requestBody": {"required": True, "content": _json(body)},
            "responses": {"200": done, "default": _PROBLEM},
        }
    }


def _text(summary: str, *, without_token: bool) -> dict[str, Any]:
    call: dict[str, Any] = {
        "summary": summary,
        "responses": {
            "200": _response("Text.", {"type": "string"}, "text/plain"),
            "default": _PROBLEM,
        },
    }
    if without_token:
        call["security"] = []
    return {"get": call}


_BEGUN = _response("It has begun.", reference("Erasing"))
_ONE = "/api/v1/deployments/{name}"

_PATHS: dict[str, Any] = {
    "/api/v1/deployments": _look("All deployments.", reference("Deployments"), _INTERVALS),
    _ONE: _tagged(
        _look(
            "One deployment: spec, pattern, phase, step, shares, counts, events.",
            reference("Deployment"),
            _NAME,
        )
    ),
    f"{_ONE}/rollback": _act("Everything to the trusted version at once. Legal in every phase."),
    f"{_ONE}/promote": _act("The next step now, or 100 %.", "Promote"),
    f"{_ONE}/pause": _act("Nothing moves by itself any more."),
    f"{_ONE}/resume": _act("Goes on where it was."),
    f"{_ONE}/restart": _act("The first step again; also ends rolled_back."),
    f"{_ONE}/share": _act("The candidate's share by hand.", "Share", needed=True),
    f"{_ONE}/switch": _act("Makes a colour live (blue-green).", "Switch", needed=True),
    f"{_ONE}/history": _look("What happened, newest first.", reference("Events"), _NAME, _LIMIT),
    f"{_ONE}/samples": _look(
        "What was counted when in the deployment's rollouts, oldest first: evidence for other gates.",
        OBJECT,
        _NAME,
    ),
    f"{_ONE}/pairs": _look(
        "Recent pairs, newest first, redacted.", OBJECT, _NAME, _VERDICT, _LIMIT, _ID, _FIELD
    ),
    f"{_ONE}/comparison": _look(
        "How often the versions agree, where they differ, and what of it is noise.",
        OBJECT,
        _NAME,
        _SOURCE,
        _LAST,
    ),
    f"{_ONE}/trends": _look(
        "The last quarter of an hour, a moment every few seconds, oldest first.",
        reference("Trends"),
        _NAME,
        _SINCE,
    ),
    f"{_ONE}/pairs/erase": _do(
        "Erases the records of one subject from the pair log. Ask for the outcome by its number.",
        "Erase",
        _BEGUN,
        _NAME,
    ),
    f"{_ONE}/pairs/erase/{{number}}": _look(
        "How far an erasure has come.", reference("Erasing"), _NAME, _NUMBER_OF
    ),
    "/api/v1/pairs/erase": _do("The same from the log of every deployment there is.", "Erase", _BEGUN),
    "/api/v1/pairs/erase/{number}": _look("How far it has come.", reference("Erasing"), _NUMBER_OF),
    "/api/v1/config/reload": {
        "post": {
            "summary": "Reads the files again now.",
            "responses": {"200": _response("It is in force.", OBJECT), "default": _PROBLEM},
        }
    },
    "/api/v1/workers/replace": {
        "post": {
            "summary": "Puts a new process in the place of every worker, one after the other; drops nothing.",
            "responses": {
                "200": _response("All are replaced.", reference("Replaced")),
                "503": _problem("A new one does not serve; the ones not replaced go on."),
                "default": _PROBLEM,
            },
        }
    },
    "/api/v1/config": _look("The configuration in force, secrets masked, and the last error.", OBJECT),
    "/api/v1/log-level": _look("What the log says at least.", reference("LogLevel"))
    | _do(
        "Sets what the log of every process says at least, until the router starts again.",
        "LogLevel",
        _response("It is so from now on.", reference("LogLevel")),
    ),
    "/api/v1/trends": _look(
        "Every deployment at a glance: its versions in the last half minute, and a line of requests a second.",
        OBJECT,
    ),
    "/api/v1/me": _look("Whose token this is, and what it may do.", reference("Me")),
    "/api/v1/events": {
        "get": {
            "summary": "Every change as it happens, as server-sent events.",
            "responses": {
                "200": _response("A stream.", {"type": "string"}, "text/event-stream"),
                "default": _PROBLEM,
            },
        }
    },
    "/api/v1/openapi.json": _look("This document.", OBJECT),
    "/metrics": _text("Prometheus metrics; needs a token where tokens are configured.", without_token=False),
    "/healthz": _text("The controller runs.", without_token=True),
    "/readyz": _text("Every worker has the newest configuration in force.", without_token=True),
}


def document() -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "router admin API", "version": version("router")},
        "paths": _PATHS,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }
