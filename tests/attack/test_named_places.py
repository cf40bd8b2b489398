"""Clinics and programs that only the record of a place, a name or a number's spelling shows (L032, L092).

The hospital's server holds an unregistered methadone clinic, a hospital with a detoxification unit, and records that
name the story's Part 2 program, registered by name and NPI, in other ways than by its reference.
"""

import pytest
import pytest_asyncio

from tests.attack.records import ROSA, observation
from tests.attack.scene import staged

pytestmark = pytest.mark.asyncio(loop_scope="session")
NPI = "1000000022"
NAME = "Harbor Recovery Clinic"
NUCC = "http://nucc.org/provider-taxonomy"
AMBULATORY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory):
    """A gateway before the hospital's server."""
    async with staged(tmp_path_factory.mktemp("places")) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def scene(stage):
    """The scene, set anew; nothing is told of a patient."""
    stage.begin(*PLACES)
    yield stage
    await stage.check()


def organisation(id, **more):
    """An organisation that nobody registered."""
    return {"resourceType": "Organization", "id": id, **more}


def coded(*codes):
    """Types by taxonomy."""
    return [{"coding": [{"system": NUCC, "code": one}]} for one in codes]


def location(id, **more):
    """A place."""
    return {"resourceType": "Location", "id": id, **more}


HOSPITAL = {"reference": "Organization/mercy"}
PLACES = (
    organisation("plain", name="County Clinic"),
    organisation("typed", name="County Clinic", type=coded("261QM2800X")),
    organisation("named", name="County Methadone Clinic"),
    organisation("mixed", name="County Hospital", type=coded("282N00000X", "261QR0405X")),
    organisation("numbered", name="Harbor", identifier=[{"system": "urn:oid:2.16.840.1.113883.4.6", "value": NPI}]),
    organisation("called", name=NAME.upper()),
    location("ward", name="Ward 3", managingOrganization=HOSPITAL),
    location("detox", name="Detoxification Unit 4B", managingOrganization=HOSPITAL),
    location("room", name="Room 7", partOf={"reference": "Location/detox"}),
)


def visit(**more):
    """A visit of Rosa's."""
    subject = {"reference": ROSA}
    return {
        "resourceType": "Encounter",
        "id": "v",
        "status": "finished",
        "class": AMBULATORY,
        "subject": subject,
        **more,
    }


def at(id):
    """A visit at an organisation."""
    return visit(serviceProvider={"reference": f"Organization/{id}"})


def in_(id):
    """A visit in a place of the hospital."""
    return visit(serviceProvider=HOSPITAL, location=[{"location": {"reference": f"Location/{id}"}}])


def by(**who):
    """A visit at somebody named otherwise."""
    return visit(serviceProvider=who)


@pytest.mark.parametrize(
    ("made", "goes"),
    [
        (at("plain"), True),
        (at("typed"), False),
        (at("named"), False),
        (at("mixed"), True),
        (at("numbered"), False),
        (at("called"), False),
        (by(display=NAME), False),
        (by(display="County Clinic"), True),
        (by(identifier={"system": "urn:oid:2.16.840.1.113883.4.6", "value": NPI}), False),
        (by(identifier={"system": "https://hl7.org/fhir/sid/us-npi", "value": NPI}), False),
        (by(identifier={"system": "http://hl7.org/fhir/sid/us-npi", "value": "1000000029"}), True),
        (in_("ward"), True),
        (in_("detox"), False),
        (in_("room"), False),
    ],
)
async def test_a_visit_is_what_its_place_is(scene, made, goes):
    """By itself, in a search, and with what was measured there: the place's own record tells, gathered at the door."""
    scene.server.hold(made, observation("o", encounter={"reference": "Encounter/v"}))
    for path in ("Encounter/v", "Observation/o"):
        assert (200 if goes else 404) == (await scene.ask(path)).status, path
    for kind, id in (("Encounter", "v"), ("Observation", "o")):
        assert goes == (id in (await scene.ask(f"{kind}?patient={ROSA}")).ids)


async def test_a_push_is_known_by_what_it_holds(scene):
    """What is sent with the clinic's own record is the clinic's."""
    made = [at("named"), organisation("named", name="County Methadone Clinic")]
    entries = [{"request": {"method": "POST", "url": one["resourceType"]}, "resource": one} for one in made]
    found = await scene.push({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert 403 == found.status
