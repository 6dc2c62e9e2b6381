"""Build the container image, start it, try a scripted device and the pages (`nox -s image`).

Docker, Podman or Buildah, whichever works here. Buildah builds and runs without a daemon and
without privileges of a container, and so in CI; no registry is reachable there, so it starts from
a base that Debian's debootstrap makes. `BASE` as an argument names another base image.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

IMAGE = "localhost/streaming-audio-server"
SCRIPT = "connect mode mode play wait:2 play wait:1 stop mode play wait:1 connect play wait:1 stop"
READY_S = 60
STOP_S = 15
SHOW_TOKEN = ("cat", "/data/http-token")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def main(base: str | None) -> None:
    """Raises, or exits non-zero, where the image is not what the README says."""
    engine = next(filter(works, ("docker", "podman", "buildah")), None)
    if engine is None:
        sys.exit("image: docker, podman or buildah is needed (apt install buildah debootstrap)")
    print(f"image: with {engine}")
    if engine == "buildah":
        with_buildah(base)
    else:
        with_daemon(engine, base)
    print("image: the scripted device has passed, and the server has stopped by SIGTERM")


def works(engine: str) -> bool:
    """Whether the engine is there, and its daemon too."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return bool(shutil.which(engine)) and subprocess.call([engine, "info"], **quiet) == 0


def run(*command: str) -> str:
    """Run, and give what it printed; its complaints go to ours."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def with_daemon(engine: str, base: str | None) -> None:
    """As the README says it."""
    arguments = ["--build-arg", f"BASE={base}"] if base else []
    subprocess.run([engine, "build", *arguments, "-t", IMAGE, "."], check=True)
    port, http = free_port(), free_port()
    ports = ["-p", f"127.0.0.1:{port}:50051", "-p", f"127.0.0.1:{http}:8080"]
    container = run(engine, "run", "-d", *ports, IMAGE)
    try:
        try_device(port, [engine, "exec", container, "audio-server", "check"])
        try_pages(http, [engine, "exec", container, *SHOW_TOKEN])
        run(engine, "stop", "--time", str(STOP_S), container)
        assert run(engine, "inspect", "-f", "{{.State.ExitCode}}", container) == "0"
    finally:
        print(run(engine, "logs", container))
        run(engine, "rm", "-f", container)


def with_buildah(base: str | None) -> None:
    """Buildah's own container in the place of a run: the same user, environment and command."""
    isolated = ["--isolation", "chroot"]
    base = base or debian_base()
    build = ["buildah", "build", *isolated, "--format", "docker", "--build-arg", f"BASE={base}"]
    subprocess.run([*build, "-t", IMAGE, "."], check=True)
    container = run("buildah", "from", IMAGE)
    try:
        inside = ["buildah", "run", *isolated, container, "--"]
        with started_by_buildah(container, inside) as (port, http):
            try_device(port, [*inside, "audio-server", "check", "--port", str(port)])
            try_pages(http, [*inside, *SHOW_TOKEN])
    finally:
        run("buildah", "rm", container)


@contextmanager
def started_by_buildah(container: str, inside: list[str]) -> Iterator[tuple[int, int]]:
    """A server, by the image's own entry point, on free ports; it must end by SIGTERM."""
    config = json.loads(run("buildah", "inspect", container))["Docker"]["config"]
    port, http = free_port(), free_port()
    flags = ["--port", str(port), "--http", f"0.0.0.0:{http}"]  # as in the image, but for the ports
    assert "AUDIO_SERVER_HTTP=0.0.0.0:8080" in config["Env"]
    command = [*inside, *config["Entrypoint"], *flags]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield port, http
        os.kill(innermost(process.pid), signal.SIGTERM)
        assert process.wait(STOP_S) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def innermost(pid: int) -> int:
    """The server itself: what Buildah runs it by would die of a signal instead of handing it on."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for thread in threads for child in thread.read_text().split()]
    return innermost(children[0]) if children else pid


def debian_base() -> str:
    """Debian 12 with its own Python, and with whom this machine trusts."""
    name = "localhost/debian-python:12"
    if (
        subprocess.call(
            ["buildah", "inspect", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        == 0
    ):
        return name
    with TemporaryDirectory() as folder:
        root = Path(folder, "root")
        packages = "--include=python3,python3-venv,ca-certificates"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", str(root)], check=True
        )
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        (root / "etc/pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")
        archive = Path(folder, "root.tar")
        with tarfile.open(archive, "w") as tar:
            tar.add(root, ".")
        container = run("buildah", "from", "scratch")
        run("buildah", "add", container, str(archive), "/")
        run("buildah", "commit", "--rm", container, name)
    return name


def try_device(port: int, check: list[str]) -> None:
    """The server is healthy within a time, and a stock device finds nothing to complain of."""
    deadline = time.monotonic() + READY_S
    while subprocess.call(check):
        if time.monotonic() > deadline:
            sys.exit(f"image: not healthy within {READY_S} s")
        time.sleep(0.5)
    device = ["audio-device", "--port", str(port), "--script", SCRIPT]
    subprocess.run(device, check=True)


def try_pages(port: int, show_token: list[str]) -> None:
    """Probes are answered; all else needs the token that the first start has made."""
    assert answer(port, "/healthz") == answer(port, "/readyz") == 200
    assert answer(port, "/metrics") == 401
    token = run(*show_token)
    assert answer(port, "/metrics", token) == answer(port, "/device", token) == 200


def answer(port: int, path: str, token: str = "") -> int:
    """The status of a GET."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    main(*(sys.argv[1:2] or [None]))
