"""Release leaves no residue: nothing withheld leaves in any spelling, and nothing is lost but by a listed edit."""

import base64
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
from tests.laws.made_bundles import PATIENT, Made
from tests.unit.gateway.decision.test_numbers import CONSENT

BUNDLES = int(os.environ.get("CONSENT_GATEWAY_BUNDLES", "150"))
_WORD = re.compile(rb"mk[0-9a-f]{10}")
_BASE64 = re.compile(rb'"([A-Za-z0-9+/]{8,}={0,2})"')


@pytest.fixture(scope="module")
def elements():
    """The element table."""
    return Elements.from_json((files("profiles") / "fhir" / "elements.json").read_bytes())


@pytest.fixture(scope="module")
def shelf():
    """The profiles."""
    return bootstrap.read_shelf()


def ask(shelf, made):
    """What becomes of a Bundle on its way from a hospital to a plan that the patient lets see general records."""
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
        "resource": made.bundle(),
    }
    return answer(json.dumps(question).encode(), shelf)


def words_in(text):
    """Every marker in bytes, in plain letters or in base64."""
    decoded = (base64.b64decode(found) for found in _BASE64.findall(text) if len(found) % 4 == 0)
    return {word for part in (text, *decoded) for word in _WORD.findall(part)}


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


def test_nothing_withheld_leaves_and_nothing_else_is_lost(elements, shelf, capsys):
    """Random Bundles: markers of what is withheld or cut are nowhere in the bytes; every other marker arrives."""
    counts: Counter[str] = Counter()
    lost: list[str] = []
    for seed in range(BUNDLES):
        made = Made(elements, seed)
        found = ask(shelf, made)
        released = bytes(found["released"]) if found["released"] else b""
        arrived = words_in(released)
        for decision in found["decisions"]:
            markers = made.markers[decision["resource"]]
            withheld = decision["verdict"] == "withheld"
            counts[decision["verdict"]] += 1
            hidden = {m.encode() for at, m in markers.items() if withheld or gone(at, decision["edits"])}
            shown = {m.encode() for m in markers.values()} - hidden
            assert not hidden & arrived, (seed, decision["resource"])
            lost += [
                f"{seed} {decision['resource']} {at}" for at, m in markers.items() if m.encode() in shown - arrived
            ]
            counts["cut"] += 0 if withheld else len(hidden)
            counts["shown"] += len(shown)
            if made.sensitive & {decision["resource"]}:
                assert withheld, (seed, decision["resource"])
    with capsys.disabled():
        sys.stdout.write(f"\n{BUNDLES} bundles: {dict(counts)}, lost outside the listed edits: {len(lost)}\n")
    assert [] == lost[:5]
    assert counts["masked"] > BUNDLES / 10
    assert counts["shown"] > 10 * BUNDLES


def test_what_points_at_the_withheld_never_names_it(elements, shelf):
    """No reference to a withheld record, and no id of one, is in the released bytes."""
    for seed in range(BUNDLES):
        made = Made(elements, seed)
        found = ask(shelf, made)
        released = bytes(found["released"]) if found["released"] else b""
        for decision in found["decisions"]:
            if decision["verdict"] == "withheld":
                assert decision["resource"].partition("/")[2].encode() not in released, (seed, decision["resource"])


def test_what_leaves_is_valid_r4(elements, shelf, capsys):
    """Every released resource whose original is valid is valid, masked or not."""
    counts: Counter[str] = Counter()
    broken = []
    for seed in range(BUNDLES):
        made = Made(elements, seed)
        found = ask(shelf, made)
        verdicts = {decision["resource"]: decision["verdict"] for decision in found["decisions"]}
        originals = {f"{one['resourceType']}/{one['id']}": one for one in made.resources}
        entries = json.loads(bytes(found["released"])).get("entry", []) if found["released"] else []
        for one in (entry["resource"] for entry in entries):
            name = f"{one['resourceType']}/{one['id']}"
            if not valid(originals[name]):
                counts["not valid before"] += 1
            elif valid(one):
                counts[verdicts[name]] += 1
            else:
                broken.append((seed, name))
    with capsys.disabled():
        sys.stdout.write(f"\nvalid R4: {dict(counts)}, broken: {len(broken)}\n")
    assert [] == broken[:5]
    assert counts["masked"] > BUNDLES / 20
