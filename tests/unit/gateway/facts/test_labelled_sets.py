"""How good the labels are against sets that people labelled, and over claims with SUD codes put in (docs/labels.md)."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import pytest

from gateway import bootstrap
from gateway.facts.label_comparing import Comparison, by_hand
from gateway.facts.labelling import Labelled, Labeller
from gateway.fhir.bundle import read_document
from gateway.fhir.elements import Elements
from gateway.fhir.terminology import deny_cluster
from gateway.fhir.view import every_view
from gateway.labels.model import Basis, Kind

# What each set and the gateway disagree on, all of it, with the reason: (category, record, who says it) -> why.
# A new false hit or miss fails, and so does one of these that is gone. Docs/labels.md shows the same.
_TEAM, _THOUGHTS = "CareTeam/CarlFredericksonCareTeam", "Observation/CarlFredericksonOUDThoughtRecord"
_NOTE = (
    "its note says: substance use treatment protected under 42 CFR Part 2, behavioral health; the hand left it plain"
)
_OUD = "its text says: OUD self-help; who reads it knows of the disorder. The hand says only BH and PSYTHPN"
CARL = {
    ("SUD", _TEAM, "gateway"): _NOTE,
    ("42CFRPart2", _TEAM, "gateway"): _NOTE,
    ("MH", _TEAM, "gateway"): _NOTE,
    ("restricted (R, V)", _TEAM, "gateway"): _NOTE,
    ("SUD", _THOUGHTS, "gateway"): _OUD,
    (
        "42CFRPart2",
        _THOUGHTS,
        "gateway",
    ): "its source is not known to be outside Part 2, so SUD is Part 2 by the switch",
}
_NONBINARY = "gender identity: nonbinary; the hand left the patient plain"
SHIFT: dict[str, dict[tuple[str, str, str], str]] = {
    "1Asample.json": CARL,
    "1Bsample.json": {
        ("SEX", "Patient/MonicaRambeau", "gateway"): _NONBINARY,
        ("restricted (R, V)", "Patient/MonicaRambeau", "gateway"): _NONBINARY,
    },
    "Bundle-AllOfCarlFrederickson.json": CARL
    | {
        ("MH", "MedicationRequest/CarlFredericksonBuprenorphineNaltrexone", "hand"): (
            "buprenorphine/naloxone: the hand adds BH to SUD, OPIOIDUD and 42CFRPart2; the gateway says what it is"
        )
    },
    "Bundle-AllOfSteffiRambeau16.json": {
        ("SEX", "Patient/SteffiRambeau16", "gateway"): _NONBINARY,
        ("restricted (R, V)", "Patient/SteffiRambeau16", "gateway"): _NONBINARY,
    },
}
SUD = deny_cluster("SUD")


def tell(line):
    """Print a measure."""
    sys.stdout.write(f"{line}\n")


# One code of every system in which the lists know substance use, as claims write it.
CODES = (
    ("http://hl7.org/fhir/sid/icd-10-cm", "F1120"),
    ("http://hl7.org/fhir/sid/icd-10-cm", "F10.20"),
    ("http://hl7.org/fhir/sid/icd-10", "F1120"),
    ("http://hl7.org/fhir/sid/icd-9-cm", "30400"),
    ("http://www.cms.gov/Medicare/Coding/ICD10", "HZ2ZZZZ"),
    ("http://hl7.org/fhir/sid/icd-10-pcs", "HZ2ZZZZ"),
    ("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "H0020"),
    ("https://bluebutton.cms.gov/resources/codesystem/hcpcs", "H0005"),
    (
        "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software",
        "895",
    ),
    ("http://www.nlm.nih.gov/research/umls/rxnorm", "1010600"),
    ("http://hl7.org/fhir/sid/ndc", "12496120803"),
    ("http://hl7.org/fhir/sid/ndc", "12496-1208-3"),
    ("http://snomed.info/sct", "75544000"),
    ("http://loinc.org", "3774-7"),
    ("https://www.hl7.org/fhir/sid/icd-10-cm|2026", " f11.20 "),
    ("urn:oid:2.16.840.1.113883.6.90", "F11.20"),
    ("2.16.840.1.113883.6.285", "h0020"),
    ("http://www.cms.gov/Medicare/Coding/ICD9", "9461"),
    ("https://bluebutton.cms.gov/resources/variables/clm_drg_cd", "896"),
    ("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "HG"),
    ("https://www.nubc.org/CodeSystem/RevenueCodes", "0944"),
    ("https://bluebutton.cms.gov/resources/variables/rev_cntr", "0945"),
    ("https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set", "58"),
    ("http://nucc.org/provider-taxonomy", "261QM2800X"),
    ("http://hl7.org/fhir/sid/icd-10", "O99.320"),
)


@pytest.fixture(scope="module")
def labeller():
    """The labeller under us-part2, with no directory."""
    shelf = bootstrap.read_shelf()
    return Labeller(shelf.policies["us-part2"], shelf.tools["us-part2"])


@pytest.mark.parametrize("name", SHIFT)
def test_a_set_labelled_by_hand(shared, labeller, name, capsys):
    """SHIFT's samples: hand and gateway disagree on what is known and explained here, no more and no less."""
    raw = (shared / "data/shift-labelled" / name).read_bytes()
    document = read_document(raw)
    comparison = Comparison(by_hand(inner for view in document.views for inner in every_view(view)))
    for one in labeller.label(document, received=False):
        comparison.add(one)
    with capsys.disabled():
        tell(f"\n{name}")
        for category, score in sorted(comparison.scores.items()):
            tell(f"  {category}: precision {score.precision}, recall {score.recall} {score}")
        for one in comparison.disagreements:
            tell(f"    {one.category} {one.record}: {'missed' if one.missed else one.why}")
    found = {(one.category, one.record, "hand" if one.missed else "gateway") for one in comparison.disagreements}
    assert set(SHIFT[name]) == found
    assert (0, 0) == (comparison.not_found, comparison.not_by_hand)  # every record was held against its hand's label


