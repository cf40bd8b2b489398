"""CDS Hooks consent consults at the control plane's door: LEAP's and SHARES' request; one judge, one release."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.world import Answer, World, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="session")

NPI = "http://hl7.org/fhir/sid/us-npi"
MRN = "https://mercy-general.example/mrn"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
TYPES = "http://hl7.org/fhir/resource-types"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
R = {"system": CONFIDENTIALITY, "code": "R"}
HIV = {"system": ACT_CODE, "code": "HIV"}
ROLE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
HARBOR = {"reference": "Organization/harbor"}
OMAR = [{"system": MRN, "value": "MG-38950"}]
ACTOR = [{"system": NPI, "value": "1000000022"}]
SERVICE = "/cds-services/patient-consent-consult"


class Consulting:
    """A gateway that offers consults about the hospital's route."""

    def __init__(self, gate: World) -> None:
        self.gate = gate

    async def ask(self, path: str, body: Any = None, roles: Any = ("consent_consult",), client: str = "ehr") -> Answer:
        """Ask the control plane; a body is JSON unless it is bytes."""
        said = {"Authorization": f"Bearer {self.gate.token(client, roles=roles)}", "Content-Type": "application/json"}
        text = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return await self.gate.send("GET" if body is None else "POST", self.gate.control + path, said, text)

    async def consult(self, **context: Any) -> dict[str, Any]:
        """The only card."""
        answer = await self.ask(SERVICE, request(**context))
        assert 200 == answer.status, answer.body
        (card,) = answer.json["cards"]
        assert card["summary"] == card["extension"]["decision"]
        return card

    async def sign(self, *consents: dict[str, Any]) -> None:
        """Revoke what the patients signed before, and sign these."""
        for patient in ("omar", "rosa"):
            found = await self._officer("GET", f"?patient=Patient/{patient}&status=active")
            for entry in found.json.get("entry", ()):
                old = entry["resource"]
                etag = {"If-Match": f'W/"{old["meta"]["versionId"]}"'}
                await self._officer("PUT", f"/{old['id']}", old | {"status": "inactive"}, etag)
        for one in consents:
            answer = await self._officer("POST", "", one)
            assert 201 == answer.status, answer.body

    async def _officer(self, method: str, path: str, tree: Any = None, headers: Any = None) -> Answer:
        said = {"Authorization": f"Bearer {self.gate.token('officer', roles=['privacy_officer'])}"} | (headers or {})
        text = None if tree is None else json.dumps(tree).encode()
        said |= {} if tree is None else {"Content-Type": "application/fhir+json"}
        return await self.gate.send(method, f"{self.gate.control}/fhir/Consent{path}", said, text)


def request(**context: Any) -> dict[str, Any]:
    """A request about Omar, for his treatment at the clinic."""
    asked = {"patientId": OMAR, "actor": ACTOR, "purposeOfUse": ["TREAT"], "category": [], **context}
    return {"hook": "patient-consent-consult", "hookInstance": "one", "context": asked}


def consent(type: str = "permit", *nested: dict[str, Any], patient: str = "omar", **provision: Any) -> dict[str, Any]:
    """A privacy consent of Omar's."""
    inside = {"provision": list(nested)} if nested else {}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-01",
        "policy": [{"uri": "https://example.org/policy"}],
        "provision": {"type": type, **provision, **inside},
    }


