"""One scene for all attacks that leave the gateway standing; after each test the trap is looked into."""

import pytest_asyncio

from tests.attack.records import observation, quokka, refusal
from tests.attack.scene import staged
from tests.attack.worlds import BY_CONSENT, STRICT


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(tmp_path_factory):
    """The scene, as the test before left it."""
    async with staged(tmp_path_factory.mktemp("attack"), more=f"{BY_CONSENT}\n{STRICT}") as one:
        await one.sign(refusal())
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def scene(stage):
    """The scene, set anew; nothing that was told meanwhile speaks of a patient."""
    stage.begin(quokka(), observation())
    yield stage
    await stage.check()
