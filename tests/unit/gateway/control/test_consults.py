"""Content that a consult gives back: recorded before it is sent, checked against changed consents, completed after."""

import json
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest

from consent_store.model import PatientKey
from consent_store.reading import read_consent
from consent_store.store import Revision, Subject
from gateway.control.access import Access
from gateway.control.consults import Consults
from gateway.decision.facts import Facts
from gateway.decision.model import Exchange, SubjectFacts
from gateway.directory.model import Directory, Participant
from gateway.errors import Unavailable
from gateway.facts.people import identifiers_in, people
from gateway.fhir.resolver import Resolver
from gateway.ledger.account import account_of
from gateway.ledger.model import Completion, LedgerUnavailable
from gateway.ledger.sqlite import SqliteLedger
from tests.intents import an_intent
from tests.questions import ACT_CODE, ROSA, SHELF, SUBJECT, consent, observation

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
MERCY = Participant(id="mercy", type="provider_general", references=frozenset({"Organization/mercy"}))
VALLEY = Participant(
    id="valley", type="provider_general", references=frozenset({"Organization/valley"}), purposes=frozenset({"TREAT"})
)

WHO = Access("ehr", frozenset(), issuer="urn:test")


class Route:
    """The consulted route, over a patient's consents in memory; `changes` says how often they change at the check."""

    def __init__(self, *consents: dict[str, Any], changes: int = 0) -> None:
        self.consents, self.changes = consents, changes
        self.tools = SHELF.tools["base"]
        self.directory = Directory({one.id: one for one in (MERCY, VALLEY)})

    def exchange(self, consult: Any) -> Exchange:
        """The hospital discloses to the actor."""
        return Exchange(discloser=MERCY, recipient=consult.recipient, purpose=consult.purpose, at=AT)

    async def patients(self, identifiers: Any, ids: Any) -> Any:
        """The server has Rosa alone."""
        from gateway.facts.answer import document_of  # noqa: PLC0415

        return document_of(json.dumps(ROSA).encode(), "patient").views if ids == ("rosa",) else ()

    async def gather(self, document: Any, exchange: Exchange) -> Facts:
        """Her consents, at the revision of this moment."""
        known = people(document, Resolver(document, frozenset()), "")
        known.setdefault(PatientKey("", "rosa"), ())
        found = [read_consent(json.dumps(one).encode(), source="") for one in self.consents]
        subjects = {
            key: SubjectFacts(key=key, identifiers=identifiers_in(views), consents=tuple(found))
            for key, views in known.items()
        }
        revisions = {Subject(key): Revision(str(self.changes)) for key in subjects}
        policy = SHELF.policies["base"]
        return Facts(exchange=exchange, policy=policy, directory=self.directory, subjects=subjects, revisions=revisions)

    def intent(self, exchange: Exchange, access: Access, card: Any, facts: Facts) -> Any:
        """As bootstrap's, with less."""
        account, story = account_of(card.judgement.decisions)
        sides = {"discloser": exchange.discloser.id, "recipient": exchange.recipient.id, "purpose": exchange.purpose}
        who = {"issuer": access.issuer, "client": access.client_id}
        return an_intent(at=exchange.at, interaction="consent-consult", account=account, **sides, **who), story

    async def unchanged(self, revisions: Any) -> bool:
        """Say no as often as told."""
        self.changes -= 1
        return self.changes < 0

    def passing(self) -> Any:
        """Nobody waits."""
        return nullcontext()

    async def complete(self, sequence: int, outcome: Any, status: int, size: int) -> None:
        """At the same instant."""
        await self.ledger.complete(sequence, Completion(at=AT, outcome=outcome, status=status, body_bytes=size))


class Client:
    """A client's connection; it may break at the body."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.breaks, self.body, self.status = breaks, b"", 0

    async def send(self, message: Any) -> None:
        """Take what is sent."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif self.breaks:
            raise ConnectionResetError
        else:
            self.body += message["body"]


