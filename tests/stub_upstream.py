"""A scriptable FHIR server that can misbehave in every way: it sends the very bytes it is told to send."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple


class Seen(NamedTuple):
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Raw = bytes | list[bytes | float] | None
Script = Callable[[Seen], Raw]
"""Gives the raw answer, head and body; a list has pauses (seconds) in it; None closes the connection without one."""


def answer(
    body: bytes | dict | list,
    status: int = 200,
    content_type: str | None = "application/fhir+json",
    length: int | None = None,
    **headers: str,
) -> bytes:
    """A whole HTTP answer. `length` may be wrong on purpose."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(text) if length is None else length}"]
    lines += [f"Content-Type: {content_type}"] if content_type is not None else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + text


class StubUpstream:
    """Answers by its `script`, and remembers what it was asked in `seen`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[Seen] = []
        self.delay = 0.0
        self.port = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while seen := await _request(reader):
                self.seen.append(seen)
                await asyncio.sleep(self.delay)
                raw = self.script(seen)
                if raw is None:
                    break
                if await _said(raw if isinstance(raw, list) else [raw], writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _said(parts: list[bytes | float], writer: asyncio.StreamWriter) -> bool:
    """Send the parts with their pauses; say whether the connection is to be closed after them."""
    for part in parts:
        if isinstance(part, bytes):
            writer.write(part)
            await writer.drain()
        else:
            await asyncio.sleep(part)
    whole = b"".join(part for part in parts if isinstance(part, bytes))
    return b"Connection: close" in whole.partition(b"\r\n\r\n")[0]


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, target, headers, body)


@asynccontextmanager
async def stub_upstream(script: Script) -> AsyncIterator[StubUpstream]:
    """Serve a script on a free port of this machine while the block lasts."""
    stub = StubUpstream(script)
    server = await asyncio.start_server(stub._talk, "127.0.0.1", 0)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        server.close()
