"""Consents that nobody means, posted to the control plane: enormous, endlessly nested, of impossible dates and types.

Each is refused with an OperationOutcome that names elements alone, or filed and then permits nothing it does not say;
never a 500, and the data plane goes on: who has no other consent is refused, who has one is not.
"""

import json
from typing import Any

import pytest

from tests.attack.records import ROLE
from tests.attack.scene import MARK
from tests.attack.test_consents_name import group, team
from tests.attack.test_control import tell
from tests.attack.worlds import consent, file, hold

pytestmark = pytest.mark.asyncio(loop_scope="session")
PERMIT = {"type": "permit"}
DOOR_OF = {"4.0": "application/fhir+json; fhirVersion=4.0", "5.0": "application/fhir+json; fhirVersion=5.0"}


def said(whose: str, /, **raw: bytes) -> bytes:
    """The text of a permit of a patient's with members of these exact values."""
    tree = consent(whose, PERMIT)
    pairs = {name: json.dumps(value).encode() for name, value in tree.items()} | raw
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in pairs.items()) + b"}"


def deep(levels: int, mark: bytes = b'"permit"') -> bytes:
    """Provisions nested so deep."""
    return b'{"type":%b,"provision":[' % mark * levels + b'{"type":"permit"}' + b"]}" * levels


def permitting(**parts: Any) -> bytes:
    """A provision that permits, with these parts."""
    return json.dumps(PERMIT | parts).encode()


ABSURD: dict[str, dict[str, bytes]] = {
    "depth 1,000": {"provision": deep(1000)},
    "depth 10,000": {"provision": deep(10_000)},
    "depth 100": {"provision": deep(100)},
    "10,000 provisions": {"provision": permitting(provision=[{"type": "deny"}] * 10_000)},
    "10,000 policies": {"policy": json.dumps([{"uri": ""}] * 10_000).encode()},
    "depth 1,000 of an extension": {"extension": b'[{"url":"urn:x","extension":' * 1000 + b"[]" + b"}]" * 1000},
    "a month of thirteen": {"dateTime": b'"2024-13-01"'},
    "the year nought": {"provision": permitting(period={"start": "0000"})},
    "the thirtieth of February": {"provision": permitting(dataPeriod={"end": "2024-02-30"})},
    "a year of five digits": {"dateTime": b'"12024-01-01"'},
    "an offset of a day": {"dateTime": b'"2024-01-01T00:00:00+24:00"'},
    "a date that is a number": {"dateTime": b"20240101"},
    "a number without end": {"dateTime": b"1" * 5000},
    "a period that is a word": {"provision": permitting(period="always")},
    "a provision that is a list": {"provision": b'[{"type":"permit"}]'},
    "a provision that is a word": {"provision": b'"none"'},
    "a type that is a list": {"provision": permitting(type=["permit"])},
    "an actor that is a number": {"provision": permitting(actor=[7])},
    "a reference that is true": {"provision": permitting(actor=[{"role": ROLE, "reference": {"reference": True}}])},
    "a label that is null": {"provision": permitting(securityLabel=[None])},
    "a code that is an object": {"provision": permitting(code=[{"coding": [{"system": {}, "code": []}]}])},
    "data of no meaning": {"provision": permitting(data=[{"meaning": {}, "reference": {"reference": "Patient/1"}}])},
    "a status that is an object": {"status": b'{"active":true}'},
    "a patient that is a list": {"patient": b'[{"reference":"Patient/1"}]'},
    "a patient that is a number": {"patient": b"7"},
    "an organization that is a word": {"organization": b'"mercy"'},
    "a policy rule that is true": {"policyRule": b"true"},
}


@pytest.mark.parametrize("name", ABSURD)
async def test_an_absurd_consent_is_refused_by_element_and_nothing_else_stops(scene, name):
    """Refused, new or as a new version; it counts for nothing, and what was filed before counts on."""
    patient = f"absurd-{list(ABSURD).index(name)}"
    body = said(patient, **ABSURD[name])
    record = hold(scene, patient)
    refused = await tell(scene, "POST", "/fhir/Consent", body, kind=DOOR_OF["4.0"])
    assert refused.status in {400, 413, 422}
    assert "OperationOutcome" == refused.json["resourceType"]
    assert all(patient not in issue.get("diagnostics", "") for issue in refused.json["issue"])
    assert 404 == (await scene.ask(record)).status

    id_, version, _ = await file(scene, consent(patient, PERMIT))
    heads = {"If-Match": version}
    token = scene.gate.token("officer", roles=["privacy_officer"])
    heads |= {"Authorization": f"Bearer {token}", "Content-Type": DOOR_OF["4.0"]}
    place = f"{scene.gate.control}/fhir/Consent/{id_}"
    changed = await scene.gate.send("PUT", place, heads, said(patient, id=json.dumps(id_).encode(), **ABSURD[name]))
    assert (changed.status, "OperationOutcome") == (refused.status, changed.json["resourceType"])
    assert 200 == (await scene.ask(record)).status


