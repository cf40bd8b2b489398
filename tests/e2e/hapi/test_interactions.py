"""Each way of asking, before HAPI, under each profile: what comes is what the story's lines say, written by hand."""

import json
from urllib.parse import quote

import pytest

from gateway.demo.lines import Line
from gateway.demo.telling import story_lines
from tests.e2e.hapi.consents import permission
from tests.e2e.hapi.searchset import included, matches, next_of, told, walked

PROFILES = {"plan-pays": "us-part2", "plan-pays-hipaa": "us-hipaa", "plan-pays-base": "base"}
LINES = {line.id: line for line in story_lines().lines}
GRANTED = [line.id for line in LINES.values() if line.said["first"].outcome]
LOINC = {"system": "http://loinc.org", "code": "8867-4"}
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def ask(gate, line: Line):
    """Ask as a line's client, for its purpose."""
    return lambda url, **more: gate.ask(url, line.client, line.purpose, **more)


def visible(line: Line, type_: str | None = None) -> set[str]:
    """What the story says its client may see."""
    outcome = line.said["first"].outcome
    return {one for one in outcome.through | outcome.masked.keys() if type_ is None or one.startswith(f"{type_}/")}


def test_every_profile_is_tried():
    """The three lines that ask the same question are answered under the three profiles."""
    routes = {LINES[name].route for name in PROFILES}
    assert {"hospital", "hospital-hipaa", "hospital-base"} == routes


@pytest.mark.parametrize("name", GRANTED)
def test_read_gives_what_a_search_gives_and_nothing_else(story_gateway, story_server, name):
    """Every record of the line is there upstream; the client reads those it may see, the others are not there."""
    line = LINES[name]
    read = ask(story_gateway, line)
    for record in sorted(visible(line)):
        answer = read(f"{line.route}/{record}")
        assert 200 == answer.status_code, record
        assert record == f"{answer.json()['resourceType']}/{answer.json()['id']}"
    absent = read(f"{line.route}/{line.types[0]}/never-was")
    for record in sorted(line.said["first"].outcome.withheld):
        assert story_server.text(*record.split("/")) is not None
        answer = read(f"{line.route}/{record}")
        assert (404, absent.content) == (answer.status_code, answer.content), record


@pytest.mark.parametrize("name", GRANTED)
@pytest.mark.parametrize("how", ["get", "post"])
def test_search_gives_what_may_be_seen(story_gateway, story_server, name, how):
    """By GET and by POST: all that may be seen, counted, and none of the rest, which HAPI does hold."""
    line = LINES[name]
    search = ask(story_gateway, line)
    for type_ in line.types:
        wanted = f"patient=Patient/{line.patients[0]}&_count=100"
        if how == "get":
            answer = search(f"{line.route}/{type_}?{wanted}")
        else:
            answer = search(f"{line.route}/{type_}/_search", method="POST", form=wanted)
        assert 200 == answer.status_code, answer.text
        page = answer.json()
        assert visible(line, type_) == set(matches(page))
        assert (len(matches(page)), "") == (page["total"], next_of(page))
        hidden = {one for one in line.said["first"].outcome.withheld if one.startswith(f"{type_}/")}
        assert visible(line, type_) | hidden <= story_server.ids(f"{type_}?{wanted}")
        assert all(story_gateway.base(line.route) in link["url"] for link in page["link"])
        assert story_server.base.encode() not in answer.content


@pytest.mark.parametrize("name", GRANTED)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_paging_gives_full_pages_of_what_may_be_seen(story_gateway, name, count):
    """Every page but the last is full, whatever is withheld between; no page tells how many HAPI has."""
    line = LINES[name]
    for type_ in line.types:
        url = f"{line.route}/{type_}?patient=Patient/{line.patients[0]}&_count={count}"
        pages = walked(ask(story_gateway, line), url)
        found = [matches(page) for page in pages]
        assert all(len(one) == count for one in found[:-1])
        assert sorted(visible(line, type_)) == sorted(one for page in found for one in page)
        assert all("total" not in page for page in pages if len(pages) > 1)


