"""The experiment behind search admission: which searches tell what a proxy withholds that filters entries alone.

Two HAPI servers: FULL holds a folder of patients; ABSENT never had what is withheld, nor any reference to it. A proxy
before FULL drops the entries with one tag, cuts the elements of another and the references to what it dropped. The same
random searches go to both; what a client could tell apart is counted by the class of the search.

    python -m tests.bench.search_experiment FOLDER [--searches 2000] [--seed 7]      (after `make e2e` brought HAPI)
"""

import argparse
import collections
import json
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2

from gateway.demo.folder import load_folder
from gateway.fhir.elements import Elements
from gateway.fhir.search_parameters import SearchParameter, SearchParameters
from tests.e2e.hapi.server import Hapi, hapi

TAG = "http://example.org/withheld"
SPARED = frozenset({"Patient", "Practitioner", "Organization", "Location", "PractitionerRole", "Device", "Medication"})
PARTS = {"Observation": "valueQuantity", "Condition": "onsetDateTime"}
MOST_PAGES = 40
SEEN = ("matches", "order", "included", "pages", "status")


class Seen(NamedTuple):
    """What a client sees of one search."""

    status: int
    matches: tuple[str, ...]
    included: frozenset[str]
    pages: tuple[tuple[int, int | None], ...]


class Asked(NamedTuple):
    """One random search: its class, and its address."""

    kind: str
    path: str


def tagged(tree: Mapping[str, Any]) -> str:
    """Give `whole`, `part` or ""."""
    return next((one["code"] for one in tree.get("meta", {}).get("tag", ()) if one.get("system") == TAG), "")


def cut(node: Any, hidden: frozenset[str]) -> Any:
    """Give a tree without the references to what is hidden."""
    if isinstance(node, list):
        return [one for one in (cut(item, hidden) for item in node) if one not in (None, {}, [])]
    if not isinstance(node, dict):
        return node
    if node.get("reference") in hidden:
        return None
    left = {name: cut(value, hidden) for name, value in node.items()}
    return {name: value for name, value in left.items() if value not in (None, {}, [])}


def released(tree: dict[str, Any], hidden: frozenset[str]) -> dict[str, Any] | None:
    """Give what the proxy lets through of one resource."""
    mark = tagged(tree)
    if mark == "whole":
        return None
    if mark == "part":
        tree = {name: value for name, value in tree.items() if name != PARTS[tree["resourceType"]]}
    found: dict[str, Any] = cut(tree, hidden)
    return found


class Data:
    """The folder, marked at random."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        trees = [json.loads(text) for text in load_folder(folder)]
        for tree in trees:
            drawn = chance.random()
            whole = tree["resourceType"] not in SPARED and drawn < 0.2
            if whole or (PARTS.get(tree["resourceType"], "") in tree and drawn > 0.8):
                tag = {"system": TAG, "code": "whole" if whole else "part"}
                tree.setdefault("meta", {}).setdefault("tag", []).append(tag)
        self.hidden = frozenset(f"{one['resourceType']}/{one['id']}" for one in trees if tagged(one) == "whole")
        self.full = trees
        self.absent = [one for one in (released(tree, self.hidden) for tree in trees) if one is not None]
        self.by_type: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
        for tree in trees:
            self.by_type[tree["resourceType"]].append(tree)


def values(node: Any, path: list[str]) -> Iterator[Any]:
    """Give the values at a path, through lists, a choice by any of its names."""
    if isinstance(node, list):
        for item in node:
            yield from values(item, path)
    elif not path:
        yield node
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == path[0] or (name.startswith(path[0]) and name[len(path[0])].isupper()):
                yield from values(value, path[1:])


def asked_value(kind: str, value: Any) -> str | None:  # noqa: PLR0911  one line a kind
    """Give a search value that a resource's value meets, None where there is none."""
    if kind == "reference" and isinstance(value, dict):
        return value.get("reference")
    if kind == "token" and isinstance(value, dict):
        coding = value.get("coding", [value])[0]
        return coding.get("code") or coding.get("value")
    if kind == "token" and isinstance(value, str | bool):
        return str(value).lower() if isinstance(value, bool) else value
    if kind == "date":
        found = value.get("start") if isinstance(value, dict) else value
        return found[:10] if isinstance(found, str) else None
    if kind == "string":
        found = value.get("family") or value.get("city") or value.get("text") if isinstance(value, dict) else value
        return found if isinstance(found, str) else None
    if kind == "quantity" and isinstance(value, dict):
        return str(value.get("value"))
    return value if kind == "uri" and isinstance(value, str) else None


