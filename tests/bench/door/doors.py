"""The servers of the measurement, each in processes of its own: the fixed upstream and the three doors before it.

Rules of this file
1. One worker process each, on this machine, ended at the end; the gateway is started as an operator starts it.
2. CPU is what the kernel counted for a door's processes (utime and stime of /proc), children included.
"""

import base64
import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from tests.bench.door.fixture import PLAN, PURPOSE
from tests.bench.door.places import PASSWORD, USER, Places, headers, settings_text, token
from tests.bench.door.plain import Rule

PACKAGES = ("nginx", "wrk")
_TICK = os.sysconf("SC_CLK_TCK")
_AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_READY_S = 20

_NGINX = """\
{user}daemon off; master_process on; worker_processes 1; pid {name}.pid; error_log {name}.log crit;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_timeout 600; keepalive_requests 10000000; types {{}}
  client_body_temp_path {name}.tmp; proxy_temp_path {name}.tmp; fastcgi_temp_path {name}.tmp;
  uwsgi_temp_path {name}.tmp; scgi_temp_path {name}.tmp; large_client_header_buffers 4 32k;
{body}
}}
"""
_UPSTREAM = """\
  default_type application/fhir+json; open_file_cache max=1000; map_hash_bucket_size 4096; map_hash_max_size 4096;
  map $request_uri $answer {{
    default /none;
{answers}
  }}
  server {{
    listen 127.0.0.1:{places.upstream};
    root {folder}/answers;
    if ($http_authorization != "{authorization}") {{ return 401; }}
    location / {{ try_files $answer =404; }}
  }}"""
# Buffers that hold the largest body, so that nginx never writes one to a file.
_PROXY = """\
  upstream behind {{ server 127.0.0.1:{places.upstream}; keepalive 32; keepalive_requests 10000000; }}
  proxy_buffer_size 16k; proxy_buffers 80 32k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
  server {{
    listen 127.0.0.1:{places.nginx};
    location / {{
      proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization "{authorization}";
    }}
  }}"""


class Door(NamedTuple):
    """One way to the upstream: what it is called, its base URL, the headers it wants, its process."""

    name: str
    base: str
    headers: dict[str, str]
    process: int


def install() -> None:
    """Install nginx and wrk from Debian's packages where they are missing. Raises SystemExit where that cannot be."""
    missing = [name for name in PACKAGES if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if not missing:
        return
    wanted = f"`make bench` needs {' and '.join(missing)} (Debian: apt-get install {' '.join(missing)})"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SystemExit(wanted)
    sys.stderr.write(f"installing {' and '.join(missing)}\n")
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "--no-install-recommends", *missing]):
        if subprocess.run(command, check=False, **quiet).returncode:
            raise SystemExit(wanted)


@contextmanager
def upstream(folder: Path, places: Places, answers: str) -> Iterator[None]:
    """Serve the recorded answers while the block lasts."""
    body = _UPSTREAM.format(answers=answers, places=places, folder=folder, authorization=_AUTHORIZATION)
    with _nginx(folder, "upstream", body), _ready(f"http://127.0.0.1:{places.upstream}/"):
        yield


@contextmanager
def nginx(folder: Path, places: Places) -> Iterator[Door]:
    """`proxy_pass`, and nothing else."""
    base = f"http://127.0.0.1:{places.nginx}/fhir"
    body = _PROXY.format(places=places, authorization=_AUTHORIZATION)
    with _nginx(folder, "proxy", body) as process, _ready(base):
        yield Door("nginx", base, {}, process)


@contextmanager
def gateway(folder: Path, places: Places, key: str) -> Iterator[Door]:
    """The gateway by its settings file, with the ledger and the consents that recording left."""
    (folder / "gateway.yaml").write_text(settings_text(places))
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder / "gateway.yaml")]
    base = f"http://127.0.0.1:{places.data}"
    with _process(command, folder / "gateway.log") as process, _ready(f"{base}/readyz"):
        yield Door("gateway", f"{base}/t/hospital", headers(token(key, PLAN), PURPOSE), process)


@contextmanager
def plain(folder: Path, places: Places, withheld: frozenset[str]) -> Iterator[Door]:
    """The plain proxy of `plain.py`, told what not to tell."""
    rule = Rule(f"http://127.0.0.1:{places.upstream}/fhir", USER, PASSWORD, withheld)
    (folder / "rule.json").write_bytes(msgspec.json.encode(rule))
    command = [sys.executable, "-m", "tests.bench.door.plain", str(folder / "rule.json"), str(places.plain)]
    base = f"http://127.0.0.1:{places.plain}/fhir"
    with _process(command, folder / "plain.log") as process, _ready(base):
        yield Door("plain", base, {}, process)


def cpu_seconds(process: int) -> float:
    """Give the CPU time of a process and its children so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return (int(fields[11]) + int(fields[12])) / _TICK + sum(cpu_seconds(int(child)) for child in children)


def fetch(door: Door, path: str) -> bytes:
    """Ask a door once. Raises RuntimeError for anything but 200."""
    status, body = _asked(door.base + path, door.headers)
    if status != 200:
        raise RuntimeError(f"{door.name}: {status}")
    return body


def _asked(url: str, said: dict[str, str]) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", url.partition(parts.netloc)[2], headers=said)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def _nginx(folder: Path, name: str, body: str) -> Iterator[int]:
    file = folder / f"{name}.conf"
    # Started by root, nginx would give its rights away and not see our folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    file.write_text(_NGINX.format(user=user, name=folder / name, body=body))
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    with _process(
        [program, "-p", str(folder), "-e", str(folder / f"{name}.log"), "-c", str(file)], folder / f"{name}.out"
    ) as process:
        yield process


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[int]:
    """Run a command while the block lasts; what it says goes to a file."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _ready(url: str) -> Iterator[None]:
    """Wait until somebody answers at a place, whatever the answer is. Raises RuntimeError."""
    end = time.monotonic() + _READY_S
    while True:
        try:
            _asked(url, {})
        except OSError:
            if time.monotonic() > end:
                raise RuntimeError(f"nobody answers at {url}") from None
            time.sleep(0.05)
        else:
            break
    yield
