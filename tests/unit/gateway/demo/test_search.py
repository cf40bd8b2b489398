"""What each search parameter of the embedded upstream finds, and what it does not."""

import pytest

OBSERVATIONS = ["sugar", "weight", "elsewhere", "bobs"]

FOUND = [
    # _id
    ("Observation?_id=sugar", ["sugar"]),
    ("Observation?_id=bobs,sugar,nobody", ["sugar", "bobs"]),
    ("Observation?_id=visit", []),
    ("Observation?_id=sugar&_id=bobs", []),
    # patient and subject: relative, versioned absolute of this server, bare id; never another server's
    ("Observation?patient=ann", ["sugar", "weight"]),
    ("Observation?patient=Patient/ann", ["sugar", "weight"]),
    ("Observation?patient=http://up.test/fhir/Patient/ann", ["sugar", "weight"]),
    ("Observation?patient=http://other.test/fhir/Patient/ann", ["elsewhere"]),
    ("Observation?patient=ann,bob", ["sugar", "weight", "bobs"]),
    ("Observation?patient=Group/ann", []),
    ("Observation?patient=an", []),
    ("Observation?subject=Patient/bob", ["bobs"]),
    ("Observation?subject=bob", ["bobs"]),
    ("Observation?subject=Device/bob", []),
    ("AllergyIntolerance?patient=ann", ["nuts"]),
    ("AllergyIntolerance?patient=bob", []),
    # code: code alone, system and code, no system, any code of a system; text is no code
    ("Observation?code=2345-7", ["sugar", "bobs"]),
    ("Observation?code=http://loinc.org|2345-7", ["sugar"]),
    ("Observation?code=http://loinc.org|2345", []),
    ("Observation?code=|29463-7", ["weight"]),
    ("Observation?code=|2345-7", []),
    ("Observation?code=http://snomed.info/sct|", ["bobs"]),
    ("Observation?code=urn:local|kg,http://loinc.org|2345-7", ["sugar", "weight"]),
    ("Observation?code=kg&code=29463-7", ["weight"]),
    ("Observation?code=kg&code=2345-7", []),
    # category: CodeableConcept and plain code
    ("Observation?category=vital-signs", ["weight"]),
    ("Observation?category=urn:cat|laboratory", []),
    ("AllergyIntolerance?category=food", ["nuts"]),
    ("AllergyIntolerance?category=medication", []),
    # encounter, bare or not
    ("Observation?encounter=visit", ["sugar"]),
    ("Observation?encounter=Encounter/visit", ["sugar"]),
    ("Observation?encounter=Encounter/another", []),
    # who a person is: from the beginning, without case and accents
    ("Patient?name=zo", ["ann"]),
    ("Patient?family=BERGMÜLLER", ["ann"]),
    ("Patient?given=zoë&birthdate=1980", ["ann"]),
    ("Patient?family=müller", []),
    ("Patient?birthdate=ge1990", []),
    ("Patient?gender=female", ["ann"]),
    # identifier
    ("Patient?identifier=urn:mrn|7", ["ann"]),
    ("Patient?identifier=7", ["ann", "bob"]),
    ("Patient?identifier=|7", ["bob"]),
    ("Patient?identifier=urn:mrn|8", []),
    (r"Organization?identifier=urn:npi|a\|b", ["north"]),
    # date: sugar 2026-02-03, bobs 2026-02, weight from 2026-05-01 on, elsewhere has none
    ("Observation?date=2026-02-03", ["sugar"]),
    ("Observation?date=eq2026-02", ["sugar", "bobs"]),
    ("Observation?date=2026-02-04", []),
    ("Observation?date=ne2026-02", ["weight"]),
    ("Observation?date=gt2026-02-03", ["weight", "bobs"]),
    ("Observation?date=gt2026-02", ["weight"]),
    ("Observation?date=lt2026-02-03", ["bobs"]),
    ("Observation?date=lt2026-02-01", []),
    ("Observation?date=ge2026-02-03", ["sugar", "weight", "bobs"]),
    ("Observation?date=le2026-02-03", ["sugar", "bobs"]),
    ("Observation?date=ge2026-02-01&date=le2026-02-05", ["sugar", "bobs"]),
    ("Observation?date=gt2030", ["weight"]),
    ("Observation?date=2026-02-03,2026-02", ["sugar", "bobs"]),
    ("Encounter?date=ge2026-02-05", ["visit"]),
    ("Encounter?date=gt2026-02-10", []),
    # _lastUpdated: sugar says its own, the others have the instant of loading
    ("Observation?_lastUpdated=2026-03-01", ["sugar"]),
    ("Observation?_lastUpdated=gt2026-03-01T10:00:00Z", ["weight", "elsewhere", "bobs"]),
    ("Observation?_lastUpdated=ge2026-03-01T10:00:00Z", OBSERVATIONS),
    ("Observation?_lastUpdated=lt2026-03-01", []),
    # several at once, and none
    ("Observation?patient=ann&code=2345-7&date=2026", ["sugar"]),
    ("Observation?patient=bob&code=http://loinc.org|2345-7", []),
    ("Observation", OBSERVATIONS),
    ("Claim", []),
    # over types
    ("?_type=Encounter,AllergyIntolerance&patient=ann", ["visit", "nuts"]),
    ("?_type=Claim&patient=ann", []),
    ("?_id=ann,north", ["ann", "north"]),
    ("?patient=bob", ["bobs"]),
]

