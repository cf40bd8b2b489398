"""Asking the gateway by real HTTP: as a client that sees what comes through, and as the privacy officer who sees why.

Rules of this file
1. The client's side knows only what the client got: status, bytes, links. All pages are walked.
2. What was withheld or masked is known from the control plane alone, by the request id of each answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec

from gateway.demo.lines import Line

REQUEST_ID: Final = "X-Request-Id"
FHIR_JSON: Final = "application/fhir+json"
_PAGE: Final = 100
_AT_ONCE: Final = 4


class Answer(msgspec.Struct, frozen=True):
    """One answer of the gateway, as its client saw it."""

    status: int
    body: bytes
    request_id: str


class Reason(msgspec.Struct, frozen=True):
    """One cause of a decision: which way, which rule, where it is written, on which consent it rests ("" = none)."""

    effect: str
    rule: str
    cite: str
    consent: str
    say: str


class Told(msgspec.Struct, frozen=True):
    """What the privacy officer is told of one record: its verdict, the elements cut from it alone, the reasons, and
    what the recipient must do with it."""

    resource: str
    verdict: str
    lost: frozenset[str]
    reasons: tuple[Reason, ...]
    obligations: tuple[str, ...] = ()


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one line: `resources` by `Type/id` are the client's, `told` the officer's. `status` is the first
    that was not 200, `refusal` the words that came with it."""

    status: int
    resources: Mapping[str, bytes] = {}
    bodies: tuple[bytes, ...] = ()
    refusal: str = ""
    miscounted: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()
    asked: tuple[str, ...] = ()  # the searches, by URL

    def verdicts(self, verdict: str) -> frozenset[str]:
        """Give the records the officer is told have this verdict."""
        return frozenset(one.resource for one in self.told if one.verdict == verdict)


class _Link(msgspec.Struct):
    relation: str = ""
    url: str = ""


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Page(msgspec.Struct):
    total: int | None = None
    link: list[_Link] = []
    entry: list[_Entry] = []


class _Name(msgspec.Struct, rename="camel"):
    resource_type: str
    id: str = ""


class Asker:
    """Asks at two doors. `token` gives a client's token, `officer` is the privacy officer's."""

    def __init__(
        self, session: aiohttp.ClientSession, *, data: str, control: str, token: Callable[[str], str], officer: str
    ) -> None:
        self.session, self.data, self.control = session, data, control
        self.token, self.officer = token, officer
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, line: Line) -> Seen:
        """Ask everything a line asks for, page by page, and have every answer explained."""
        found = await asyncio.gather(*(self._search(line, url) for url in self.searches(line)))
        answers = [answer for answers in found for answer in answers]
        refused = next((answer for answer in answers if answer.status != 200), None)
        if refused is not None:
            return Seen(status=refused.status, bodies=(refused.body,), refusal=_words(refused.body))
        resources: dict[str, bytes] = {}
        miscounted = []
        for url, pages in zip(self.searches(line), found, strict=True):
            brought = [entry for page in pages for entry in _page(page.body).entry]
            totals = {total for page in pages if (total := _page(page.body).total) is not None}
            miscounted += [f"{url} says total {total}, {len(brought)} came" for total in totals - {len(brought)}]
            resources |= {name_of(bytes(entry.resource)): bytes(entry.resource) for entry in brought}
        told = await asyncio.gather(*(self._explained(answer.request_id) for answer in answers))
        return Seen(
            status=200,
            resources=resources,
            bodies=tuple(answer.body for answer in answers),
            miscounted=tuple(miscounted),
            told=tuple(one for records in told for one in records),
            asked=self.searches(line),
        )

    def searches(self, line: Line) -> tuple[str, ...]:
        """Give the URLs of a line's searches."""
        return tuple(
            f"{self.data}/story/{line.route}/{type_}?patient=Patient/{patient}&_count={_PAGE}"
            for patient in line.patients
            for type_ in line.types
        )

    async def get(self, line: Line, url: str) -> Answer:
        """Ask one question as the line's client."""
        headers = {"Authorization": f"Bearer {self.token(line.client)}", "Accept": FHIR_JSON}
        if line.purpose:
            headers["X-Purpose-Of-Use"] = line.purpose
        async with self._turns, self.session.get(url, headers=headers) as response:
            return Answer(response.status, await response.read(), response.headers.get(REQUEST_ID, ""))

    async def _search(self, line: Line, url: str) -> list[Answer]:
        answers: list[Answer] = []
        while url:
            answers.append(await self.get(line, url))
            links = _page(answers[-1].body).link if answers[-1].status == 200 else []
            url = next((link.url for link in links if link.relation == "next"), "")
        return answers

    async def _explained(self, request_id: str) -> tuple[Told, ...]:
        headers = {"Authorization": f"Bearer {self.officer}"}
        async with (
            self._turns,
            self.session.get(f"{self.control}/control/explain/{request_id}", headers=headers) as response,
        ):
            body = await response.read()
            if response.status != 200:
                raise ConnectionError(f"explain answered {response.status}: {body[:200].decode(errors='replace')}")
            return told(msgspec.json.decode(body))


def told(explained: Any) -> tuple[Told, ...]:  # noqa: ANN401  JSON
    """Read the explanation of one request: of its attempts only the one whose answer was sent counts."""
    sent = [one for one in explained["attempts"] if (one.get("completion") or {}).get("outcome") != "void"]
    decisions = (one for attempt in sent for one in attempt["story"]["decisions"])
    return tuple(_told(one) for one in decisions if "/contained/" not in one["at"])  # these are part of another


def _told(decision: Mapping[str, Any]) -> Told:
    cuts = [e for e in decision["edits"] if e["op"] == "cut" and e.get("because") is not None]
    return Told(
        resource=decision["resource"],
        verdict=decision["verdict"],
        lost=frozenset(edit["path"].removeprefix("/") for edit in cuts),
        reasons=tuple(
            Reason(
                effect=cause["effect"],
                rule=cause["rule"],
                cite=cause.get("cite") or "",
                consent=(cause.get("consent") or "").partition("#")[0].partition("/_history/")[0],
                say=cause.get("say") or "",
            )
            for cause in decision["because"]
        ),
        obligations=tuple(decision.get("obligations", ())),
    )


def name_of(raw: bytes) -> str:
    """Give `Type/id` of a resource's text."""
    name = msgspec.json.decode(raw, type=_Name)
    return f"{name.resource_type}/{name.id}"


def _page(body: bytes) -> _Page:
    return msgspec.json.decode(body, type=_Page)


def _words(body: bytes) -> str:
    """Give the words of an OperationOutcome."""
    try:
        issues = msgspec.json.decode(body)["issue"]
        return "; ".join(str(issue.get("diagnostics", issue.get("code", ""))) for issue in issues)
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open connections to servers on this machine."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60), trust_env=False) as opened:
        yield opened
