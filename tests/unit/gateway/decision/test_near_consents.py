"""How each consent stands to a record: whether it speaks, and what keeps the whole of it or a provision from it."""

from datetime import UTC, timedelta

import msgspec
import pytest

from consent_store.model import ACT_CODE, ACT_REASON
from gateway.decision.case import Case
from gateway.decision.near_consents import MOST_PROVISIONS, codes, near_consents, people, periods_of, provisions_on
from tests.consent_questions import AT, DIRECTORY, HOSPITAL, ask, exchange, relations, subject, target
from tests.consents import actor, bad, code, concept, good, permit, r4, r5
from tests.questions import SHELF

POLICY = msgspec.structs.replace(SHELF.policies["base"], zone=UTC)
OF_PSY = {"securityLabel": [code(ACT_CODE, "PSY")]}


def case(*consents, labels=(), stated=None, about=None, asked=None):
    """The hospital discloses a record of the patient's to the plan, for treatment; the consents were asked."""
    about, asked = about or target(None, *labels), asked or exchange()
    who = msgspec.structs.replace(subject(), consents=consents, stated=stated or {})
    said = ask(*consents, about=about, asked=asked)
    return Case(
        policy=POLICY,
        directory=DIRECTORY,
        exchange=asked,
        relations=relations(),
        subject=who,
        target=about,
        consents=said,
    )


def near(tree, **more):
    """How the only consent stands: whether it speaks, with which effect, and why not, of the whole and of each part."""
    one = good(tree) if isinstance(tree, dict) else tree
    (found,) = near_consents(case(one, **more))
    parts = [(part.path, part.effect, [why.lack.value for why in part.why]) for part in found.provisions]
    return found.speaks, found.effect, [why.lack.value for why in found.why], parts


def test_one_that_speaks_says_so_and_no_more():
    """A permit and a refusal that decide; nothing keeps them."""
    assert (True, "permit", [], []) == near(r4())
    assert (True, "deny", [], []) == near(r4(provision={"type": "deny"}))


def test_of_nobody_there_are_no_consents():
    """A record without a patient has none, and those that speak stand first, then by name."""
    assert () == near_consents(msgspec.structs.replace(case(good(r4())), subject=None))
    silent = good(r4(id="a", status="inactive"))
    speaking = [good(r4(id=one)) for one in ("c", "b")]
    found = near_consents(case(silent, *speaking))
    assert [("Consent/b", True), ("Consent/c", True), ("Consent/a", False)] == [(one.name, one.speaks) for one in found]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("inactive", "it was revoked (inactive)"),
        ("entered-in-error", "it was entered in error"),
        ("rejected", "it was rejected"),
        ("draft", "it is not in force yet (draft)"),
        ("proposed", "it is not in force yet (proposed)"),
    ],
)
def test_one_that_is_not_active_says_how(status, words):
    """And what it would say if it were."""
    (found,) = near_consents(case(good(r4(status=status))))
    assert (False, "permit", [words]) == (found.speaks, found.effect, [why.say for why in found.why])
    assert [("", ())] == [(part.path, part.why) for part in found.provisions] or [()] == [
        part.why for part in found.provisions
    ]


def test_what_cannot_be_read_refuses_and_says_why():
    """A text that is no Consent, and one of which a part cannot be evaluated."""
    unreadable = bad(r4(modifierExtension=[{"url": "urn:x"}]) | {"dateTime": 7})
    (found,) = near_consents(case(unreadable))
    assert (True, "deny") == (found.speaks, found.effect)
    older = msgspec.structs.replace(case(unreadable), consents=ask())
    (silent,) = near_consents(older)
    assert (False, "deny") == (silent.speaks, silent.effect)
    assert silent.why[0].say.startswith("it cannot be read: ")