def claims(shared) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every Claim, ClaimResponse and EOB of the payers' examples, by file and place."""
    for folder in ("payer-bfd-v2", "payer-carin-bb"):
        for path in sorted((shared / "data" / folder).glob("*.json")):
            tree = json.loads(path.read_bytes())
            listed = [entry.get("resource", {}) for entry in tree.get("entry", [])] if "entry" in tree else [tree]
            for number, one in enumerate(listed):
                if one.get("resourceType") in {"Claim", "ClaimResponse", "ExplanationOfBenefit"}:
                    yield f"{path.name}[{number}]", one


def places(node: Any, path: str = "") -> Iterator[tuple[str, list[Any] | dict[str, Any]]]:
    """Every `coding` array and every single Coding of a resource, contained ones too, with its element path."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "coding" and isinstance(value, list):
                yield path, value
            elif isinstance(value, dict) and "code" in value and "system" in value:
                yield f"{path}.{name}", value
            elif name != "meta":
                yield from places(value, f"{path}.{name}")
    elif isinstance(node, list):
        for one in node:
            yield from places(one, path)


@contextmanager
def put_in(place: list[Any] | dict[str, Any], coding: dict[str, str]) -> Iterator[None]:
    """Put a code at a place, and take it away again."""
    kept = place.copy()
    if isinstance(place, list):
        place.append(coding)
    else:
        place.update(coding)
    yield
    place.clear()
    place.extend(kept) if isinstance(place, list) else place.update(kept)


def empty_claim(elements: Elements, kind: str, path: str = "", depth: int = 0) -> dict[str, Any]:
    """A record that has every coded element R4 gives its type, at any depth."""
    found: dict[str, Any] = {}
    for name, element in elements.children(kind).items():
        if name in {"meta", "contained", "identifier"} or depth > 4:
            continue
        coded = next((one for one in ("CodeableConcept", "Coding") if one in element.types), None)
        value: Any = {"coding": [{"text": "x"}]} if coded == "CodeableConcept" else {"system": "urn:x", "code": "x"}
        if element.backbone:
            value = empty_claim(elements, element.types[0], f"{path}.{name}", depth + 1)
        elif coded is None:
            continue
        key = name.replace("[x]", coded or "")
        found[key] = [value] if element.repeats else value
    return found


def about_sud(found: tuple[Labelled, ...]) -> bool:
    """Whether any record is about substance use, or of Part 2."""
    labels = [label for one in found for label in one.labels.labels if label.basis is not Basis.DEFAULT]
    return any(label.kind in (Kind.SENSITIVITY, Kind.POLICY) and label.code in {*SUD, "42CFRPart2"} for label in labels)


def labelled(labeller, tree):
    """The labels of a record, as JSON."""
    return labeller.label(read_document(json.dumps(tree).encode()), received=False)


def missed_in(labeller, tree, seen):
    """Where, of the places not seen yet, a code of some system is not found; how many were tried."""
    tried, missed = 0, []
    for path, place in list(places(tree)):
        key = (tree["resourceType"], path)
        if key in seen:
            continue
        seen.add(key)
        for system, code in CODES[len(seen) % 3 :: 3]:  # every code at a third of the places, in `make test`
            with put_in(place, {"system": system, "code": code}):
                tried += 1
                missed += [] if about_sud(labelled(labeller, tree)) else [(*key, system, code)]
    return tried, missed


def test_a_substance_use_code_is_found_at_every_coded_place_of_a_claim(shared, labeller, capsys):
    """At each coded element of the payers' claims, in turn, codes of a third of the systems: all are found."""
    seen: set[tuple[str, str]] = set()
    results = [missed_in(labeller, tree, seen) for _, tree in claims(shared)]
    with capsys.disabled():
        tell(f"\n{sum(n for n, _ in results)} codes put in at {len(seen)} coded places of the payers' claims")
    assert [] == [one for _, missed in results for one in missed]
    assert len(seen) > 50


@pytest.mark.parametrize("kind", ["Claim", "ClaimResponse", "ExplanationOfBenefit"])
def test_a_substance_use_code_is_found_wherever_r4_has_a_code(labeller, kind, capsys):
    """The same over every coded element of the type, by the standard's own table."""
    elements = Elements.from_json((files("profiles") / "fhir" / "elements.json").read_bytes())
    seen: set[tuple[str, str]] = set()
    tried, missed = missed_in(labeller, {"resourceType": kind, **empty_claim(elements, kind)}, seen)
    with capsys.disabled():
        tell(f"\n{kind}: {tried} codes put in at {len(seen)} coded elements of R4")
    assert [] == missed
    assert len(seen) > 20


def test_no_claim_of_one_without_such_codes_is_flagged(shared, labeller, capsys):
    """An unmodified claim is about substance use only where it says so in a code or word that can be shown."""
    flagged, clean = {}, 0
    for name, tree in claims(shared):
        found = labelled(labeller, tree)
        if about_sud(found):
            flagged[name] = sorted({label.source for one in found for label in one.labels.labels if label.code in SUD})
        else:
            clean += 1
    with capsys.disabled():
        tell(f"\n{clean} claims clean, {len(flagged)} flagged: {sorted(flagged)}")
    assert ["eobReadByPatientWithSamhsa.json[1]"] == list(flagged)
    assert clean > 50
