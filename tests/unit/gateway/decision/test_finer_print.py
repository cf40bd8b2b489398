"""Still smaller rules: kinds of numbers, prose of sections, Bundles in Bundles, numbered lists, who is whose."""

import json

import msgspec
import pytest

from gateway.decision.claims import numbered_member
from gateway.decision.identifier_kinds import is_of_kind
from gateway.decision.necessary import misnamed
from gateway.decision.residue import standing_on
from gateway.facts.answer import Shelf, answer
from gateway.policy.matching import IdentifierMatch
from gateway.policy.model import MinimumNecessary
from tests.consent_questions import view
from tests.questions import (
    HARBOR,
    MERCY,
    ROSA,
    SHELF,
    SUBJECT,
    asked,
    bundle,
    consent,
    hidden,
    observation,
    question,
    verdicts,
)

WANTED = IdentifierMatch(
    systems=frozenset({"urn:numbers"}), types=frozenset({"urn:kinds|SS"}), words=frozenset({"social security", "ssn"})
)


@pytest.mark.parametrize(
    ("item", "is_one"),
    [
        ({"system": "urn:numbers"}, True),
        ({"system": "urn:other"}, False),
        ({"type": {"coding": [{"system": "urn:kinds", "code": "SS"}]}}, True),
        ({"type": {"coding": [{"code": "x"}, "odd", {"system": "urn:kinds", "code": "SS"}]}}, True),
        ({"type": {"coding": [{"system": "urn:other", "code": "SS"}]}}, False),
        ({"type": {"coding": {"system": "urn:kinds", "code": "SS"}}}, False),
        ({"type": {"coding": [{"code": "SSN"}]}}, True),
        ({"type": {"coding": [{"display": "Social Security Number"}]}}, True),
        ({"type": {"text": "social-security no."}}, True),
        ({"type": {"text": "antisocial security"}}, False),
        ({"type": {"text": "social insecurity"}}, False),
        ({"type": "ssn"}, False),
        ({"system": "http://example.org/SSN/us"}, True),
        ({"system": "http://example.org/ssns"}, False),
        ({"assigner": {"display": "US Social Security Administration"}}, True),
        ({"assigner": "ssn"}, False),
        ({"value": "ssn"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_a_number_is_of_a_kind_by_system_type_or_words(item, is_one):
    """Whole words, in any letter case, wherever the kind is told; never by the number itself."""
    assert is_one is is_of_kind(item, WANTED)


@pytest.mark.parametrize(
    ("pointer", "is_one"),
    [
        *((f"/{name}/0", True) for name in ("careTeam", "diagnosis", "procedure", "supportingInfo", "item", "addItem")),
        ("/item/12", True),
        ("/item", False),
        ("/item/0/detail", False),
        ("/item/x", False),
        ("/total/0", False),
        ("/insurance/0", False),
        ("/item/0/detail/0", False),
    ],
)
def test_a_member_of_a_numbered_list_is_known_by_its_place(pointer, is_one):
    """Of the lists that a claim numbers, and of the lines that the payer added."""
    assert (pointer if is_one else None) == numbered_member(pointer)


def prose_kept() -> Shelf:
    """The profiles, without the rule that cuts narrative."""
    policies = {
        name: msgspec.structs.replace(one, parts=msgspec.structs.replace(one.parts, narrative_cut=False))
        for name, one in SHELF.policies.items()
    }
    return Shelf(policies, SHELF.tools)


def test_a_section_that_lost_an_entry_loses_its_prose_and_one_that_lost_all_goes():
    """Where a profile lets prose stand, it stands where nothing of the section went (L035)."""
    there, gone = {"reference": "Observation/weight"}, {"reference": "Encounter/hidden"}
    prose = {"status": "additional", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"}
    head = {"resourceType": "Composition", "id": "c", "status": "final", "type": {"text": "note"}, "subject": SUBJECT}
    head |= {"date": "2026", "author": [MERCY], "title": "note"}
    sections = [
        {"title": "whole", "text": prose, "entry": [there]},
        {"title": "in part", "text": prose, "entry": [there, gone]},
        {"title": "all", "text": prose, "entry": [gone]},
        {
            "title": "outer",
            "text": prose,
            "entry": [gone],
            "section": [{"title": "inner", "text": prose, "entry": [there, gone]}],
        },
        {"title": "prose", "text": prose},
        "odd",
    ]
    asking = question(bundle({**head, "section": sections}, observation(performer=[MERCY]), hidden()))
    found = json.loads(bytes(answer(json.dumps(asking).encode(), prose_kept())["released"]))
    left = found["entry"][0]["resource"]["section"]
    assert [
        {"title": "whole", "text": prose, "entry": [there]},
        {"title": "in part", "entry": [there]},
        {"title": "outer", "section": [{"title": "inner", "entry": [there]}]},
        {"title": "prose", "text": prose},
        "odd",
    ] == left


@pytest.mark.parametrize(
    ("inner", "verdict"),
    [
        ({"type": "collection"}, "disclosed"),
        ({"type": "document"}, "withheld"),
        ({"type": "transaction"}, "withheld"),
        ({"type": "message"}, "withheld"),
        ({"type": "collection", "signature": {"data": "eA=="}}, "withheld"),
    ],
    ids=str,
)
def test_a_bundle_in_a_bundle_goes_in_part_or_not_at_all(inner, verdict):
    """A document without its head, one act, what is signed: not in part. Untouched, all of them go (L035)."""
    head = {"resourceType": "Composition", "id": "c", "status": "final", "type": {"text": "note"}, "subject": SUBJECT}
    head |= {"date": "2026", "author": [HARBOR], "title": "note"}
    nested = bundle(head, observation(performer=[MERCY]), id="inner", **inner)
    found = verdicts(asked(bundle(nested, observation("beside", performer=[MERCY]))))
    assert (verdict == "withheld") is ("withheld" == found["Bundle/inner"])
    head = {**head, "author": [MERCY]}
    nested = bundle(head, observation(performer=[MERCY]), id="inner", **inner)
    assert "withheld" != verdicts(asked(bundle(nested)))["Bundle/inner"] or "signature" in inner


def test_what_a_bundle_inside_holds_of_nobody_does_not_keep_it():
    """Where all that is about a patient went, places and people beside it go as well; a Bundle of places stays."""
    place = {"resourceType": "Location", "id": "l"}
    found = verdicts(asked(bundle(bundle(hidden(), place, id="inner"), observation(performer=[MERCY]))))
    assert {"withheld"} == {found[name] for name in ("Bundle/inner", "Encounter/hidden", "Location/l")}
    found = verdicts(asked(bundle(bundle(place, id="inner"), observation(performer=[MERCY]))))
    assert {"disclosed"} == set(found.values())


def test_linked_records_are_those_that_links_name():
    """A reference of a Patient that is no link, or of another type, makes nobody the same person (L009)."""
    refusing = consent("deny", {"reference": "Patient/old"})
    linked = {"resourceType": "Patient", "id": "old", "link": [{"other": SUBJECT, "type": "replaces"}]}
    person = {
        "resourceType": "Person",
        "id": "p",
        "link": [{"target": SUBJECT}, {"target": {"reference": "Patient/old"}}],
    }
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True}
    group["member"] = [{"entity": SUBJECT}, {"entity": {"reference": "Patient/old"}}]
    apart = {
        "resourceType": "Patient",
        "id": "old",
        "extension": [{"url": "http://hl7.org/x", "valueReference": SUBJECT}],
    }
    for context, effect in (
        ([linked], "deny"),
        ([{"resourceType": "Patient", "id": "old"}, person], "deny"),
        ([{"resourceType": "Patient", "id": "old"}, group], "permit"),
        ([apart], "permit"),
    ):
        asking = {"profile": "us-hipaa", "context": [ROSA, *context], "consents": [refusing]}
        assert effect == asked(observation(), **asking)["effect"]


def test_what_a_set_names_must_be_of_r4():
    """A type, an element at any depth, one form of a choice; whatever is misspelt is told, in order (L089)."""
    named = {
        "Patient": frozenset({"name", "name.family", "deceased[x]", "contact.name.given", "contact.nam", "dead[x]"}),
        "Observation": frozenset({"component.value[x]", "component.valu[x]", "compo.value[x]", "value[x]"}),
        "Patent": frozenset({"name"}),
        "Contract": frozenset({"term.offer.answer.value[x]", "term.offer.text"}),
    }
    one = MinimumNecessary(**{**msgspec.structs.asdict(next(iter(with_sets().minimum_necessary))), "elements": named})
    policy = msgspec.structs.replace(with_sets(), minimum_necessary=(one,))
    elements = next(iter(SHELF.tools.values())).elements
    assert (
        "Observation.compo.value[x]",
        "Observation.component.valu[x]",
        "Patent.name",
        "Patient.contact.nam",
        "Patient.dead[x]",
    ) == misnamed(policy, elements)


def with_sets():
    """A profile that has sets of elements."""
    return next(one for one in SHELF.policies.values() if one.minimum_necessary)


def test_links_by_a_urn_and_by_an_id_are_of_one_person():
    """A Bundle's Patient goes by the entry's urn and by its id: a link to either is a link to it (L009)."""
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    refusing = consent("deny", {"reference": "Patient/old"})
    linked = {"resourceType": "Patient", "id": "old", "link": [{"other": {"reference": urn}, "type": "replaces"}]}
    whole = bundle(ROSA, linked, observation())
    whole["entry"][0]["fullUrl"] = urn
    found = asked(whole, profile="us-hipaa", context=[], consents=[refusing])
    assert "withheld" == verdicts(found)["Observation/weight"]


def test_a_record_stands_on_what_r4_requires_of_it():
    """The references it is not valid without; a claim on all of its own, for its lines hang together."""
    elements = next(iter(SHELF.tools.values())).elements
    claim = {"resourceType": "Claim", "id": "c", "patient": SUBJECT, "provider": MERCY, "enterer": MERCY}
    assert ["/patient", "/provider", "/enterer"] == [one.at for one in standing_on(view(claim), elements)]
    order = {
        "resourceType": "ServiceRequest",
        "id": "o",
        "subject": SUBJECT,
        "requester": MERCY,
        "reasonReference": [MERCY],
    }
    assert ["/subject"] == [one.at for one in standing_on(view(order), elements)]
    owned = {"resourceType": "Binary", "id": "b", "securityContext": SUBJECT, "contentType": "text/plain"}
    assert ["/securityContext"] == [one.at for one in standing_on(view(owned), elements)]
