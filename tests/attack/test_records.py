"""Records that hide whose they are, or how sensitive: withheld, as if they had never been there, and no others."""

import json
from typing import Any

import pytest

from tests.attack.records import LOINC, MRN, ROSA, observation, quokka, transaction
from tests.attack.scene import MARK, entries, searchset
from tests.stub_upstream import answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

P = f"{MARK}-p"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
NORMAL = {"system": CONFIDENTIALITY, "code": "N"}


async def withheld(scene, record: dict[str, Any]) -> None:
    """A record is neither read nor found nor pushed; the plain one beside it is."""
    kind, id_ = record["resourceType"], record["id"]
    beside = observation("beside") if kind == "Observation" else {"resourceType": kind, "id": "x"}
    scene.server.lie(f"{kind}/{id_}", answer(record))
    scene.server.lie(f"{kind}?patient", searchset(record, beside))
    read = await scene.ask(f"{kind}/{id_}")
    nobody = await scene.ask(f"{kind}/never-existed")
    assert (404, nobody.body) == (read.status, read.body)
    found = await scene.ask(f"{kind}?patient=rosa")
    assert (200, ["beside"], 1) == (found.status, found.ids, found.json["total"])
    assert MARK.encode() not in found.body
    scene.stub.seen.clear()
    assert (await scene.push(transaction(observation("a"), record))).status in {403, 422}
    assert "POST" not in {seen.method for seen in scene.stub.seen}


async def released(scene, record: dict[str, Any]) -> bytes:
    """A record is read, found, and forwarded; gives how it reads."""
    scene.server.lie(f"Observation/{record['id']}", answer(record))
    scene.server.lie("Observation?patient", searchset(record))
    read = await scene.ask(f"Observation/{record['id']}")
    assert 200 == read.status
    assert [record["id"]] == (await scene.ask("Observation?patient=rosa")).ids
    ours = f"{scene.gate.data}/t/hospital"
    assert (
        200
        == (
            await scene.push(transaction(json.dumps(record).replace(ours, "http://plan.example/t/plan").encode()))
        ).status
    )
    return read.body


# Labels --------------------------------------------------------------------------------------------------------------
LABELS = {
    "a text for a list": {"security": f"N {MARK}"},
    "an object for a list": {"security": NORMAL},
    "a list in a list": {"security": [[NORMAL]]},
    "a text for a label": {"security": ["N"]},
    "nothing for a label": {"security": [None]},
    "a number for a label": {"security": [0]},
    "a number for a code": {"security": [NORMAL | {"code": 0}]},
    "a list for a code": {"security": [NORMAL | {"code": ["N"]}]},
    "nothing for a code": {"security": [NORMAL | {"code": None}]},
    "no code": {"security": [{"system": CONFIDENTIALITY}]},
    "a list for a system": {"security": [NORMAL | {"system": [CONFIDENTIALITY]}]},
    "one that is wrong among good ones": {"security": [NORMAL, True, NORMAL]},
    "a level nobody knows": {"security": [NORMAL | {"code": "Q"}]},
    "a text for a meta": f"{MARK}",
    "a list for a meta": [{"security": [NORMAL]}],
}


@pytest.mark.parametrize("case", LABELS)
async def test_L005_a_label_of_the_wrong_type_is_no_reason_to_release(scene, case):
    """What stands where a label should, and cannot be read, withholds its record and no other."""
    await withheld(scene, observation("wrong", meta=LABELS[case], note=[{"text": MARK}]))


@pytest.mark.parametrize("meta", [{"security": [NORMAL]}, {"security": []}, {"tag": [{"code": "x"}]}, {}])
async def test_a_label_that_can_be_read_is(scene, meta):
    """The positive control: a normal label, none, other tags: released."""
    await released(scene, observation("right", meta=meta))


