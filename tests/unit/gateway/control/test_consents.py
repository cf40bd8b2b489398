"""The Consent API: who may write and see what, and what is refused by which element."""

import json

import pytest

from consent_store.model import PatientKey
from consent_store.store import StoreUnavailable, Subject
from tests.consents import r4
from tests.unit.gateway.control.plane import BASE, MRN, OFFICER, OMARS, ROSAS, Plane, token

R5 = {
    "resourceType": "Consent",
    "status": "active",
    "decision": "permit",
    "subject": {"reference": "Patient/rosa"},
    "date": "2024-02-03",
}
ROSA = Subject(PatientKey("ny/h", "rosa"))


def consent(**parts) -> dict:
    """An active R4 Consent of Rosa's."""
    return r4(**({"id": None, "patient": {"reference": "Patient/rosa"}} | parts))


async def created(plane: Plane, bearer=ROSAS, **parts) -> dict:
    """A stored Consent."""
    answer = await plane.ask("POST", "/fhir/Consent", bearer, consent(**parts))
    assert 201 == answer.status_code, answer.text
    return answer.json()


async def test_a_patient_signs_reads_and_revokes(plane):
    """Create, read, version read, revoke by update: each version stays to be read (L081)."""
    answer = await plane.ask("POST", "/fhir/Consent", ROSAS, consent())
    first = answer.json()
    address = f"/fhir/Consent/{first['id']}"
    assert (201, 'W/"1"', f"http://control{address}/_history/1") == (
        answer.status_code,
        answer.headers["etag"],
        answer.headers["location"],
    )
    assert "application/fhir+json; fhirVersion=4.0; charset=utf-8" == answer.headers["content-type"]
    assert "Sat, 01 Mar 2025 12:00:00 GMT" == answer.headers["last-modified"]
    assert first == (await plane.ask("GET", address, ROSAS)).json()
    revoked = await plane.ask("PUT", address, ROSAS, first | {"status": "inactive"}, If_Match='W/"1"')
    assert (200, 'W/"2"') == (revoked.status_code, revoked.headers["etag"])
    assert "inactive" == (await plane.ask("GET", address, ROSAS)).json()["status"]
    assert "active" == (await plane.ask("GET", f"{address}/_history/1", ROSAS)).json()["status"]


async def test_what_is_written_is_what_the_data_plane_finds(plane):
    """A stored Consent is found for the patient under the source that the data plane asks by."""
    await created(plane)
    (found,) = (await plane.consents.snapshot([ROSA]))[ROSA].consents
    assert PatientKey("ny/h", "rosa") == found.patient


async def test_the_text_is_kept_as_written(plane):
    """Numbers and unknown-to-us narrative come back to the letter; an id of the client's choosing does not count."""
    raw = json.dumps(consent(id="chosen")).replace(
        '"2024-02-03"', '"2024-02-03", "text": {"status": "empty", "div": "\\u00e9"}'
    )
    answer = await plane.ask("POST", "/fhir/Consent", ROSAS, raw.encode())
    assert "\\u00e9" in answer.text
    assert "chosen" != answer.json()["id"]
    assert 404 == (await plane.ask("GET", "/fhir/Consent/chosen", OFFICER)).status_code


async def test_another_patients_consent_is_not_there(plane):
    """For Omar's app Rosa's Consent answers as one that never was, on every way to it; the officer sees it."""
    rosas = await created(plane)
    absent = await plane.ask("GET", "/fhir/Consent/never", OMARS)
    for method, path, body in (
        ("GET", f"/fhir/Consent/{rosas['id']}", None),
        ("GET", f"/fhir/Consent/{rosas['id']}/_history/1", None),
        ("GET", f"/fhir/Consent/{rosas['id']}/_history/9", None),
        ("PUT", f"/fhir/Consent/{rosas['id']}", rosas | {"status": "inactive"}),
    ):
        hidden = await plane.ask(method, path, OMARS, body, If_Match='W/"1"')
        assert (404, absent.content) == (hidden.status_code, hidden.content)
    assert 200 == (await plane.ask("GET", f"/fhir/Consent/{rosas['id']}", OFFICER)).status_code
    assert 0 == (await plane.ask("GET", "/fhir/Consent", OMARS)).json()["total"]


