"""What the bodies and answers of the admin API look like, as JSON Schema by name; tests keep them equal to the values.

Floor 4. `openapi` says which call takes or gives which of them.
"""

from typing import Any

from router.logs import LEVELS
from router.rollout.verdict import Verdict

OBJECT = {"type": "object"}
"""Some object: what is in it is said elsewhere, or changes."""

_FRACTION = {"type": "number", "minimum": 0, "maximum": 1}
_STRING = {"type": "string"}
_INTEGER = {"type": "integer"}
_NUMBER = {"type": "number"}
_PHASE = {
    "type": "string",
    "enum": ["steady", "progressing", "paused", "soaking", "promoted", "rolled_back"],
}
_SHARES = {"type": "object", "additionalProperties": _FRACTION}


def reference(name: str) -> dict[str, Any]:
    """What stands for one of SCHEMAS elsewhere in the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], *, closed: bool = False, optional: tuple[str, ...] = ()) -> Any:
    schema = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }
    return schema | ({"additionalProperties": False} if closed else {})


_REASON = {"type": "string", "maxLength": 500}
SCHEMAS: dict[str, Any] = {
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
        {
            "key": {"description": "The subject's key, as its requests had it.", "type": "string"},
            "hash_key": {"description": "An earlier key of pairs.hash.", "type": "string"},
        },
        closed=True,
        optional=("hash_key",),
    ),
    "Erasing": _object(
        {
            "number": _INTEGER,
            "done": {"description": "Bytes of files looked at.", "type": "integer"},
            "total": {"description": "Bytes of files there are.", "type": "integer"},
            "removed": {"description": "Records that are gone.", "type": "integer"},
            "segments": {"description": "Files written anew, or deleted.", "type": "integer"},
            "unattributed": {"description": "Records that do not say whose they are.", "type": "integer"},
            "undelivered": {"description": "Records that wait for another sink.", "type": "integer"},
            "busy": {"description": "Files another process holds: erase again later.", "type": "integer"},
            "log": {
                "description": "The root of the files that were looked at, once it is done.",
                "type": "string",
            },
            "unconfigured": {
                "description": "Deployments no longer in the configuration: their key of pairs.hash is not known.",
                "type": "array",
                "items": _STRING,
            },
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
                "items": reference("Ruling"),
            },
            "shares": _SHARES,
            "trusted": _STRING,
            "candidates": {"type": "array", "items": _STRING},
            "live": _STRING,
            "changed": _object({"who": _STRING, "why": _STRING, "when": _NUMBER}),
            "generation": _INTEGER,
            "evidence": {"description": "Counts by version; times in seconds.", "type": "object"},
            "events": {"type": "array", "items": reference("Event")},
            "config_error": {"type": ["string", "null"]},
            "spec": {"type": ["object", "null"]},
        }
    ),
    "Deployments": _object(
        {"deployments": {"type": "array", "items": reference("Deployment")}, "generation": _INTEGER}
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
            "evidence": OBJECT,
            "gates": {
                "description": "What the gates said.",
                "type": "array",
                "items": reference("Ruling"),
            },
        }
    ),
    "Ruling": _object(
        {
            "gate": _STRING,
            "verdict": {"type": "string", "enum": [verdict.value for verdict in Verdict]},
            "why": _STRING,
            "numbers": OBJECT,
            "hold": {"description": "No step up for now.", "type": "boolean"},
            "wait": {"description": "Seconds it may take to pass.", "type": ["number", "null"]},
        }
    ),
    "Me": _object({"name": _STRING, "role": {"type": "string", "enum": ["operator", "viewer"]}}),
    "Trends": _object(
        {"every": _NUMBER, "moments": {"type": "array", "items": reference("Moment")}},
    ),
    "Moment": _object(
        {
            "at": {"description": "Unix time at its end.", "type": "number"},
            "seconds": _NUMBER,
            "live": {
                "description": "By version, what it answered.",
                "type": "object",
                "additionalProperties": reference("Counted"),
            },
            "copies": {
                "description": "By version, what it did with copies.",
                "type": "object",
                "additionalProperties": reference("Counted"),
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
    "Events": _object({"events": {"type": "array", "items": reference("Event")}}),
    "Problem": _object(
        {
            "type": _STRING,
            "title": _STRING,
            "status": _INTEGER,
            "detail": _STRING,
            "phase": _PHASE,
            "known": {"type": "array", "items": _STRING},
            "problems": {"type": "array", "items": OBJECT},
        },
        optional=("phase", "known", "problems"),
    ),
}
