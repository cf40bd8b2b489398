"""The read API before HAPI: every way of reading gives what the story's lines say may be seen, and nothing else."""

import base64
import json

import pytest

from gateway.demo.story import DIRECTORY, StoryConsent, story_consent
from gateway.demo.telling import ROUTES, story_lines
from tests.e2e.hapi.gateway import gateway
from tests.e2e.hapi.searchset import included, matches, walked

LINE = next(line for line in story_lines().lines if line.id == "plan-pays")
OUTCOME = LINE.said["first"].outcome
SEEN = {one for one in OUTCOME.through | OUTCOME.masked.keys() if one.partition("/")[0] in LINE.types}
FURTHER = ("history: [Observation, Condition]", "terminology: true")
NORMAL = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]}


@pytest.fixture(scope="module")
def gate(story_server, tmp_path_factory):
    """A gateway whose routes open versions and terminology."""
    folder = tmp_path_factory.mktemp("reads")
    with gateway(folder, story_server, DIRECTORY.read_text(), ROUTES, FURTHER) as one:
        one.sign(story_consent(StoryConsent.ROSA_GENERAL))
        yield one


@pytest.fixture
def ask(gate):
    """Ask as the plan, for payment."""
    return lambda url, **more: gate.ask(
        url if url.startswith("http") else f"{LINE.route}/{url}", LINE.client, LINE.purpose, **more
    )


def of(*types: str) -> set[str]:
    """What may be seen of these types."""
    return {one for one in SEEN if one.partition("/")[0] in types}


@pytest.mark.parametrize("query", ["", "?_count=3", "?_type=Observation,Condition,Encounter"])
def test_L048_everything_is_what_may_be_seen(ask, story_server, query):
    """All types of the patient's compartment, composed of searches; HAPI's own operation is never asked."""
    before = len(story_server.requests)
    pages = walked(ask, f"Patient/rosa/$everything{query}")
    found = [one for page in pages for one in matches(page)]
    assert len(set(found)) == len(found)
    types = ("Observation", "Condition", "Encounter")
    assert of(*types) == {one for one in found if one.partition("/")[0] in types}
    assert not OUTCOME.withheld & {*found, *(one for page in pages for one in included(page))}
    if not query:
        assert {"Patient/rosa"} | SEEN == set(found) & ({"Patient/rosa"} | SEEN)
        assert "Organization/mercy" in included(pages[0])
        assert "Organization/harbor" not in included(pages[0])
    asked = story_server.requests[before:]
    assert asked
    assert not [one for one in asked if "$" in one or "_elements" in one or "_summary" in one]


@pytest.mark.parametrize("count", [1, 50])
def test_a_compartment_and_all_types_are_searched_by_the_gateway(ask, count):
    """Pages filled over several searches, each record once."""
    for url, types in (
        ("Patient/rosa/Observation?", ("Observation",)),
        ("?_type=Condition,Observation&patient=rosa&", ("Condition", "Observation")),
    ):
        pages = walked(ask, f"{url}_count={count}")
        found = [one for page in pages for one in matches(page)]
        assert sorted(of(*types)) == sorted(found)
        assert all(len(matches(page)) == count for page in pages[:-1])
        number = ask(f"{url}_summary=count").json()
        assert (len(found), False) == (number["total"], "entry" in number)


def test_L001_a_projection_is_never_hapis(ask, story_server):
    """Cut from what was released, marked, and unknown to HAPI."""
    before = len(story_server.requests)
    page = ask("Observation?patient=rosa&_elements=status&_count=50").json()
    assert sorted(of("Observation")) == sorted(matches(page))
    for entry in page["entry"]:
        assert {"resourceType", "id", "meta", "status", "code"} == set(entry["resource"])
        assert "SUBSETTED" in {tag["code"] for tag in entry["resource"]["meta"]["tag"]}
    assert not [one for one in story_server.requests[before:] if "_elements" in one]


PUT: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def _tidy(story_server):
    """What these tests store is about Rosa, whose records other files count: it goes again."""
    yield
    for place in reversed(list(dict.fromkeys(PUT))):
        story_server.client.delete(f"{story_server.base}/{place}").raise_for_status()


def put(server, tree):
    """Store a record in HAPI itself."""
    said = {"Content-Type": "application/fhir+json"}
    place = f"{tree['resourceType']}/{tree['id']}"
    PUT.append(place)
    server.client.put(f"{server.base}/{place}", content=json.dumps(tree), headers=said).raise_for_status()


