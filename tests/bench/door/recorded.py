"""The upstream of the measurement: nginx with fixed answers, recorded from the embedded upstream for these requests.

Rules of this file
1. What the gateway asks for while it answers a question is noted on the way, and answered again byte for byte by
   nginx; nothing else is. So the upstream is fast, wants a password, and gives all doors the same matches; to the
   gateway also what it asks for beside them.
2. The place is the same when recording and when answering: Bundles name their server.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from gateway import bootstrap
from gateway.demo.serving import listen
from gateway.demo.signing import Pen
from gateway.demo.upstream import EmbeddedUpstream, serve
from gateway.proxy.upstream import basic
from gateway.settings_reading import parse_settings
from tests.bench.door.fixture import PLAN, PURPOSE, Fixture
from tests.bench.door.places import PASSWORD, USER, Places, headers, settings_text, token, write_files

Message = dict[str, Any]


class Taped(NamedTuple):
    """What was recorded: answers by path and query as asked; by question, what the gateway asked for, the gateway's own
    answer, and how often it decided what; the names of everything withheld."""

    answers: Mapping[str, bytes]
    calls: Mapping[str, tuple[str, ...]]
    given: Mapping[str, bytes]
    verdicts: Mapping[str, Mapping[str, int]]
    withheld: frozenset[str]


class _Tape:
    """The embedded upstream, listened to."""

    def __init__(self, app: EmbeddedUpstream) -> None:
        self.app, self.base_path = app, app.base_path
        self.heard: dict[str, bytes] = {}

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        told: list[Message] = []

        async def listen_in(message: Message) -> None:
            told.append(message)
            await send(message)

        await self.app(scope, receive, listen_in)
        query = scope["query_string"].decode()
        target = scope["raw_path"].decode().partition("?")[0] + (f"?{query}" if query else "")
        if told[0]["status"] == 200:
            self.heard[target] = b"".join(one.get("body", b"") for one in told)


async def record(fixture: Fixture, places: Places, folder: Path) -> tuple[Taped, str]:
    """Ask every question once through a gateway before the embedded upstream. Gives what was heard, the issuer's key.

    Raises RuntimeError for a question that is not answered with 200.
    """
    key = write_files(folder, fixture)
    tape = _Tape(EmbeddedUpstream(fixture.resources, credentials=(USER, PASSWORD)))
    answers: dict[str, bytes] = {}
    calls: dict[str, tuple[str, ...]] = {}
    given: dict[str, bytes] = {}
    verdicts: dict[str, dict[str, int]] = {}
    withheld: set[str] = set()
    settings = parse_settings(settings_text(places), "gateway.yaml")
    async with (
        serve(tape, listener=listen(places.upstream)),
        bootstrap.build(settings, folder) as planes,
        serve(planes.data, listener=listen(places.data)),
        serve(planes.control, listener=listen(places.control), lifespan=True),
        aiohttp.ClientSession() as session,
    ):
        officer = token(key, "officer", roles=["privacy_officer"])
        pen = Pen(session, f"http://127.0.0.1:{places.control}")
        for consent in fixture.consents:
            await pen.sign(consent, officer)
        for question in fixture.questions:
            tape.heard.clear()
            url = f"http://127.0.0.1:{places.data}/t/hospital{question.path}"
            async with session.get(url, headers=headers(token(key, PLAN), PURPOSE)) as response:
                body = await response.read()
            if response.status != 200:
                raise RuntimeError(f"{question.name}: {response.status} {body[:300]!r}")
            heard = dict(tape.heard)
            first = next(target for target in heard if target != "/fhir/metadata")
            answers |= heard | {f"/fhir{question.path}": await _page(session, places, first)}
            calls[question.name], given[question.name] = tuple(heard), body
            told = f"http://127.0.0.1:{places.control}/control/explain/{response.headers['X-Request-Id']}"
            async with session.get(told, headers={"Authorization": f"Bearer {officer}"}) as explained:
                story = json.loads(await explained.read())
            found: dict[str, int] = {}
            for decision in story["attempts"][0]["story"]["decisions"]:
                found[decision["verdict"]] = found.get(decision["verdict"], 0) + 1
                if decision["verdict"] == "withheld" and "/contained/" not in decision["at"]:
                    withheld.add(decision["resource"])
            verdicts[question.name] = found
    return Taped(answers, calls, given, verdicts, frozenset(withheld)), key


async def _page(session: aiohttp.ClientSession, places: Places, target: str) -> bytes:
    """Give the page that the gateway asked for, without what it has the server bring beside the matches."""
    plain = re.sub(r"&_include=[^&]*", "", target)
    at = f"http://127.0.0.1:{places.upstream}{plain}"
    async with session.get(URL(at, encoded=True), headers={"Authorization": basic(USER, PASSWORD)}) as response:
        return await response.read()


def write_answers(taped: Taped, folder: Path) -> str:
    """Write every recorded answer to a file; gives nginx's map from what is asked to the file's name."""
    folder.mkdir()
    lines = []
    for number, (target, body) in enumerate(taped.answers.items()):
        (folder / f"{number}.json").write_bytes(body)
        lines.append(f'    "{target}" /{number}.json;')
    return "\n".join(lines)
