"""The admin API described for programs (OpenAPI 3.1), written by hand; a test keeps it equal to the routes.

Floor 4.
"""

from importlib.metadata import version
from typing import Any

from router.logs import LEVELS
from router.pairs.comparators.base import VERDICTS
from router.rollout.verdict import Verdict

_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The deployment.",
    "schema": {"type": "string"},
}
_LIMIT = {
    "name": "limit",
    "in": "query",
    "description": "At most so many, the newest first.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
}
_VERDICT = {
    "name": "verdict",
    "in": "query",
    "schema": {"type": "string", "enum": list(VERDICTS)},
}
_ID = {
    "name": "id",
    "in": "query",
    "description": "Only pairs of the request with this id.",
    "schema": {"type": "string"},
}


_SOURCE = {
    "name": "source",
    "in": "query",
    "description": "Where from: the pair log, or what the recorder has counted since it started (at once).",
    "schema": {"type": "string", "enum": ["log", "live"]},
}
_LAST = {
    "name": "last",
    "in": "query",
    "description": "Read the newest files of the log until they hold so many pairs, 200000 by default; or all.",
    "schema": {"type": "string"},
}
_SINCE = {
    "name": "since",
    "in": "query",
    "description": "Only moments after this Unix time.",
    "schema": {"type": "number"},
}
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


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _response(description: str, schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(name)}}


def _problem(description: str) -> dict[str, Any]:
    return _response(description, _reference("Problem"), "application/problem+json")


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
                "200": _response("It is in force.", _reference("Answer")) | {"headers": _ETAG},
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


_OBJECT = {"type": "object"}
_ONE = "/api/v1/deployments/{name}"

