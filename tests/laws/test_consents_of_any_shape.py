"""Whatever a consent holds, the engine answers and never raises."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from consent_store.dates import Period, parse_date
from consent_store.model import (
    Actor,
    Coding,
    Consent,
    Data,
    Effect,
    Identifier,
    PatientKey,
    Provision,
    Reference,
)
from consent_store.reading import read_consent
from gateway.decision.model import Answer
from tests.consent_questions import ask, exchange, relations, target
from tests.consents import value
from tests.laws.made_consents import parties, targets

words = st.sampled_from(["", " ", "TREAT", "N", "R", "PSY", "disclose", "\u0000", "x" * 300, "Ünïcode", "#", "Group/g"])
systems = st.sampled_from(
    [None, "", "http://terminology.hl7.org/CodeSystem/v3-ActCode", "urn:oid:", "not a uri", "://"]
)
codings = st.builds(Coding, systems, st.none() | words)
odd_dates = st.sampled_from(["0001", "9999", "9999-12-31", "0001-01-01", "2016-12-31T23:59:60Z", "2024-02-29"]).map(
    parse_date
)
spans = st.builds(Period, st.none() | odd_dates, st.none() | odd_dates)
references = st.builds(
    Reference,
    st.none()
    | words
    | st.sampled_from(["https://", "https://a/Organization/o7", "Organization/", "urn:uuid:", "../x"]),
    st.none() | words,
    st.none() | st.builds(Identifier, systems, words),
)
many = st.lists(codings, max_size=2).map(tuple)
rules = st.recursive(
    st.builds(
        Provision,
        type=st.none() | st.sampled_from(Effect),
        period=st.none() | spans,
        actors=st.lists(st.builds(Actor, many, st.none() | references | parties), max_size=2).map(tuple),
        actions=st.lists(many, max_size=1).map(tuple),
        labels=many,
        purposes=many,
        classes=many,
        codes=st.lists(many, max_size=1).map(tuple),
        data_period=st.none() | spans,
        data=st.lists(st.builds(Data, reference=references), max_size=1).map(tuple),
    ),
    lambda inner: st.builds(Provision, type=st.none(), nested=st.lists(inner, max_size=2).map(tuple)),
    max_leaves=3,
)
odd_consents = st.builds(
    Consent,
    id=words,
    version=words,
    patient=st.just(PatientKey("", "")),
    provisions=st.lists(rules, max_size=2).map(tuple),
    scopes=many,
    categories=many,
    date=st.none() | odd_dates,
    period=st.none() | spans,
    custodians=st.lists(references, max_size=2).map(tuple),
    grantees=st.lists(references, max_size=1).map(tuple),
    policies=st.lists(words, max_size=1).map(tuple),
    policy_rules=many,
    raw=st.sampled_from([b"", b"{", b"[]", b'{"meta":7}', b'{"meta":{"profile":"x"}}', b"\xff"]),
)
zones = st.sampled_from([None, UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
edges = st.sampled_from(
    [datetime(2025, 3, 1, tzinfo=UTC), datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)


@given(st.lists(odd_consents, max_size=3), targets(), zones, edges)
def test_no_consent_raises(made, about, zone, at):
    """Absurd dates, codes, references and trees are evaluated to an answer."""
    answer = ask(*made, about=about, asked=exchange(at=at), zone=zone)
    assert answer.answer in {Answer.PERMIT, Answer.DENY, Answer.NOT_APPLICABLE}
    assert (answer.answer is Answer.PERMIT) <= bool(answer.permitting)


def groups_of_groups(number: int) -> list[dict]:
    """Groups that all contain each other."""
    members = [{"entity": {"reference": f"Group/g{i}"}} for i in range(number)]
    return [{"resourceType": "Group", "id": f"g{i}", "active": True, "member": members} for i in range(number)]


def test_a_knot_of_groups_is_answered_in_no_time():
    """Forty groups that contain each other do not multiply the work."""
    role = (Coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),)
    rule = Provision(type=Effect.DENY, actors=(Actor(role, Reference("Group/g0")),))
    consent = value(rule)
    assert Answer.DENY is ask(consent, shown=relations(*groups_of_groups(40))).answer


def published(shared: Path) -> list[Path]:
    """Every Consent of the shared examples."""
    folders = ("consent-ihe-pcf", "hl7-r4-examples", "hl7-r5-examples", "hrex", "fast", "sdoh-consent")
    return [path for folder in folders for path in sorted((shared / "data" / folder).glob("*onsent*.json"))]


def test_every_published_consent_is_answered(shared):
    """Each published example gets an answer; an untyped root with conditions never permits."""
    permitted = set()
    for path in published(shared):
        answer = ask(read_consent(path.read_bytes(), source=""), about=target())
        assert answer.answer in {Answer.PERMIT, Answer.DENY, Answer.NOT_APPLICABLE}, path
        if answer.answer is Answer.PERMIT:
            permitted.add(path.stem)
    assert not permitted & {f"consent-example-{name}" for name in ("notThem", "notThis", "Emergency", "grantor", "pkb")}
    assert len(published(shared)) > 30