# References ----------------------------------------------------------------------------------------------------------
LITERAL = {
    "relative": f"Patient/{P}",
    "versioned": f"Patient/{P}/_history/7",
    "absolute": "{up}/Patient/" + P,
    "absolute and versioned": "{up}/Patient/" + f"{P}/_history/7",
    "absolute at our door": "{own}/Patient/" + P,
    "absolute, shouting": "{shout}/Patient/" + P,
    "absolute, percent-encoded": "{up}/%50atient/" + P.replace("q", "%71"),
    "absolute with a slash at its end": "{up}/Patient/" + f"{P}/",
    "absolute with a query": "{up}/Patient/" + f"{P}?x=1",
    "absolute with a fragment": "{up}/Patient/" + f"{P}#x",
    "absolute with a port of its own": "http://127.0.0.1:00080/fhir/Patient/" + P,
    "absolute with a user": "http://rosa@127.0.0.1/fhir/Patient/" + P,
    "of another server": f"https://other.example/fhir/Patient/{P}",
    "without a scheme": f"//other.example/fhir/Patient/{P}",
    "of another scheme": f"ftp://other.example/Patient/{P}",
    "a script": f"javascript:{P}",
    "a urn nobody holds": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
    "an oid": "urn:oid:1.2.3",
    "a fragment nobody holds": f"#{P}",
    "in lower case": f"patient/{P}",
    "in upper case": f"PATIENT/{P}",
    "a search": f"Patient?identifier={MRN}|{MARK}-mrn",
    "with a space": f"Patient/{P} ",
    "with two slashes": f"Patient//{P}",
    "with a slash before": f"/Patient/{P}",
    "with a dot before": f"./Patient/{P}",
    "with a way up": f"../fhir/Patient/{P}",
    "with a type that looks alike": f"P\u0430tient/{P}",
    "with a NUL": f"Patient/{P}\u0000",
    "an id alone": P,
    "nothing": "",
}


def literal(scene, form: str) -> str:
    """A reference of a form, at the addresses of this run."""
    up = scene.stub.base
    return (
        form.replace("{up}", up)
        .replace("{own}", f"{scene.gate.data}/t/hospital")
        .replace("{shout}", up.replace("http", "HTTP"))
    )


@pytest.mark.parametrize("form", LITERAL)
async def test_L007_a_subject_in_any_form_is_the_subject(scene, form):
    """However a record says whose it is: the patient's no holds, and what cannot be read is not released."""
    await withheld(scene, observation("whose", literal(scene, LITERAL[form]), note=[{"text": MARK}]))


ELSEWHERE = {
    "a focus": lambda one: {"focus": [one]},
    "an extension": lambda one: {"extension": [{"url": "http://x", "valueReference": one}]},
    "an element nobody knows": lambda one: {"companion": {"of": [one]}},
    "a performer": lambda one: {"performer": [{"reference": "Organization/mercy"}, one]},
}


@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize("form", ["relative", "versioned", "absolute", "absolute at our door", "absolute, shouting"])
async def test_L008_L010_another_patient_anywhere_in_a_record_must_agree(scene, place, form):
    """A record about Rosa that names the quokka is the quokka's as well, in whatever element and form (L010)."""
    one = {"reference": literal(scene, LITERAL[form])}
    await withheld(scene, observation("both", **ELSEWHERE[place](one), note=[{"text": MARK}]))


ODD = {
    "a number": {"reference": 5},
    "a list": {"reference": [f"Patient/{P}"]},
    "nothing": {"reference": None},
    "a display alone": {"display": MARK},
    "an identifier": {"identifier": {"system": MRN, "value": f"{MARK}-mrn"}},
    "an identifier and its type": {"type": "Patient", "identifier": {"system": MRN, "value": f"{MARK}-mrn"}},
    "a type that is no type": {"type": f"http://hl7.org/fhir/StructureDefinition/{MARK}", "identifier": {"value": "1"}},
    "a type that contradicts": {"type": "Patient", "reference": "Organization/mercy"},
    "several at once": [{"reference": ROSA}, {"reference": f"Patient/{P}"}],
    "a text": f"Patient/{P}",
}


@pytest.mark.parametrize("case", ODD)
async def test_L007_a_subject_that_is_no_plain_reference_is_in_doubt(scene, case):
    """Identifiers, displays, lists and values of other types: whoever is meant, it is not released."""
    await withheld(scene, observation("odd", None, subject=ODD[case], note=[{"text": MARK}]))


