"""The small print of the readers and the API's checks: what once could be changed without a test noticing."""

import copy
from datetime import UTC, datetime, timedelta, timezone

import pytest

from consent_store.dates import Period, parse_date
from consent_store.model import CONFIDENTIALITY, Expiry, Identifier
from consent_store.validate import CONSENT_ACTION, CONSENT_SCOPE, KnownCodes, refusals
from tests.consents import ACTION, MRN, actor, bad, code, concept, deny, good, permit, r4, r4_untyped, r5, text

TYPES = "http://hl7.org/fhir/resource-types"
CONDITIONS = {
    "action": [concept(ACTION, "access")],
    "securityLabel": [code(CONFIDENTIALITY, "N")],
    "purpose": [code("urn:x", "y")],
    "class": [code(TYPES, "Observation")],
    "code": [concept("urn:x", "y")],
    "dataPeriod": {"start": "2024"},
    "data": [{"meaning": "instance", "reference": {"reference": "Observation/1"}}],
    "actor": [actor("Organization/1")],
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_an_untyped_root_with_a_condition_has_no_base(name):
    """Nobody can tell whether it is a context or the exception (rule 2 of the reader)."""
    assert good(r4_untyped(provision={name: CONDITIONS[name]})).base is None
    assert good(r4_untyped(provision={"period": {"start": "2024"}, "actor": [actor("Organization/1", "CST")]})).base


@pytest.mark.parametrize("name", ["action", "code"])
def test_a_concept_without_a_code_of_a_system_limits_nothing_that_can_be_told(name):
    """Text alone is for people."""
    (rule,) = good(r4(provision=permit(**{name: [{"text": "anything"}]}))).provisions
    assert (f"provision.{name}[0]: needs a coding with a system and a code",) == rule.unreadable


def test_a_concept_that_is_no_object_is_kept_as_unreadable():
    """It never raises, and never reads as "any"."""
    (rule,) = good(r4(provision=permit(code=[7], action=["access"]))).provisions
    assert 2 == len(rule.unreadable)


def test_a_misspelt_provision_is_a_lost_exception():
    """`provisions` with nothing but a type may be a deny: the whole cannot be read. Other names spoil their rule."""
    assert "may hold provisions" in bad(r4(provision=permit(provisions=[{"type": "deny"}]))).why
    assert "may hold provisions" in bad(r4(provision=permit(exception=[deny()]))).why
    (rule,) = good(r4(provision=permit(purposes=["TREAT"]))).provisions
    assert ("provision: unknown element",) == rule.unreadable


def test_an_extension_in_an_unknown_element_does_not_speak_twice():
    """What is unknown is said once; an extension inside a nested provision is that provision's."""
    inner = deny(extension=[{"url": "http://example.org/x", "valueCode": "y"}])
    (rule,) = good(r4(provision=permit(provision=[inner]))).provisions
    assert ((), ()) == (rule.unreadable, rule.nested[0].unreadable)


def test_an_expiry_by_event_says_nothing_else():
    """More than the reason beside the missing end is something nobody knows."""
    reason = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "not-applicable"}
    told = {"start": "2024", "_end": {"extension": [reason]}}
    assert Expiry.EVENT is good(r4(provision=permit(period=told))).expiry
    more = {"start": "2024", "_end": {"extension": [{**reason, "id": "x"}]}}
    assert Expiry.UNSTATED is good(r4(provision=permit(period=more))).expiry


def test_a_title_is_no_source():
    """An attachment holds something, or says where it is; without either nothing was signed."""
    for empty in ({"title": "signed form"}, {"title": "signed form", "data": 7}):
        assert not good(r4(sourceAttachment=empty)).source_attached
        assert not good(r5(sourceAttachment=[empty])).source_attached
    assert good(r4(sourceAttachment={"url": "Binary/form"})).source_attached
    assert good(r5(sourceAttachment=[{"title": "x"}, {"data": "AAAA"}])).source_attached


def test_an_identifier_needs_text_for_system_and_value():
    """Numbers and lists identify nobody."""
    contained = {"resourceType": "Patient", "id": "p", "identifier": [{"system": MRN, "value": 7}, {"system": MRN}]}
    patient = {"reference": "#p", "identifier": {"system": MRN, "value": "1"}}
    consent = good(r4(patient=patient, contained=[contained, "no resource"]))
    assert (Identifier(MRN, "1"),) == consent.patient_identifiers


def test_a_custodian_that_names_nobody_is_no_fault():
    """A display alone limits to nobody, and is no reason not to read the rest."""
    assert 1 == len(good(r4(organization=[{"display": "Mercy"}])).custodians)
    said = {"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Consent.manager"}
    assert 2 == len(good(r4(extension=[{**said, "valueReference": {"display": "Mercy"}}])).custodians)


def test_the_policy_of_r5_may_be_named_by_reference_and_may_not_be_modified():
    """policyBasis.reference names it where there is no url."""
    named = {"reference": {"reference": "Basic/policy"}}
    assert ("Basic/policy",) == good(r5(policyBasis=named)).policies
    assert ("urn:p",) == good(r5(policyBasis={**named, "url": "urn:p"})).policies
    assert () == good(r5(policyBasis={"reference": {"display": "the policy"}})).policies
    modified = {"url": "urn:p", "modifierExtension": [{"url": "http://example.org/x", "valueCode": "y"}]}
    assert "policyBasis.modifierExtension: not understood" in bad(r5(policyBasis=modified)).why