REFUSED = [
    ("Observation?colour=red", 400, "unknown search parameter colour"),
    ("Observation?code:not=2345-7", 400, "unknown search parameter code:not"),
    ("Observation?patient.name=ann", 400, "unknown search parameter patient.name"),
    ("Observation?_has:Provenance:target:agent=x", 400, "unknown search parameter _has"),
    ("Observation?_sort=date", 400, "unknown search parameter _sort"),
    ("Observation?_type=Observation", 400, "unknown search parameter _type"),
    ("Condition?date=2026", 400, "unknown search parameter date"),
    ("?_type=Observation,Claim&code=x", 400, "unknown search parameter code for resource type Claim"),
    ("Observation?code=", 400, "no value"),
    ("Observation?code=a,", 400, "empty alternative"),
    ("Observation?date=yesterday", 400, "prefix ye"),
    ("Observation?date=sa2026", 400, "prefix sa"),
    ("Observation?date=2026-13", 400, "not a date"),
    ("Observation?_count=many", 400, "_count"),
    ("Observation?_include=Observation:colour", 400, "not an include"),
    ("Observation?_include=*", 400, "not an include"),
    ("Colour?_id=red", 404, "unknown resource type Colour"),
    ("?_type=Colour&_id=red", 404, "unknown resource type Colour"),
]


@pytest.mark.parametrize(("query", "expected"), FOUND)
async def test_search_finds_what_the_parameters_say_and_nothing_else(client, ids, query, expected):
    """A search gives exactly the resources that meet all its parameters, in the order of arrival, and counts them."""
    answer = await client.get(query)
    assert 200 == answer.status_code, answer.text
    assert expected == ids(answer)
    assert len(expected) == answer.json()["total"]


@pytest.mark.parametrize(("query", "status", "why"), REFUSED)
async def test_search_that_is_not_supported_is_refused(client, query, status, why):
    """What the server does not know is refused with an OperationOutcome, never ignored."""
    answer = await client.get(query)
    assert status == answer.status_code
    assert "OperationOutcome" == answer.json()["resourceType"]
    assert why in answer.json()["issue"][0]["diagnostics"]


async def test_post_search_equals_get_search(client, ids):
    """POST _search with a form, at a type and over types, finds what GET finds; URL and form count together."""
    at_type = await client.post("Observation/_search?patient=ann", data={"code": "2345-7"})
    over_types = await client.post("_search", data={"_type": "Encounter", "patient": "ann"})
    assert ["sugar"] == ids(at_type)
    assert ["visit"] == ids(over_types)
    assert "http://up.test/fhir/Observation?patient=ann&code=2345-7" == at_type.json()["link"][0]["url"]


async def test_include_brings_what_the_page_refers_to(client):
    """`_include` adds the targets once, marked as included and not counted; a limit to another type adds none."""
    found = (await client.get("Encounter?_include=Encounter:service-provider&_include=Encounter:patient")).json()
    marked = [(entry["resource"]["id"], entry["search"]["mode"]) for entry in found["entry"]]
    assert [("visit", "match"), ("north", "include"), ("ann", "include")] == marked
    assert 1 == found["total"]
    limited = (await client.get("Encounter?_include=Encounter:service-provider:Location")).json()
    assert 1 == len(limited["entry"])


async def test_revinclude_brings_what_refers_to_the_page(client, ids):
    """`_revinclude` adds the referring resources of that type and parameter, and none that refer by another one."""
    assert ["visit", "sugar"] == ids(await client.get("Encounter?_revinclude=Observation:encounter"))
    assert ["visit"] == ids(await client.get("Encounter?_revinclude=Observation:performer"))
    assert ["ann", "nuts"] == ids(await client.get("Patient?_id=ann&_revinclude=AllergyIntolerance:patient"))


async def test_include_does_not_repeat_a_match(client, ids):
    """A resource that the page already holds is not included a second time."""
    found = await client.get("?_type=Encounter,Patient&_include=Encounter:patient")
    assert ["visit", "ann", "bob"] == ids(found)


async def test_paging_walks_every_match_once(client, ids):
    """Following `next` gives every match once, in order, with the same total and a self link on each page."""
    answer, walked, pages = await client.get("Observation?_count=3"), [], 0
    while answer is not None:
        assert 4 == answer.json()["total"]
        assert str(answer.request.url).replace("%5F", "_") == answer.json()["link"][0]["url"]
        walked, pages = walked + ids(answer), pages + 1
        links = {link["relation"]: link["url"] for link in answer.json()["link"]}
        answer = await client.get(links["next"]) if "next" in links else None
    assert (OBSERVATIONS, 2) == (walked, pages)


async def test_page_token_tells_nothing_and_unknown_ones_are_gone(client):
    """A token holds nothing of the query, differs for each walk, and one that nobody gave out is answered 410."""
    first, second = [(await client.get("Observation?patient=ann&_count=1")).json()["link"][1]["url"] for _ in range(2)]
    assert first != second
    assert "ann" not in first
    assert 410 == (await client.get("?_getpages=nothing")).status_code


async def test_last_page_and_count_zero_have_no_next(client, ids):
    """A page that ends with the last match has no `next`; `_count=0` gives the total alone."""
    exact = await client.get("Observation?_count=4")
    none = await client.get("Observation?_count=0")
    assert ["self"] == [link["relation"] for link in exact.json()["link"]]
    assert ([], 4, 1) == (ids(none), none.json()["total"], len(none.json()["link"]))