@pytest.mark.parametrize("form", ["Patient/rosa", "Patient/rosa/_history/1", "{up}/Patient/rosa", "{own}/Patient/rosa"])
async def test_a_subject_in_every_sound_form_is_rosa(scene, form):
    """The positive control: what may be released is, and the upstream's address is not in it."""
    body = await released(scene, observation("hers", literal(scene, form)))
    assert b"Patient/rosa" in body
    assert str(scene.stub.port).encode() not in body


@pytest.mark.parametrize(
    "form",
    ["{up}/Patient/rosa", "{shout}/Patient/rosa", "{up}/%50atient/rosa", "{up}/Patient/rosa/_history/2"],
)
async def test_L026_an_address_of_the_upstream_is_told_as_ours(scene, form):
    """References and addresses are written anew at our door, in whatever spelling they came; text stays as it is."""
    address, ours = literal(scene, form), f"{scene.gate.data}/t/hospital/Patient/rosa"
    ours += "/_history/2" if "_history" in form else ""
    record = observation("hers", address, instantiatesCanonical="x", note=[{"text": "see http://up/fhir"}])
    document = {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "current",
        "subject": {"reference": address},
        "content": [{"attachment": {"contentType": "text/plain", "url": address.replace("Patient/rosa", "Binary/b")}}],
    }
    scene.server.lie("Observation/hers", answer(record))
    scene.server.lie("DocumentReference/d", answer(document))
    read = await scene.ask("Observation/hers")
    assert (ours, "see http://up/fhir") == (read.json["subject"]["reference"], read.json["note"][0]["text"])
    found = await scene.ask("DocumentReference/d")
    assert str(scene.stub.port).encode() not in found.body + read.body
    if "%50" not in form:
        url = ours.replace("Patient/rosa", "Binary/b")
        assert 404 == found.status or url == found.json["content"][0]["attachment"]["url"]


@pytest.mark.parametrize("form", ["{up}/metadata", "{up}/Patient/rosa?x=1", "{up}x/Organization/1", "{up}/../x"])
async def test_L025_what_cannot_be_told_as_ours_goes(scene, form):
    """An address at the upstream that is no record's: its element goes, or its record."""
    address = literal(scene, form)
    record = observation(
        "hers", instantiatesUri=address, performer=[{"reference": address}], device={"reference": address}
    )
    scene.server.lie("Observation/hers", answer(record))
    found = await scene.ask("Observation/hers")
    assert str(scene.stub.port).encode() not in found.body


# Contained resources -------------------------------------------------------------------------------------------------
def inside(*contained: Any, **more: Any) -> dict[str, Any]:
    """A record of Rosa's with these inside it, the first of which it refers to."""
    return observation("holder", contained=list(contained), **more)


THEIR_OWN = {"resourceType": "Observation", "id": "c", "status": "final", "code": {"coding": [LOINC]}}
WITH = {"subject": {"reference": f"Patient/{P}"}}
CONTAINED = {
    "another's record": inside(THEIR_OWN | WITH, hasMember=[{"reference": "#c"}]),
    "another's record nobody refers to": inside(THEIR_OWN | WITH),
    "another patient": inside(quokka() | {"id": "c"}, focus=[{"reference": "#c"}]),
    "another patient as subject": inside(quokka() | {"id": "c"}, subject={"reference": "#c"}),
    "a relative": inside(
        {"resourceType": "RelatedPerson", "id": "c", "patient": {"reference": f"Patient/{P}"}},
        performer=[{"reference": "Organization/mercy"}, {"reference": "#c"}],
    ),
    "a group": inside(
        {"resourceType": "Group", "id": "c", "member": [{"entity": {"reference": f"Patient/{P}"}}]},
        focus=[{"reference": "#c"}],
    ),
    "a record in a contained one": inside(THEIR_OWN | {"contained": [THEIR_OWN | WITH | {"id": "d"}]}),
    "a bundle": inside({"resourceType": "Bundle", "id": "c", "type": "collection", "entry": [{"resource": quokka()}]}),
    "parameters": inside({"resourceType": "Parameters", "id": "c", "parameter": [{"name": "p", "resource": quokka()}]}),
    "a resource in an extension": observation("holder", extension=[{"url": "x", "valueThing": quokka()}]),
    "no list": observation("holder", contained=quokka()),
    "a list in a list": observation("holder", contained=[[quokka()]]),
    "no type": inside({"id": "c", "name": [{"family": MARK}]} | WITH),
    "a type nobody knows": inside({"resourceType": "Quokka", "id": "c", "name": MARK}),
    "a type that is none": inside({"resourceType": ["Patient"], "id": "c", "name": MARK}),
}


