"""Release leaves no residue: nothing withheld leaves in any spelling, and nothing is lost but by a listed edit."""

import json
import os
import re
import sys
from collections import Counter
from importlib.resources import files

import pytest
from fhir.resources.R4B import get_fhir_model_class

from gateway import bootstrap
from gateway.facts.answer import answer
from gateway.fhir.elements import Elements
from tests.laws.documented import must_arrive, sure_to_go, words_in
from tests.laws.made_bundles import PATIENT, Made
from tests.unit.gateway.decision.test_numbers import CONSENT

BUNDLES = int(os.environ.get("CONSENT_GATEWAY_BUNDLES", "60"))
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"\s*:?|-?\d[\d.eE+-]*|true|false|null')


@pytest.fixture(scope="module")
def elements():
    """The element table."""
    return Elements.from_json((files("profiles") / "fhir" / "elements.json").read_bytes())


@pytest.fixture(scope="module")
def asked(elements):
    """Every made Bundle and what becomes of it on its way from a hospital to a plan that may see general records."""
    shelf = bootstrap.read_shelf()
    return [(made, ask(shelf, made)) for made in (Made(elements, seed) for seed in range(BUNDLES))]


def ask(shelf, made):
    """What becomes of a Bundle."""
    question = {
        "v": 1,
        "at": "2026-11-01T09:00:00-05:00",
        "profile": "us-part2",
        "participants": [
            {"id": "mercy", "type": "provider_general", "hipaa_covered": True, "references": ["Organization/mercy"]},
            {"id": "plan", "type": "mco", "hipaa_covered": True, "references": ["Organization/plan"]},
        ],
        "discloser": "mercy",
        "recipient": "plan",
        "purpose": "TREAT",
        "interaction": {"type": "search"},
        "consents": [CONSENT],
        "context": [{"resourceType": "Patient", "id": PATIENT.partition("/")[2], "birthDate": "1980-01-01"}],
    }
    head = json.dumps(question).encode()[:-1]
    return answer(head + b',"resource":' + made.text(made.bundle()) + b"}", shelf)


def released(found):
    """The exact text of what is released."""
    return bytes(found["released"]) if found["released"] else b""


def values(text):
    """How often every value stands in a text, each as it is spelled there; names of members are none."""
    return Counter(token for token in _TOKEN.findall(text) if not token.endswith(b":"))


def gone(at, edits):
    """Whether a pointer lies at or beneath a place that is cut or replaced, or is the extension of one."""
    plain = at.replace("/_", "/")
    return any(
        one == path or one.startswith(f"{path}/")
        for one in (at, plain)
        for path in (edit["path"] for edit in edits if edit["op"] != "insert")
    )


def valid(tree):
    """Whether a resource is structurally valid R4."""
    try:
        get_fhir_model_class(tree["resourceType"]).model_validate(tree)
    except ValueError:
        return False
    return True


def entries(tree):
    """Every resource in a Bundle, those of Bundles in it too."""
    for entry in tree.get("entry", []):
        yield entry["resource"]
        if entry["resource"]["resourceType"] == "Bundle":
            yield from entries(entry["resource"])


def told(capsys, text):
    """Print a figure, whatever is captured."""
    with capsys.disabled():
        sys.stdout.write(f"\n{text}\n")


def test_nothing_withheld_leaves_and_nothing_is_lost_but_by_a_listed_edit(asked, capsys):
    """By the decisions: markers of what is withheld or cut are nowhere in the bytes; every other marker arrives."""
    counts: Counter[str] = Counter()
    lost: list[str] = []
    for made, found in asked:
        arrived = words_in(released(found))
        for decision in found["decisions"]:
            markers = made.markers[decision["resource"]]
            withheld = decision["verdict"] == "withheld"
            counts[decision["verdict"]] += 1
            hidden = {m.encode() for at, m in markers.items() if withheld or gone(at, decision["edits"])}
            shown = {m.encode() for m in markers.values()} - hidden
            assert not hidden & arrived, (made.seed, decision["resource"])
            lost += [
                f"{made.seed} {decision['resource']} {m}" for m in markers.values() if m.encode() in shown - arrived
            ]
            counts["cut"] += 0 if withheld else len(hidden)
            counts["shown"] += len(shown)
            if decision["resource"] in made.sensitive:
                assert withheld, (made.seed, decision["resource"])
    told(capsys, f"{BUNDLES} bundles: {dict(counts)}, lost outside the listed edits: {len(lost)}")
    assert [] == lost[:5]
    assert counts["masked"] > BUNDLES / 10
    assert counts["shown"] > 10 * BUNDLES


def test_what_the_page_says_arrives_and_what_it_keeps_back_does_not(asked, capsys):
    """By docs/release.md alone, not by the edits: nothing it keeps back leaves, and 99 in 100 of the rest arrive."""
    counts: Counter[str] = Counter()
    lost: list[str] = []
    for made, found in asked:
        arrived = words_in(released(found))
        verdicts = {decision["resource"]: decision["verdict"] for decision in found["decisions"]}
        withheld = {name for name, verdict in verdicts.items() if verdict == "withheld"}
        for name, markers in made.markers.items():
            kept_back = {markers[at].encode() for at in sure_to_go(made, name)}
            assert not kept_back & arrived, (made.seed, name)
            counts["kept back"] += len(kept_back)
            if name == "Bundle/inner":
                continue
            for kind, permitted in (
                ("permitted", must_arrive(made, name, withheld)),
                ("of them whatever was decided", must_arrive(made, name, None)),
            ):
                missing = {at for at in permitted if markers[at].encode() not in arrived}
                counts[kind] += len(permitted)
                lost += [f"{made.seed} {name} {verdicts[name]} {at}" for at in missing]
    share = 1 - len(lost) / counts["permitted"]
    told(capsys, f"by the page alone: {dict(counts)}, arrived {share:.2%}; lost: {lost[:5]}")
    assert share >= 0.99
    assert counts["permitted"] > 8 * BUNDLES
    assert counts["of them whatever was decided"] > 0


def test_values_that_no_edit_touches_are_the_very_text_that_came(asked):
    """Every value in the released bytes is one that came, spelled as it came, or one that an edit put there (law 5)."""
    for made, found in asked:
        put = b" ".join(bytes(e["value"]) for d in found["decisions"] for e in d["edits"] if "value" in e)
        new = values(released(found)) - values(made.text(made.bundle())) - values(put)
        assert not new, (made.seed, new)


def test_what_points_at_the_withheld_never_names_it(asked):
    """No reference to a withheld record, and no id of one, is in the released bytes."""
    for made, found in asked:
        for decision in found["decisions"]:
            if decision["verdict"] == "withheld":
                named = f"{decision['resource'].partition('/')[2]}".encode()
                assert not re.search(rb"(?<![a-z-])" + named + rb"(?![0-9a-z-])", released(found)), (made.seed, named)


def test_what_leaves_is_valid_r4(asked, capsys):
    """Every released resource whose original is valid is valid, masked or not."""
    counts: Counter[str] = Counter()
    broken = []
    for made, found in asked:
        verdicts = {decision["resource"]: decision["verdict"] for decision in found["decisions"]}
        for one in entries(json.loads(released(found) or b"{}")):
            name = f"{one['resourceType']}/{one['id']}"
            if name in made.trees and not valid(made.trees[name]):
                counts["not valid before"] += 1
            elif valid(one):
                counts[verdicts[name]] += 1
            else:
                broken.append((made.seed, name))
    told(capsys, f"valid R4: {dict(counts)}, broken: {len(broken)}")
    assert [] == broken[:5]
    assert counts["masked"] > BUNDLES / 20
