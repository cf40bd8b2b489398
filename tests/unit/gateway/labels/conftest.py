"""The shipped lists as rules, and a resource as a view."""

import json
from importlib.resources import files

import msgspec
import pytest

from consent_store.model import ACT_CODE, CONFIDENTIALITY
from gateway.fhir.confidentiality import Confidentiality
from gateway.fhir.view import read_resource
from gateway.labels.context import LabelContext
from gateway.labels.lists import parse_code_list
from gateway.labels.rules import LabelRules, read_lists
from gateway.labels.terms import parse_term_list
from gateway.policy.model import Unlabelled

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SUD = {"system": ACT_CODE, "code": "SUD"}


def confidentiality(code):
    """A confidentiality Coding as JSON."""
    return {"system": CONFIDENTIALITY, "code": code}


def codings(*pairs):
    """A CodeableConcept of (system, code) pairs."""
    return {"coding": [{"system": system, "code": code} for system, code in pairs]}


def observation(security=(), **elements):
    """An Observation with labels as JSON; no labels, no meta."""
    meta = {"meta": {"security": list(security)}} if security else {}
    return {"resourceType": "Observation", "id": "o1", "status": "final", **meta, **elements}


def view(resource):
    """A resource's view, as the scan gives it."""
    return read_resource(json.dumps(resource).encode())


@pytest.fixture(scope="session")
def lists():
    """Every shipped code list, by name."""
    folder = files("profiles") / "codelists"
    found = [one for one in folder.iterdir() if one.name.endswith(".json") and one.name != "terms.json"]
    return {one.name.removesuffix(".json"): parse_code_list(one.read_bytes(), one.name) for one in found}


@pytest.fixture(scope="session")
def terms():
    """The shipped terms."""
    return parse_term_list((files("profiles") / "codelists" / "terms.json").read_bytes(), "terms.json")


@pytest.fixture(scope="session")
def rules():
    """Rules over everything that ships, with the switches of us-part2 off."""
    folder = files("profiles") / "codelists"
    codes, words = read_lists({one.name: one.read_bytes() for one in folder.iterdir() if one.name.endswith(".json")})
    return LabelRules(
        codes=codes.limited(0.5, {}),
        terms=words.limited(0.5, {}),
        unlabelled=Unlabelled(
            Confidentiality.N, Confidentiality.R, {"Binary": Confidentiality.R, "Patient": Confidentiality.N}
        ),
    )


@pytest.fixture(scope="session")
def part2_rules(rules):
    """The same rules with the switches of us-part2 on."""
    return msgspec.structs.replace(rules, sud_without_known_source_is_part2=True, unknown_source_is_sensitive=True)


@pytest.fixture(scope="session")
def nowhere():
    """A record of which nothing is known but itself."""
    return LabelContext()