class Grammar:
    """Draws searches whose values are those of the data, what is withheld included."""

    def __init__(self, data: Data, table: SearchParameters, chance: random.Random) -> None:
        self.data, self.table, self.chance = data, table, chance
        self.types = sorted(type_ for type_ in data.by_type if table.get(type_, "patient"))
        self.patients = [one["id"] for one in data.by_type["Patient"]]

    def draw(self) -> Asked | None:
        """Give a search, None where the drawn one finds no value in the data."""
        ways = (self._plain, self._plain, self._modified, self._chained, self._has, self._included, self._sorted)
        type_ = self.chance.choice(self.types)
        return self.chance.choice((*ways, self._general))(type_)

    def _search(self, kind: str, type_: str, *pairs: tuple[str, str]) -> Asked:
        anchor = "" if type_ == "Patient" else f"patient={self.chance.choice(self.patients)}&"
        asked = "&".join(f"{quote(name, safe=':_')}={quote(value, safe=':')}" for name, value in pairs)
        return Asked(kind, f"{type_}?{anchor}{asked}&_count=20")

    def _parameter(self, type_: str, kinds: Iterable[str]) -> tuple[str, SearchParameter] | None:
        found = [
            (name, one)
            for name, one in self.table.of(type_).items()
            if one.paths and one.kind in kinds and name not in {"patient", "subject"} and not name.startswith("_")
        ]
        return self.chance.choice(found) if found else None

    def _value(self, type_: str, found: SearchParameter) -> str | None:
        path = self.chance.choice(found.paths).partition("[")[0].split(".")
        held = self.chance.sample(self.data.by_type[type_], min(30, len(self.data.by_type[type_])))
        drawn = (asked_value(found.kind, value) for tree in held for value in values(tree, path))
        return next((one for one in drawn if one), None)

    def _drawn(self, type_: str, *kinds: str) -> tuple[str, SearchParameter, str] | None:
        found = self._parameter(type_, kinds or ("token", "reference", "date", "string", "quantity", "uri"))
        value = self._value(type_, found[1]) if found else None
        return (*found, value) if found and value else None

    def _plain(self, type_: str) -> Asked | None:
        drawn = self._drawn(type_)
        if drawn is None:
            return None
        name, found, value = drawn
        prefix = self.chance.choice(["", "ge", "lt", "ne"]) if found.kind in {"date", "quantity"} else ""
        kind = f"{found.kind} {'ne' if prefix == 'ne' else 'compared' if prefix else 'equal'}"
        return self._search(kind, type_, (name, prefix + value))

    def _modified(self, type_: str) -> Asked | None:
        modifiers = {"token": ("not", "missing", "text"), "string": ("exact", "contains", "missing")}
        drawn = self._drawn(type_)
        if drawn is None:
            return None
        name, found, value = drawn
        modifier = self.chance.choice(modifiers.get(found.kind, ("missing",)))
        asked = self.chance.choice(["true", "false"]) if modifier == "missing" else value
        return self._search(f"{found.kind} :{modifier}", type_, (f"{name}:{modifier}", asked))

    def _chained(self, type_: str) -> Asked | None:
        found = self._parameter(type_, ("reference",))
        targets = [one for one in found[1].targets if one in self.data.by_type] if found else []
        if found is None or not targets:
            return None
        target = self.chance.choice(targets)
        drawn = self._drawn(target, "token", "date", "string")
        return self._search("chained", type_, (f"{found[0]}:{target}.{drawn[0]}", drawn[2])) if drawn else None

    def _has(self, _: str) -> Asked | None:
        type_ = self.chance.choice(self.types)
        drawn = self._drawn(type_, "token", "date", "quantity")
        if drawn is None or type_ == "Patient":
            return None
        pair = (f"_has:{type_}:patient:{drawn[0]}", drawn[2])
        return self._search("_has", "Patient", pair)

    def _included(self, type_: str) -> Asked | None:
        found = self._parameter(type_, ("reference",))
        way = self.chance.choice(["_include", "_include and :iterate", "_revinclude"])
        if found is None:
            return None
        if way == "_revinclude":
            return self._search(way, "Patient", ("_revinclude", f"{type_}:patient"))
        more = [("_include:iterate", "Encounter:service-provider")] if ":iterate" in way else []
        return self._search(way, type_, ("_include", f"{type_}:{found[0]}"), *more)

    def _sorted(self, type_: str) -> Asked | None:
        found = self._parameter(type_, ("token", "date", "string", "quantity"))
        return self._search(f"_sort by {found[1].kind}", type_, ("_sort", found[0])) if found else None

    def _general(self, type_: str) -> Asked:
        general = {
            "_lastUpdated": "ge2020-01-01",
            "_tag": f"{TAG}|{self.chance.choice(['whole', 'part'])}",
            "_tag:not": f"{TAG}|whole",
            "_security": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R",
            "_profile": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-condition",
            "_source": "http://example.org/clinic",
            "_filter": "status eq active",
            "_list": "1",
            "_content": "overdose",
            "_text": "overdose",
            "_total": "accurate",
            "_summary": "count",
            "_elements": "id",
        }
        name = self.chance.choice(list(general))
        return self._search(name, type_, (name, general[name]))


