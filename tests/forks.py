"""Python processes that need not import again what is not ours, which is most of a start.

Each process of pytest has a `Nursery`, which imports the libraries once and is forked for
`python -m MODULE`: in a folder, with an environment and an output of its own, as after `exec`.
Nothing of this project is in it: that is imported where it is run.
"""

import atexit
import gc
import importlib
import json
import os
import re
import runpy
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TypeAlias

import gunicorn.config

# Without prometheus_client, which asks the environment when it is imported.
LIBRARIES = (
    "argon2 flask.cli flask_compress flask_cors flask_jwt_extended flask_limiter flask_migrate"
    " flask_sqlalchemy gunicorn.app.wsgiapp marshmallow apispec.ext.marshmallow nacl.pwhash orjson"
    " pymysql redis sqlalchemy.dialects.mysql sqlalchemy.dialects.sqlite structlog zxcvbn"
)
# What an interpreter, or the system that starts it, asks for at once: a fork is not told.
AT_START = re.compile(r"PYTHON(?!PATH$)[A-Z]|LD_|MALLOC_|GLIBC_|TZ$")
NUMBER = struct.Struct("!i")
_one_asks = threading.Lock()


class Forked:
    """What is used of a `subprocess.Popen`."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.pid = self._number()
        self.returncode: int | None = None

    def _number(self) -> int:
        return int(NUMBER.unpack(self._line.recv(NUMBER.size, socket.MSG_WAITALL))[0])

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                self.returncode = os.waitstatus_to_exitcode(self._number())
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._line.close()
        return self.returncode

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


Process: TypeAlias = "subprocess.Popen[bytes] | Forked"


def can_fork(environ: Mapping[str, str]) -> bool:
    return (
        sys.platform == "linux"
        and at_start(environ) == at_start(os.environ)
        and not any((folder / "sitecustomize.py").exists() for folder in places(environ))
    )


def places(environ: Mapping[str, str]) -> list[Path]:
    return [Path(part) for part in environ.get("PYTHONPATH", "").split(os.pathsep) if part]


def at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if AT_START.match(name)}


def start(
    module: str,
    *arguments: str,
    cwd: Path,
    environ: Mapping[str, str],
    output: IO[bytes],
    errors: IO[bytes],
) -> Process:
    """`python -m module arguments`, in a session of its own."""
    if not can_fork(environ):
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=cwd,
            env=environ,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    ours, theirs = socket.socketpair()
    job = {"argv": [module, *arguments], "cwd": str(cwd), "environ": dict(environ)}
    text = json.dumps(job).encode() + b"\n"
    given = [theirs.fileno(), output.fileno(), errors.fileno()]
    with theirs, _one_asks:
        sent = socket.send_fds(_nursery(), [text], given)
        _nursery().sendall(text[sent:])
        return Forked(ours)


def run(
    module: str, *arguments: str, cwd: Path, environ: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """The same to its end."""
    with TemporaryFile() as output, TemporaryFile() as errors:
        process = start(module, *arguments, cwd=cwd, environ=environ, output=output, errors=errors)
        code = process.wait()
        said = [os.pread(file.fileno(), 1 << 30, 0).decode() for file in (output, errors)]
    return subprocess.CompletedProcess([module, *arguments], code, *said)


@cache
def _nursery() -> socket.socket:
    """It ends when it is no longer talked to."""
    ours, theirs = socket.socketpair()
    atexit.register(ours.close)
    with theirs:
        nursery = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
        )
    nursery.returncode = 0  # nobody waits for it
    return ours


def _jobs(line: socket.socket) -> None:
    """Returns in a child that has become the next one."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        text, descriptors, _, _ = socket.recv_fds(line, 1 << 16, 3)
        if not text:
            os._exit(0)
        while not text.endswith(b"\n"):
            text += line.recv(1 << 16)
        if os.fork() == 0 and _is_child(descriptors[0]):
            line.detach()
            return _become(json.loads(text), *descriptors[1:])
        for descriptor in descriptors:
            os.close(descriptor)


def _is_child(line: int) -> bool:
    """Its parent, which is not, tells the test how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if (pid := os.fork()) == 0:
        return True
    os.write(line, NUMBER.pack(pid))
    os.write(line, NUMBER.pack(os.waitpid(pid, 0)[1]))
    os._exit(0)


def _become(job: dict[str, Any], output: int, errors: int) -> None:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environ"])
    gunicorn.config.Chdir.default = job["cwd"]  # where it was when it was imported
    sys.argv = job["argv"]
    sys.path[:1] = [job["cwd"], *map(str, places(job["environ"]))]


if __name__ == "__main__":
    gc.disable()
    for name in LIBRARIES.split():
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    _jobs(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
