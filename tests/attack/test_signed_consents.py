"""Consents at the door that nobody signed, or that name their recipient by a number in another spelling (L092)."""

import pytest
import pytest_asyncio

from tests.attack.records import ROLE, observation
from tests.attack.scene import staged
from tests.attack.worlds import consent, file, person, purpose
from tests.e2e.world import CBO

pytestmark = pytest.mark.asyncio(loop_scope="session")
FORM = {"contentType": "application/pdf", "data": "c2lnbmVk"}
UNSIGNED = {"performer": None, "sourceAttachment": None}
BY_REFERENCE = {"reference": "Organization/hearth"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory):
    """A gateway before the hospital's server; the housing organisation has no agreement with the hospital."""
    async with staged(tmp_path_factory.mktemp("signed")) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def scene(stage):
    """The scene, set anew; nothing is told of a patient."""
    stage.begin()
    yield stage
    await stage.check()


async def asked(scene, patient, who, **signed):
    """What the housing organisation gets of a patient whose consent names it so and is signed so."""
    scene.server.hold(person(patient), observation(f"{patient}-o", f"Patient/{patient}"))
    actor = {"role": ROLE, "reference": who}
    await file(scene, consent(patient, {"type": "permit", "actor": [actor], "purpose": purpose("CAREMGT")}, **signed))
    return (await scene.ask(f"Observation/{patient}-o", CBO, "CAREMGT")).status


@pytest.mark.parametrize(
    ("id", "signed", "status"),
    [
        ("nobody", UNSIGNED, 404),
        ("title", UNSIGNED | {"sourceAttachment": {"title": "the form"}}, 404),
        ("form", UNSIGNED | {"sourceAttachment": FORM}, 200),
        ("verified", UNSIGNED | {"verification": [{"verified": True}]}, 200),
        ("herself", UNSIGNED | {"performer": [{"reference": "Patient/signed-herself"}]}, 200),
        ("undated", UNSIGNED | {"performer": [{"reference": "Patient/signed-undated"}], "dateTime": None}, 404),
        ("another", UNSIGNED | {"performer": [{"reference": "Patient/signed-herself"}]}, 404),
        ("failed", {"sourceAttachment": FORM, "verification": [{"verified": False}]}, 404),
    ],
)
async def test_an_authorisation_is_signed(scene, id, signed, status):
    """45 CFR 164.508(c)(1)(vi): what nobody signed opens nothing that the law does not."""
    assert status == await asked(scene, f"signed-{id}", BY_REFERENCE, **signed)


@pytest.mark.parametrize(
    ("id", "number", "status"),
    [
        ("uri", {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1000000055"}, 200),
        ("oid", {"system": "urn:oid:2.16.840.1.113883.4.6", "value": "1000000055"}, 200),
        ("bare", {"system": "2.16.840.1.113883.4.6", "value": "1000000055"}, 200),
        ("https", {"system": "https://hl7.org/fhir/sid/us-npi", "value": "1000000055"}, 200),
        ("value", {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1000000056"}, 404),
        ("system", {"system": "urn:oid:2.16.840.1.113883.4.7", "value": "1000000055"}, 404),
    ],
)
async def test_L092_a_recipient_is_known_by_its_number_in_any_spelling(scene, id, number, status):
    """Equal identifiers are equal, however their system is written; others are others'."""
    assert status == await asked(scene, f"numbered-{id}", {"identifier": number}, sourceAttachment=FORM)


async def test_L092_a_recipient_is_never_known_by_name(scene):
    """The registered name opens nothing."""
    assert 404 == await asked(scene, "named", {"display": "Hearth Housing", "type": "Organization", **NUMBERLESS})


NUMBERLESS = {"identifier": {"system": "urn:nobody", "value": "1"}}
