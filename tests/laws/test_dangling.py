"""Dangling truth: nothing released points to, names, counts, sums or quotes a withheld record, over the shared data.

Random records of real shape are withheld by a label; what is released is searched by a checker that knows nothing of
edits: it has the withheld records, as they came, and the bytes. Every record that was valid R4 still is.
"""

import copy
import json
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from gateway.errors import QuestionError
from tests.conftest import EXAMPLES
from tests.questions import ACT_CODE, PARTICIPANTS, answered

SETS = ("synthea-r4", "sdoh-cc", "payer-carin-bb", "payer-bfd-v2", "payer-pdex", "shift-labelled", "us-core")
EACH = max(3, int(os.environ.get(EXAMPLES, "100")) // 33)  # Bundles a set
PART2 = {"system": ACT_CODE, "code": "42CFRPart2"}
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
TOLD = "a diagnosis of the program"
CLAIMS = {"Claim", "ExplanationOfBenefit"}
SUMS = {"total", "payment", "benefitBalance"}
MOST = 25  # records a Bundle


# The CARIN examples say "Patient2" where FHIR has "Patient/Patient2": whose they are would not be known.
_BARE = re.compile(r'("reference"\s*:\s*")((Patient|Coverage|Practitioner|Location|\w*(?:Payer|Organization))\w*")')


def _typed(found: re.Match[str]) -> str:
    kind = "Organization" if found[3].endswith(("Payer", "Organization")) else found[3]
    return f"{found[1]}{kind}/{found[2]}"


def piles(name: str, shared: Path) -> list[list[dict[str, Any]]]:
    """The entries of a set, those of one file together; files of one record make one pile."""
    found, alone = [], []
    for file in sorted((shared / "data" / name).glob("*.json")):
        tree = json.loads(_BARE.sub(_typed, file.read_text()))
        if tree.get("resourceType") == "Bundle":
            found.append([entry for entry in tree.get("entry", []) if entry.get("resource", {}).get("id")])
        elif tree.get("id") and tree.get("resourceType") not in {"CapabilityStatement", "AuditEvent", None}:
            alone.append({"resource": tree})
    return [pile for pile in (*found, alone) if len(pile) > 2]


def walk(node: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with the name of the member it stands in."""
    yield name, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, name)


def texts(node: Any) -> Iterator[str]:
    """Every text in a tree."""
    return (value for _, value in walk(node) if isinstance(value, str))


def name_of(tree: dict[str, Any]) -> str:
    """`Type/id`."""
    return f"{tree['resourceType']}/{tree['id']}"


def sample(pile: list[dict[str, Any]], dice: random.Random) -> list[dict[str, Any]]:
    """Some entries, with some of what they refer to."""
    known = {name_of(entry["resource"]): entry for entry in pile}
    known |= {entry["fullUrl"]: entry for entry in pile if "fullUrl" in entry}
    chosen = {id(entry): entry for entry in dice.sample(pile, min(len(pile), MOST))}
    for entry in list(chosen.values()):
        named = [known[text] for text in texts(entry["resource"]) if text in known]
        chosen |= {id(one): one for one in named if len(chosen) < 2 * MOST}
    kept = [{key: entry[key] for key in ("fullUrl", "resource") if key in entry} for entry in chosen.values()]
    once = {name_of(entry["resource"]): entry for entry in kept}
    return copy.deepcopy(list(once.values()))


def question(pile: list[dict[str, Any]], dice: random.Random) -> dict[str, Any]:
    """A Bundle in which some records are of a Part 2 program, and some claims have a diagnosis that is."""
    entries = sample(pile, dice)
    for entry in entries:
        one = entry["resource"]
        if one["resourceType"] != "Patient" and dice.random() < 0.3:
            one.setdefault("meta", {}).setdefault("security", []).append(PART2)
        elif one["resourceType"] in CLAIMS and one.get("diagnosis") and dice.random() < 0.7:
            told = dice.choice(one["diagnosis"])
            told.pop("diagnosisReference", None)
            told["diagnosisCodeableConcept"] = {"text": TOLD}
            told["extension"] = [{"url": INLINE, "valueCoding": PART2}]
    named = {text for text in texts(entries) if text.startswith("Organization/")}
    places = [e["resource"] for e in entries if e["resource"]["resourceType"] == "Organization"]
    named |= {name_of(one) for one in places}
    others = {"id": "others", "type": "provider_general", "references": sorted(named)[:200]}
    people = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "Patient"]
    known = {name_of(one) for one in people}
    more = {text for text in texts(entries) if re.fullmatch(r"Patient/[A-Za-z0-9.-]+", text)} - known
    recipient, purpose = dice.choice([("valley", "TREAT"), ("plan", "HPAYMT")])
    kind = dice.choice(["searchset", "collection"])
    for entry in entries if kind == "searchset" else ():
        entry["search"] = {"mode": "match"}
    return {
        "v": 1,
        "at": "2026-11-22T12:00:00Z",
        "profile": "us-part2",
        "participants": [*PARTICIPANTS, others] if named else list(PARTICIPANTS),
        "discloser": "mercy",
        "recipient": recipient,
        "purpose": purpose,
        "context": [{"resourceType": "Patient", "id": one.partition("/")[2]} for one in sorted(more)],
        "resource": {"resourceType": "Bundle", "type": kind, "entry": entries}
        | ({"total": len(entries)} if kind == "searchset" else {}),
    }


def of_record(tree: dict[str, Any]) -> set[str]:
    """What a record is called by what is said of it: the names and words of its code."""
    concepts = [tree.get(name) for name in ("code", "medicationCodeableConcept", "vaccineCode")]
    words = {value for one in concepts for key, value in walk(one) if key in {"display", "text"}}
    return {word.lower() for word in words if isinstance(word, str) and len(word) > 8}


def residue(entry: dict[str, Any], original: dict[str, Any], withheld: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What of one released entry tells of a withheld record, by kind and text."""
    tree = entry["resource"]
    names = {word: one for one in withheld.values() for word in (name_of(one["resource"]), one.get("fullUrl")) if word}
    for text in texts(tree):
        for name, one in names.items():
            if re.search(rf"(?<![A-Za-z0-9-]){re.escape(name)}(?![A-Za-z0-9.-])", text):
                yield f"names {name} in {text[:80]!r}"
            if len(one["resource"]["id"]) > 30 and one["resource"]["id"] in text:
                yield f"holds the id of {name}"
    pointed = [one["resource"] for name, one in names.items() if name in set(texts(original))]
    own = of_record(tree)
    for one in pointed:
        beside = {k: v for k, v in tree.items() if k not in {"code", "type", "category", "medicationCodeableConcept"}}
        for text in texts(beside):
            if text.lower() in of_record(one) - own:
                yield f"quotes {name_of(one)}: {text[:60]!r}"
    if tree["resourceType"] in CLAIMS:
        yield from of_claim(tree)
    if tree["resourceType"] == "Group" and "quantity" in tree and "member" in original:
        yield from ("counts" for _ in range(tree["quantity"] != len(tree.get("member", []))))


def of_claim(tree: dict[str, Any]) -> Iterator[str]:
    """What of a claim tells that a line or a diagnosis is missing."""
    yield from (f"sums: {name}" for name in SUMS & tree.keys())
    numbers = {one["sequence"] for one in tree.get("diagnosis", [])}
    used = {n for line in tree.get("item", []) for n in line.get("diagnosisSequence", [])}
    yield from (f"dangles: diagnosis {number}" for number in used - numbers)
    if numbers != set(range(1, len(numbers) + 1)):
        yield "a gap in the numbers"
    if TOLD in json.dumps(tree):
        yield "holds a diagnosis that is withheld"


def is_valid(tree: dict[str, Any]) -> bool:
    """Whether a record is structurally valid R4, by a validator that is not ours."""
    try:
        get_fhir_model_class(tree["resourceType"]).model_validate(tree)
    except (ValueError, KeyError):
        return False
    return True


@pytest.mark.parametrize("name", SETS)
def test_nothing_released_tells_of_what_is_withheld(name, shared, capsys):
    """Over random subsets withheld: no pointer, name, count, sum or quotation; and valid R4 stays valid R4."""
    dice, known = random.Random(name), piles(name, shared)  # noqa: S311  not a secret
    counts: Counter[str] = Counter()
    found: list[str] = []
    done = 0
    while done < EACH:
        asking = question(dice.choice(known), dice)
        try:
            answer = answered(asking)
        except QuestionError:
            counts["not a question"] += 1
            assert counts["not a question"] < 10 * EACH
            continue
        done += 1
        came = {name_of(entry["resource"]): entry for entry in asking["resource"]["entry"]}
        left = {name_of(entry["resource"]): entry for entry in (answer["released"] or {}).get("entry", [])}
        withheld = {name: entry for name, entry in came.items() if name not in left}
        withheld = {name: entry for name, entry in withheld.items() if not name.startswith("Patient/")}
        if answer["released"] and "total" in answer["released"] and answer["released"]["total"] != len(left):
            found.append("the total counts what is withheld")
        for decision in answer["decisions"]:
            counts[decision["verdict"]] += "/contained/" not in decision["at"]
        for one, entry in left.items():
            found += [f"{one} {what}" for what in residue(entry, came[one]["resource"], withheld)]
            if is_valid(came[one]["resource"]):
                counts["valid before"] += 1
                found += [] if is_valid(entry["resource"]) else [f"{one} is no longer valid"]
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {EACH} bundles, {dict(counts)}, residue: {len(found)} {found[:5]}\n")
    assert [] == found[:5]
    assert counts["withheld"] > 0
    assert counts["disclosed"] + counts["masked"] > 0


TARGET = re.compile(r"(?:https?://\S+/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/.*)?")
NO_RECORDS = {"AuditEvent", "Bundle", "CapabilityStatement", "Consent", "OperationOutcome", "Parameters", "Patient"}


def rosas(tree: dict[str, Any], dice: random.Random) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A standard's example made Rosa's, and stubs of a Part 2 program for most of what it refers to."""
    one, stubs = copy.deepcopy(tree), dict[str, dict[str, Any]]()
    for _, node in walk(one):
        if isinstance(node, dict):
            node.pop("modifierExtension", None)
            found = TARGET.fullmatch(str(node.get("reference", "")))
            if found and found[1] == "Patient":
                node["reference"] = "Patient/rosa"
            elif found and dice.random() < 0.6:
                node["reference"] = f"{found[1]}/{found[2]}"
                stubs[node["reference"]] = {"resourceType": found[1], "id": found[2], "meta": {"security": [PART2]}}
    return one, {name: stub for name, stub in stubs.items() if name != name_of(one)}


def test_every_type_of_the_standard_stays_valid(shared, capsys):
    """Two of the standard's examples of every type a patient can have, freed of most of what they refer to."""
    dice = random.Random(7)  # noqa: S311  not a secret
    counts: Counter[str] = Counter()
    broken, types = [], Counter[str]()
    for file in sorted((shared / "data/hl7-r4-examples").glob("*.json")):
        tree = json.loads(file.read_text())
        kind = tree["resourceType"]
        if kind in NO_RECORDS or types[kind] == 2 or "Patient/" not in json.dumps(tree) or not is_valid(tree):
            continue
        types[kind] += 1
        one, stubs = rosas(tree, dice)
        rosa = {"resourceType": "Patient", "id": "rosa", "birthDate": "1970-01-01"}
        entries = [{"resource": each, "search": {"mode": "match"}} for each in (one, rosa, *stubs.values())]
        asking = {"v": 1, "at": "2026-11-22T12:00:00Z", "profile": "us-part2", "participants": PARTICIPANTS}
        asking |= {"discloser": "mercy", "recipient": "valley", "purpose": "TREAT"}
        answer = answered(asking | {"resource": {"resourceType": "Bundle", "type": "searchset", "entry": entries}})
        counts.update(d["verdict"] for d in answer["decisions"] if d["resource"] == name_of(one))
        for entry in (answer["released"] or {}).get("entry", []):
            left = entry["resource"]
            counts["edited"] += name_of(left) == name_of(one) and left != one
            broken += [] if name_of(left) != name_of(one) or is_valid(left) else [name_of(left)]
    with capsys.disabled():
        sys.stdout.write(f"\n{len(types)} types, {dict(counts)}, no longer valid: {broken}\n")
    assert [] == broken
    assert counts["edited"] > 30


def test_the_checker_finds_what_is_left(shared):
    """The bad twin: over records that were only removed, and not freed of residue, it finds names and sums."""
    dice = random.Random(3)  # noqa: S311  not a secret
    found: list[str] = []
    for pile in (*piles("synthea-r4", shared)[:2], *piles("payer-carin-bb", shared)):
        entries = sample(pile, dice)
        gone = {name_of(entry["resource"]): entry for entry in entries if dice.random() < 0.4}
        for entry in entries:
            if name_of(entry["resource"]) not in gone:
                found += residue(entry, entry["resource"], gone)

    assert any(one.startswith("names") for one in found)
    assert any(one.startswith("sums") for one in found)
