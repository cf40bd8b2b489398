"""Transactions and batches at the base of the embedded upstream."""

from fhir.resources.R4B.bundle import Bundle

PATIENT = {
    "fullUrl": "urn:uuid:11111111-1111-4111-8111-111111111111",
    "resource": {"resourceType": "Patient", "active": True},
    "request": {"method": "POST", "url": "Patient"},
}


def weight(subject: str, **request: str) -> dict:
    """An entry that creates a weight of a subject."""
    resource = {"resourceType": "Observation", "subject": {"reference": subject}, "code": {"text": "weight"}}
    return {"resource": resource, "request": {"method": "POST", "url": "Observation"} | request}


def bundle(type_: str, *entries: dict) -> dict:
    """A Bundle to post."""
    return {"resourceType": "Bundle", "type": type_, "entry": list(entries)}


async def test_transaction_resolves_references_between_its_entries(client, ids):
    """A urn:uuid reference becomes the id that the other entry was given, whichever comes first."""
    answer = await client.post("", json=bundle("transaction", weight(PATIENT["fullUrl"]), PATIENT))
    Bundle.model_validate(answer.json())
    responses = [entry["response"] for entry in answer.json()["entry"]]
    assert ["201 Created", "201 Created"] == [one["status"] for one in responses]
    patient = responses[1]["location"].split("/")[5]
    observation = (await client.get(responses[0]["location"])).json()
    assert f"Patient/{patient}" == observation["subject"]["reference"]
    assert [observation["id"]] == ids(await client.get(f"Observation?patient={patient}"))


async def test_transaction_keeps_the_text_of_what_it_stores(client):
    """Numbers keep their zeros through a transaction, in a resource whose reference was rewritten as well."""
    text = (
        b'{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:a","resource":'
        b'{"resourceType":"Patient","multipleBirthInteger":1},"request":{"method":"POST","url":"Patient"}},'
        b'{"resource":{"resourceType":"Observation","subject":{"reference" : "urn:uuid:a"},'
        b'"valueQuantity":{"value":1.10}},"request":{"method":"POST","url":"Observation"}}]}'
    )
    answer = await client.post("", content=text, headers={"Content-Type": "application/fhir+json"})
    stored = await client.get(answer.json()["entry"][1]["response"]["location"])
    assert b'"valueQuantity":{"value":1.10}' in stored.content
    assert b'{"reference" : "Patient/' in stored.content


async def test_transaction_updates_and_creates_by_put(client):
    """PUT in a transaction updates what is there (200) and creates what is not (201) under the id it names."""
    puts = [
        {
            "resource": {"resourceType": "Patient", "id": id_, "gender": "other"},
            "request": {"method": "PUT", "url": f"Patient/{id_}"},
        }
        for id_ in ("ann", "new")
    ]
    answer = await client.post("", json=bundle("transaction", *puts))
    assert ["200 OK", "201 Created"] == [entry["response"]["status"] for entry in answer.json()["entry"]]
    assert "other" == (await client.get("Patient/new")).json()["gender"]


async def test_transaction_with_one_fault_stores_nothing(client, upstream):
    """One entry that cannot be stored, of each kind, and no other entry of the transaction is stored either."""
    faults = [
        weight("urn:uuid:nobody"),
        weight("Patient?identifier=7"),
        weight("Patient/ann", url="Patient"),
        weight("Patient/ann", url="Colour"),
        weight("Patient/ann", ifNoneExist="code=x"),
        weight("Patient/ann", method="DELETE", url="Patient/ann"),
        weight("Patient/ann", method="PUT", url="Observation/other"),
        {"request": {"method": "GET", "url": "Patient/ann"}},
        {"resource": {"resourceType": "Observation"}},
        PATIENT | {"resource": {"resourceType": "Patient", "meta": []}},
    ]
    for fault in faults:
        answer = await client.post("", json=bundle("transaction", PATIENT, fault))
        assert answer.status_code in (400, 404), (fault, answer.text)
        assert "OperationOutcome" == answer.json()["resourceType"]
    twice = {"resource": {"resourceType": "Patient", "id": "ann"}, "request": {"method": "PUT", "url": "Patient/ann"}}
    assert 400 == (await client.post("", json=bundle("transaction", twice, twice))).status_code
    assert ["ann", "bob"] == [held.id for held in upstream.store.all("Patient")]
    assert 4 == len(list(upstream.store.all("Observation")))


async def test_batch_carries_out_each_entry_by_itself(client):
    """In a batch what can be done is done, and each answer stands in the place of its request."""
    answer = await client.post(
        "",
        json=bundle(
            "batch",
            {"request": {"method": "GET", "url": "Patient/ann"}},
            {"request": {"method": "GET", "url": "Patient/nobody"}},
            {"request": {"method": "GET", "url": "Observation?patient=ann"}},
            weight("Patient/ann"),
            {"request": {"method": "DELETE", "url": "Patient/ann"}},
            {"request": {"method": "POST", "url": "/"}},
        ),
    )
    entries = answer.json()["entry"]
    expected = ["200 OK", "404", "200 OK", "201 Created", "405", "400"]
    assert expected == [entry["response"]["status"] for entry in entries]
    assert "ann" == entries[0]["resource"]["id"]
    assert "OperationOutcome" == entries[1]["response"]["outcome"]["resourceType"]
    assert 2 == entries[2]["resource"]["total"]
    assert 3 == (await client.get("Observation?patient=ann")).json()["total"]


async def test_base_takes_only_transaction_and_batch(client):
    """A collection, another resource, or something that is no JSON is refused at the base."""
    for body in (bundle("collection", PATIENT), {"resourceType": "Patient", "type": "batch"}, [1]):
        assert 400 == (await client.post("", json=body)).status_code
    broken = await client.post("", content=b"{", headers={"Content-Type": "application/json"})
    assert 400 == broken.status_code
