"""Loading anybody's patients from a folder."""

import json
import time

import msgspec
import pytest

from gateway.demo.references import reference_texts
from gateway.demo.upstream import EmbeddedUpstream, load_folder

URN = "urn:uuid:22222222-2222-4222-8222-222222222222"


def loaded(folder) -> dict[str, dict]:
    """The resources of a folder by Type/id."""
    trees = [msgspec.json.decode(text) for text in load_folder(folder)]
    return {f"{tree['resourceType']}/{tree['id']}": tree for tree in trees}


def test_bundles_single_resources_and_ndjson_are_loaded_together(tmp_path):
    """Every kind of file brings its resources; a log line and another kind of file bring none."""
    (tmp_path / "a.json").write_text(
        json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource("Patient", "a")}]})
    )
    (tmp_path / "b.json").write_text(json.dumps(resource("Patient", "b")))
    (tmp_path / "c.ndjson").write_text(json.dumps(resource("Patient", "c")) + '\n\n{"exportId": "x"}\n')
    (tmp_path / "d.txt").write_text("not this")
    assert ["Patient/a", "Patient/b", "Patient/c"] == list(loaded(tmp_path))


def test_references_are_settled_over_the_whole_folder(tmp_path):
    """References by fullUrl and conditional ones become Type/id, also across files; what nothing answers stays."""
    entry = {"fullUrl": URN, "resource": {"resourceType": "Patient", "active": True}}
    (tmp_path / "a.json").write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}))
    doctor = resource("Practitioner", "d", identifier=[{"system": "http://npi", "value": "9"}])
    (tmp_path / "b.json").write_text(json.dumps(doctor))
    references = [URN, "Practitioner?identifier=http://npi|9", "Practitioner?identifier=http://npi|8", "#inside"]
    (tmp_path / "c.json").write_text(json.dumps(resource("List", "l", x=[{"reference": one} for one in references])))
    patient = "Patient/22222222-2222-4222-8222-222222222222"
    found = loaded(tmp_path)
    assert found[patient]["active"] is True
    expected = [patient, "Practitioner/d", "Practitioner?identifier=http://npi|8", "#inside"]
    assert expected == [one["reference"] for one in found["List/l"]["x"]]


def test_text_that_is_no_reference_is_not_touched(tmp_path):
    """Numbers, spacing and a urn in an identifier come out as they stand in the file."""
    inner = f'{{ "resourceType":"Patient", "id":"p", "identifier":[{{"value":"{URN}"}}], "x": 1.10 }}'
    (tmp_path / "a.json").write_text(
        f'{{"resourceType":"Bundle","type":"batch","entry":[{{"fullUrl":"{URN}","resource":{inner}}}]}}'
    )
    assert [inner.encode()] == load_folder(tmp_path)


def test_of_two_texts_with_one_id_the_later_is_kept(tmp_path):
    """The same resource in two files is loaded once."""
    (tmp_path / "a.json").write_text(json.dumps(resource("Patient", "p", gender="male")))
    (tmp_path / "b.json").write_text(json.dumps(resource("Patient", "p", gender="female")))
    assert {"Patient/p": resource("Patient", "p", gender="female")} == loaded(tmp_path)


def test_a_resource_without_id_gets_one_that_stays_the_same(tmp_path):
    """Where neither an id nor a urn:uuid is given, the id is drawn from the text."""
    (tmp_path / "a.json").write_text('{"resourceType":"Patient","gender":"other"}')
    assert loaded(tmp_path) == loaded(tmp_path)
    assert 1 == len(loaded(tmp_path))


def test_a_file_that_is_not_json_is_named(tmp_path):
    """Broken files stop the load with their name."""
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match=r"broken\.json"):
        load_folder(tmp_path)


def test_synthea_is_loaded_in_seconds_with_every_reference_settled(shared):
    """Real Synthea transactions load fast, no urn:uuid is left, and every reference leads to a resource."""
    started = time.perf_counter()
    texts = load_folder(shared / "data" / "synthea-r4")
    upstream = EmbeddedUpstream(texts)
    assert 10 > time.perf_counter() - started
    assert 4663 == len(texts)
    references = {reference for text in texts for reference in reference_texts(text) if not reference.startswith("#")}
    assert references
    assert [] == [one for one in references if upstream.store.read(*one.split("/")) is None]


@pytest.mark.parametrize("folder", ["bulk-ndjson-10", "hl7-r4-examples", "us-core", "synthea-hiv", "shift-labelled"])
def test_other_folders_load_too(shared, folder):
    """Bulk export files, examples and labelled patients all make an upstream."""
    texts = load_folder(shared / "data" / folder)
    upstream = EmbeddedUpstream(texts)
    assert len(texts) == sum(1 for type_ in upstream.store.types() for _ in upstream.store.all(type_))
    assert "Patient" in upstream.store.types()


def resource(type_: str, id_: str, **members: object) -> dict:
    """A resource as a tree."""
    return {"resourceType": type_, "id": id_, **members}
