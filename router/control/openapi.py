"""The admin API described for programs (OpenAPI 3.1), written by hand; a test keeps it equal to the routes.

Floor 4.
"""

from importlib.metadata import version
from typing import Any

from router.pairs.comparators.base import VERDICTS

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


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _response(description: str, schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


_PROBLEM = _response("What went wrong.", _reference("Problem"), "application/problem+json")


def _look(summary: str, schema: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "get": {
            "summary": summary,
            "parameters": list(parameters),
            "responses": {"200": _response("What there is.", schema), "default": _PROBLEM},
        }
    }


def _act(summary: str, body: str = "Reason", *, needed: bool = False) -> dict[str, Any]:
    return {
        "post": {
            "summary": summary,
            "parameters": [_NAME],
            "requestBody": {
                "required": needed,
                "content": {"application/json": {"schema": _reference(body)}},
            },
            "responses": {"200": _response("It is in force.", _reference("Answer")), "default": _PROBLEM},
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
    _ONE: _look(
        "One deployment: spec, pattern, phase, step, shares, counts, events.",
        _reference("Deployment"),
        _NAME,
    ),
    f"{_ONE}/rollback": _act("Everything to the trusted version at once. Legal in every phase."),
    f"{_ONE}/promote": _act("The next step now."),
    f"{_ONE}/pause": _act("Nothing moves by itself any more."),
    f"{_ONE}/resume": _act("Goes on where it was."),
    f"{_ONE}/restart": _act("The first step again; also ends rolled_back."),
    f"{_ONE}/share": _act("The candidate's share by hand.", "Share", needed=True),
    f"{_ONE}/switch": _act("Makes a colour live (blue-green).", "Switch", needed=True),
    f"{_ONE}/history": _look("What happened, newest first.", _reference("Events"), _NAME, _LIMIT),
    f"{_ONE}/pairs": _look("Recent pairs, newest first, redacted.", _OBJECT, _NAME, _VERDICT, _LIMIT, _ID),
    f"{_ONE}/comparison": _look("How often the versions agree, and where they differ.", _OBJECT, _NAME),
    "/api/v1/config/reload": {
        "post": {
            "summary": "Reads the files again now.",
            "responses": {"200": _response("It is in force.", _OBJECT), "default": _PROBLEM},
        }
    },
    "/api/v1/config": _look("The configuration in force, secrets masked, and the last error.", _OBJECT),
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
            "waits_for": _STRING,
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
        }
    ),
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
