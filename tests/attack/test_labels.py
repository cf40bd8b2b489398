"""Labels and whose a record is (leaks.md section A): what is missing, odd or said twice never makes a record freer."""

from itertools import combinations

import pytest

from tests.attack.records import observation
from tests.attack.scene import MARK, searchset
from tests.attack.worlds import DOOR, PART2, alike, coding, consent, file, hold, labelled, person

pytestmark = pytest.mark.asyncio(loop_scope="session")

ICD = "http://hl7.org/fhir/sid/icd-10-cm"
OPIOID = {"coding": [{"system": ICD, "code": "F11.20"}]}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


@pytest.mark.parametrize("order", [1, -1])
async def test_L002_a_label_in_one_view_counts_in_all(scene, order):
    """The server tells a record twice, once with its label and once without: it is withheld, whichever comes first."""
    seen = observation(f"{MARK}-o", note=[{"text": MARK}])
    scene.server.lie("Observation?patient", searchset(*[seen, seen | {"meta": {"security": PART2}}][::order]))
    found = await scene.ask("Observation?patient=rosa")
    scene.server.lie("Observation?patient", searchset())
    nothing = await scene.ask("Observation?patient=rosa")

    assert (200, []) == (found.status, found.ids)
    assert (nothing.json.get("entry"), nothing.json["total"]) == (found.json.get("entry"), found.json["total"])


async def test_L002_what_a_search_shows_is_read_again(scene):
    """A search shows a record without the label that it has by read; nothing else tells. At a route that reads again it
    is not there, by search, by `_id`, as an include; at another it falls to the rule for what is unlabelled."""
    labelled = observation("stale", meta={"security": PART2})
    bare = observation("stale")
    points = observation("points", focus=[{"reference": "Observation/stale"}])
    paths = (
        "Observation?patient=rosa",
        "Observation?_id=stale",
        "Observation?_id=points&_include=Observation:focus",
    )
    answers = []
    for held, shown in (([points], [points]), ([points, labelled], [points, bare])):
        scene.server.held = {}
        scene.server.reset()
        scene.server.hold(*held)
        scene.server.lie("Observation?patient", searchset(*shown))
        scene.server.lie("Observation?_id=stale", searchset(*shown[1:]))
        scene.server.lie("Observation?_id=points", searchset(points, *shown[1:]))
        answers.append([await scene.ask(f"/t/strict/{path}") for path in paths])
    assert ["points"] == answers[1][0].ids
    assert [one.json.get("entry") for one in answers[0]] == [one.json.get("entry") for one in answers[1]]
    assert "stale" in (await scene.ask("Observation?patient=rosa")).ids


async def test_L002_a_record_that_is_found_and_not_there_fails_all(scene):
    """What a search shows and a read does not cannot be held against anything: 502, and nothing of the page."""
    scene.server.lie("Observation?patient", searchset(observation(), observation("gone")))
    found = await scene.ask("/t/strict/Observation?patient=rosa")
    assert 502 == found.status
    assert b"plain" not in found.body


async def test_L003_what_is_unlabelled_is_not_free(scene):
    """Who may have what is normal gets a coded record, not a document, and nothing of an unknown patient."""
    await file(scene, consent("unlabelled", {"type": "permit", "securityLabel": [coding("N")]}))
    whose = {"subject": {"reference": "Patient/unlabelled"}}
    coded = hold(scene, "unlabelled")
    content = [{"attachment": {"contentType": "text/plain", "url": "Binary/none"}}]
    scene.server.hold(
        {"resourceType": "DocumentReference", "id": "letter", "status": "current", "content": content, **whose},
        observation("nobody-s", None),
    )
    asked = [coded, *(f"{DOOR}/{one}" for one in ("DocumentReference/letter", "Observation/nobody-s"))]

    assert [200, 404, 404] == [(await scene.ask(path)).status for path in asked]
    assert 200 == (await scene.ask(f"{DOOR}/Organization/mercy")).status


async def test_L004_every_label_of_a_record_must_be_permitted(scene):
    """A consent opens a record only with all its labels; another label never opens what was closed."""
    codes = ("R", "PSY", "ETHUD")
    for number, cleared in enumerate([("R",), ("R", "PSY"), ("R", "ETHUD"), codes]):
        patient = f"cleared-{number}"
        closed = [coding(one) for one in codes if one not in cleared]
        narrowed = {"provision": [{"type": "deny", "securityLabel": closed}]} if closed else {}
        await file(scene, consent(patient, {"type": "permit", **narrowed}))
        for size in range(1, 4):
            for labels in combinations(codes, size):
                found = await scene.ask(hold(scene, patient, *labels))
                assert (200 if set(labels) <= set(cleared) else 404) == found.status, (cleared, labels)


PLACES = {
    "a code": {"code": OPIOID},
    "the words of a code": {"code": {"text": f"{MARK}: opioid dependence, on methadone maintenance"}},
    "narrative": {"text": {"status": "generated", "div": DIV.format("opioid use disorder, on buprenorphine")}},
    "a note": {"note": [{"text": "heroin dependence"}]},
    "a code of a component": {"component": [{"code": OPIOID}]},
    "an extension": {"extension": [{"url": "http://hl7.org/fhir/x", "valueCodeableConcept": OPIOID}]},
}