def test_of_a_broken_text_only_the_outermost_members_are_read():
    """What stands deeper, or is said by a nested name, is nobody's."""
    inner = b'{"resourceType":"Consent","x":{"patient":{"reference":"Patient/2"}},"patient":{"reference":"Patient/1"},}'
    assert "1" == bad(inner).patient.id
    assert "" == bad(b'[{"resourceType":"Consent","patient":{"reference":"Patient/1"}},').patient.id
    assert "" == bad(inner.replace(b',"patient":{"reference":"Patient/1"},', b",")).patient.id


@pytest.mark.parametrize(
    ("system", "codes"),
    [
        (CONSENT_SCOPE, "adr patient-privacy research treatment"),
        (CONSENT_ACTION, "access collect correct disclose use"),
        (CONFIDENTIALITY, "U L M N R V"),
    ],
)
def test_every_code_of_a_small_system_is_known(system, codes):
    """As published; another one is not."""
    known = KnownCodes()
    assert all(known.lists(system, one) for one in codes.split())
    assert not any(known.lists(system, one) for one in ("X", "", None, 7))
    assert known.lists("urn:local", "X")
    assert known.lists(None, "X")


def test_a_refusal_names_the_patient_as_the_version_calls_it():
    """Consent.patient in R4, Consent.subject in R5."""
    for tree, version, name in ((r4(patient=None), "4.0", "patient"), (r5(subject=None), "5.0", "subject")):
        assert f"Consent.{name}" in {one.path for one in refusals(text(tree), version, KnownCodes())}


def test_what_extensions_and_texts_hold_is_not_checked():
    """Other people's extensions may use other people's codes."""
    odd = {"url": "http://example.org/x", "valueCoding": {"system": CONFIDENTIALITY, "code": "odd"}}
    assert () == refusals(text(r4(extension=[odd], verification=[{"verified": True}])), "4.0", KnownCodes())


@pytest.mark.parametrize("offset", ["+14:01", "-14:30", "+14:59", "+15:00", "+00:60"])
def test_an_offset_that_no_zone_has_is_no_date(offset):
    """R4 datatypes: an offset goes to 14:00 and no further."""
    with pytest.raises(ValueError, match="not a FHIR offset"):
        parse_date(f"2025-05-10T12:00:00{offset}")


def test_the_ends_of_the_calendar_stay_in_it():
    """The first and the last day, read in the zones where they lie outside."""
    first, last = parse_date("0001-01-01"), parse_date("9999-12-31")
    assert datetime.min.replace(tzinfo=UTC) == first.first(timezone(timedelta(hours=14)), wide=False)
    assert datetime.max.replace(tzinfo=UTC) == last.after(timezone(timedelta(hours=-12)), wide=False)


def test_a_period_covers_what_lies_between_its_bounds():
    """Inclusive as written; open where nothing is said; nothing where it ends before it starts."""
    may = Period(parse_date("2025-05"), parse_date("2025-05"))
    days = {4: False, 5: True, 6: False}
    for month, inside in days.items():
        assert inside == may.covers(datetime(2025, month, 15, tzinfo=UTC), UTC, wide=False)
    assert Period(None, parse_date("2025")).covers(datetime(2025, 12, 31, tzinfo=UTC), UTC, wide=True)
    assert not Period(None, parse_date("2025")).covers(datetime(2026, 1, 1, tzinfo=UTC), UTC, wide=True)
    assert Period(parse_date("2025"), None).covers(datetime(2025, 1, 1, tzinfo=UTC), UTC, wide=True)
    assert not Period(parse_date("2025"), None).covers(datetime(2024, 12, 31, tzinfo=UTC), UTC, wide=True)
    backwards = Period(parse_date("2025-06"), parse_date("2025-05"))
    assert not any(backwards.covers(datetime(2025, month, 15, tzinfo=UTC), None, wide=True) for month in (5, 6))


def test_without_a_zone_a_day_is_wide_or_narrow():
    """wide: from its first beginning on earth to its last end; narrow: what is that day everywhere."""
    day = Period(parse_date("2025-05-10"), parse_date("2025-05-10"))
    for hour, wide, narrow in ((-15, False, False), (-13, True, False), (10, True, False), (37, False, False)):
        at = datetime(2025, 5, 10, tzinfo=UTC) + timedelta(hours=hour)
        assert (wide, narrow) == (day.covers(at, None, wide=True), day.covers(at, None, wide=False))


def structures(node, at=()):
    """Every object inside a tree, by where it stands."""
    if isinstance(node, dict):
        yield from (() if not at else (at,))
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, inner in pairs:
        yield from structures(inner, (*at, name))


WHOLE = r4(
    provision=permit(period={"start": "2024"}, **CONDITIONS, provision=[deny()]),
    patient={"reference": "Patient/1", "identifier": {"system": MRN, "value": "1"}},
    verification=[{"verified": True}],
)


@pytest.mark.parametrize("at", [*structures(WHOLE)], ids=lambda at: ".".join(map(str, at)))
def test_every_structure_may_have_an_id(at):
    """R4 gives every element one: it limits nothing, and costs no reader anything."""
    tree = copy.deepcopy(WHOLE)
    inner = tree
    for step in at:
        inner = inner[step]
    inner["id"] = "e1"
    (root,) = good(tree).provisions
    assert ((), ()) == (root.unreadable, root.nested[0].unreadable)