def observation(id: str, *labels: dict[str, str], **more: Any) -> dict[str, Any]:
    """A record of Omar's, at the mark of these labels."""
    security = {"meta": {"security": list(labels)}} if labels else {}
    coded = {"code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}}
    return {"resourceType": "Observation", "id": id, **security, "status": "final", **coded, **more}


OMARS = {"subject": {"reference": "Patient/omar"}}


def content(*records: dict[str, Any]) -> dict[str, Any]:
    """A Bundle, without a type, as SHARES sends it."""
    return {"resourceType": "Bundle", "total": len(records), "entry": [{"resource": one} for one in records]}


def parameters(card: dict[str, Any], name: str) -> list[dict[str, str]]:
    """The codes that are to be redacted, or alone kept."""
    assert all(one["id"] == {"system": ACT_CODE, "code": "REDACT"} for one in card["extension"]["obligations"])
    return [code for one in card["extension"]["obligations"] for code in one["parameters"].get(name, ())]


@asynccontextmanager
async def consulting(folder: Any, profile: str) -> AsyncIterator[Consulting]:
    """A gateway under a profile."""
    settings = {"profile": profile, "limits": "{}\nconsults: t/hospital", "consents": "{driver: memory}"}
    async with embedded() as (_, upstream), world(folder, upstream, **settings) as gate:
        yield Consulting(gate)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def alone(tmp_path_factory):
    """Under the profile where consent alone decides."""
    async with consulting(tmp_path_factory.mktemp("base"), "base") as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lawful(tmp_path_factory):
    """Under federal law."""
    async with consulting(tmp_path_factory.mktemp("part2"), "us-part2") as found:
        yield found


# The decision --------------------------------------------------------------------------------------------------------
async def test_the_service_is_listed(alone):
    """Discovery names the hook."""
    (service,) = (await alone.ask("/cds-services")).json["services"]

    assert ("patient-consent-consult", "patient-consent-consult") == (service["hook"], service["id"])


async def test_silence_is_no_consent(alone):
    """No consent on file: a warning, nothing to redact, nothing it rests on."""
    await alone.sign()
    card = await alone.consult()

    assert ("NO_CONSENT", "warning") == (card["summary"], card["indicator"])
    assert {"decision": "NO_CONSENT", "obligations": []} == card["extension"]


async def test_a_permit_and_the_consent_behind_it(alone):
    """A consent without limits permits; it is named."""
    await alone.sign(consent())
    card = await alone.consult()

    assert ("CONSENT_PERMIT", "info") == (card["summary"], card["indicator"])
    assert [] == parameters(card, "codes")
    assert card["extension"]["basedOn"].startswith("Consent/")
    assert card["source"]["url"]


async def test_a_refusal_is_critical(alone):
    """A consent that refuses."""
    await alone.sign(consent("deny"))
    card = await alone.consult()

    assert ("CONSENT_DENY", "critical") == (card["summary"], card["indicator"])
    assert [] == card["extension"]["obligations"]
    assert card["extension"]["basedOn"].startswith("Consent/")


async def test_a_refusal_of_a_label_is_an_obligation_of_a_permit(alone):
    """All but what is restricted: R is to be redacted, and what is above it; what is HIV is R anyhow."""
    await alone.sign(consent("permit", {"type": "deny", "securityLabel": [R]}))
    card = await alone.consult()

    assert "CONSENT_PERMIT" == card["summary"]
    assert [R, R | {"code": "V"}] == parameters(card, "codes")
    assert [] == parameters(card, "exceptAnyOfCodes")


async def test_a_permit_of_one_class_alone_is_an_exception(alone):
    """Everything is refused but claims: only they may be kept."""
    claims = {"type": "permit", "class": [{"system": TYPES, "code": "Claim"}]}
    await alone.sign(consent("deny", claims))
    card = await alone.consult()

    assert "CONSENT_PERMIT" == card["summary"]
    assert [{"system": TYPES, "code": "Claim"}] == parameters(card, "exceptAnyOfCodes")


@pytest.mark.parametrize("spelling", ["code", "value"])
async def test_a_class_that_is_refused_is_denied_where_it_is_asked_for(alone, spelling):
    """A refusal of claims is an obligation for all, and a deny for who asks for claims."""
    await alone.sign(consent("permit", {"type": "deny", "class": [{"system": TYPES, "code": "Claim"}]}))

    assert [{"system": TYPES, "code": "Claim"}] == parameters(await alone.consult(), "codes")
    asked = await alone.consult(**{"class": [{"system": TYPES, spelling: "Claim"}]})
    other = await alone.consult(**{"class": [{"system": TYPES, spelling: "Condition"}]})
    assert ("CONSENT_DENY", "CONSENT_PERMIT") == (asked["summary"], other["summary"])


async def test_a_consent_names_whom_it_is_for_and_what_for(alone):
    """Another recipient, another purpose: silence; the same ones: a permit. Purposes subsume."""
    actor = [{"role": ROLE, "reference": HARBOR}]
    await alone.sign(consent(actor=actor, purpose=[{"system": REASON, "code": "TREAT"}]))

    assert "CONSENT_PERMIT" == (await alone.consult())["summary"]
    assert "NO_CONSENT" == (await alone.consult(purposeOfUse="HPAYMT"))["summary"]
    assert (
        "NO_CONSENT"
        == (await alone.consult(actor=[{"system": NPI, "value": "1000000033"}], purposeOfUse=["HPAYMT"]))["summary"]
    )


async def test_shares_names_records_by_reference(alone):
    """`Organization/id` and `Patient/id` without a system, as SHARES writes them."""
    await alone.sign(consent())
    card = await alone.consult(patientId=[{"value": "Patient/omar"}], actor=[{"value": HARBOR["reference"]}])

    assert "CONSENT_PERMIT" == card["summary"]


async def test_a_refusal_that_cannot_be_read_is_a_deny(alone):
    """A provision with an expression nobody evaluates: the patient refused something, so everything waits."""
    unreadable = consent(patient="omar") | {"modifierExtension": [{"url": "urn:unknown"}]}
    await alone.sign(consent())
    store = alone.gate.services.consents
    text = json.dumps(unreadable | {"dateTime": "2026-02-01", "id": "broken"}).encode()
    stored = await store.put("story", text, fhir_version="4.0", at="2026-02-01T00:00:00Z", expect=None)
    card = await alone.consult()
    readable = json.dumps(consent() | {"id": "broken", "status": "inactive"}).encode()
    await store.put("story", readable, fhir_version="4.0", at="2026-02-02T00:00:00Z", expect=stored.version)

    assert "CONSENT_DENY" == card["summary"]


async def test_a_refusal_of_particular_records_is_a_deny_until_they_are_shown(alone):
    """Which record it is cannot be told by a code; with the content it is told exactly."""
    one = {"meaning": "instance", "reference": {"reference": "Observation/secret"}}
    await alone.sign(consent("permit", {"type": "deny", "data": [one]}))
    unseen = await alone.consult()
    shown = await alone.consult(content=content(observation("secret", **OMARS), observation("open", **OMARS)))

    assert "CONSENT_DENY" == unseen["summary"]
    assert "particular records" in unseen["detail"]
    assert "CONSENT_PERMIT" == shown["summary"]
    assert ["open"] == [entry["resource"]["id"] for entry in shown["extension"]["content"]["entry"]]


async def test_a_category_narrows_permits_and_never_refusals(alone):
    """LEAP's filter: a consent of another category does not permit; its refusal stands (law 2)."""
    other = {"category": [{"system": "http://loinc.org", "code": "64292-6"}]}
    mine = {"category": [{"system": SCOPE, "code": "patient-privacy"}]}
    await alone.sign(consent())
    assert "CONSENT_PERMIT" == (await alone.consult(**mine))["summary"]
    assert "NO_CONSENT" == (await alone.consult(**other))["summary"]
    await alone.sign(consent("deny"))
    assert "CONSENT_DENY" == (await alone.consult(**other))["summary"]


async def test_a_patient_whom_only_consents_know(alone):
    """The server has no such patient, a consent names the identifier: it is found; without it, nobody is known."""
    mrn = {"system": "urn:elsewhere", "value": "77"}
    assert 400 == (await alone.ask(SERVICE, request(patientId=[mrn]))).status
    store = alone.gate.services.consents
    text = json.dumps(consent() | {"id": "by-identifier", "patient": {"identifier": mrn}}).encode()
    await store.put("story", text, fhir_version="4.0", at="2026-01-01T00:00:00Z", expect=None)

    assert "CONSENT_PERMIT" == (await alone.consult(patientId=[mrn]))["summary"]


# Under the law -------------------------------------------------------------------------------------------------------
async def test_the_law_adds_what_a_general_consent_does_not_open(lawful):
    """A general consent for treatment permits, but Part 2 records are still to be redacted."""
    await lawful.sign(consent(actor=[{"role": ROLE, "reference": HARBOR}]))
    card = await lawful.consult()

    assert "CONSENT_PERMIT" == card["summary"]
    assert {"system": ACT_CODE, "code": "42CFRPart2"} in parameters(card, "codes")


async def test_without_a_consent_the_law_says_what_to_redact(lawful):
    """The profile lets treatment data go without a consent, but not Part 2 records: also to who acts on silence."""
    await lawful.sign()
    card = await lawful.consult(content=content(observation("open", **OMARS)))

    assert ("NO_CONSENT", "warning") == (card["summary"], card["indicator"])
    assert {"system": ACT_CODE, "code": "42CFRPart2"} in parameters(card, "codes")
    assert ["open"] == [entry["resource"]["id"] for entry in card["extension"]["content"]["entry"]]


async def test_what_the_profile_withholds_is_not_permitted_by_a_consent_alone(lawful):
    """An authorisation must name its recipient: a consent that does not is no permit, and the rule is told."""
    await lawful.sign(consent())
    actor = [{"system": NPI, "value": "1000000055"}]
    card = await lawful.consult(actor=actor, purposeOfUse=["CAREMGT"])

    assert "CONSENT_DENY" == card["summary"]
    assert "45 CFR 164.502(a)" in card["detail"]


# Content -------------------------------------------------------------------------------------------------------------
async def test_content_comes_back_redacted_and_is_in_the_ledger(alone):
    """What is restricted is gone from the Bundle and from its total; the disclosure is recorded before it is sent."""
    await alone.sign(consent("permit", {"type": "deny", "securityLabel": [R]}))
    before = (await alone.gate.services.ledger.attempts(0, 1000))[-1:]
    card = await alone.consult(content=content(observation("open", **OMARS), observation("shut", HIV, R, **OMARS)))
    given = card["extension"]["content"]
    attempts = await _completed(alone, before)

    assert (["open"], 1) == ([entry["resource"]["id"] for entry in given["entry"]], given["total"])
    (attempt,) = attempts
    assert ("sent", "consent-consult") == (attempt.completion.outcome.value, attempt.intent.interaction)
    assert ("mercy", "harbor", "ehr") == (attempt.intent.discloser, attempt.intent.recipient, attempt.intent.client)
    assert [("Observation/open",)] == [one.resources for one in attempt.intent.account.disclosed]


async def _completed(consulting: Consulting, before: Any) -> Any:
    after = before[0].completed if before else 0
    for _ in range(100):
        found = await consulting.gate.services.ledger.attempts(after, 10)
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("nothing was recorded")


async def test_content_that_is_refused_does_not_come_back(alone):
    """A deny gives no content, and nothing is recorded as disclosed."""
    await alone.sign(consent("deny"))
    before = await alone.gate.services.ledger.attempts(0, 1000)
    card = await alone.consult(content=content(observation("open", **OMARS)))

    assert "CONSENT_DENY" == card["summary"]
    assert "content" not in card["extension"]
    assert before == await alone.gate.services.ledger.attempts(0, 1000)


async def test_a_list_of_resources_and_one_resource_are_content_too(alone):
    """A list comes back as a collection, one resource as itself."""
    await alone.sign(consent())
    listed = await alone.consult(content=[observation("a", **OMARS), observation("b", **OMARS)])
    single = await alone.consult(content=observation("a", **OMARS))

    assert ["a", "b"] == [entry["resource"]["id"] for entry in listed["extension"]["content"]["entry"]]
    assert "a" == single["extension"]["content"]["id"]


async def test_the_text_of_what_comes_back_is_the_text_that_was_sent(alone):
    """1.10 stays 1.10 (law 5)."""
    await alone.sign(consent())
    value = observation("weight", **OMARS, valueQuantity={"value": 7777})
    text = json.dumps(request(content=content(value))).replace("7777", "1.10").encode()

    assert b'"value": 1.10' in (await alone.ask(SERVICE, text)).body


async def test_content_about_another_patient_is_refused(alone):
    """What was asked about is Omar; Rosa's record is nobody's business here."""
    await alone.sign(consent())
    other = observation("hers", subject={"reference": "Patient/rosa"})

    assert 400 == (await alone.ask(SERVICE, request(content=content(other)))).status


# Who and what may not ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("roles", [(), ("operator",), ("patient_app",), ("consult",)])
async def test_a_consult_needs_its_role(alone, roles):
    """Any other role, or none: 403."""
    assert 403 == (await alone.ask(SERVICE, request(), roles)).status


async def test_a_client_that_exchanges_data_may_not_consult(alone):
    """A registered client has no role here, whatever its token says (L080)."""
    assert 403 == (await alone.ask(SERVICE, request(), client="sunrise-platform")).status


async def test_without_a_token_it_is_401(alone):
    """Nobody is let in without one."""
    url = f"{alone.gate.control}{SERVICE}"
    answer = await alone.gate.send("POST", url, {"Content-Type": "application/json"}, json.dumps(request()).encode())

    assert 401 == answer.status


def _with(**members: Any) -> bytes:
    return json.dumps(request() | members).encode()


HOSTILE: dict[str, tuple[Any, int]] = {
    "nothing": (b"", 400),
    "no object": (b"[]", 400),
    "half of it": (json.dumps(request()).encode()[:-9], 400),
    "another hook": (_with(hook="patient-view"), 400),
    "no instance": (_with(hookInstance=""), 400),
    "no context": (_with(context={}), 400),
    "no patient": (request(patientId=[]), 400),
    "a patient without value": (request(patientId=[{"system": MRN}]), 400),
    "a patient without system": (request(patientId=[{"value": "MG-38950"}]), 400),
    "a patient nobody knows": (request(patientId=[{"system": MRN, "value": "none"}]), 400),
    "a patient of any system": (request(patientId=[{"system": MRN, "value": "*"}]), 400),
    "two patients in one value": (request(patientId=[{"system": MRN, "value": "MG-38950,MG-40021"}]), 400),
    "many patients": (request(patientId=OMAR * 21), 400),
    "no actor": (request(actor=[]), 400),
    "an actor nobody registered": (request(actor=[{"system": NPI, "value": "1"}]), 400),
    "two actors": (request(actor=[*ACTOR, {"system": NPI, "value": "1000000033"}]), 400),
    "an actor that is a number": (request(actor=[{"system": NPI, "value": 1000000022}]), 400),
    "no purpose": (request(purposeOfUse=[]), 400),
    "purpose is null": (request(purposeOfUse=None), 400),
    "an unknown purpose": (request(purposeOfUse=["TREATS"]), 400),
    "two purposes": (request(purposeOfUse=["TREAT", "HPAYMT"]), 400),
    "a purpose that is none": (request(purposeOfUse=[{"code": "TREAT"}]), 400),
    "a purpose the actor may not claim": (request(purposeOfUse=["HRESCH"]), 403),
    "an emergency": (request(purposeOfUse=["ETREAT"]), 403),
    "a class nobody knows": (request(**{"class": [{"system": TYPES, "code": "Secret"}]}), 400),
    "a consent of the client's own": (request(consent=[consent()]), 400),
    "content that is no resource": (request(content={"entry": []}), 400),
    "content that is a text": (request(content="x"), 400),
    "content of another bundle": (request(content={"resourceType": "Bundle", "type": "everything"}), 400),
    "the context twice": (json.dumps(request()).encode()[:-1] + b', "context": {}}', 400),
    "too deep": (json.dumps(request()).encode()[:-1] + b', "x": ' + b"[" * 9999 + b"]" * 9999 + b"}", 400),
    "content too deep": (
        json.dumps(request(content=1)).encode().replace(b'"content": 1', b'"content": ' + b"[" * 999 + b"]" * 999),
        400,
    ),
    "no text": (json.dumps(request()).encode().replace(b"TREAT", b"TR\xffEAT"), 400),
    "no number": (json.dumps(request()).encode()[:-1] + b', "x": NaN}', 400),
    "a name twice in the content": (
        json.dumps(request(content=observation("a", **OMARS))).encode().replace(b'"id": "a"', b'"id": "a", "id": "b"'),
        400,
    ),
    "a name twice": (json.dumps(request()).encode().replace(b'"TREAT"', b'"TREAT"], "purposeOfUse": ["HPAYMT"'), 400),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_what_cannot_be_asked_is_told_plainly(alone, case):
    """A 4xx OperationOutcome that repeats nothing of the patient; no purpose and nobody is ever assumed."""
    body, status = HOSTILE[case]
    answer = await alone.ask(SERVICE, body)

    assert (status, "OperationOutcome") == (answer.status, answer.json["resourceType"])
    assert b"38950" not in answer.body


async def test_a_body_of_another_type_is_415(alone):
    """Only JSON is read."""
    said = {"Authorization": f"Bearer {alone.gate.token('ehr', roles=['consent_consult'])}", "Content-Type": "text/xml"}

    assert 415 == (await alone.gate.send("POST", alone.gate.control + SERVICE, said, b"<x/>")).status


async def test_where_no_route_is_set_there_is_no_such_service(tmp_path):
    """Nothing is offered that the operator did not choose."""
    async with embedded() as (_, upstream), world(tmp_path, upstream, consents="{driver: memory}") as gate:
        found = Consulting(gate)
        assert 404 == (await found.ask("/cds-services")).status
        assert 404 == (await found.ask(SERVICE, request())).status
