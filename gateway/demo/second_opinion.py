"""A second opinion on each cell: what `decide` says of the same documents, participants and consents.

Rules of this file
1. The question is built from the upstream's own answers and records, never from anything the gateway sent.
2. Verdicts are compared record by record, and what was released byte by byte.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import aiohttp
import msgspec

from consent_store.dates import Period
from consent_store.model import PatientKey
from gateway.demo.asking import Seen, name_of
from gateway.demo.lines import Line
from gateway.demo.references import reference_texts, target
from gateway.demo.stage import SOURCE, RouteOf
from gateway.demo.store import Store
from gateway.directory.lookups import covers_purpose
from gateway.directory.model import Directory, Participant
from gateway.errors import QuestionError
from gateway.fhir.terminology import purpose_of

Decide = Callable[[bytes], Mapping[str, Any]]
_DEPTH: Final = 3  # what the document refers to, where that comes from, and whose that is


class Verdicts(msgspec.Struct, frozen=True):
    """What `decide` says of one line: verdicts by `Type/id`, the exact text of what is released, and whether the
    question was refused whole."""

    verdicts: Mapping[str, str]
    released: Mapping[str, bytes]
    refused: bool = False


class _Link(msgspec.Struct):
    relation: str = ""
    url: str = ""


class _Page(msgspec.Struct):
    link: list[_Link] = []
    entry: list[msgspec.Raw] = []


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = []


class Examiner:
    """Asks `decide` what the gateway should have done. `consents` are the texts of the active ones."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        decide: Decide,
        *,
        upstream: str,
        behind: str,
        store: Store,
        directory: Directory,
    ) -> None:
        self._session, self._decide, self._upstream, self._store = session, decide, upstream, store
        self._headers = {"Authorization": behind}
        self._directory = directory
        self._documents: dict[str, tuple[bytes, list[bytes]]] = {}

    async def verdicts(self, line: Line, route: RouteOf, consents: Sequence[bytes], at: datetime) -> Verdicts:
        """Give what `decide` says of everything a line asks for."""
        verdicts: dict[str, str] = {}
        released: dict[str, bytes] = {}
        for patient in line.patients:
            for type_ in line.types:
                document, context = await self._document(f"{type_}?patient=Patient/{patient}&_count=1000")
                question = self.question(line, route, consents, at, document, context)
                try:
                    answer = self._decide(question)
                except QuestionError:
                    return Verdicts({}, {}, refused=True)
                if (answer["refusal"] or {}).get("reason") == "identity" and not self._granted(line):
                    return Verdicts({}, {}, refused=True)
                verdicts |= {
                    one["resource"]: one["verdict"] for one in answer["decisions"] if "/contained/" not in one["at"]
                }
                released |= _resources(answer["released"])
        return Verdicts(verdicts, released)

    def question(
        self,
        line: Line,
        route: RouteOf,
        consents: Sequence[bytes],
        at: datetime,
        document: bytes,
        context: Sequence[bytes],
    ) -> bytes:
        """Write the question (version 1, docs/decide.md) that a line puts to the gateway about one document."""
        recipient = next(one.participant for one in self._directory.clients if one.client_id == line.client)
        question = {
            "v": 1,
            "at": at.isoformat(),
            "profile": route.profile,
            "interaction": {"type": "search", "direction": "read"},
            "participants": [_participant(one) for one in self._directory.participants.values()],
            "discloser": route.owner,
            "recipient": recipient,
            "agreements": [
                {"type": one.type, "between": sorted(one.between), "period": _period(one.period)}
                | ({} if one.purposes is None else {"purposes": sorted(one.purposes)})
                for one in self._directory.agreements
            ],
            "facts": {"subjects": self._facts(line, {route.owner, recipient})},
            "consents": [msgspec.Raw(one) for one in consents],
            "context": [msgspec.Raw(one) for one in context],
            "resource": msgspec.Raw(document),
        }
        return msgspec.json.encode(question | ({"purpose": line.purpose} if line.purpose else {}))

    def _granted(self, line: Line) -> bool:
        """Say whether the directory lets the line's client claim its purpose."""
        client = next(one for one in self._directory.clients if one.client_id == line.client)
        return covers_purpose(self._directory.participants[client.participant].purposes, purpose_of(line.purpose))

    def _facts(self, line: Line, sides: set[str]) -> dict[str, dict[str, bool]]:
        """State what the gateway derives from its relationships: both sides have one with the patient."""
        found = {}
        for patient in line.patients:
            key = PatientKey(SOURCE, patient)
            related = {one.participant for one in self._directory.relationships if one.patient == key}
            if sides <= related:
                found[f"Patient/{patient}"] = {"both_have_relationship_with_enrollee": True}
        return found

    async def _document(self, search: str) -> tuple[bytes, list[bytes]]:
        """Give everything a search of the upstream matches as one searchset, and the records it refers to."""
        if search not in self._documents:
            url, entries = f"{self._upstream}/{search}", list[bytes]()
            while url:
                async with self._session.get(url, headers=self._headers) as response:
                    response.raise_for_status()
                    page = msgspec.json.decode(await response.read(), type=_Page)
                entries += [bytes(entry) for entry in page.entry]
                url = next((link.url for link in page.link if link.relation == "next"), "")
            document = b'{"resourceType":"Bundle","type":"searchset","entry":[' + b",".join(entries) + b"]}"
            self._documents[search] = document, self._referred(entries)
        return self._documents[search]

    def _referred(self, entries: Iterable[bytes]) -> list[bytes]:
        held = [bytes(msgspec.json.decode(entry, type=_Entry).resource) for entry in entries]
        seen = {name_of(raw) for raw in held}
        found: list[bytes] = []
        for _ in range(_DEPTH):
            fresh = {name: raw for name, raw in self._targets(held) if name not in seen}
            seen |= fresh.keys()
            held = list(fresh.values())
            found += held
        return found

    def _targets(self, held: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
        for raw in held:
            for text in reference_texts(raw):
                name = target(text)
                stored = self._store.read(*name.split("/")) if name else None
                if name and stored:
                    yield name, stored.raw


def differences(seen: Seen, said: Verdicts) -> list[str]:
    """Name every difference between what came of a line and what `decide` says."""
    if said.refused or seen.status != 200:
        refused = "refuses" if said.refused else "answers"
        return [] if said.refused == (seen.status == 403) else [f"decide {refused}, the gateway gave {seen.status}"]
    told = {one.resource: one.verdict for one in seen.told}
    found = [
        f"{name}: decide says {said.verdicts.get(name, 'nothing')}, the gateway {told.get(name, 'nothing')}"
        for name in sorted(said.verdicts.keys() | told.keys())
        if said.verdicts.get(name) != told.get(name)
    ]
    found += [f"{name}: released by one only" for name in sorted(said.released.keys() ^ seen.resources.keys())]
    both = sorted(said.released.keys() & seen.resources.keys())
    found += [f"{name}: other bytes than decide's" for name in both if said.released[name] != seen.resources[name]]
    return found + [f"wrong count: {one}" for one in seen.miscounted]


def _participant(one: Participant) -> dict[str, Any]:
    covered = {} if one.hipaa_covered is None else {"hipaa_covered": one.hipaa_covered}
    return covered | {
        "id": one.id,
        "type": one.type,
        "part2_program": one.part2_program,
        "references": sorted(one.references),
        "identifiers": [{"system": i.system, "value": i.value} for i in one.identifiers],
        "purposes": sorted(one.purposes or ()),
    }


def _period(one: Period) -> dict[str, str]:
    return {name: bound.text for name, bound in (("start", one.start), ("end", one.end)) if bound is not None}


def _resources(released: object) -> dict[str, bytes]:
    if released is None:
        return {}
    entries = msgspec.json.decode(msgspec.json.encode(released), type=_Bundle).entry
    return {name_of(bytes(entry.resource)): bytes(entry.resource) for entry in entries}
