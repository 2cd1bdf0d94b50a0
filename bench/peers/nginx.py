"""nginx with one worker process."""

from bench.peers import SHARE, Peer, Place, executable, free_port

PLAIN = "location / { proxy_pass http://v1; }"
CANARY = "location / { proxy_pass http://$version; }"
SHADOW = (
    "location / { mirror /mirror; proxy_pass http://v1; } "
    "location = /mirror { internal; proxy_pass http://v2$request_uri; }"
)
STREAMING = "proxy_buffering off; proxy_request_buffering off; client_max_body_size 0; "


def nginx(place: Place, location: str, *, note: str = "") -> Peer:
    """`location` is what its server block holds."""
    port, directory = free_port(), place.directory
    text = f"""
worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log {directory}/nginx.log; user root;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  upstream v1 {{ server 127.0.0.1:{place.upstream}; keepalive 64; keepalive_requests 100000000; }}
  upstream v2 {{ server 127.0.0.1:{place.candidate}; keepalive 64; keepalive_requests 100000000; }}
  split_clients "$http_x_user_id" $version {{ {SHARE}% v2; * v1; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Request-ID $request_id;
    {location}
  }}
}}
"""
    binary = executable("nginx")
    command = (binary, "-c", str(directory / "nginx.conf"), "-e", str(directory / "nginx.log"))
    missing = "" if binary else "apt-get install nginx-light"
    return Peer("nginx", port, {"nginx.conf": text}, command, missing, note)