@pytest.mark.parametrize(
    ("parts", "status", "named"),
    [
        ({"patient": {"reference": "Patient/omar"}}, 403, None),
        ({"patient": {"reference": "Patient/rosa", "identifier": {"system": "urn:mrn", "value": "9"}}}, 422, "patient"),
        ({"patient": {"identifier": {"system": "urn:mrn", "value": "9"}}}, 403, None),
        ({"performer": [{"reference": "Patient/omar"}]}, 422, "performer"),
        ({"performer": [{"reference": "Organization/7"}]}, 422, "performer"),
        ({"performer": [{"display": "somebody"}]}, 422, "performer"),
    ],
)
async def test_an_app_speaks_for_its_own_patient_alone(plane, parts, status, named):
    """Another's reference, another's identifier, another's signature: refused, and nothing is stored (L080)."""
    answer = await plane.ask("POST", "/fhir/Consent", ROSAS, consent(**parts))
    assert status == answer.status_code
    if named:
        assert [f"Consent.{named}"] == answer.json()["issue"][0]["expression"]
    assert () == await plane.consents.search(patient=None, status=None, consent_id=None)


async def test_what_is_registered_of_the_patient_may_stand(plane):
    """The app's own signature, an absolute reference to the server served, a registered identifier: all hers."""
    patient = {"reference": f"{BASE}/Patient/rosa", "identifier": {"system": MRN.system, "value": MRN.value}}
    stored = await created(plane, patient=patient, performer=[{"reference": "Patient/rosa"}])
    assert 200 == (await plane.ask("GET", f"/fhir/Consent/{stored['id']}", ROSAS)).status_code


@pytest.mark.parametrize(
    ("change", "expression"),
    [
        ({"status": None}, "Consent.status"),
        ({"status": "nonsense"}, "Consent.status"),
        ({"scope": None}, "Consent.scope"),
        ({"patient": None}, "Consent.patient"),
        ({"unheard": 1}, "Consent.unheard"),
        (
            {
                "provision": {
                    "type": "permit",
                    "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREATS"}],
                }
            },
            "Consent.provision.purpose[0].code",
        ),
        ({"provision": {"type": "permit", "period": {"start": "2025", "end": "2024"}}}, "Consent.provision.period"),
        ({"status": "entered-in-error"}, "Consent.status"),
    ],
)
async def test_a_malformed_consent_is_refused_by_element(plane, change, expression):
    """A 422 names the element; nothing malformed is stored by this door."""
    answer = await plane.ask("POST", "/fhir/Consent", OFFICER, consent(**change))
    assert 422 == answer.status_code
    issues = answer.json()["issue"]
    assert expression in [one for issue in issues for one in issue["expression"]], issues
    assert () == await plane.consents.search(patient=None, status=None, consent_id=None)


@pytest.mark.parametrize(
    "raw", [b"", b"not json", b"[]", b'{"resourceType":"Consent","status":"active","status":"draft"}']
)
async def test_what_is_no_resource_is_refused(plane, raw):
    """Text that is not one strict JSON object is a 422, not a crash."""
    assert 422 == (await plane.ask("POST", "/fhir/Consent", ROSAS, raw)).status_code


async def test_an_update_needs_the_current_version(plane):
    """No If-Match 428, another version 412, and of two writers the second loses."""
    stored = await created(plane)
    address = f"/fhir/Consent/{stored['id']}"
    assert 428 == (await plane.ask("PUT", address, ROSAS, stored)).status_code
    for wrong in ('W/"2"', '"x"', "*", "1"):
        assert 412 == (await plane.ask("PUT", address, ROSAS, stored, If_Match=wrong)).status_code
    assert 200 == (await plane.ask("PUT", address, ROSAS, stored, If_Match='"1"')).status_code
    assert 412 == (await plane.ask("PUT", address, ROSAS, stored, If_Match='W/"1"')).status_code


async def test_an_update_cannot_create_or_rename(plane):
    """An unknown address is 404; the body's id must be the address's."""
    stored = await created(plane)
    assert 404 == (await plane.ask("PUT", "/fhir/Consent/new", ROSAS, stored, If_Match='W/"1"')).status_code
    other = await plane.ask("PUT", f"/fhir/Consent/{stored['id']}", ROSAS, stored | {"id": "b"}, If_Match='W/"1"')
    assert 400 == other.status_code


