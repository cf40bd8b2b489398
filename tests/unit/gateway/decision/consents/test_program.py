"""One program asked about many resources: what is kept from one to the next never shows, and is bounded."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_store.model import Coding
from gateway.decision.consents import program as programs
from gateway.decision.model import Answer
from tests.consent_questions import AT, LOINC, ask, observation, period, program, target
from tests.consents import ACT_CODE, code, concept, deny, good, permit, r4

DAYS = ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01", "2020", "2020-01-02T00:00:00Z", "2020-01-02T12:00:00Z"]
DATES = st.sampled_from([None, *DAYS])
PERIODS = st.tuples(DATES, DATES)


def stated(start, end):
    """A dataPeriod."""
    return {name: date for name, date in (("start", start), ("end", end)) if date is not None}


@given(
    st.lists(PERIODS.filter(any), min_size=1, max_size=4),
    st.lists(PERIODS, min_size=1, max_size=8),
    st.sampled_from([None, UTC]),
)
def test_dates_at_the_bounds_of_a_period_are_told_apart(rules, records, zone):
    """Whatever was asked before, of each record it is said what is said of it alone."""
    consents = [
        good(
            r4(
                id=f"c{number}",
                dateTime=f"2020-01-0{number + 1}",
                provision={"type": ("permit", "deny")[number % 2], "dataPeriod": stated(*rule)},
            )
        )
        for number, rule in enumerate(rules)
    ]
    together = program(*consents, zone=zone)
    for dates in (*records, *records):
        one = target(dates=period(*dates))
        assert program(*consents, zone=zone).decide(one) == together.decide(one)


def labelled(number, **parts):
    """A refusal of one label and code, with parts of its own."""
    return deny(securityLabel=[code(ACT_CODE, "HIV")], code=[concept(LOINC, f"{number}-1")], **parts)


@pytest.mark.parametrize("exceptions", [3, 70], ids=["few conditions", "many"])
def test_what_a_consent_said_is_kept_within_bounds(monkeypatch, exceptions):
    """Of ever new resources: answers and rules are forgotten, and stay the same."""
    monkeypatch.setattr(programs, "MOST", 5)
    monkeypatch.setattr(programs, "_ANSWERS_KEPT", 3)
    consent = good(r4(provision=permit(provision=[labelled(number) for number in range(exceptions)])))
    asked = program(consent)
    for number in [*range(2 * exceptions), *range(2 * exceptions)]:
        record = observation(code={"coding": [{"system": LOINC, "code": f"{number}-1"}]})
        hidden = Answer.DENY if number < exceptions else Answer.PERMIT
        assert hidden is asked.decide(target(record, "HIV")).answer
        assert Answer.PERMIT is asked.decide(target(record)).answer
        asked.settled.forget()
        assert 3 >= len(asked.settled._answers)
        assert 5 >= sum(len(voice.memory) for voice in asked.settled._voices)


@pytest.mark.parametrize(
    ("older", "newer", "answer"),
    [
        ("2020-01-01", "2020-01-02", Answer.PERMIT),
        ("2020-01-02", "2020-01-02", Answer.DENY),
        ("2020-01-02", "2020-01", Answer.DENY),
        ("2020-01", "2020-02-01", Answer.PERMIT),
        ("2020", "2020-02-01", Answer.DENY),
    ],
)
@pytest.mark.parametrize("beside", [(), ("2019-01-01",), ("2019",)], ids=["two", "three", "four"])
def test_a_consent_is_silenced_by_what_is_surely_newer_alone(older, newer, answer, beside):
    """However many others of its group there are, which are older still; a deny of the same time counts."""
    dated = [(older, "deny"), (newer, "permit"), *[(date, "permit") for date in beside]]
    consents = [
        good(r4(id=f"c{number}", dateTime=date, provision={"type": kind})) for number, (date, kind) in enumerate(dated)
    ]
    assert answer is ask(*consents).answer
    turned = [
        good(r4(id=f"c{number}", dateTime=date, provision={"type": {"deny": "permit", "permit": "deny"}[kind]}))
        for number, (date, kind) in enumerate(dated)
    ]
    assert Answer.DENY is ask(*turned).answer


def test_what_was_settled_holds_from_its_instant_until_a_period_ends():
    """Not before, though nothing ends until then, and not from the end on."""
    settled = program(good(r4(provision=permit(period={"end": "2026"})))).settled
    ends = datetime(2027, 1, 1, tzinfo=UTC)
    assert (AT, ends) == (settled.since, settled.valid_until)
    held = [settled.holds_at(at) for at in (AT - timedelta(seconds=1), AT, ends - timedelta(seconds=1), ends)]
    assert [False, True, True, False] == held


@pytest.mark.parametrize("first", ["#inside", "not a reference", "Observation/other"])
def test_a_record_is_found_beside_what_names_nothing(first):
    """Of several records that a provision names, whichever stands first."""
    data = [{"meaning": "instance", "reference": {"reference": one}} for one in (first, "Observation/obs1")]
    refusing = {"type": "deny", "data": [{"meaning": "instance", "reference": {"reference": "Observation/elsewhere"}}]}
    consents = [
        good(r4(id="c1", provision={"type": "permit", "data": data})),
        good(r4(id="c2", policy=[{"uri": "urn:other"}], provision=refusing)),
    ]
    assert Answer.PERMIT is ask(*consents).answer


def test_a_tag_covers_its_codes_where_it_is_carried_however_many_consents_there_are():
    """A permit of Part 2 records covers their SUD codes; of records without the tag it does not (labels.md)."""
    labels = [[code(ACT_CODE, "42CFRPart2")], *([code(ACT_CODE, one)] for one in ("HIV", "PSY", "ETH", "SDV"))]
    consents = [
        good(r4(id=f"c{number}", provision={"type": "permit", "securityLabel": one}))
        for number, one in enumerate(labels)
    ]
    assert Answer.PERMIT is ask(*consents, about=target(None, "42CFRPart2", "ETHUD")).answer
    assert Answer.NOT_APPLICABLE is ask(*consents, about=target(None, "ETHUD")).answer
    assert Answer.NOT_APPLICABLE is ask(*consents, about=target(None, "42CFRPart2", "SICKLE")).answer


@pytest.mark.parametrize("turned", [False, True])
def test_a_label_of_no_kind_we_know_is_told_apart_from_record_to_record(turned):
    """Two records with the same sensitivities, of which one carries it: whichever is asked about first."""
    mark = Coding("urn:example:labels", "X")
    refusing = {"type": "deny", "securityLabel": [code(mark.system, mark.code)]}
    asked = program(good(r4(provision=permit(provision=[refusing]))))
    told = [(target(None, mark), Answer.DENY), (target(), Answer.PERMIT), (target(None, "N"), Answer.PERMIT)]
    for record, answer in reversed(told) if turned else told:
        assert answer is asked.decide(msgspec.structs.replace(record, labels=known(record.labels))).answer


def known(labels):
    """The same labels, of which nothing is unknown."""
    return msgspec.structs.replace(labels, unknown=False)


def dated(*lines):
    """Consents of one group: each a date and an effect, named in their order."""
    return [
        good(r4(id=f"c{number}", dateTime=date, provision={"type": kind})) for number, (date, kind) in enumerate(lines)
    ]


def speaking(*lines):
    """What they answer, and by which of them."""
    answer = ask(*dated(*lines))
    return answer.answer, {cause.consent.partition("#")[0].removeprefix("Consent/") for cause in answer.causes}


def test_one_that_may_be_as_new_speaks_though_surely_older_ones_stand_between():
    """`2020-06` may be the fifteenth: its refusal counts beside the permit of that day, and beside another refusal."""
    between = [("2020-06-12", "deny"), ("2020-06-10", "permit"), ("2020-06", "deny")]
    assert (Answer.DENY, {"c3"}) == speaking(("2020-06-15", "permit"), *between)
    assert (Answer.DENY, {"c0", "c3"}) == speaking(("2020-06-15", "deny"), *between)
    assert (Answer.PERMIT, {"c0"}) == speaking(("2020-06-15", "permit"), *between[:2])
    assert (Answer.DENY, {"c0"}) == speaking(("2020-07-01", "deny"), *between)


def test_permits_add_up_as_far_back_as_the_newest_refusal():
    """Those that stand are told, newest first; what is older than a refusal does not."""
    lines = [("2020-06-15", "permit"), ("2020-06-12", "permit"), ("2020-06-10", "deny"), ("2020-06-08", "permit")]
    assert ["c0", "c1"] == [permit.consent.id for permit in ask(*dated(*lines)).permitting]
    lines.insert(2, ("2020-06", "permit"))
    assert ["c0", "c2"] == [permit.consent.id for permit in ask(*dated(*lines)).permitting if permit.consent.id != "c1"]


@pytest.mark.parametrize("turned", [False, True])
def test_types_profiles_and_documents_are_told_apart_from_record_to_record(turned):
    """Of records alike in all else, the one of the class that is refused is refused, whichever comes first."""
    types, profile = "http://hl7.org/fhir/resource-types", "http://example.org/StructureDefinition/own"
    refused = [code(types, "Condition"), {"system": "urn:ietf:rfc:3986", "code": profile}, code(LOINC, "11488-4")]
    asked = program(good(r4(provision=permit(provision=[{"type": "deny", "class": refused}]))))
    noted = {"resourceType": "DocumentReference", "status": "current", "subject": {"reference": "Patient/1"}}
    records = [
        ({"resourceType": "Procedure", "id": "x"}, Answer.PERMIT),
        ({"resourceType": "Condition", "id": "x"}, Answer.DENY),
        ({"resourceType": "Procedure", "id": "x", "meta": {"profile": [profile]}}, Answer.DENY),
        (noted, Answer.PERMIT),
        (noted | {"type": {"coding": [{"system": LOINC, "code": "11488-4"}]}}, Answer.DENY),
    ]
    for record, answer in reversed(records) if turned else records:
        assert answer is asked.decide(target(record)).answer, record