@pytest.mark.parametrize("case", CONTAINED)
async def test_L034_what_is_contained_in_a_record_is_another_s_all_the_same(scene, case):
    """A record of Rosa's with somebody else inside, however deep or odd, is withheld like somebody else's."""
    await withheld(scene, CONTAINED[case])


async def test_what_is_contained_and_rosa_s_own_is_released(scene):
    """The positive control: an organisation, a device, a record of her own, inside a record of hers."""
    mercy = {"resourceType": "Organization", "id": "o", "name": "Mercy", "identifier": [{"value": "1"}]}
    own = THEIR_OWN | {"subject": {"reference": ROSA}}
    body = await released(scene, inside(mercy, own, hasMember=[{"reference": "#c"}]))
    assert b'"Mercy"' in body
    assert b'"#c"' in body


# Bundles -------------------------------------------------------------------------------------------------------------
def bundle(*resources: Any, **more: Any) -> dict[str, Any]:
    """A collection."""
    return {
        "resourceType": "Bundle",
        "id": "b",
        "type": "collection",
        "entry": [{"resource": one} for one in resources],
    } | more


URN = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
THEIRS = observation("theirs", f"Patient/{P}")
BUNDLES = {
    "another's record": bundle(observation("a"), THEIRS),
    "a bundle in a bundle": bundle(observation("a"), bundle(THEIRS, observation("b"))),
    "ten bundles deep": bundle(observation("a"), bundle(bundle(bundle(bundle(bundle(bundle(bundle(THEIRS)))))))),
    "an entry without a resource": bundle(observation("a"), entry=[{"fullUrl": f"http://x/{MARK}"}]),
    "a resource that is none": bundle(observation("a"), MARK, 5, None, []),
    "a resource without a type": bundle(observation("a"), {"id": MARK, **WITH}),
    "an answer with a word to it": bundle(observation("a"))
    | {"entry": [{"response": {"status": "200", "outcome": quokka()}}, {"resource": observation("a")}]},
    "an address that lies": bundle()
    | {"entry": [{"fullUrl": "http://x/Patient/rosa", "resource": quokka()}, {"resource": observation("a")}]},
    "an address that two share": bundle()
    | {
        "entry": [
            {"fullUrl": URN, "resource": {"resourceType": "Patient", "id": "rosa"}},
            {"fullUrl": URN, "resource": quokka()},
            {"resource": observation("a", URN, note=[{"text": MARK}])},
            {"resource": observation("b")},
        ]
    },
    "a signature": bundle(observation("a"), THEIRS, signature={"data": "x"}),
    "a word of its own": bundle(observation("a"), novelty=MARK),
}


# What a read and a push of each come to: a push may go in part, a Bundle that is stored is about all in it.
OUTCOMES = {
    "an entry without a resource": (200, 400),
    "a resource that is none": (404, 400),
    "an answer with a word to it": (404, 422),
    "a signature": (404, 403),
    "a word of its own": (200, 422),
}