@pytest.mark.parametrize(
    ("change", "expression"),
    [
        ({"patient": {"reference": "Patient/omar"}}, "Consent.patient"),
        ({"patient": {"reference": "Patient/rosa", "identifier": {"system": "s", "value": "v"}}}, "Consent.patient"),
        ({"status": "draft"}, "Consent.status"),
    ],
)
async def test_an_update_keeps_the_patient_and_the_order_of_statuses(plane, change, expression):
    """A Consent does not pass to another patient, and an active one does not become a draft again."""
    stored = await created(plane)
    answer = await plane.ask("PUT", f"/fhir/Consent/{stored['id']}", OFFICER, stored | change, If_Match='W/"1"')
    assert (422, [expression]) == (answer.status_code, answer.json()["issue"][0]["expression"])


async def test_a_revoked_consent_stays_revoked(plane):
    """Who consents again signs a new Consent."""
    stored = await created(plane, status="inactive")
    again = await plane.ask(
        "PUT", f"/fhir/Consent/{stored['id']}", ROSAS, stored | {"status": "active"}, If_Match='W/"1"'
    )
    assert (422, ["Consent.status"]) == (again.status_code, again.json()["issue"][0]["expression"])


async def test_an_unreadable_one_is_an_officers_to_mend(plane):
    """What came by another way and cannot be read denies until a privacy officer, not an app, replaces it."""
    broken = json.dumps(consent(id="broken", unheard=1)).encode()
    await plane.consents.put("ny/h", broken, fhir_version="4.0", at="2025-03-01T00:00:00Z", expect=None)
    mended = consent(id="broken")
    assert 403 == (await plane.ask("PUT", "/fhir/Consent/broken", ROSAS, mended, If_Match='W/"1"')).status_code
    assert 200 == (await plane.ask("PUT", "/fhir/Consent/broken", OFFICER, mended, If_Match='W/"1"')).status_code


async def test_search_by_patient_status_and_id(plane):
    """A search gives whole Consents in a Bundle; an app's is always of its own patient."""
    active, inactive = await created(plane), await created(plane, status="inactive")
    await created(plane, OMARS, patient={"reference": "Patient/omar"})
    every = (await plane.ask("GET", "/fhir/Consent", ROSAS)).json()
    assert ("searchset", 2) == (every["type"], every["total"])
    assert {active["id"], inactive["id"]} == {entry["resource"]["id"] for entry in every["entry"]}
    for spelling in ("Patient/rosa", "rosa", f"{BASE}/Patient/rosa"):
        found = (await plane.ask("GET", f"/fhir/Consent?patient={spelling}&status=active", OFFICER)).json()
        assert [f"http://control/fhir/Consent/{active['id']}"] == [entry["fullUrl"] for entry in found["entry"]]
    by_id = (await plane.ask("GET", f"/fhir/Consent?_id={inactive['id']}", OFFICER)).json()
    assert [inactive] == [entry["resource"] for entry in by_id["entry"]]
    none = (await plane.ask("GET", "/fhir/Consent?status=draft", ROSAS)).json()
    assert (0, False) == (none["total"], "entry" in none)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?status=active", 400),
        ("?patient=Patient/rosa&_include=x", 400),
        ("?patient=Patient/rosa&patient=Patient/omar", 400),
        ("?patient=Patient/rosa,Patient/omar", 400),
        ("?patient=Group/1", 400),
        ("?patient=https://other.example/Patient/rosa", 400),
        ("?patient=", 400),
        ("?_id=a b", 400),
        ("?patient=rosa&status=nonsense", 400),
        ("?patient=Patient/rosa", 200),
    ],
)
async def test_searches_are_anchored_and_of_known_form(plane, query, status):
    """What is not served is refused, never passed over; nobody lists all Consents of all patients."""
    assert status == (await plane.ask("GET", f"/fhir/Consent{query}", OFFICER)).status_code


async def test_an_app_cannot_ask_for_another_patient(plane):
    """A patient parameter that is not the app's own is 403, whether or not there is such a patient."""
    answers = [await plane.ask("GET", f"/fhir/Consent?patient=Patient/{who}", OMARS) for who in ("rosa", "nobody")]
    assert {(403, answers[0].content)} == {(answer.status_code, answer.content) for answer in answers}