@pytest.mark.parametrize("name", ABSURD)
async def test_an_absurd_consent_in_a_question_is_answered_or_refused(scene, name):
    """The same in a question to `decide`: nothing is released by it, and it says why; or the question is refused."""
    resource = {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/a"}}
    asked = {"v": 1, "id": "1", "at": "2026-10-01T00:00:00Z", "profile": "base", "purpose": "TREAT"}
    asked |= {"participants": [{"id": "x", "type": "other"}, {"id": "y", "type": "other"}], "discloser": "x"}
    asked |= {"recipient": "y", "resource": resource | {"code": {"text": "x"}}, "consents": ["here"]}
    body = json.dumps(asked).encode().replace(b'"here"', said("a", **ABSURD[name]))
    found = await tell(scene, "POST", "/control/decide", body, ("operator", "privacy_officer"), "application/json")
    assert found.status in {200, 400, 413}
    if found.status == 200:
        assert "deny" == found.json["effect"]
        assert found.json["decisions"][0]["erring"]


ODD_PERIODS = {
    "all of time": ({"start": "0001", "end": "9999"}, 200),
    "the last instant": ({"end": "9999-12-31T23:59:59.999Z"}, 200),
    "backwards": ({"start": "9999", "end": "0001"}, 404),
    "before time": ({"end": "0001-01-01T00:00:00+14:00"}, 404),
    "after all": ({"start": "9999-12-31T23:59:59-12:00"}, 404),
}


@pytest.mark.parametrize("name", ODD_PERIODS)
async def test_a_period_at_the_ends_of_time_says_what_it_says(scene, name):
    """What can be read is filed; it permits in its period and at no other time."""
    period, status = ODD_PERIODS[name]
    patient = f"period-{name.replace(' ', '-')}"
    body = said(patient, provision=permitting(period=period), dateTime=b'"0001-01-01"')
    filed = await tell(scene, "POST", "/fhir/Consent", body)
    assert filed.status in {201, 422}
    assert (status if filed.status == 201 else 404) == (await scene.ask(hold(scene, patient))).status


CIRCLES = {
    "two groups": (group("a", "Group/b"), group("b", "Group/a")),
    "itself": (group("a", "Group/a"),),
    "through a team": (group("a", "CareTeam/t"), team("t", "Group/a")),
    "a hundred": tuple(
        group("a" if n == 0 else f"a{n}", f"Group/a{n + 1}" if n < 99 else "Group/a") for n in range(100)
    ),
}


@pytest.mark.parametrize("name", CIRCLES)
async def test_a_group_in_a_circle_admits_nobody_and_refuses_everybody(scene, name):
    """Filed, for it says something; who is in it cannot be told."""
    scene.server.hold(*CIRCLES[name])
    to_it = {"actor": [{"role": ROLE, "reference": {"reference": "Group/a"}}]}
    permitted, denied = (f"circle-{name.replace(' ', '-')}-{kind}" for kind in ("permit", "deny"))
    await file(scene, consent(permitted, PERMIT | to_it))
    assert 404 == (await scene.ask(hold(scene, permitted))).status
    await file(scene, consent(denied, PERMIT))
    assert 200 == (await scene.ask(hold(scene, denied))).status
    await file(scene, consent(denied, {"type": "deny"} | to_it, policy=[{"uri": "http://example.org/other"}]))
    assert 404 == (await scene.ask(hold(scene, denied))).status


async def test_a_thousand_groups_are_gathered_up_to_a_bound(scene):
    """A consent that names more groups than are gathered is answered, and permits nobody through those."""
    actors = [{"role": ROLE, "reference": {"reference": f"Group/{MARK}-{n}"}} for n in range(1000)]
    await file(scene, consent("crowded", PERMIT | {"actor": actors}))
    assert 404 == (await scene.ask(hold(scene, "crowded"))).status