@pytest.mark.parametrize("case", BUNDLES)
async def test_L045_what_is_in_a_bundle_in_a_record_is_looked_at(scene, case):
    """A stored Bundle that is read, found or pushed: what is another's, at any depth, does not come out."""
    tree = BUNDLES[case]
    scene.server.lie("Bundle/b", answer(tree))
    inner = {"resourceType": "Parameters", "id": "x", "parameter": [{"name": "n", "resource": tree}]}
    scene.server.lie("Observation?", searchset(observation("beside"), tree, inner))
    read, found = await scene.ask("Bundle/b"), await scene.ask("Observation?patient=rosa")
    assert (200, ["beside"]) == (found.status, found.ids)
    scene.stub.seen.clear()
    pushed = await scene.push(tree, "/t/plan/Bundle")
    assert OUTCOMES.get(case, (404, 201)) == (read.status, pushed.status)
    sent = b"".join(seen.body for seen in scene.stub.seen if seen.method == "POST")
    assert (pushed.status == 201) == bool(sent)
    for text in (read.body, found.body, sent, pushed.body):
        assert MARK.encode() not in text


async def test_a_bundle_of_rosa_s_is_released(scene):
    """The positive control: a collection of hers, one in one, comes whole and goes whole."""
    tree = bundle(observation("a"), bundle(observation("b")))
    scene.server.lie("Bundle/b", answer(tree))
    read = await scene.ask("Bundle/b")
    assert (200, "b") == (read.status, read.json["entry"][1]["resource"]["entry"][0]["resource"]["id"])
    assert 201 == (await scene.push(tree, "/t/plan/Bundle")).status


PAGES = {
    "an entry without a resource": (b'{"fullUrl":"http://x/%b"}', 502),
    "an entry that is empty": (b"{}", 502),
    "a resource that is nothing": (b'{"fullUrl":"http://x/%b","resource":null}', 502),
    "a resource without a type": (b'{"resource":{"id":"%b"}}', 200),
    "a resource of no type anybody knows": (b'{"resource":{"resourceType":"Quokka","id":"%b"}}', 200),
    "a resource without an id": (b'{"resource":{"resourceType":"Observation","note":[{"text":"%b"}]}}', 200),
    "an answer alone": (b'{"response":{"status":"200","location":"%b"}}', 200),
    "an answer that holds a patient": (
        b'{"response":{"status":"200","outcome":{"resourceType":"Patient","id":"%b-p"}}}',
        200,
    ),
    "a word of its own": (
        b'{"novelty":"%b","resource":{"resourceType":"Observation","id":"x","subject":{"reference":"Patient/rosa"}}}',
        200,
    ),
    "a mode nobody knows": (b'{"search":{"mode":"%b"},"resource":{"resourceType":"Patient","id":"rosa"}}', 200),
    "an outcome": (b'{"resource":{"resourceType":"OperationOutcome","id":"%b"}}', 200),
    "an address that lies": (
        b'{"fullUrl":"http://x/Patient/rosa","resource":{"resourceType":"Patient","id":"%b-p"}}',
        200,
    ),
}


@pytest.mark.parametrize("case", PAGES)
async def test_L022_an_odd_entry_of_a_page_is_not_passed_on(scene, case):
    """An entry that cannot be read is a fault; one that can, and is nothing that was asked for, is left out."""
    text, status = PAGES[case]
    marked = text.replace(b"%b", MARK.encode())
    plain = b'{"resource":%b,"search":{"mode":"match"}}' % answer(observation()).partition(b"\r\n\r\n")[2]
    scene.server.lie("Observation?", entries(marked, plain))
    found = await scene.ask("Observation?patient=rosa")
    assert status == found.status
    assert MARK.encode() not in found.body
    if status == 200:
        assert ["plain"] == [one["resource"]["id"] for one in found.json["entry"]]


async def test_L007_a_pushed_patient_is_known_by_its_identifier(scene):
    """A push that brings the quokka under a urn and by its record number is the quokka's; under Rosa's it goes."""
    for number, status in ((f"{MARK}-mrn", 403), ("a-number-nobody-has", 200)):
        patient = {"resourceType": "Patient", "identifier": [{"system": MRN, "value": number}]}
        tree = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {"fullUrl": URN, "resource": patient, "request": {"method": "POST", "url": "Patient"}},
                {"resource": observation("a", URN), "request": {"method": "POST", "url": "Observation"}},
            ],
        }
        assert status == (await scene.push(tree)).status