@pytest.mark.parametrize("place", PLACES)
async def test_L006_what_is_sensitive_is_known_without_a_label(scene, place):
    """Wherever a substance use disorder stands in a record, whoever refused that has it withheld, without a trace."""
    narrowed = {"type": "deny", "securityLabel": [coding("SUD")]}
    patient = f"content-{list(PLACES).index(place)}"
    await file(scene, consent(patient, {"type": "permit", "provision": [narrowed]}))
    whose = f"Patient/{patient}"
    hidden, beside = observation(f"{MARK}-o", whose, **PLACES[place]), observation("beside", whose)

    assert 404 == (await alike(scene, f"{DOOR}/Observation/{MARK}-o", [person(patient), hidden])).status
    worlds = [person(patient), hidden, beside], [person(patient), beside]
    found = await alike(scene, f"{DOOR}/Observation?patient={patient}", *worlds)
    assert ["beside"] == found.ids


async def test_L006_L034_what_is_contained_is_known_without_a_label(scene):
    """A contained condition is labelled by its own code: the record is told as if it had never held it."""
    narrowed = {"type": "deny", "securityLabel": [coding("SUD")]}
    await file(scene, consent("holds", {"type": "permit", "provision": [narrowed]}))
    inner = {"resourceType": "Condition", "id": "c", "code": OPIOID | {"text": MARK}}
    plain = observation("holder", "Patient/holds")
    hidden = plain | {"contained": [inner], "focus": [{"reference": "#c", "display": MARK}]}
    found = await alike(scene, f"{DOOR}/Observation/holder", [person("holds"), hidden], [person("holds"), plain])

    assert 200 == found.status


async def test_L009_a_link_never_widens(scene):
    """What one identity refuses is refused to all that are linked to it; a permit of one opens no other."""
    await file(scene, consent("says-no", {"type": "deny"}))
    await file(scene, consent("says-yes", {"type": "permit"}))

    def linked(id: str, *others: str) -> dict:
        return person(id, link=[{"other": {"reference": f"Patient/{one}"}, "type": "seealso"} for one in others])

    for id_ in ("says-no", "says-yes", "old", "stranger", "a", "b"):
        hold(scene, id_)
    assert 200 == (await scene.ask(f"{DOOR}/Observation/says-yes-o")).status
    scene.server.hold(linked("says-yes", "says-no"))
    assert 404 == (await scene.ask(f"{DOOR}/Observation/says-yes-o")).status
    scene.server.hold(person("says-yes"), linked("stranger", "says-yes"), linked("a", "b"), linked("b", "a"))
    for id_ in ("stranger", "a", "b"):
        assert 404 == (await scene.ask(f"{DOOR}/Observation/{id_}-o")).status


async def test_a_label_of_the_house_is_read(scene):
    """The positive control of the labels here: with a consent for everything, every label is released."""
    await file(scene, consent("open", {"type": "permit"}))
    for codes in ((), ("N",), ("R", "PSY"), ("V", "SUD")):
        found = await scene.ask(hold(scene, "open", *codes))
        assert 200 == found.status
        assert labelled(*codes)["security"] or not codes


V3 = "http://terminology.hl7.org/CodeSystem/v3-"
SPELT = {
    "in secure http": {"system": V3.replace("http:", "https:") + "ActCode", "code": "42CFRPart2"},
    "by its old address": {"system": "http://hl7.org/fhir/v3/ActCode", "code": "42CFRPart2"},
    "by its oid": {"system": "urn:oid:2.16.840.1.113883.5.4", "code": "42CFRPart2"},
    "with a version": {"system": V3 + "ActCode|2.0.0", "code": "42CFRPart2"},
    "in small letters": {"system": V3 + "ActCode", "code": "42cfrpart2"},
    "with spaces": {"system": V3 + "ActCode", "code": " 42CFRPart2 "},
    "without a system": {"code": "42CFRPart2"},
    "as a value set": {"system": "http://terminology.hl7.org/ValueSet/v3-ActCode", "code": "42CFRPart2"},
    "a code that is none": {"system": V3 + "ActCode", "code": "ZZZ"},
    "chosen by a user": {"system": V3 + "ActCode", "code": "42CFRPart2", "userSelected": True, "display": "normal"},
}


@pytest.mark.parametrize("spelling", SPELT)
async def test_L005_a_label_counts_in_every_spelling(scene, spelling):
    """However its system and code are written, beside a normal level too: the record is as if it were not there."""
    hidden = observation(f"{MARK}-o", meta={"security": [coding("N"), SPELT[spelling]]})
    assert 404 == (await alike(scene, f"Observation/{MARK}-o", [hidden])).status
    assert ["beside"] == [
        id_
        for id_ in (
            await alike(scene, "Observation?patient=rosa", [hidden, observation("beside")], [observation("beside")])
        ).ids
        if not id_.startswith("rosa")
    ]


async def test_L005_a_code_without_a_system_lowers_nothing(scene):
    """`N` of nowhere beside a strict label, a display that says normal: the label stands."""
    words = [{"code": "N"}, {"display": "N"}, *PART2]
    assert 404 == (await alike(scene, "Observation/o", [observation("o", meta={"security": words})])).status
    await file(scene, consent("systemless", {"type": "permit", "securityLabel": [coding("N")]}))
    hold(scene, "systemless")
    letter = {"resourceType": "DocumentReference", "id": "letter", "status": "current", "content": [{"attachment": {}}]}
    for label, status in (({"code": "N"}, 404), (coding("N"), 200)):  # a document is R unless it says otherwise
        scene.server.hold(letter | {"meta": {"security": [label]}, "subject": {"reference": "Patient/systemless"}})
        assert status == (await scene.ask(f"{DOOR}/DocumentReference/letter")).status