def rate(id_: str, value: int, *, hidden: bool) -> dict:
    """A heart rate of Rosa's."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/rosa"},
        "encounter": {"reference": f"Encounter/{'rosa-harbor-intake' if hidden else 'rosa-mercy-clinic'}"},
        "performer": [{"reference": f"Organization/{'harbor' if hidden else 'mercy'}"}],
        "effectiveDateTime": f"2026-02-{value:02}",
        "valueQuantity": {"value": value, "unit": "/min"},
    }


def test_L046_versions_are_those_that_may_be_seen(ask, story_server):
    """A hidden version in between is not there and leaves no gap; a hidden present one hides all."""
    for value, hidden in ((1, False), (2, True), (3, False)):
        put(story_server, rate("turned", value, hidden=hidden))
    for value, hidden in ((1, False), (2, True)):
        put(story_server, rate("hidden-now", value, hidden=hidden))
    entries = ask("Observation/turned/_history").json()["entry"]
    assert [3, 1] == [entry["resource"]["valueQuantity"]["value"] for entry in entries]
    for entry in entries:
        version = entry["resource"]["meta"]["versionId"]
        assert entry["resource"] == ask(f"Observation/turned/_history/{version}").json()
    assert ask("Observation/turned").headers["etag"] == entries[0]["response"]["etag"]
    never = ask("Observation/never/_history")
    for way in ("_history", "_history/1", "_history/2"):
        answer = ask(f"Observation/hidden-now/{way}")
        assert (404, never.content) == (answer.status_code, answer.content)
    listed = ask("Observation/_history?patient=rosa&_count=200").json()["entry"]
    assert "Observation/turned" in {entry["request"]["url"] for entry in listed}
    assert "Observation/hidden-now" not in {entry["request"]["url"] for entry in listed}


def test_L051_the_latest_is_the_latest_that_may_be_seen(ask, story_server):
    """A newer one that is withheld does not displace it."""
    put(story_server, rate("late", 20, hidden=False))
    put(story_server, rate("later", 21, hidden=True))
    found = ask("Observation/$lastn?patient=rosa&code=http://loinc.org%7C8867-4").json()
    assert ["Observation/late"] == matches(found)


def letter(id_: str, content: str, *, hidden: bool) -> dict:
    """A document that points at its content."""
    custodian = {"reference": f"Organization/{'harbor' if hidden else 'mercy'}"}
    return {
        "resourceType": "DocumentReference",
        "id": id_,
        "meta": NORMAL,
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": {"reference": "Patient/rosa"},
        "author": [custodian],
        "custodian": custodian,
        "content": [{"attachment": {"contentType": "application/pdf", "url": f"Binary/{content}"}}],
    }


def test_L052_content_goes_where_every_document_that_holds_it_goes(ask, gate, story_server):
    """Found by the documents that point at it: one visible owner opens it, a second one that is hidden closes it."""
    for id_ in ("mine", "shared", "orphan"):
        data = base64.b64encode(id_.encode()).decode()
        put(
            story_server,
            {"resourceType": "Binary", "id": id_, "contentType": "application/pdf", "data": data, "meta": NORMAL},
        )
    put(story_server, letter("one", "mine", hidden=False))
    put(story_server, letter("two", "shared", hidden=False))
    put(story_server, letter("three", "shared", hidden=True))
    assert ask("DocumentReference/one").status_code == 200
    found = ask("Binary/mine")
    assert (200, b"mine") == (found.status_code, base64.b64decode(found.json()["data"]))
    never = ask("Binary/never")
    for id_ in ("shared", "orphan"):
        answer = ask(f"Binary/{id_}")
        assert (404, never.content) == (answer.status_code, answer.content)


def test_L052_what_content_says_of_itself_closes_its_document(ask, story_server):
    """Found by a search of several Binaries, or read: one that is of a Part 2 program closes its letter alone."""
    part2 = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}]}
    for id_, meta in (("plain-1", NORMAL), ("plain-2", NORMAL), ("of-part2", part2)):
        data = base64.b64encode(id_.encode()).decode()
        put(
            story_server,
            {"resourceType": "Binary", "id": id_, "contentType": "application/pdf", "data": data, "meta": meta},
        )
        put(story_server, letter(f"l-{id_}", id_, hidden=False))
    for _ in range(2):
        found = ask("DocumentReference?_id=l-plain-1,l-plain-2,l-of-part2").json()
        assert {"l-plain-1", "l-plain-2"} == {one["resource"]["id"] for one in found["entry"]}
    assert 200 == ask("DocumentReference/l-plain-1").status_code
    assert ask("DocumentReference/never").content == ask("DocumentReference/l-of-part2").content


def test_terminology_is_answered_where_the_route_opens_it(ask, story_server):
    """A code of the server's is looked up; what it does not do is its fault."""
    concepts = [{"code": "a", "display": "A"}, {"code": "b", "display": "B"}]
    system = {"resourceType": "CodeSystem", "id": "letters", "url": "http://letters.example/cs", "status": "active"}
    put(story_server, system | {"content": "complete", "concept": concepts})
    looked = ask("CodeSystem/$lookup?system=http://letters.example/cs&code=a")
    assert 200 == looked.status_code, looked.text
    assert "A" in [one.get("valueString") for one in looked.json()["parameter"]]
    assert 502 == ask("ValueSet/letters/$expand").status_code


def test_L054_a_person_is_found_by_name_and_birth_date(ask):
    """Graded by the gateway among those whom the caller may see."""
    described = {
        "resourceType": "Patient",
        "name": [{"family": "Alvarez", "given": ["Rosa"]}],
        "birthDate": "1987-03-14",
    }
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": described}]}
    found = ask("Patient/$match", method="POST", body=body).json()
    assert ["Patient/rosa"] == matches(found)
    assert "probable" == found["entry"][0]["search"]["extension"][0]["valueCode"]