def asked(**context: Any) -> bytes:
    """A consult about Rosa."""
    about = {"patientId": [{"value": "Patient/rosa"}], "actor": [{"value": "Organization/valley"}]}
    whole = {
        "hook": "patient-consent-consult",
        "hookInstance": "1",
        "context": {**about, "purposeOfUse": "TREAT", **context},
    }
    return json.dumps(whole).encode()


async def outcomes(ledger) -> list[str]:
    """What became of every intent, in order."""
    return [one.completion.outcome.value for one in await ledger.attempts(0, 100)]


async def answered(ledger, route: Route, client: Client, **context: Any) -> None:
    """One consult, sent to a client."""
    route.ledger = ledger
    response = await Consults(route, ledger, "urn:here").consult(asked(**context), WHO)
    await response({"type": "http", "extensions": {}}, None, client.send)


async def test_content_is_sent_once_it_is_recorded(ledger):
    """One intent, sent."""
    client = Client()
    await answered(ledger, Route(consent()), client, content=observation(subject=SUBJECT))

    assert (200, "CONSENT_PERMIT") == (client.status, json.loads(client.body)["cards"][0]["summary"])
    assert ["sent"] == await outcomes(ledger)


async def test_it_is_decided_again_where_consents_changed(ledger):
    """Twice void, then sent; nothing left before."""
    client = Client()
    await answered(ledger, Route(consent(), changes=2), client, content=observation(subject=SUBJECT))

    assert ["void", "void", "sent"] == await outcomes(ledger)


async def test_it_is_given_up_where_consents_keep_changing(ledger):
    """Three times void, then 503, and not a byte was sent."""
    client = Client()
    with pytest.raises(Unavailable):
        await answered(ledger, Route(consent(), changes=9), client, content=observation(subject=SUBJECT))

    assert (0, b"") == (client.status, client.body)
    assert ["void"] * 3 == await outcomes(ledger)


async def test_a_client_that_leaves_may_have_had_some_of_it(ledger):
    """The answer broke off: aborted, which counts as disclosed."""
    with pytest.raises(ConnectionResetError):
        await answered(ledger, Route(consent()), Client(breaks=True), content=observation(subject=SUBJECT))

    assert ["aborted"] == await outcomes(ledger)


async def test_what_cannot_be_recorded_is_not_sent(tmp_path):
    """The ledger is gone: nothing leaves (law 8)."""
    ledger = await SqliteLedger.open(tmp_path / "gone.db")
    await ledger.close()
    client = Client()
    with pytest.raises(LedgerUnavailable):
        await answered(ledger, Route(consent()), client, content=observation(subject=SUBJECT))

    assert (0, b"") == (client.status, client.body)


async def test_an_answer_without_content_is_no_disclosure(ledger):
    """A card alone is not recorded."""
    client = Client()
    await answered(ledger, Route(consent()), client)

    assert "CONSENT_PERMIT" == json.loads(client.body)["cards"][0]["summary"]
    assert [] == await outcomes(ledger)


# A client that carries the card out ----------------------------------------------------------------------------------
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
TYPES = "http://hl7.org/fhir/resource-types"
R = {"system": CONFIDENTIALITY, "code": "R"}


def labels(*codes: str) -> list[dict[str, str]]:
    """Sensitivities."""
    return [{"system": ACT_CODE, "code": code} for code in codes]


def typed(*names: str) -> list[dict[str, str]]:
    """Classes."""
    return [{"system": TYPES, "code": name} for name in names]


def record(kind: str, *security: dict[str, str]) -> dict[str, Any]:
    """A record of Rosa's, labelled; what is sensitive is restricted too, as a labeller would say."""
    sensitive = any(one["system"] == ACT_CODE for one in security)
    told = [*security, *([R] if sensitive else [])] or [{"system": CONFIDENTIALITY, "code": "N"}]
    person = "patient" if kind == "Claim" else "subject"
    return {"resourceType": kind, "id": "one", person: SUBJECT, "meta": {"security": told}}