def look(server: Hapi, path: str, hidden: frozenset[str] | None) -> Seen:
    """Give what a client sees of a search, every page of it; `hidden` None: without the proxy."""
    matches: list[str] = []
    included: set[str] = set()
    pages: list[tuple[int, int | None]] = []
    url = f"{server.base}/{path}"
    while url and len(pages) < MOST_PAGES:
        answer = server.client.get(url)
        if answer.status_code != httpx2.codes.OK:
            return Seen(answer.status_code, (), frozenset(), ())
        page = answer.json()
        shown = 0
        for entry in page.get("entry", ()):
            tree = entry["resource"]
            if hidden is not None and released(tree, hidden) is None:
                continue
            shown += 1
            name = f"{tree['resourceType']}/{tree['id']}"
            if entry.get("search", {}).get("mode") == "include":
                included.add(name)
            else:
                matches.append(name)
        pages.append((shown, page.get("total")))
        url = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), "")
    return Seen(200, tuple(matches), frozenset(included), tuple(pages))


def told(one: Seen, other: Seen) -> Iterator[str]:
    """Say in what two sights differ."""
    if one.status != other.status:
        yield "status"
    if set(one.matches) != set(other.matches):
        yield "matches"
    else:
        if one.matches != other.matches:
            yield "order"
        if one.included != other.included:
            yield "included"
    if one.pages != other.pages:
        yield "pages"


def experiment(full: Hapi, absent: Hapi, data: Data, grammar: Grammar, searches: int) -> list[tuple[str, ...]]:
    """Give the rows of the table: class, searches, answered, and how many differed in what."""
    full.load(json.dumps(one).encode() for one in data.full)
    absent.load(json.dumps(one).encode() for one in data.absent)
    counted: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    done = 0
    while done < searches:
        asked = grammar.draw()
        if asked is None:
            continue
        done += 1
        one, other = look(full, asked.path, data.hidden), look(absent, asked.path, None)
        counted[asked.kind].update(["searches", *told(one, other), *(["answered"] if one.status == 200 else [])])
    heads = ("searches", "answered", *SEEN)
    return [(kind, *(str(counted[kind][head]) for head in heads)) for kind in sorted(counted)]


def _run(
    repository: Path, folders: tuple[Path, Path], data: Data, grammar: Grammar, searches: int
) -> list[tuple[str, ...]]:
    with hapi(repository, folders[0]) as full, hapi(repository, folders[1]) as absent:
        return experiment(full, absent, data, grammar, searches)


def _told(data: Data, rows: list[tuple[str, ...]], seed: int) -> Iterator[str]:
    yield f"{len(data.full)} resources, {len(data.hidden)} withheld whole, seed {seed}"
    yield ""
    yield "| class | searches | answered | " + " | ".join(SEEN) + " |"
    yield "| --- |" + " --- |" * (2 + len(SEEN))
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    """Run the experiment and print its table in Markdown."""
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--searches", type=int, default=2000)
    asked.add_argument("--seed", type=int, default=7)
    given = asked.parse_args()
    repository = Path(__file__).parents[2]
    chance = random.Random(given.seed)  # noqa: S311  no secret
    data = Data(given.folder, chance)
    tables = repository / "profiles" / "fhir"
    elements = Elements.from_json((tables / "elements.json").read_bytes())
    table = SearchParameters.from_json((tables / "search.json").read_bytes(), elements)
    grammar = Grammar(data, table, chance)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        rows = _run(repository, (Path(one), Path(other)), data, grammar, given.searches)
    sys.stdout.write("\n".join(_told(data, rows, given.seed)) + "\n")


if __name__ == "__main__":
    main()
