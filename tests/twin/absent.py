"""The world without W: what `decide` withholds from a caller is not there, and what it masks is there as released.

Rules of this file
1. Here W is computed, not written by hand: this tests release, search, paging and headers, not decisions (leaks.md,
   The twin test, 1).
2. Policy inputs are the same in both worlds (leaks.md point 9): a Patient stays, as it is, while anything about the
   patient is released, and so does what says who belongs to whom.
3. What is disclosed whole stands as it is: what every copy loses on its way out is no matter of W.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway import bootstrap
from gateway.demo.cast import ROUTES, Cast
from gateway.demo.lines import Line
from gateway.demo.second_opinion import Examiner
from gateway.demo.store import Store
from gateway.directory.reading import parse_directory
from gateway.facts.answer import Shelf, answer
from tests.twin.asking import Pair

POLICY_INPUT = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "Group"})


class Without(msgspec.Struct, frozen=True):
    """The records of the world without W, and what W is: ids by `Type/id`, withheld whole and in part."""

    records: tuple[bytes, ...]
    withheld: frozenset[str]
    masked: frozenset[str]


class Oracle:
    """Asks `decide` about all records at once, for one caller after another."""

    def __init__(self, records: Sequence[bytes], parts: Cast, consents: Sequence[bytes], at: datetime) -> None:
        types = {one["type"] for one in msgspec.json.decode(parts.directory)["participants"]}
        directory = parse_directory(parts.directory, "directory.yaml", types)
        self._examiner = Examiner(
            None,  # type: ignore[arg-type]  # nothing is asked of a server here
            dict,
            upstream="",
            behind="",
            store=Store((), lambda: at),
            directory=directory,
        )
        self._records, self._consents, self._at, self._parts = tuple(records), consents, at, parts
        self._shelf: Shelf = bootstrap.read_shelf()
        self._routes = {route.name: route for route in ROUTES}

    def without(self, pair: Pair) -> Without:
        """Give the world without what a caller may not see. Raises QuestionError."""
        entries = b",".join(b'{"resource":%b}' % one for one in self._records)
        document = b'{"resourceType":"Bundle","type":"searchset","entry":[%b]}' % entries
        line = Line(
            id="twin",
            who="",
            client=pair.client,
            purpose=pair.purpose,
            route=pair.route,
            patients=self._parts.patients,
            types=(),
        )
        question = self._examiner.question(
            line, self._routes[pair.route], self._consents, self._at, document, context=()
        )
        said = answer(question, self._shelf)
        verdicts = {one["resource"]: one["verdict"] for one in said["decisions"] if "/contained/" not in one["at"]}
        released = _by_name(said["released"])
        return self._world(verdicts, released)

    def _world(self, verdicts: Mapping[str, str], released: Mapping[str, bytes]) -> Without:
        kept: list[bytes] = []
        masked, withheld = set[str](), set[str]()
        about = {name for text in released.values() for name in _patients(text)}
        for text in self._records:
            name = name_of(text)
            gone = verdicts[name] == "withheld"
            stays = name in about if name.startswith("Patient/") else name.partition("/")[0] in POLICY_INPUT
            if gone and not stays:
                withheld.add(name)
            elif stays:
                kept.append(text)
            else:
                kept.append(released[name] if verdicts[name] == "masked" else text)
                masked |= {name} if released[name] != text else set()
        return Without(tuple(kept), frozenset(withheld), frozenset(masked))


class _Head(msgspec.Struct, rename="camel"):
    resource_type: str
    id: str = ""


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = []


def name_of(text: bytes) -> str:
    """Give `Type/id` of a resource."""
    head = msgspec.json.decode(text, type=_Head)
    return f"{head.resource_type}/{head.id}"


def _by_name(released: object) -> dict[str, bytes]:
    if released is None:
        return {}
    entries = msgspec.json.decode(msgspec.json.encode(released), type=_Bundle).entry
    return {name_of(bytes(one.resource)): bytes(one.resource) for one in entries}


def _patients(text: bytes) -> set[str]:
    def walk(node: Any) -> set[str]:
        if isinstance(node, dict):
            here = {node["reference"]} if isinstance(node.get("reference"), str) else set()
            return here.union(*map(walk, node.values()))
        return set[str]().union(*map(walk, node)) if isinstance(node, list) else set()

    tree = msgspec.json.decode(text)
    own = {f"Patient/{tree['id']}"} if tree["resourceType"] == "Patient" else set()
    return own | {one for one in walk(tree) if one.startswith("Patient/")}