async def test_r5_is_told_by_the_content_type(plane):
    """An R5 Consent comes and goes as R5; asked for as R4 it is refused, and searches do not mix versions."""
    five = "application/fhir+json; fhirVersion=5.0"
    answer = await plane.ask("POST", "/fhir/Consent", ROSAS, R5, Content_Type=five)
    assert (201, True) == (answer.status_code, "fhirVersion=5.0" in answer.headers["content-type"])
    await created(plane)
    address = f"/fhir/Consent/{answer.json()['id']}"
    assert 200 == (await plane.ask("GET", address, ROSAS)).status_code
    assert 406 == (await plane.ask("GET", address, ROSAS, Accept="application/fhir+json; fhirVersion=4.0")).status_code
    for accept, version in (("*/*", "4.0"), (five, "5.0")):
        found = await plane.ask("GET", "/fhir/Consent", ROSAS, Accept=accept)
        assert (1, True) == (found.json()["total"], f"fhirVersion={version}" in found.headers["content-type"])
    as_r4 = await plane.ask("POST", "/fhir/Consent", ROSAS, R5)
    assert 422 == as_r4.status_code
    moved = await plane.ask("PUT", address, ROSAS, consent(id=answer.json()["id"]), If_Match='W/"1"')
    assert (422, ["Consent"]) == (moved.status_code, moved.json()["issue"][0]["expression"])


@pytest.mark.parametrize(
    "content_type",
    [
        "application/xml",
        "text/plain",
        "application/fhir+json; fhirVersion=3.0",
        "application/fhir+json; charset=latin-1",
        "",
    ],
)
async def test_other_content_types_are_415(plane, content_type):
    """Only FHIR JSON of a version that is read here is taken."""
    assert 415 == (await plane.ask("POST", "/fhir/Consent", ROSAS, consent(), Content_Type=content_type)).status_code


@pytest.mark.parametrize("accept", ["application/fhir+xml", "text/html", "application/fhir+json;q=0"])
async def test_other_accepts_are_406(plane, accept):
    """Only FHIR JSON is given."""
    assert 406 == (await plane.ask("GET", "/fhir/Consent", ROSAS, Accept=accept)).status_code


async def test_conditional_create_is_not_passed_over(plane):
    """If-None-Exist changes what a create means; it is refused, not ignored."""
    assert 400 == (await plane.ask("POST", "/fhir/Consent", ROSAS, consent(), If_None_Exist="x=y")).status_code


async def test_a_body_over_the_limit_is_413(plane):
    """A Consent is never a megabyte."""
    assert 413 == (await plane.ask("POST", "/fhir/Consent", ROSAS, b" " * (1024 * 1024 + 1))).status_code


async def test_a_store_out_of_reach_is_503(plane, monkeypatch):
    """When the store cannot be asked nothing is acknowledged."""

    async def down(*args, **more):
        raise StoreUnavailable("sentinel")

    monkeypatch.setattr(plane.consents, "put", down)
    answer = await plane.ask("POST", "/fhir/Consent", ROSAS, consent())
    assert (503, False) == (answer.status_code, "sentinel" in answer.text)


async def test_among_several_servers_the_patient_is_named_with_the_server(ledger):
    """`Patient/rosa` of two servers is two people: the Consent and the app's token must say which."""
    other = "https://other.example/r4"
    plane = Plane(ledger, {"ny/h": frozenset({BASE}), "ca/j": frozenset({other})})
    open_ = await plane.ask("POST", "/fhir/Consent", OFFICER, consent())
    assert (422, ["Consent.patient"]) == (open_.status_code, open_.json()["issue"][0]["expression"])
    mine = token("any-app", "patient_app", patient=f"{other}/Patient/rosa")
    there = consent(patient={"reference": f"{other}/Patient/rosa"})
    assert 201 == (await plane.ask("POST", "/fhir/Consent", mine, there)).status_code
    here = consent(patient={"reference": f"{BASE}/Patient/rosa"})
    assert 403 == (await plane.ask("POST", "/fhir/Consent", mine, here)).status_code
    assert 403 == (await plane.ask("GET", "/fhir/Consent", ROSAS)).status_code
    at_other = Subject(PatientKey("ca/j", "rosa"))
    found = await plane.consents.snapshot([ROSA, at_other])
    assert (0, 1) == (len(found[ROSA].consents), len(found[at_other].consents))