@pytest.mark.parametrize(
    ("tree", "lack"),
    [
        (r4(provision=permit(period={"end": "2025-02-28"})), "expired"),
        (r4(provision=permit(period={"start": "2025-03-02"})), "not_yet"),
        (r4(provision=permit(period={"start": "2025-03-01T12:00:00Z", "end": "2024-01-01"})), "period_in_doubt"),
        (r4(provision=permit(purpose=[code(ACT_REASON, "HPAYMT")])), "purpose_not_covered"),
        (r4(provision=permit(actor=[actor("Organization/o9")])), "recipient_not_named"),
        (r4(provision=permit(actor=[actor("Group/nobody-knows")])), "recipient_not_named"),
        (r4(provision=permit(actor=[actor("Organization/o9", "CST")])), "discloser_not_named"),
        (r4(organization=[{"reference": "Organization/o9"}]), "other_custodian"),
        (r4(provision=permit(action=[concept("urn:x", "collect")])), "action_not_covered"),
        (r4(provision=permit(**{"class": [code("http://hl7.org/fhir/resource-types", "Claim")]})), "class_not_covered"),
        (r4(provision=permit(code=[concept("http://loinc.org", "1-8")])), "codes_not_covered"),
        (r4(provision=permit(dataPeriod={"end": "2019"})), "dates_not_covered"),
        (
            r4(provision=permit(data=[{"meaning": "instance", "reference": {"reference": "Claim/1"}}])),
            "data_not_covered",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_permit_says_what_keeps_it(tree, lack):
    """One thing is missing: that one is named and no other."""
    found = near_consents(case(good(tree)))
    lacking = [why.lack.value for one in found for why in (*one.why, *(w for part in one.provisions for w in part.why))]
    assert [lack] == lacking


def test_a_refusal_says_what_keeps_it_likewise():
    """One for another label, purpose and party does not speak, each of which is named; one in doubt would."""
    apart = {"type": "deny", **OF_PSY, "purpose": [code(ACT_REASON, "HRESCH")], "actor": [actor("Organization/o9")]}
    speaks, effect, _, parts = near(r4(provision=apart))
    assert (False, "deny") == (speaks, effect)
    assert {"labels_not_covered", "purpose_not_covered", "recipient_not_named"} == set(parts[0][2])
    in_doubt = {"type": "deny", "actor": [actor("Group/nobody-knows")]}
    assert near(r4(provision=in_doubt))[0]


def test_recipients_who_may_be_others_are_told_so():
    """In words: a group that nobody resolved, and a party that is known to be another."""
    for who, words in (
        ("Group/nobody-knows", "names recipients who may be others"),
        ("Organization/o9", "names other recipients"),
    ):
        (found,) = near_consents(case(good(r4(provision=permit(actor=[actor(who)])))))
        assert [f"it {words} ({who})"] == [why.say for part in found.provisions for why in part.why]


def test_what_is_out_of_scope_or_not_verified_is_said_of_the_whole():
    """Research is not privacy; a consent that was not verified permits nothing."""
    assert ["scope"] == near(r4(scope=concept("urn:x", "odd")))[2]
    assert "verification" in near(r4(verification=[{"verified": False}]))[2]


def test_an_actor_in_an_unknown_role_keeps_a_permit_and_no_refusal():
    """Who an actor is there for is not known: nothing is permitted by it."""
    assert ["unknown_role"] == [
        lack for part in near(r4(provision=permit(actor=[actor("Organization/o7", "odd")])))[3] for lack in part[2]
    ]


def test_a_nested_provision_lacks_what_it_stands_in_lacks():
    """It says so beside its own; each has its place, the one that lacks least first."""
    inner = {"type": "permit", "actor": [actor("Organization/o9")]}
    outer = permit(period={"end": "2025-02-28"}, provision=[inner, {"type": "permit"}])
    parts = near(r4(provision=outer))[3]
    assert ["provision[0]", "provision[0].provision[0]", "provision[0].provision[1]"] == sorted(
        path for path, _, _ in parts
    )
    lacks = {path: why for path, _, why in parts}
    assert ["expired"] == lacks["provision[0]"]
    assert "recipient_not_named" in lacks["provision[0].provision[0]"]
    assert sorted(len(why) for _, _, why in parts) == [len(why) for _, _, why in parts]


def test_of_many_provisions_the_nearest_are_told():
    """A bound on what is told; the one that lacks least is among them."""
    far = [
        {"type": "permit", "actor": [actor("Organization/o9")], "dataPeriod": {"end": "2019"}}
        for _ in range(MOST_PROVISIONS)
    ]
    near_one = {"type": "permit", "actor": [actor("Organization/o9")]}
    parts = near(
        r4(provision={"type": "deny", "purpose": [code(ACT_REASON, "HRESCH")], "provision": [*far, near_one]})
    )[3]
    assert MOST_PROVISIONS == len(parts)
    assert f"provision[0].provision[{MOST_PROVISIONS}]" in [path for path, _, _ in parts]


def test_a_consent_of_r5_has_its_base_and_its_exceptions():
    """The base "" and each exception, with what keeps it."""
    speaks, effect, _, parts = near(r5(provision=[{"purpose": [code(ACT_REASON, "HRESCH")]}]))
    assert (True, "deny") == (speaks, effect)
    late = r5(status="inactive", provision=[{"purpose": [code(ACT_REASON, "HRESCH")]}])
    parts = {path: (effect, why) for path, effect, why in near(late)[3]}
    assert ("permit", ["purpose_not_covered"]) == parts["provision[0]"]


def test_an_older_one_of_its_kind_is_overtaken_and_a_permit_beside_a_refusal_outweighed():
    """By name, and by what was said instead."""
    older = good(r4(id="older", dateTime="2023", provision={"type": "deny"}))
    newer = good(r4(id="newer"))
    (_, found) = near_consents(case(older, newer))
    assert [("superseded", "it is older than one of its kind that speaks: Consent/newer")] == [
        (why.lack.value, why.say) for why in found.why
    ]
    refusing = good(r4(id="refusing", provision={"type": "deny"}, policy=[{"uri": "urn:other"}]))
    told = {one.name: one for one in near_consents(case(newer, refusing))}
    assert [("outweighed", "it permits, but a refusal outweighs it: Consent/refusing")] == [
        (why.lack.value, why.say) for why in told["Consent/newer"].why
    ]
    assert (True, False) == (told["Consent/refusing"].speaks, told["Consent/newer"].speaks)


def test_a_permit_that_is_void_says_so():
    """Of one without capacity to give it."""
    (found,) = near_consents(case(good(r4()), stated={"subject_has_capacity": False}))
    assert ["void"] == [why.lack.value for why in found.why]


def test_a_permit_of_a_program_s_record_says_what_it_lacks():
    """Of 42 CFR 2.31; of another record it lacks nothing."""
    given = r4(provision=permit(securityLabel=[code(ACT_CODE, "42CFRPart2")]))
    lacks = near(given, labels=("42CFRPart2",))[2]
    assert {"not_part2"} == set(lacks)
    assert [] == near(r4(), labels=())[2]


def test_where_a_provision_stands_and_which_periods_must_run():
    """From the outermost to the one meant; a place that is not there ends the way."""
    tree = r4(
        provision=permit(
            period={"end": "2030"}, provision=[{"type": "deny"}, {"type": "permit", "period": {"end": "2031"}}]
        )
    )
    consent = good(tree)
    path = "provision[0].provision[1]"
    assert ["provision[0]", path] == [at for at, _ in provisions_on(consent, path)]
    assert [] == [*provisions_on(consent, "")] == [*provisions_on(consent, "provision[1]")]
    assert ["provision[0]"] == [at for at, _ in provisions_on(consent, "provision[0].provision[2]")]
    assert [("provision[0]", "2030"), (path, "2031")] == [(at, one.end.text) for at, one in periods_of(consent, path)]
    whole = good(r5(period={"end": "2029"}))
    assert [("", "2029")] == [(at, one.end.text) for at, one in periods_of(whole, "")]


def test_codes_and_people_are_told_as_they_are_written():
    """A party by reference, else by number, else as nobody; each once."""
    (rule,) = good(r4(provision=permit(actor=[actor("Organization/o9"), actor("Organization/o9")]))).provisions
    named = [one.reference for one in rule.actors]
    numbered = msgspec.structs.replace(named[0], reference=None, identifier=next(iter(HOSPITAL.identifiers)))
    nobody = msgspec.structs.replace(named[0], reference=None, identifier=None)
    assert "Organization/o9, http://hl7.org/fhir/sid/us-npi|1, nobody who could be read" == people(
        [*named, numbered, nobody]
    )
    assert "TREAT, ?" == codes((rule.purposes[0], msgspec.structs.replace(rule.purposes[0], code=None)))


DISCLOSE = concept("http://terminology.hl7.org/CodeSystem/consentaction", "disclose")


def test_what_fits_is_not_named_beside_what_does_not():
    """Purpose, action, parties and data all fit, and it is over: that alone is told."""
    fitting = {
        "purpose": [code(ACT_REASON, "TREAT"), code(ACT_REASON, "HPAYMT")],
        "action": [DISCLOSE],
        "actor": [actor("Organization/o7"), actor("Organization/o1", "CST")],
        "class": [code("http://hl7.org/fhir/resource-types", "Observation")],
        "code": [concept("http://loinc.org", "2339-0")],
        "securityLabel": [code("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R")],
    }
    assert (True, "permit", [], []) == near(r4(provision={"type": "permit", **fitting}))
    over = {"type": "permit", **fitting, "period": {"end": "2025-02-28"}}
    assert [["expired"]] == [why for _, _, why in near(r4(provision=over))[3]]
    denying = {"type": "deny", **fitting, "period": {"end": "2025-02-28"}}
    del denying["securityLabel"]
    assert [["expired"]] == [why for _, _, why in near(r4(provision=denying))[3]]


@pytest.mark.parametrize(
    "odd", [{"foo": 1}, {"modifierExtension": [{"url": "urn:x"}]}, {"securityLabel": [{"display": "x"}]}]
)
def test_a_permit_that_cannot_be_read_whole_says_so(odd):
    """Nothing of it permits; the same in a refusal does not keep it from refusing."""
    assert [["not_evaluable"]] == [why for _, _, why in near(r4(provision=permit(**odd)))[3]]
    assert near(r4(provision={"type": "deny", **odd}))[0]


def test_an_inactive_one_that_could_not_be_evaluated_is_a_refusal_that_sleeps():
    """It says why, and that it would refuse if it were active."""
    sleeping = msgspec.structs.replace(bad(r4(modifierExtension=[{"url": "urn:x"}])))
    found = near_consents(msgspec.structs.replace(case(sleeping), consents=ask()))
    assert [(False, "deny")] == [(one.speaks, one.effect) for one in found]


def test_provisions_that_lack_as_much_stand_in_the_order_of_their_places():
    """Those that lack less first."""
    apart = {"type": "permit", "actor": [actor("Organization/o9")]}
    outer = {"type": "deny", "purpose": [code(ACT_REASON, "HRESCH")], "provision": [apart, apart, {"type": "permit"}]}
    parts = [(len(why), path) for path, _, why in near(r4(provision=outer))[3]]
    assert sorted(parts) == parts
    assert 4 == len(parts)


def test_where_no_zone_is_known_a_day_may_have_ended():
    """It is told to be in doubt, not to be over."""
    limited = good(r4(provision=permit(period={"end": "2025-03-01"})))
    open_ = msgspec.structs.replace(case(limited), policy=msgspec.structs.replace(POLICY, zone=None))
    found = near_consents(msgspec.structs.replace(open_, consents=ask(limited, zone=None)))
    assert ["period_in_doubt"] == [why.lack.value for part in found[0].provisions for why in part.why]


@pytest.mark.parametrize(
    "tree",
    [
        r4(status="inactive", provision={"purpose": [code(ACT_REASON, "TREAT")]}),
        r4(status="inactive", provision=None),
        r5(status="inactive", decision=None),
    ],
    ids=["conditions without a type", "no provision", "no decision"],
)
def test_one_that_sleeps_and_could_not_be_evaluated_would_refuse(tree):
    """Made active again it would keep everything back: it says so."""
    assert (False, "deny", ["not_active", "not_evaluable"], []) == near(tree)


def test_a_refusal_addressed_to_another_custodian_is_not_kept_by_that():
    """Whoever holds the record keeps to it; what keeps it is told alone."""
    apart = {"type": "deny", "purpose": [code(ACT_REASON, "HRESCH")]}
    found = near(r4(provision=apart, organization=[{"reference": "Organization/o9"}]))
    assert [["purpose_not_covered"]] == [why for _, _, why in found[3]]


def test_at_the_instant_at_which_it_ends_it_is_over():
    """Its last second is its own; the next is not."""
    limited = good(r4(provision=permit(period={"end": "2025-03-01T12:00:00Z"})))
    then = msgspec.structs.replace(exchange(), at=AT + timedelta(seconds=1))
    assert near_consents(case(limited))[0].speaks
    (found,) = near_consents(case(limited, asked=then))
    assert ["expired"] == [why.lack.value for part in found.provisions for why in part.why]