@pytest.mark.parametrize("name", PROFILES)
def test_a_search_by_code_meets_only_what_may_be_seen(story_gateway, story_server, name):
    """The code of Rosa's Part 2 diagnosis: found under us-hipaa and base, under us-part2 as if nobody had it."""
    line = LINES[name]
    wanted = f"Condition?patient=rosa&code={quote('http://hl7.org/fhir/sid/icd-10-cm|F11.20')}"
    assert {"Condition/rosa-opioid-dependence"} == story_server.ids(wanted)
    found = ask(story_gateway, line)(f"{line.route}/{wanted}").json()
    assert ([] if name == "plan-pays" else ["Condition/rosa-opioid-dependence"]) == matches(found)
    assert len(matches(found)) == found["total"]


@pytest.mark.parametrize("name", PROFILES)
def test_what_is_included_is_led_to_by_what_may_be_seen(story_gateway, name):
    """Encounters with their organisation: the clinic's comes where the clinic's encounters do."""
    line = LINES[name]
    page = ask(story_gateway, line)(
        f"{line.route}/Encounter?patient=rosa&_include=Encounter:service-provider&_count=50"
    ).json()
    expected = {"Organization/mercy"} | (set() if name == "plan-pays" else {"Organization/harbor"})
    assert expected == set(included(page))


@pytest.mark.parametrize("name", PROFILES)
def test_a_batch_reads_as_its_parts_do(story_gateway, name):
    """A posted batch of gets has the answers that its entries have alone."""
    line = LINES[name]
    paths = ["Condition/rosa-opioid-dependence", "Condition/rosa-diabetes", "Observation?patient=rosa"]
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": path}} for path in paths],
    }
    asked = ask(story_gateway, line)
    answer = asked(f"{line.route}/", method="POST", body=batch)
    assert 200 == answer.status_code, answer.text
    hidden, seen, searched = answer.json()["entry"]
    assert ("404" if name == "plan-pays" else "200") == hidden["response"]["status"][:3]
    assert "rosa-diabetes" == seen["resource"]["id"]
    assert visible(line, "Observation") == set(matches(searched["resource"]))


def observation(**more):
    """A heart rate of somebody who is not in the story."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [LOINC]},
        "subject": {"reference": "Patient/receives-pushes"},
        "performer": [{"reference": "Organization/sunrise"}],
        "valueQuantity": {"value": 70, "unit": "/min"},
    } | more


def part2(patient="Patient/receives-pushes"):
    """An opioid use disorder, labelled as a Part 2 record."""
    return {
        "resourceType": "Condition",
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F11.20"}]},
        "subject": {"reference": patient},
        "meta": {"security": [{"system": ACT_CODE, "code": "42CFRPart2"}]},
    }


def bundle(*resources, kind="transaction"):
    """A Bundle that creates these resources."""
    entries = [{"resource": one, "request": {"method": "POST", "url": one["resourceType"]}} for one in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


@pytest.fixture(scope="module")
def receiver(story_server):
    """HAPI with a patient whom nothing else is about: the story's records stay as they are."""
    story_server.load([b'{"resourceType":"Patient","id":"receives-pushes","name":[{"family":"Pushed"}]}'])
    return story_server


@pytest.fixture
def consented(story_gateway, receiver):
    """The patient lets the plan disclose to the hospital for payment: what profile `base` needs for anything at all."""
    signed = story_gateway.sign(permission("receives-pushes", "Organization/sunrise", "HPAYMT"))
    yield
    story_gateway.revoke(signed)


# What a route answers to a transaction of a plain record: whole where the profile lets it go.
PUSHED = {"hospital": "us-part2", "hospital-hipaa": "us-hipaa", "hospital-base": "base"}


def push(gate, route, tree):
    """The plan pushes to the hospital, for its payment."""
    return gate.ask(f"{route}/", "sunrise-platform", "HPAYMT", method="POST", body=tree)


@pytest.mark.parametrize("route", PUSHED)
def test_a_pushed_transaction_of_what_may_be_disclosed_is_stored(story_gateway, receiver, consented, route):
    """Under each profile a plain record goes to HAPI; its sender is told our address of it."""
    answer = push(story_gateway, route, bundle(observation()))
    assert 200 == answer.status_code, answer.text
    (entry,) = answer.json()["entry"]
    assert "201 Created" == entry["response"]["status"]
    base, _, id_ = entry["response"]["location"].rpartition("/")
    assert f"{story_gateway.base(route)}/Observation" == base
    assert b'"value":70' in receiver.text("Observation", id_)


@pytest.mark.parametrize("route", PUSHED)
def test_a_transaction_with_a_part_2_record_needs_consent_under_part_2(story_gateway, receiver, consented, route):
    """Held back under us-part2, and then nothing of the whole transaction is stored; elsewhere it goes."""
    before = receiver.ids("Observation?patient=receives-pushes")
    answer = push(story_gateway, route, bundle(observation(), part2()))
    after = receiver.ids("Observation?patient=receives-pushes")
    if route == "hospital":
        assert 403 == answer.status_code
        assert "/entry/1/resource Condition: withheld" in told(answer)
        assert before == after
    else:
        assert ["201 Created"] * 2 == [entry["response"]["status"] for entry in answer.json()["entry"]]
        assert 1 == len(after - before)


@pytest.mark.parametrize("route", PUSHED)
def test_without_consent_profile_base_lets_nothing_go(story_gateway, receiver, route):
    """Nobody's consent: refused under base; under HIPAA payment is reason enough."""
    before = receiver.ids("Observation?patient=receives-pushes")
    answer = push(story_gateway, route, bundle(observation()))
    assert (403 if route == "hospital-base" else 200) == answer.status_code
    assert (0 if route == "hospital-base" else 1) == len(receiver.ids("Observation?patient=receives-pushes") - before)


def test_a_batch_goes_in_part(story_gateway, receiver, consented):
    """Under us-part2 the plain entries of a batch are stored, the other one is answered in its place."""
    answer = push(story_gateway, "hospital", bundle(observation(), part2(), observation(), kind="batch"))
    assert 200 == answer.status_code, answer.text
    statuses = [entry["response"]["status"] for entry in answer.json()["entry"]]
    assert ["201 Created", "403 Forbidden", "201 Created"] == statuses


def test_a_collection_is_stored_without_what_is_held_back(story_gateway, receiver, consented):
    """Posted to /Bundle it is one Bundle upstream, less the record that may not go."""
    tree = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": observation()}, {"resource": part2()}],
    }
    answer = story_gateway.ask("hospital/Bundle", "sunrise-platform", "HPAYMT", method="POST", body=tree)
    assert 201 == answer.status_code, answer.text
    place = answer.headers["location"]
    assert place.startswith(f"{story_gateway.base('hospital')}/Bundle/")
    stored = json.loads(receiver.text("Bundle", place.rpartition("/")[2]))
    assert ["Observation"] == [entry["resource"]["resourceType"] for entry in stored["entry"]]


@pytest.mark.parametrize(("client", "purpose"), [("sunrise-platform", ""), ("hearth-intake", "TREAT")])
def test_without_a_purpose_that_is_granted_hapi_is_not_asked(story_gateway, story_server, client, purpose):
    """No purpose, or one that the client may not claim: 403, and nothing reaches the server behind."""
    before = story_server.requests
    for path in ("hospital/Condition?patient=rosa", "hospital/Condition/rosa-diabetes", "hospital/Patient/rosa"):
        assert 403 == story_gateway.ask(path, client, purpose).status_code
    assert before == story_server.requests