RECORDS = [
    record(kind, *security)
    for kind in ("Observation", "Claim", "Condition")
    for security in ((), labels("HIV"), labels("PSY"), labels("PSY", "HIV"), labels("SUD"), (R,))
]
ACTS = {
    "anything": consent(),
    "a label refused": consent(provision=[{"type": "deny", "securityLabel": labels("HIV")}]),
    "what is restricted refused": consent(provision=[{"type": "deny", "securityLabel": [R]}]),
    "a class refused": consent(provision=[{"type": "deny", "class": typed("Claim")}]),
    "a class and a label refused": consent(
        provision=[{"type": "deny", "class": typed("Claim"), "securityLabel": labels("HIV")}]
    ),
    "a class alone": consent("deny", provision=[{"type": "permit", "class": typed("Claim")}]),
    "a label alone": consent("deny", provision=[{"type": "permit", "securityLabel": labels("HIV")}]),
    "a label of a class alone": consent(**{"class": typed("Claim"), "securityLabel": labels("HIV")}),
    "a class up to normal": consent(
        **{"class": typed("Claim"), "securityLabel": [{"system": CONFIDENTIALITY, "code": "N"}]}
    ),
    "two labels": consent(securityLabel=labels("HIV", "PSY")),
    "a time": consent(dataPeriod={"start": "2020"}),
    "a refused time": consent(provision=[{"type": "deny", "dataPeriod": {"end": "2020"}}]),
}


def kept(card: dict[str, Any], one: dict[str, Any]) -> bool:
    """What a client keeps that does what the card says, and compares codes as they stand."""
    worn = [*one["meta"]["security"], *typed(one["resourceType"])]
    for obligation in card["extension"]["obligations"]:
        assert "REDACT" == obligation["id"]["code"]
        parameters = obligation["parameters"]
        if any(code in worn for code in parameters.get("codes", ())):
            return False
        if "exceptAnyOfCodes" in parameters and not any(code in worn for code in parameters["exceptAnyOfCodes"]):
            return False
    return True


async def card(ledger, *consents: dict[str, Any], **context: Any) -> dict[str, Any]:
    """The card of one consult."""
    client = Client()
    await answered(ledger, Route(*consents), client, **context)
    (found,) = json.loads(client.body)["cards"]
    return found


@pytest.mark.parametrize("act", ACTS)
async def test_who_carries_a_card_out_keeps_no_more_than_the_judge_releases(ledger, act):
    """For each record: what a client keeps by a permit is what it would have got had it sent the record."""
    found = await card(ledger, ACTS[act])
    if found["summary"] != "CONSENT_PERMIT":
        return
    for one in RECORDS:
        if kept(found, one):
            assert "content" in (await card(ledger, ACTS[act], content=one))["extension"], one


async def test_a_card_lets_through_what_codes_can_tell(ledger):
    """The other way round, where codes suffice: what is not refused is kept."""
    for act, free in {
        "anything": RECORDS,
        "a label refused": [record("Observation"), record("Claim", *labels("SUD"))],
        "a class refused": [record("Observation", *labels("HIV")), record("Condition")],
        "a class alone": [record("Claim"), record("Claim", *labels("HIV"))],
        "a label alone": [record("Observation", *labels("HIV")), record("Claim", *labels("HIV"))],
        "two labels": [record("Condition", *labels("PSY", "HIV"))],
    }.items():
        found = await card(ledger, ACTS[act])
        assert "CONSENT_PERMIT" == found["summary"], act
        assert all(kept(found, one) for one in free), act


async def test_what_codes_cannot_tell_is_no_permit(ledger):
    """HIV of claims alone: no code says so; with the content it is exact."""
    act = ACTS["a label of a class alone"]
    found = await card(ledger, act)

    assert ("NO_CONSENT", True) == (found["summary"], "send the content" in found["detail"])
    assert "CONSENT_PERMIT" == (await card(ledger, act, content=record("Claim", *labels("HIV"))))["summary"]
    assert "NO_CONSENT" == (await card(ledger, act, content=record("Observation", *labels("HIV"))))["summary"]