_PATHS: dict[str, Any] = {
    "/api/v1/deployments": _look("All deployments.", _reference("Deployments")),
    _ONE: _tagged(
        _look(
            "One deployment: spec, pattern, phase, step, shares, counts, events.",
            _reference("Deployment"),
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
    f"{_ONE}/history": _look("What happened, newest first.", _reference("Events"), _NAME, _LIMIT),
    f"{_ONE}/samples": _look(
        "What was counted when in the deployment's rollouts, oldest first: evidence for other gates.",
        _OBJECT,
        _NAME,
    ),
    f"{_ONE}/pairs": _look("Recent pairs, newest first, redacted.", _OBJECT, _NAME, _VERDICT, _LIMIT, _ID),
    f"{_ONE}/comparison": _look(
        "How often the versions agree, where they differ, and what of it is noise.",
        _OBJECT,
        _NAME,
        _SOURCE,
        _LAST,
    ),
    f"{_ONE}/trends": _look(
        "The last quarter of an hour, a moment every few seconds, oldest first.",
        _reference("Trends"),
        _NAME,
        _SINCE,
    ),
    f"{_ONE}/pairs/erase": _do(
        "Erases the records of one subject from the pair log. Ask for the outcome by its number.",
        "Erase",
        _response("It has begun.", _reference("Erasing")),
        _NAME,
    ),
    f"{_ONE}/pairs/erase/{{number}}": _look(
        "How far an erasure has come.", _reference("Erasing"), _NAME, _NUMBER_OF
    ),
    "/api/v1/config/reload": {
        "post": {
            "summary": "Reads the files again now.",
            "responses": {"200": _response("It is in force.", _OBJECT), "default": _PROBLEM},
        }
    },
    "/api/v1/workers/replace": {
        "post": {
            "summary": "Puts a new process in the place of every worker, one after the other; drops nothing.",
            "responses": {
                "200": _response("All are replaced.", _reference("Replaced")),
                "503": _problem("A new one does not serve; the ones not replaced go on."),
                "default": _PROBLEM,
            },
        }
    },
    "/api/v1/config": _look("The configuration in force, secrets masked, and the last error.", _OBJECT),
    "/api/v1/log-level": _look("What the log says at least.", _reference("LogLevel"))
    | _do(
        "Sets what the log of every process says at least, until the router starts again.",
        "LogLevel",
        _response("It is so from now on.", _reference("LogLevel")),
    ),
    "/api/v1/trends": _look(
        "Every deployment at a glance: its versions in the last half minute, and a line of requests a second.",
        _OBJECT,
    ),
    "/api/v1/me": _look("Whose token this is, and what it may do.", _reference("Me")),
    "/api/v1/events": {
        "get": {
            "summary": "Every change as it happens, as server-sent events.",
            "responses": {
                "200": _response("A stream.", {"type": "string"}, "text/event-stream"),
                "default": _PROBLEM,
            },
        }
    },
    "/api/v1/openapi.json": _look("This document.", _OBJECT),
    "/metrics": _text("Prometheus metrics; needs a token where tokens are configured.", without_token=False),
    "/healthz": _text("The controller runs.", without_token=True),
    "/readyz": _text("Every worker has the newest configuration in force.", without_token=True),
}

_FRACTION = {"type": "number", "minimum": 0, "maximum": 1}
_STRING = {"type": "string"}
_INTEGER = {"type": "integer"}
_NUMBER = {"type": "number"}
_PHASE = {
    "type": "string",
    "enum": ["steady", "progressing", "paused", "soaking", "promoted", "rolled_back"],
}
_SHARES = {"type": "object", "additionalProperties": _FRACTION}


def _object(properties: dict[str, Any], *, closed: bool = False, optional: tuple[str, ...] = ()) -> Any:
    schema = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }
    return schema | ({"additionalProperties": False} if closed else {})


_REASON = {"type": "string", "maxLength": 500}
_SCHEMAS: dict[str, Any] = {
    "Reason": _object({"reason": _REASON}, closed=True, optional=("reason",)),
    "Share": _object(
        {
            "candidate": {"description": "0.25 or 25%", "type": ["number", "string"]},
            "reason": _REASON,
        },
        closed=True,
        optional=("reason",),
    ),
    "Promote": _object(
        {
            "full": {"description": "100 % at once, whatever steps are left.", "type": "boolean"},
            "reason": _REASON,
        },
        closed=True,
        optional=("full", "reason"),
    ),
    "Erase": _object(
        {"key": {"description": "The subject's key, as its requests had it.", "type": "string"}}, closed=True
    ),
    "Erasing": _object(
        {
            "number": _INTEGER,
            "done": {"description": "Bytes of files looked at.", "type": "integer"},
            "total": {"description": "Bytes of files there are.", "type": "integer"},
            "removed": {"description": "Records that are gone.", "type": "integer"},
            "segments": {"description": "Files written anew, or deleted.", "type": "integer"},
            "unattributed": {"description": "Records that do not say whose they are.", "type": "integer"},
            "busy": {"description": "Files another process holds: erase again later.", "type": "integer"},
            "finished": {"type": "boolean"},
            "error": {"description": "What stopped it before its end, if anything.", "type": "string"},
        }
    ),
    "Switch": _object(
        {"to": {"type": "string", "enum": ["blue", "green"]}, "reason": _REASON},
        closed=True,
        optional=("reason",),
    ),
    "Answer": _object(
        {
            "deployment": _STRING,
            "phase": _PHASE,
            "shares": _SHARES,
            "generation": _INTEGER,
            "applied_ms": {"description": "From the call to the last worker's word.", "type": "number"},
            "workers": _object({"live": _INTEGER, "confirmed": _INTEGER}),
            "persisted": {"description": "Whether it is on disk.", "type": "boolean"},
            "warnings": {
                "description": "What may go wrong now, in sentences.",
                "type": "array",
                "items": _STRING,
            },
        }
    ),
    "Deployment": _object(
        {
            "name": _STRING,
            "pattern": _STRING,
            "phase": _PHASE,
            "step": {"description": "Counted from 0; `steps` means past the last one.", "type": "integer"},
            "steps": _INTEGER,
            "share": _FRACTION,
            "mirror": _FRACTION,
            "held": {"description": "Seconds spent at this step.", "type": "number"},
            "hold": {"description": "Seconds it lasts by itself.", "type": ["number", "null"]},
            "waits_for": {
                "description": "One sentence: why it is here, and what it waits for.",
                "type": "string",
            },
            "gates": {
                "description": "What each gate says now.",
                "type": "array",
                "items": _reference("Ruling"),
            },
            "shares": _SHARES,
            "trusted": _STRING,
            "candidates": {"type": "array", "items": _STRING},
            "live": _STRING,
            "changed": _object({"who": _STRING, "why": _STRING, "when": _NUMBER}),
            "generation": _INTEGER,
            "evidence": {"description": "Counts by version; times in seconds.", "type": "object"},
            "events": {"type": "array", "items": _reference("Event")},
            "config_error": {"type": ["string", "null"]},
            "spec": {"type": ["object", "null"]},
        }
    ),
    "Deployments": _object(
        {"deployments": {"type": "array", "items": _reference("Deployment")}, "generation": _INTEGER}
    ),
    "Event": _object(
        {
            "id": _INTEGER,
            "deployment": _STRING,
            "when": {"description": "Unix time.", "type": "number"},
            "who": _STRING,
            "what": _STRING,
            "why": _STRING,
            "phase_before": _PHASE,
            "phase": _PHASE,
            "share": _FRACTION,
            "generation": _INTEGER,
            "config": {"description": "Digest of the configuration in force.", "type": "string"},
            "evidence": _OBJECT,
            "gates": {
                "description": "What the gates said.",
                "type": "array",
                "items": _reference("Ruling"),
            },
        }
    ),
    "Ruling": _object(
        {
            "gate": _STRING,
            "verdict": {"type": "string", "enum": [verdict.value for verdict in Verdict]},
            "why": _STRING,
            "numbers": _OBJECT,
            "hold": {"description": "No step up for now.", "type": "boolean"},
            "wait": {"description": "Seconds it may take to pass.", "type": ["number", "null"]},
        }
    ),
    "Me": _object({"name": _STRING, "role": {"type": "string", "enum": ["operator", "viewer"]}}),
    "Trends": _object(
        {"every": _NUMBER, "moments": {"type": "array", "items": _reference("Moment")}},
    ),
    "Moment": _object(
        {
            "at": {"description": "Unix time at its end.", "type": "number"},
            "seconds": _NUMBER,
            "live": {
                "description": "By version, what it answered.",
                "type": "object",
                "additionalProperties": _reference("Counted"),
            },
            "copies": {
                "description": "By version, what it did with copies.",
                "type": "object",
                "additionalProperties": _reference("Counted"),
            },
            "pairs": {
                "description": "By version that got the copy: [comparable, matching].",
                "type": "object",
                "additionalProperties": {"type": "array", "items": _INTEGER},
            },
        },
        optional=("live", "copies", "pairs"),
    ),
    "Counted": _object(
        {"requests": _INTEGER, "errors": _INTEGER}
        | dict.fromkeys(("p50", "p95", "p99", "first_byte_p50", "first_byte_p95"), _NUMBER),
        optional=("errors", "p50", "p95", "p99", "first_byte_p50", "first_byte_p95"),
    ),
    "LogLevel": _object({"level": {"type": "string", "enum": list(LEVELS)}}, closed=True),
    "Replaced": _object({"replaced": _INTEGER}),
    "Events": _object({"events": {"type": "array", "items": _reference("Event")}}),
    "Problem": _object(
        {
            "type": _STRING,
            "title": _STRING,
            "status": _INTEGER,
            "detail": _STRING,
            "phase": _PHASE,
            "known": {"type": "array", "items": _STRING},
            "problems": {"type": "array", "items": _OBJECT},
        },
        optional=("phase", "known", "problems"),
    ),
}


def document() -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "router admin API", "version": version("router")},
        "paths": _PATHS,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }
