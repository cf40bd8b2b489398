"""The embedded upstream by HTTP: what is read, written, refused and noted."""

import base64

import httpx2
import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from gateway.demo.upstream import SOFTWARE, EmbeddedUpstream, Received, serve

WEIGHT = {"resourceType": "Observation", "id": "mine", "status": "final", "code": {"text": "weight"}}


def basic(user: str, password: str) -> dict[str, str]:
    """The Authorization header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def test_read_gives_the_loaded_text_byte_for_byte(client, upstream):
    """Spaces, line ends, escapes and `1.10` come out of a read, a vread and a search as they were loaded."""
    loaded = upstream.store.read("Observation", "sugar").raw
    assert b"1.10" in loaded
    assert b"caf\\u00e9 \\/ 5" in loaded
    read = await client.get("Observation/sugar")
    assert loaded == read.content
    assert 'W/"7"' == read.headers["etag"]
    assert "Sun, 01 Mar 2026 10:00:00 GMT" == read.headers["last-modified"]
    assert loaded == (await client.get("Observation/sugar/_history/7")).content
    for query in ("Observation?_id=sugar", "Encounter?_revinclude=Observation:encounter", "?_id=sugar"):
        assert loaded in (await client.get(query)).content


async def test_nothing_is_added_to_a_resource_without_meta(client):
    """A resource loaded without meta has none when it is read; version and time stand in the headers."""
    read = await client.get("Patient/ann")
    assert "meta" not in read.json()
    assert 'W/"1"' == read.headers["etag"]


@pytest.mark.parametrize("path", ["Patient/nobody", "Observation/ann", "Patient/ann/_history/2", "Patient/x/_history"])
async def test_what_is_not_there_is_404(client, path):
    """An unknown id, an id of another type and an unknown version are not found."""
    assert 404 == (await client.get(path)).status_code


async def test_update_makes_a_version_and_history_tells_both(client):
    """PUT stores the next version in the same place; vread and history (newest first) still give the older text."""
    changed = await client.put("Patient/ann", json={"resourceType": "Patient", "id": "ann", "gender": "other"})
    assert (200, "2", "other") == (changed.status_code, changed.json()["meta"]["versionId"], changed.json()["gender"])
    assert "http://up.test/fhir/Patient/ann/_history/2" == changed.headers["location"]
    assert "female" == (await client.get("Patient/ann/_history/1")).json()["gender"]
    history = (await client.get("Patient/ann/_history")).json()
    assert ["PUT", "POST"] == [entry["request"]["method"] for entry in history["entry"]]
    Bundle.model_validate(history)
    everyone = (await client.get("Patient")).json()
    assert ["ann", "bob"] == [entry["resource"]["id"] for entry in everyone["entry"]]


async def test_search_follows_an_update(client, ids):
    """A resource is found by what its current version says, no longer by what an older one said."""
    nuts = {"resourceType": "AllergyIntolerance", "id": "nuts", "patient": {"reference": "Patient/bob"}}
    await client.put("AllergyIntolerance/nuts", json=nuts)
    assert ["nuts"] == ids(await client.get("AllergyIntolerance?patient=bob"))
    assert [] == ids(await client.get("AllergyIntolerance?patient=ann"))


async def test_update_keeps_the_place_of_a_resource(client, ids):
    """After an update of the first match it is still the first, in every way of finding it."""
    sugar = {"resourceType": "Observation", "id": "sugar", "subject": {"reference": "Patient/ann"}}
    await client.put("Observation/sugar", json=sugar)
    for query in ("Observation?patient=ann", "Observation?_id=weight,sugar"):
        assert ["sugar", "weight"] == ids(await client.get(query))


async def test_create_assigns_id_and_meta_and_keeps_every_other_text(client):
    """POST ignores the id sent, adds versionId and lastUpdated to meta, and leaves numbers and labels as written."""
    sent = b'{"resourceType":"Observation","id":"mine","meta":{"tag":[{"code":"t"}]},"valueQuantity":{"value":2.50}}'
    answer = await client.post("Observation", content=sent, headers={"Content-Type": "application/fhir+json"})
    assert 201 == answer.status_code
    assert "mine" != answer.json()["id"]
    assert [{"code": "t"}] == answer.json()["meta"]["tag"]
    assert "2026-11-22T12:00:00.000+00:00" == answer.json()["meta"]["lastUpdated"]
    assert b'"valueQuantity":{"value":2.50}' in answer.content
    read = await client.get(answer.headers["location"])
    assert answer.content == read.content


async def test_collection_posted_to_bundle_is_stored_as_a_bundle(client):
    """A collection posted to /Bundle is one Bundle resource; its entries are not resources of their own."""
    collection = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": WEIGHT}]}
    answer = await client.post("Bundle", json=collection)
    assert 201 == answer.status_code
    assert collection["entry"] == (await client.get(f"Bundle/{answer.json()['id']}")).json()["entry"]
    assert 404 == (await client.get("Observation/mine")).status_code


async def test_return_minimal_is_honoured(client):
    """With `Prefer: return=minimal` a write is answered without a body."""
    answer = await client.post("Observation", json=WEIGHT, headers={"Prefer": "return=minimal"})
    assert (201, b"") == (answer.status_code, answer.content)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "Patient/ann", 405),
        ("PATCH", "Patient/ann", 405),
        ("GET", "Patient/_history", 405),
        ("GET", "_history", 405),
        ("GET", "Patient/ann/$everything", 501),
        ("POST", "$export", 501),
        ("GET", "Colour/red", 404),
        ("GET", "Patient/a%20b", 400),
        ("GET", "http://up.test/elsewhere", 404),
        ("GET", "http://up.test/fhirs/Patient/ann", 404),
    ],
)
async def test_everything_else_is_refused(client, method, path, status):
    """Interactions, operations, types and paths that this server does not have end in an OperationOutcome."""
    answer = await client.request(method, path)
    assert (status, "OperationOutcome") == (answer.status_code, answer.json()["resourceType"])


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status"),
    [
        ("POST", "Observation", b"{", {}, 400),
        ("POST", "Observation", b"[]", {}, 400),
        ("POST", "Observation", b'{"resourceType":"Patient"}', {}, 400),
        ("POST", "Observation", b'{"resourceType":"Observation","meta":[]}', {}, 400),
        ("POST", "Observation", b"<Observation/>", {"Content-Type": "application/fhir+xml"}, 415),
        ("POST", "Observation", b'{"resourceType":"Observation"}', {"If-Match": 'W/"1"'}, 400),
        ("POST", "Observation", b'{"resourceType":"Observation"}', {"If-None-Exist": "identifier=1"}, 400),
        ("PUT", "Patient/ann", b'{"resourceType":"Patient","id":"bob"}', {}, 400),
        ("PUT", "Patient/ann", b'{"resourceType":"Patient","id":"ann"}', {"If-Match": 'W/"9"'}, 412),
    ],
)
async def test_unusable_writes_are_refused_and_store_nothing(client, upstream, method, path, content, headers, status):
    """A body that is not such a resource, another type, and conditional writes change nothing."""
    answer = await client.request(
        method, path, content=content, headers={"Content-Type": "application/fhir+json"} | headers
    )
    assert status == answer.status_code
    assert 4 == len(list(upstream.store.all("Observation")))
    assert 1 == len(upstream.store.versions("Patient", "ann"))


async def test_credentials_guard_everything_but_metadata():
    """With credentials, only /metadata answers without them; wrong ones are as good as none."""
    app = EmbeddedUpstream([{"resourceType": "Patient", "id": "ann"}], credentials=("gateway", "s:cret"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://up.test/fhir") as client:
        for path in ("Patient/ann", "Patient", "Patient/nobody", "Colour", "http://up.test/elsewhere"):
            for headers in ({}, basic("gateway", "wrong"), {"Authorization": "Bearer s:cret"}):
                refused = await client.get(path, headers=headers)
                assert 401 == refused.status_code
                assert refused.headers["www-authenticate"].startswith("Basic")
        assert 200 == (await client.get("Patient/ann", headers=basic("gateway", "s:cret"))).status_code
        assert 200 == (await client.get("metadata")).status_code


async def test_metadata_says_what_this_server_is(client):
    """The CapabilityStatement is valid R4, names the software as a demonstration, and lists what can be searched."""
    statement = (await client.get("metadata")).json()
    CapabilityStatement.model_validate(statement)
    assert SOFTWARE == statement["software"]["name"]
    types = {one["type"]: one for one in statement["rest"][0]["resource"]}
    assert {"name": "patient", "type": "reference"} in types["Observation"]["searchParam"]
    assert "Encounter:service-provider" in types["Encounter"]["searchInclude"]
    assert "Colour" not in types


async def test_every_listed_parameter_and_include_works(client):
    """What the CapabilityStatement lists can be asked: no listed parameter or include is refused."""
    statement = (await client.get("metadata")).json()
    values = {"date": "2026", "token": "x", "reference": "x", "string": "x"}
    for one in statement["rest"][0]["resource"]:
        asked = {param["name"]: values[param["type"]] for param in one["searchParam"]}
        answer = await client.get(one["type"], params={**asked, "_include": one["searchInclude"]})
        assert 200 == answer.status_code, (one["type"], answer.text)


async def test_requests_are_noted_with_query_and_header_names(client, upstream):
    """A test can see method, path, query (the form of a POST too) and header names of whatever was sent."""
    await client.get("Patient?_id=ann", headers={"X-Purpose-Of-Use": "TREAT"})
    await client.post("Observation/_search", data={"patient": "ann"})
    got, posted = upstream.requests
    assert Received("GET", "/fhir/Patient", "_id=ann", got.headers) == got
    assert "x-purpose-of-use" in got.headers
    assert ("POST", "/fhir/Observation/_search", "patient=ann") == posted[:3]


async def test_searchsets_are_valid_bundles(client):
    """A searchset with an included resource reads as an R4 Bundle with absolute fullUrls."""
    found = (await client.get("Encounter?_include=Encounter:service-provider")).json()
    Bundle.model_validate({**found, "entry": [{**entry, "resource": None} for entry in found["entry"]]})
    urls = ["http://up.test/fhir/Encounter/visit", "http://up.test/fhir/Organization/north"]
    assert urls == [entry["fullUrl"] for entry in found["entry"]]


@pytest.mark.parametrize(
    "resource", [b"[1]", b"{", {"resourceType": "Patient"}, {"id": "x"}, {"resourceType": "Patient", "id": "a b"}]
)
def test_what_has_no_type_or_id_cannot_be_loaded(resource):
    """Loading names the fault at once instead of serving something that cannot be addressed."""
    with pytest.raises(ValueError, match=r"not a JSON object|without"):
        EmbeddedUpstream([resource])


async def test_serve_answers_on_a_real_port_until_the_block_ends(upstream):
    """Two servers run side by side on free ports, links carry the port, and both stop with their block."""
    other = EmbeddedUpstream([{"resourceType": "Patient", "id": "zoe"}], base_path="/")
    async with serve(upstream) as base, serve(other) as second, httpx2.AsyncClient() as client:
        assert base.startswith("http://127.0.0.1:")
        found = (await client.get(f"{base}/Patient")).json()
        assert f"{base}/Patient/ann" == found["entry"][0]["fullUrl"]
        assert "zoe" == msgspec.json.decode((await client.get(f"{second}/Patient/zoe")).content)["id"]
    async with httpx2.AsyncClient() as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"{base}/metadata")
