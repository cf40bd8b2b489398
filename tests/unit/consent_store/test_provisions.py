"""What of a provision cannot be read is kept in it: a permit with it never matches, a deny always does."""

import pytest

from consent_store.model import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    Actor,
    Coding,
    Data,
    Effect,
    Identifier,
    Meaning,
    Reference,
)
from consent_store.provisions import HARMLESS
from tests.consents import ACTION, MRN, ROLE, actor, code, concept, deny, good, permit, r4, r4_untyped, r5

UNKNOWN = [{"url": "http://example.org/what", "valueBoolean": True}]


def root(**parts):
    """The root provision of an R4 Consent whose root is a permit with these parts."""
    return good(r4(provision=permit(**parts))).provisions[0]


def nested_deny(**parts):
    """A nested deny with these parts, under a permit."""
    return good(r4(provision=permit(provision=[deny(**parts)]))).provisions[0].nested[0]


def test_every_attribute_of_an_r4_provision_is_read():
    """All attributes land where the model has them, with their codings as written."""
    provision = root(
        period={"start": "2020", "end": "2030-01"},
        actor=[actor("Organization/r")],
        action=[concept(ACTION, "disclose")],
        securityLabel=[code(CONFIDENTIALITY, "N")],
        code=[concept("http://loinc.org", "34133-9")],
        dataPeriod={"start": "2021-01-01"},
        data=[{"meaning": "related", "reference": {"reference": "Encounter/e"}}],
        **{"class": [code("http://hl7.org/fhir/resource-types", "Condition")]},
    )
    assert Effect.PERMIT is provision.type
    assert ("2020", "2030-01") == (provision.period.start.text, provision.period.end.text)
    assert (Actor((Coding(ROLE, "IRCP"),), Reference("Organization/r")),) == provision.actors
    assert ((Coding(ACTION, "disclose"),),) == provision.actions
    assert (Coding(CONFIDENTIALITY, "N"),) == provision.labels
    assert (Coding(ACT_REASON, "TREAT"),) == provision.purposes
    assert (Coding("http://hl7.org/fhir/resource-types", "Condition"),) == provision.classes
    assert ((Coding("http://loinc.org", "34133-9"),),) == provision.codes
    assert "2021-01-01" == provision.data_period.start.text
    assert (Data(Meaning.RELATED, Reference("Encounter/e")),) == provision.data
    assert () == provision.unreadable


def test_r5_classes_are_document_and_resource_types():
    """R5 split R4's class in two; both limit the same thing here."""
    kinds = {"documentType": [code("urn:ietf:bcp:13", "application/pdf")], "resourceType": [code("urn:t", "Condition")]}
    provision = good(r5(provision=[kinds])).provisions[0]
    assert (Coding("urn:ietf:bcp:13", "application/pdf"), Coding("urn:t", "Condition")) == provision.classes


def test_the_order_and_nesting_of_provisions_is_kept():
    """Siblings stay in order at every level."""
    tree = permit(provision=[deny(id="a", provision=[permit(period={"start": "2001"})]), deny(purpose=[])])
    first, second = good(r4(provision=tree)).provisions[0].nested
    assert ("2001", ()) == (first.nested[0].period.start.text, second.nested)


WRONG = [
    ({"actors": []}, "unknown element"),
    ({"purpose": []}, "purpose: empty"),
    ({"purpose": None}, "purpose: empty"),
    ({"purpose": {}}, "purpose: empty"),
    ({"purpose": "TREAT"}, "purpose: not a list"),
    ({"purpose": ["TREAT"]}, "purpose[0]: not an object"),
    ({"purpose": [{"system": ACT_REASON}]}, "purpose[0]: needs a system and a code"),
    ({"purpose": [{"code": "TREAT"}]}, "purpose[0]: needs a system and a code"),
    ({"purpose": [{"system": ACT_REASON, "code": "TREAT "}]}, "purpose[0].code: not a code"),
    ({"purpose": [{"system": ACT_REASON, "code": 5}]}, "purpose[0].code: not a string"),
    ({"purpose": [{"system": ACT_REASON, "code": "TREAT", "sistem": "x"}]}, "purpose[0]: unknown element"),
    ({"securityLabel": [concept(ACT_CODE, "PSY")]}, "securityLabel[0]: unknown element"),
    ({"action": [{"text": "read"}]}, "action[0]: needs a coding"),
    ({"code": [code("http://loinc.org", "1-8")]}, "code[0]: unknown element"),
    ({"period": {"end": "tomorrow"}}, "period.end: not a date"),
    ({"period": {"ende": "2030"}}, "period: unknown element"),
    ({"period": {}}, "period: empty"),
    ({"dataPeriod": "2020"}, "dataPeriod: not an object"),
    ({"data": [{"meaning": "about", "reference": {"reference": "Encounter/e"}}]}, "data[0].meaning: not a code"),
    ({"data": [{"meaning": ["related"], "reference": {"reference": "Encounter/e"}}]}, "data[0].meaning: not a code"),
    ({"data": [{"meaning": "related"}]}, "data[0].reference: not an object"),
    ({"data": [{"meaning": "related", "reference": {"display": "that"}}]}, "data[0].reference: names nothing"),
    ({"actor": [{"reference": {"reference": "Organization/r"}}]}, "actor[0].role: required"),
    ({"actor": [{"role": concept(ROLE, "IRCP")}]}, "actor[0].reference: required"),
    ({"actor": [{**actor("Organization/r"), "role": {"text": "who"}}]}, "actor[0].role: needs a coding"),
    ({"actor": [{**actor("x"), "reference": {"display": "Dr. No"}}]}, "actor[0].reference: names nothing"),
    ({"actor": [{**actor("x"), "reference": {"identifier": {"value": "1"}}}]}, "actor[0].reference: names nothing"),
    ({"actor": [actor("#gone")]}, "actor[0].reference: names nothing contained"),
    ({"modifierExtension": UNKNOWN}, "modifierExtension: unknown modifierExtension"),
    ({"actor": [{**actor("x"), "modifierExtension": UNKNOWN}]}, "actor: unknown modifierExtension"),
]


