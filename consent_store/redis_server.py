"""How a Redis or Valkey server is reached and asked, and what it must be set to before consents are entrusted to it.

Rules of this file
1. A server that may forget what it has acknowledged is refused: appendonly, fsync at every write, no eviction.
2. One question is one round trip, bounded in time; what fails is StoreUnavailable, and is not tried again.
3. An error never tells the address, a key or a value, only its class.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from consent_store.redis_scripts import Script
from consent_store.store import StoreUnavailable

CONFIG: Final = ("CONFIG", "GET", "appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy")
"""Asks for what `unsafe` judges."""

_OLDEST: Final = 7  # scripts that say whether they write came with Redis 7; every Valkey has them
_TOLD: Final = {
    "LOST": "the consent store was emptied or replaced since it was opened",
    "DAMAGED": "what is stored of this consent is damaged",
    "ReadOnlyError": "the server is a replica: consents are read and written at the primary alone",
    "NOREPLICAS": "the server has not the replicas it must have",
}


class Run(msgspec.Struct, frozen=True):
    """One script with its keys and arguments."""

    script: Script
    keys: Sequence[bytes]
    args: Sequence[bytes]

    def words(self, *, known: bool) -> tuple[Any, ...]:
        """Give the command: by the script's digest where the server is thought to know it, else with its text."""
        head = ("EVALSHA", self.script.sha) if known else ("EVAL", self.script.text)
        return (*head, len(self.keys), *self.keys, *self.args)


Command = Run | tuple[str | int, ...]


class RedisServer:
    """One server: pooled connections of this process and event loop. Made after a fork."""

    def __init__(self, url: str, *, ca_file: str, connections: int, connect_s: float, answer_s: float) -> None:
        self._answer_s = answer_s
        pool = BlockingConnectionPool(
            max_connections=connections,
            timeout=answer_s,
            socket_connect_timeout=connect_s,
            socket_timeout=answer_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **_place(url, ca_file),
        )
        self._client: Any = Redis.from_pool(pool)  # its methods answer now or later, and are typed for both

    async def ask(self, *commands: Command) -> list[Any]:
        """Send the commands in one round trip and give their answers. Raises StoreUnavailable for any that failed."""
        answers = await self._send(commands, known=True)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            # None of these commands does harm when it comes twice but a write, which was not run.
            answers = await self._send(commands, known=False)
        for answer in answers:
            if isinstance(answer, Exception):
                raise StoreUnavailable(_why(answer))
        return answers

    async def settings(self) -> Mapping[str, str] | None:
        """Give what `CONFIG` asks for, None where the server does not tell. Raises StoreUnavailable."""
        (answer,) = await self._send((CONFIG,), known=True)
        if isinstance(answer, ResponseError):
            return None
        if isinstance(answer, Exception):
            raise StoreUnavailable(_why(answer))
        return pairs(answer)

    async def check_kind(self) -> None:
        """Raise StoreUnavailable for a server that is too old, or one of a cluster, whose keys lie apart."""
        (info,) = await self.ask(("INFO",))
        version = str(info.get("redis_version", "")).partition(".")[0]
        if not version.isdigit() or int(version) < _OLDEST:
            raise StoreUnavailable("the server is older than redis 7")
        if info.get("cluster_enabled") != 0:
            raise StoreUnavailable("a cluster is not served: a look-up must see one state of all keys")

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose(close_connection_pool=True)

    async def _send(self, commands: Sequence[Command], *, known: bool) -> list[Any]:
        lines = [command.words(known=known) if isinstance(command, Run) else command for command in commands]
        try:
            async with asyncio.timeout(self._answer_s):
                if len(lines) == 1:
                    return [await self._client.execute_command(*lines[0])]
                pipeline = self._client.pipeline(transaction=False)
                for line in lines:
                    pipeline.execute_command(*line)
                answers: list[Any] = await pipeline.execute(raise_on_error=False)
                return answers
        except ResponseError as error:
            return [error]
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable(_why(error)) from None


def pairs(answer: Sequence[bytes]) -> dict[str, str]:
    """Give a flat answer of names and values as a mapping."""
    texts = [one.decode(errors="replace") for one in answer]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def unsafe(config: Mapping[str, str]) -> str:
    """Say what of the settings a server tells could lose a write it acknowledged, "" where nothing could.

    Sources: redis.io, "Redis persistence" (AOF, fsync policies) and "Key eviction"; redis.conf 7.0 on
    no-appendfsync-on-rewrite. A key without time to live, as all of ours are, is never evicted by `volatile-*`.
    """
    wanted = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
    for name, value in wanted.items():
        if config.get(name, value) != value:
            return f"the server's `{name}` must be `{value}`"
    policy = config.get("maxmemory-policy", "noeviction")
    if policy != "noeviction" and not policy.startswith("volatile-"):
        return "the server's `maxmemory-policy` must be `noeviction`"
    return ""


def _why(error: Exception) -> str:
    code = str(error).partition(" ")[0]
    name = type(error).__name__
    return _TOLD.get(code) or _TOLD.get(name) or f"the consent store cannot be used: {name}"


def _place(url: str, ca_file: str) -> dict[str, Any]:
    """Read redis://, rediss:// or unix:// with user, password and database. Raises StoreUnavailable for another."""
    try:
        parts = urlsplit(url)
        place = {} if parts.query or parts.fragment else _host(parts, ca_file)
        name, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        place, name, password = {}, "", ""
    if not place:
        raise StoreUnavailable("the consent store's address is not redis://, rediss:// or unix://")
    return place | {"username": name or None, "password": password or None}


def _host(parts: SplitResult, ca_file: str) -> dict[str, Any]:
    """Give what connects to the server, nothing where its name is missing. Raises ValueError for no number."""
    if parts.scheme == "unix" and parts.path:
        return {"connection_class": UnixDomainSocketConnection, "path": unquote(parts.path)}
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        return {}
    database = int(parts.path[1:]) if parts.path not in {"", "/"} else 0
    place: dict[str, Any] = {"host": parts.hostname, "port": parts.port or 6379, "db": database}
    if parts.scheme == "redis":
        return place
    checked = {"ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_ca_certs": ca_file or None}
    return place | {"connection_class": SSLConnection} | checked
