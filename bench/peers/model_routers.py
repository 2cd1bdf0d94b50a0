"""The Rust routers for language model servers. They know only OpenAI's paths, so they get a completion of the same
size; both take the request's JSON apart to find the model and the prompt."""

from bench.peers import COMPLETIONS, Peer, Place, executable, free_port

_NOTE = "parses the body"


def vllm_router(place: Place) -> Peer:
    """Of the vLLM project, round robin."""
    return _peer("vllm-router", (), place)


def sglang_router(place: Place) -> Peer:
    """Of the SGLang project, round robin."""
    return _peer("sglang-router", ("launch",), place)


def _peer(name: str, verb: tuple[str, ...], place: Place) -> Peer:
    port, metrics = free_port(), free_port()
    binary = executable(name)
    command = (binary, *verb, "--host", "127.0.0.1", "--port", str(port), "--policy", "round_robin")
    command += ("--worker-urls", f"http://127.0.0.1:{place.upstream}", "--log-level", "error")
    command += ("--prometheus-port", str(metrics), "--request-timeout-secs", "60")
    return Peer(name, port, {}, command, "" if binary else f"pip install {name}", _NOTE, COMPLETIONS)
