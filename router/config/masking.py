"""The configuration as it may be shown: everything in it but what it must not tell. Floor 3, pure."""

from typing import Any
from urllib.parse import urlsplit

from router.config.schema import Config
from router.pairs.settings import ALWAYS_DROPPED

MASK = "***"
_ASKING = ("webhook", "prometheus")
"""Gates that call somebody: their `headers` and the query of their `url` are secrets."""


def mask(config: Config) -> dict[str, Any]:
    """The configuration in force as JSON-able data, defaults included and secrets masked.

    Of a chat service's URL the path is the secret, so of `notify` only the host is shown.
    """
    data = config.model_dump(mode="json")
    for token in data["admin"]["tokens"]:
        token["token"] = MASK
    for entry in data["notify"]:
        entry["url"] = _host(entry["url"]) + f"/{MASK}"
        entry["headers"] = dict.fromkeys(entry["headers"], MASK)
    if data["tracing"] is not None:
        _mask_call(data["tracing"], "endpoint")
    data["pairs"]["sinks"] = [{sink.tag: sink.masked()} for sink in config.pairs.sinks]
    _mask_gates(data["deployments"])
    for deployment in data["deployments"].values():
        headers = deployment["match"]["headers"]
        deployment["match"]["headers"] = {name: _shown(name, value) for name, value in headers.items()}
        preview = (deployment["rollout"] or {}).get("preview")
        if preview:
            preview["value"] = _shown(preview["header"], preview["value"])
    return data


def _shown(header: str, value: str) -> str:
    """What a request must bring in a header, where that is not what it proves itself with."""
    return MASK if header.lower() in ALWAYS_DROPPED else value


def _mask_gates(value: Any) -> None:
    """Wherever a gate stands: `{webhook: {…}}`."""
    if isinstance(value, list):
        for inside in value:
            _mask_gates(inside)
    elif isinstance(value, dict):
        for key, inside in value.items():
            if key in _ASKING and isinstance(inside, dict) and "url" in inside:
                _mask_call(inside)
            else:
                _mask_gates(inside)


def _mask_call(settings: dict[str, Any], key: str = "url") -> None:
    url = settings[key]
    if urlsplit(url).query:
        settings[key] = url.partition("?")[0] + f"?{MASK}"
    if "headers" in settings:
        settings["headers"] = dict.fromkeys(settings["headers"], MASK)


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
