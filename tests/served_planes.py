"""A gateway's two planes, served on free ports that its settings have to name before there is a gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gateway import bootstrap
from gateway.bootstrap.planes import Planes
from gateway.demo.serving import serve
from gateway.settings_reading import parse_settings


class Served(NamedTuple):
    """A gateway, and the base URLs of its data and control plane."""

    planes: Planes
    data: str
    control: str


class _Late:
    """An application that is put in after its port is known."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@asynccontextmanager
async def serve_together(*apps: Any) -> AsyncIterator[tuple[str, ...]]:
    """Serve applications on free ports and give their base URLs; they end at once, which takes the time of one."""
    async with AsyncExitStack() as held:
        serving = [serve(app) for app in apps]
        bases = tuple([await held.enter_async_context(one) for one in serving])
        yield bases
        held.pop_all()
        await asyncio.gather(*(one.__aexit__(None, None, None) for one in serving))


@asynccontextmanager
async def served_planes(settings: Callable[[str, str], str], folder: Path) -> AsyncIterator[Served]:
    """Set a gateway up while the block lasts. `settings` gives the text of its file for the base URLs of its two
    planes; what that names lies in `folder`. Raises what the gateway refuses to start with."""
    data, control = _Late(), _Late()
    async with AsyncExitStack() as held:
        bases = await held.enter_async_context(serve_together(data, control))
        read = parse_settings(settings(*bases), "gateway.yaml")
        planes = await held.enter_async_context(bootstrap.build(read, folder))
        data.app, control.app = planes.data, planes.control
        yield Served(planes, *bases)
