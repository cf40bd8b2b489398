"""The grammar of requests: scripts drawn at random over what a route says it offers, and over forms it refuses.

Rules of this file
1. What is offered is read from the route's own CapabilityStatement; values are drawn from the whole world, hidden
   ones too, so that a predicate on what is withheld is asked as often as on what is not.
2. Four in five requests are of an offered form; the fifth is refused by form, asks for what never existed, or writes
   the offered one oddly.
3. Same seed, same world, same statement: same scripts.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tests.twin.absent import name_of
from tests.twin.asking import VERSION, Pair, Script, Step
from tests.twin.predicates import Predicates
from tests.twin.versions import VERSIONED

_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d(?:T[0-9:.]+(?:Z|[+-]\d\d:\d\d))?)?)?")
_CAMEL = re.compile(r"-([a-z])")
PREFIXES = ("", "", "eq", "ge", "le", "gt", "lt", "ne")
REFUSED = (
    ("_filter", "status eq final"),
    ("_content", "heroin"),
    ("_text", "methadone"),
    ("_list", "l1"),
    ("_query", "everyone"),
    ("_security", "http://terminology.hl7.org/CodeSystem/v3-ActCode|SUD"),
    ("_security:not", "http://terminology.hl7.org/CodeSystem/v3-ActCode|SUD"),
    ("_source", "http://clinic.example"),
    ("_profile", "http://hl7.org/fhir/StructureDefinition/vitalsigns"),
    ("_tag", "secret"),
    ("code:in", "http://valueset.example/sud"),
    ("_score", "1"),
    ("_contained", "true"),
    ("_total", "accurate"),
    ("_total", "estimate"),
    ("_include", "*"),
    ("_revinclude", "*"),
    ("_getpages", "abc"),
    ("_cursor", "abc"),
)
SEEING = (
    ("_elements", "status,code"),
    ("_elements", "Observation.value,subject,note"),
    ("_summary", "true"),
    ("_summary", "text"),
    ("_summary", "data"),
    ("_summary", "false"),
    ("_summary", "count"),
)
SPANS = (
    ("start", "2020-01-01"),
    ("end", "2024"),
    ("_since", "2024-01-01T00:00:00Z"),
    ("start", "2025-06-01T00:00:00Z"),
)
CATEGORIES = (("category", "laboratory"), ("category", "vital-signs"), ("code", "8867-4,85354-9,4548-4"))
PATHS = (
    "Patient/{patient}/$everything",
    "Encounter/{encounter}/$everything",
    "Observation/$lastn?patient={patient}",
    "Patient/{patient}/Observation",
    "Patient/{patient}/Condition",
    "Patient/{patient}/*",
    "Encounter/{encounter}/Observation",
    "{type}/{id}/_history",
    "{type}/{id}/_history/1",
    "{type}/{id}/_history/2",
    "{type}/_history",
    "_history",
    "?_type=Observation,Condition&patient={patient}",
    "{type}/{id}/$meta",
    "Composition/{id}/$document",
    "$graphql",
    "Patient/$export",
)


class World:
    """What the generator knows of the whole world."""

    def __init__(self, records: Sequence[bytes], patients: Sequence[str]) -> None:
        self.trees: dict[str, dict[str, Any]] = {name_of(one): msgspec.json.decode(one) for one in records}
        self.patients = tuple(patients)
        self.by_type: dict[str, list[str]] = {}
        self.values: dict[str, dict[str, list[tuple[str, Any]]]] = {}
        self.owners: dict[str, str] = {}
        for name, tree in self.trees.items():
            type_ = name.partition("/")[0]
            self.by_type.setdefault(type_, []).append(name)
            kinds = self.values.setdefault(type_, {"token": [], "date": [], "reference": [], "string": [], "uri": []})
            for path, kind, value in _values(tree, ""):
                kinds[kind].append((path, value))
                if kind == "reference" and str(value).startswith("Patient/"):
                    self.owners.setdefault(name, str(value).removeprefix("Patient/"))


def _values(node: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Give every value of a resource that a search could name: where it stands, of which kind of parameter, what."""
    if isinstance(node, dict):
        yield from _object(node, path)
        for key, value in node.items():
            yield from _values(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for one in node:
            yield from _values(one, path)
    elif isinstance(node, str):
        yield from _text(node, path)


def _object(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(node.get("reference"), str):
        yield path, "reference", node["reference"]
    code = node.get("code", node.get("value"))
    if isinstance(code, str) and "system" in node:
        yield path, "token", f"{node['system']}|{code}"
        yield path, "token", code


def _text(text: str, path: str) -> Iterator[tuple[str, str, Any]]:
    if _DATE.fullmatch(text):
        yield path, "date", text
    elif text.startswith(("http", "urn:")):
        yield path, "uri", text
    elif re.fullmatch(r"[\w .-]{1,39}", text):
        yield path, "string", text
        if re.fullmatch(r"[a-z-]+", text):
            yield path, "token", text


class Offered:
    """What one route's CapabilityStatement offers, by type: parameters with their kinds, includes, revincludes.

    `behind` is the statement of the server behind it: a parameter that it does not know makes it fail, and is left out.
    """

    def __init__(self, statement: bytes, behind: bytes | None = None) -> None:
        resources = msgspec.json.decode(statement)["rest"][0]["resource"]
        self.parameters: dict[str, dict[str, str]] = {
            one["type"]: {found["name"]: found["type"] for found in one.get("searchParam", ())} for one in resources
        }
        self.includes = {one["type"]: tuple(one.get("searchInclude", ())) for one in resources}
        self.revincludes = {one["type"]: tuple(one.get("searchRevInclude", ())) for one in resources}
        if behind is not None:
            self._only(Offered(behind))

    def _only(self, known: "Offered") -> None:
        """Leave out what another server does not know."""
        every = {one for listed in known.includes.values() for one in listed}
        self.parameters = {
            type_: {name: kind for name, kind in listed.items() if name in known.parameters.get(type_, {})}
            for type_, listed in self.parameters.items()
        }
        self.includes = {type_: tuple(one for one in listed if one in every) for type_, listed in self.includes.items()}
        self.revincludes = {
            type_: tuple(one for one in listed if one in every) for type_, listed in self.revincludes.items()
        }


class Grammar:
    """Draws scripts. `touched` are names that are withheld from the pair or masked for it, more often asked for."""

    def __init__(self, world: World, offered: Mapping[str, Offered], seed: str) -> None:
        self.world, self.offered = world, offered
        self.predicates = Predicates(world.trees, world.by_type)
        self.dice = random.Random(seed)  # noqa: S311  chance that can be repeated

    def script(self, pair: Pair, touched: Sequence[str], most: int = 6) -> Script:
        """Draw one caller's sequence of requests."""
        steps: list[Step] = []
        while len(steps) < most:
            steps += self._one(pair, touched)
        return Script(pair, tuple(steps[:most]))

    def _one(self, pair: Pair, touched: Sequence[str]) -> list[Step]:  # noqa: PLR0911  a table of shares
        draw = self.dice.random()
        if draw < 0.46:
            return self._search(pair, touched)
        if draw < 0.64:
            return self._predicate(pair, touched)
        if draw < 0.72:
            return self._way(pair, touched) if draw < 0.69 else self._history(touched)
        if draw < 0.83:
            return [self._read(touched)]
        if draw < 0.92:
            return [self._batch(pair, touched)]
        if draw < 0.97:
            return [self._elsewhere(touched)]
        return [self._refused(pair, touched)]

    def _name(self, touched: Sequence[str]) -> str:
        return (
            self.dice.choice(touched) if touched and self.dice.random() < 0.8 else self.dice.choice([*self.world.trees])
        )

    def _searched(self, pair: Pair, touched: Sequence[str]) -> tuple[str, str] | None:
        """A type that is offered, and a patient who has records of it."""
        offered = self.offered[pair.route].parameters
        for _ in range(20):
            name = self._name(touched)
            type_ = name.partition("/")[0]
            owner = self.world.owners.get(name) or name.removeprefix("Patient/")
            if type_ in offered and ("patient" in offered[type_] or type_ == "Patient"):
                return type_, owner
        return None

    def _search(self, pair: Pair, touched: Sequence[str]) -> list[Step]:
        found = self._searched(pair, touched)
        if found is None:
            return []
        type_, owner = found
        query = [self._anchor(type_, owner, touched)]
        while self.dice.random() < 0.4:
            more = self._parameter(pair, type_)
            query += [more] if more and more[0] != query[0][0] else []
        query += self._results(pair, type_)
        form = self.dice.random() < 0.15
        first = Step(f"{type_}/_search" if form else type_, tuple(query), method="POST" if form else "GET", form=form)
        pages = 0 if not any(name == "_count" for name, _ in query) else self.dice.choice((0, 1, 2, 4))
        return [first, *([Step(follow="next")] * pages)]

    def _predicate(self, pair: Pair, touched: Sequence[str]) -> list[Step]:
        """A search by what some record really holds; sorted, chained, with what it includes."""
        found = self._searched(pair, touched)
        if found is None:
            return []
        (type_, owner), draw = found, self.dice.random()
        if draw < 0.2 and type_ != "Patient":
            reverse = self.predicates.has(self.dice, type_)
            return [Step("Patient", (("_id", owner), *([reverse] if reverse else [])))]
        more = [self.predicates.condition(self.dice, type_) for _ in range(self.dice.choice((0, 1, 1, 2)))]
        more += [self.predicates.sort(self.dice, type_)] if draw < 0.45 else []
        more += [self.predicates.chain(self.dice, type_)] if 0.45 < draw < 0.6 else []
        query = dict([self._anchor(type_, owner, touched)])
        for name, value in filter(None, more):
            if name.partition(":")[0].partition(".")[0] not in {one.partition(":")[0] for one in query}:
                query[name] = value
        includes = self.offered[pair.route].includes[type_] if draw > 0.6 else ()
        if includes:
            query[self.dice.choice(("_include", "_include:iterate"))] = self.dice.choice(includes)
        paged = self.dice.random() < 0.5
        steps = [Step(type_, (*query.items(), *([("_count", self.dice.choice("125"))] if paged else [])))]
        return [*steps, *([Step(follow="next")] * (self.dice.choice((0, 1, 2)) if paged else 0))]

    def _way(self, pair: Pair, touched: Sequence[str]) -> list[Step]:
        """A search that is put together of several, or an operation made of them; walked a while."""
        found = self._searched(pair, touched)
        if found is None:
            return []
        type_, owner = found if found[0] != "Patient" else ("Observation", found[1])
        near = [name for name in self.world.by_type.get("Encounter", ()) if self.world.owners.get(name) == owner]
        ways: list[tuple[str, list[tuple[str, str]]]] = [
            (f"Patient/{owner}/{type_}", []),
            (f"Patient/{owner}/$everything", []),
            (f"Patient/{owner}/$everything", [("_type", f"{type_},Practitioner,Condition")]),
            (f"Patient/{owner}/$everything", [self.dice.choice(SPANS)]),
            (f"Patient/{owner}/{type_}", [self.predicates.sort(self.dice, type_)]),
            (f"Patient/{owner}/{type_}", self._brings(pair, type_)),
            ("", [("_type", f"{type_},Condition"), ("patient", owner), *self._brings(pair, type_)]),
            (
                "",
                [("_type", f"Observation,{type_}"), ("patient", owner), ("_sort", self.dice.choice(("-date", "_id")))],
            ),
            ("", [("_type", f"{type_},Condition"), ("patient", owner)]),
            ("Observation/$lastn", [("patient", owner), self.dice.choice(CATEGORIES)]),
        ]
        for name in self.dice.sample(near, min(len(near), 1)):
            ways += [(f"{name}/Observation", []), (f"{name}/$everything", [])]
        path, query = self.dice.choice(ways)
        if path != "Observation/$lastn":
            query += [("_count", str(self.dice.choice((1, 2, 5, 50))))] if self.dice.random() < 0.5 else []
        query += self._seeing()
        pages = self.dice.choice((0, 1, 3)) if any(name == "_count" for name, _ in query) else 0
        return [Step(path, tuple(query)), *([Step(follow="next")] * pages)]

    def _brings(self, pair: Pair, type_: str) -> list[tuple[str, str]]:
        offers = self.offered[pair.route]
        ways = (("_include", offers.includes[type_]), ("_revinclude", offers.revincludes[type_]))
        return [(name, self.dice.choice(listed)) for name, listed in ways if listed and self.dice.random() < 0.6]

    def _history(self, touched: Sequence[str]) -> list[Step]:
        """The versions of one record or of a patient's records; then one of them, or the next page."""
        kept = [name for name in self.world.trees if name.partition("/")[0] in VERSIONED]
        hidden = [name for name in kept if name in touched]
        name = self.dice.choice(hidden if hidden and self.dice.random() < 0.4 else kept)
        type_, owner = name.partition("/")[0], self.world.owners.get(name, "nobody")
        ways: list[tuple[str, list[tuple[str, str]]]] = [
            (f"{name}/_history", []),
            (f"{name}/_history", []),
            (f"{type_}/_history", [("patient", owner)]),
            (f"{type_}/_history", [("_id", name.partition("/")[2])]),
            ("_history", [("patient", owner)]),
            ("_history", [("patient", owner), ("_type", "Observation,Condition")]),
        ]
        path, query = self.dice.choice(ways)
        query += [("_count", self.dice.choice("125"))] if self.dice.random() < 0.5 else []
        query += [("_since", "2020-01-01T00:00:00Z")] if self.dice.random() < 0.1 else []
        return [Step(path, tuple(query)), Step(follow=self.dice.choice((VERSION, "next")))]

    def _seeing(self) -> list[tuple[str, str]]:
        return [self.dice.choice(SEEING)] if self.dice.random() < 0.2 else []

    def _anchor(self, type_: str, owner: str, touched: Sequence[str]) -> tuple[str, str]:
        if type_ == "Patient":
            return "_id", owner
        draw = self.dice.random()
        if draw < 0.1:
            names = [one for one in self.world.by_type[type_] if one in touched] or self.world.by_type[type_]
            some = self.dice.sample(names, min(len(names), 3))
            return "_id", ",".join(one.partition("/")[2] for one in some)
        return "patient", owner if draw < 0.6 else f"Patient/{owner}"

    def _parameter(self, pair: Pair, type_: str) -> tuple[str, str] | None:
        offered = {k: v for k, v in self.offered[pair.route].parameters[type_].items() if not k.startswith("_")}
        if not offered:
            return None
        name = self.dice.choice([*offered])
        kind = offered[name]
        element = _CAMEL.sub(lambda found: found[1].upper(), name)
        pool = self.world.values[type_].get(kind, [])
        named = [value for path, value in pool if path.partition(".")[0].startswith(element)]
        if not (named or pool):
            return None
        value = str(self.dice.choice(named) if named else self.dice.choice(pool)[1])
        if kind == "date":
            value = self.dice.choice(PREFIXES) + value
        if kind in {"token", "reference"} and self.dice.random() < 0.15:
            value += "," + str(self.dice.choice(pool)[1])
        return name, value

    def _results(self, pair: Pair, type_: str) -> list[tuple[str, str]]:
        offers, found = self.offered[pair.route], []
        if self.dice.random() < 0.5:
            found.append(("_count", str(self.dice.choice((1, 2, 3, 5, 10, 50)))))
        if offers.includes[type_] and self.dice.random() < 0.25:
            found.append(("_include", self.dice.choice(offers.includes[type_])))
        if offers.revincludes[type_] and self.dice.random() < 0.2:
            found.append(("_revinclude", self.dice.choice(offers.revincludes[type_])))
        return found + ([] if any("include" in name for name, _ in found) else self._seeing())

    def _read(self, touched: Sequence[str]) -> Step:
        visible = [name for name in self.world.trees if name not in touched]
        name = self.dice.choice(touched if touched and self.dice.random() < 0.3 else visible or touched)
        method = "HEAD" if self.dice.random() < 0.15 else "GET"
        return Step(name, method=method)

    def _batch(self, pair: Pair, touched: Sequence[str]) -> Step:
        urls = [step.target() for _ in range(3) for step in self._search(pair, touched)[:1] if not step.form]
        urls += [self._name(touched) for _ in range(2)]
        self.dice.shuffle(urls)
        entries = [{"request": {"method": "GET", "url": url}} for url in urls]
        return Step("", method="POST", body={"resourceType": "Bundle", "type": "batch", "entry": entries})

    def _elsewhere(self, touched: Sequence[str]) -> Step:
        name = self._name(touched)
        type_, _, id_ = name.partition("/")
        encounter = self.dice.choice(self.world.by_type.get("Encounter", ["Encounter/none"])).partition("/")[2]
        path = self.dice.choice(PATHS).format(
            patient=self.dice.choice(self.world.patients), encounter=encounter, type=type_, id=id_
        )
        where, _, query = path.partition("?")
        pairs = [one.partition("=") for one in query.split("&") if one]
        return Step(where, tuple((one[0], one[2]) for one in pairs))

    def _refused(self, pair: Pair, touched: Sequence[str]) -> Step:
        found = self._searched(pair, touched)
        if found is None or self.dice.random() < 0.2:
            return Step(f"{self._name(touched).partition('/')[0]}/never-existed")
        odd = self.dice.choice(REFUSED)
        return Step(found[0], (self._anchor(found[0], found[1], touched), odd))
