"""The demonstration's story before HAPI: what should come of every line is written by hand in `story/lines.yaml`."""

import asyncio
import io
from typing import NamedTuple

import pytest
from rich.console import Console

from gateway.demo.asking import session
from gateway.demo.stage import Stage
from gateway.demo.story import DIRECTORY
from gateway.demo.telling import ROUTES, tell_story
from tests.e2e.hapi.gateway import gateway
from tests.e2e.hapi.server import Hapi


class _Behind(NamedTuple):
    """What the story asks of the server behind the gateway: which requests reached it."""

    server: Hapi

    @property
    def requests(self) -> list[str]:
        return self.server.requests


def test_the_story_is_the_same_before_hapi(story_server, tmp_path):
    """Every line in every act, under each profile, signed and revoked, is as the story says."""
    with gateway(tmp_path, story_server, DIRECTORY.read_text(), ROUTES) as one:
        on = Stage(
            data=one.data,
            control=one.control,
            upstream=_Behind(story_server),
            upstream_url=story_server.base,
            behind=story_server.authorization,
            folder=one.folder,
            key=one.key,
            routes=one.routes,
        )
        shown = io.StringIO()

        async def tell() -> int:
            async with session() as opened:
                return await tell_story(on, opened, Console(file=shown, width=180))

        differences = asyncio.run(tell())
    if differences:
        pytest.fail("\n".join(line for line in shown.getvalue().splitlines() if line.startswith(("✗", "Rosa's app"))))
    assert "every one is as the story says" in shown.getvalue()
