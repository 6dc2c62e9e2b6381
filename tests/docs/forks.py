"""The project's commands without their half a second of imports: forks of a process that has them.

`serve` is that process. What is on the path instead of a command is `ASK`: it hands over its
arguments, folder, environment and files, passes signals on, and ends as the fork does.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

PROGRAMS = {"audio-server": "audio_server.cli", "audio-device": "audio_server.simulator.cli"}
NEEDED_LATER = ("audio_server.app", "audio_server.cli.remote", "audio_server.simulator.scripted",
                "audio_server.client.server", "audio_server.simulator.interactive",
                "audio_server.client.watched", "audio_server.web.app")  # fmt: skip

ASK = """#!{python} -IS
import json, os, signal, socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect({path!r})
words = dict(argv=sys.argv, cwd=os.getcwd(), env=dict(os.environ))
text = json.dumps(words).encode()
socket.send_fds(asked, [len(text).to_bytes(4, "big")], [0, 1, 2])
asked.sendall(text)
fork = int.from_bytes(asked.recv(4), "big")
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(fork, number))
os._exit(int.from_bytes(asked.recv(4) or bytes([0, 0, 0, 255]), "big"))
"""


def serve(path: str) -> None:
    """Fork for whoever connects to the socket, until killed."""
    for module in (*PROGRAMS.values(), *NEEDED_LATER):
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server(path, family=socket.AF_UNIX, backlog=64) as listener:
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os._exit(_attend(connection))
            connection.close()


def _attend(connection: socket.socket) -> int:
    """Run one command in a fork, and tell how it ended."""
    size, files, _, _ = socket.recv_fds(connection, 4, 3)
    text = b""
    while len(text) < int.from_bytes(size, "big"):
        text += connection.recv(1 << 20)
    fork = os.fork()
    if fork == 0:
        connection.close()
        os._exit(_run(json.loads(text), files))
    connection.sendall(fork.to_bytes(4, "big"))
    code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
    connection.sendall((code if code >= 0 else 128 - code).to_bytes(4, "big"))
    return 0


def _run(words: dict[str, Any], files: list[int]) -> int:
    for target, file in enumerate(files):
        os.dup2(file, target)
    # Those of the first process may be seekable, which a pipe in their place is not.
    sys.stdin, sys.stdout, sys.stderr = map(os.fdopen, (0, 1, 2), ("r", "w", "w"))
    os.chdir(words["cwd"])
    os.environ.clear()
    os.environ.update(words["env"])
    sys.argv = words["argv"]
    try:
        importlib.import_module(PROGRAMS[Path(sys.argv[0]).name]).main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