@pytest.mark.parametrize(("parts", "why"), WRONG)
def test_what_is_wrong_is_kept_with_the_provision(parts, why):
    """In a permit and in a nested deny alike: the Consent is read, the provision says what it cannot tell (L090)."""
    assert any(why in one and one.startswith("provision") for one in root(**parts).unreadable)
    denied = nested_deny(**parts)
    assert any(why in one for one in denied.unreadable)
    assert Effect.DENY is denied.type


def test_a_nested_type_of_no_known_code_denies_always():
    """It may have been a deny: it stays as one that cannot be read."""
    nested = good(r4(provision=deny(provision=[permit(type="permitt")]))).provisions[0].nested[0]
    assert (Effect.DENY, ("provision.provision[0].type: not a code of the required value set",)) == (
        nested.type,
        nested.unreadable,
    )


def test_r4_attributes_in_r5_and_r5_ones_in_r4_are_unknown():
    """A type in R5 and a resourceType in R4 are not read over."""
    assert good(r5(provision=[{"type": "permit"}])).provisions[0].unreadable
    assert root(documentType=[code("urn:x", "y")]).unreadable


def test_an_expression_is_not_supported():
    """R5's expression could limit anything: the provision cannot be evaluated."""
    expression = {"language": "text/fhirpath", "expression": "true"}
    found = good(r5(provision=[{"expression": expression}])).provisions[0]
    assert ("provision[0].expression: not supported",) == found.unreadable


def test_an_r5_actor_may_lack_a_role_or_a_reference_but_not_both():
    """R5 made both optional; one that names nobody is unreadable."""
    alone = good(r5(provision=[{"actor": [{"reference": {"reference": "Organization/r"}}]}])).provisions[0]
    assert ((Actor((), Reference("Organization/r")),), ()) == (alone.actors, alone.unreadable)
    role = good(r5(provision=[{"actor": [{"role": concept(ROLE, "IRCP")}]}])).provisions[0]
    assert ((Actor((Coding(ROLE, "IRCP"),), None),), ()) == (role.actors, role.unreadable)
    assert good(r5(provision=[{"actor": [{"id": "x"}]}])).provisions[0].unreadable


def test_a_contained_actor_is_known_by_each_of_its_identifiers():
    """A contained organisation has no address; whoever has one of its identifiers is meant."""
    inside = {"resourceType": "Organization", "id": "o", "identifier": [{"system": MRN, "value": v} for v in "ab"]}
    consent = good(r4(contained=[inside], provision=permit(actor=[actor("#o")])))
    known = [one.reference.identifier for one in consent.provisions[0].actors]
    assert [Identifier(MRN, "a"), Identifier(MRN, "b")] == known
    assert () == consent.provisions[0].unreadable


PLACES = [
    lambda extension: {"extension": extension},
    lambda extension: {"purpose": [{**code(ACT_REASON, "TREAT"), "extension": extension}]},
    lambda extension: {"actor": [{**actor("Organization/r"), "extension": extension}]},
    lambda extension: {"period": {"start": "2020", "_start": {"extension": extension}}},
    lambda extension: {"_type": {"extension": extension}},
]


@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_extension_makes_a_permit_unreadable_and_leaves_a_deny(place):
    """At any depth: it may limit the permit; a deny is wider without it, and FHIR lets a reader ignore it."""
    assert any("unknown extension" in one for one in root(**place(UNKNOWN)).unreadable)
    assert () == nested_deny(**place(UNKNOWN)).unreadable


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("url", sorted(HARMLESS))
def test_an_extension_that_only_retells_is_harmless(place, url):
    """Translations and renderings change nothing."""
    assert () == root(**place([{"url": url}])).unreadable


def test_extensions_know_the_effect_that_nesting_gives():
    """R5 alternates and an untyped R4 nested rule flips: the permit alone becomes unreadable."""
    plain = {"extension": UNKNOWN}
    denied, permitted = good(r5(decision="permit", provision=[plain])), good(r5(provision=[plain]))
    assert (0, 1) == (len(denied.provisions[0].unreadable), len(permitted.provisions[0].unreadable))
    flipped = good(r4(provision=permit(provision=[plain]))).provisions[0].nested[0]
    assert (None, ()) == (flipped.type, flipped.unreadable)
    untyped = good(r4_untyped("OPTOUT", provision=plain)).provisions[0]
    assert () == untyped.unreadable


@pytest.mark.parametrize(("reason", "readable"), [("not-applicable", True), ("unknown", False), (None, False)])
def test_no_end_date_but_a_reason(reason, readable):
    """`not-applicable` means an event ends it; any other reason leaves a permit without a known end."""
    told = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": reason}
    assert readable is (root(period={"_end": {"extension": [told]}}).unreadable == ())


def test_under_an_unreadable_provision_permits_are_unreadable_and_denies_are_not():
    """A nested permit takes actor, purpose and period from above: where those are unknown it permits nothing."""
    below = [permit(), deny(), {"purpose": [code(ACT_REASON, "HPAYMT")], "provision": [permit()]}]
    first, second, third = root(actors=5, provision=below).nested
    assert ("provision.provision[0]: inside a provision that cannot be read",) == first.unreadable
    assert () == second.unreadable
    assert ((), ()) == (third.unreadable, third.nested[0].unreadable)
