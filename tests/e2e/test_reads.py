"""The read API from outside: whatever may be read may be read in every way, and no way tells of what is withheld.

Two gateways stand before two upstreams: FULL holds everything, ABSENT never had what is withheld from the plan. Which
records those are is written here by hand: those of the Part 2 clinic, and everything of the patient who said no.
"""

import base64
import json
import re
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gateway.demo.upstream import EmbeddedUpstream
from gateway.errors import ProfileError
from gateway.proxy.upstream import basic
from tests.attack.records import MARK, MRN, NOBODY_S_BUSINESS, observation, quokka, refusal
from tests.e2e.world import HOSPITAL, PASSWORD, PLAN, USER, Answer, World, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTINEL = "sentinel-hidden"
HIDDEN = {1, 4, 5}
PDF = b"%PDF-1.4 a letter"
JSON = [("Accept", "application/fhir+json")]
MEMBER = "https://sunrise-health-plan.example/member"


def walk(number: int) -> dict[str, Any]:
    """A heart rate of Rosa's; a hidden one was measured at the Part 2 clinic."""
    hidden = number in HIDDEN
    return observation(
        f"walk-{number}",
        encounter={"reference": f"Encounter/{'rosa-harbor-intake' if hidden else 'rosa-mercy-clinic'}"},
        performer=[
            {"reference": f"Organization/{'harbor' if hidden else 'mercy'}"},
            *([{"reference": "Practitioner/quentin"}] if hidden else []),
        ],
        effectiveDateTime=f"2026-02-0{number}",
        valueQuantity={"value": 70 + number, "unit": "/min"},
        note=[{"text": f"{SENTINEL}-{number}" if hidden else "plain"}],
    )


def version(number: int, *, hidden: bool, id: str) -> dict[str, Any]:
    """One version of an observation."""
    return walk(1 if hidden else 2) | {"id": id, "valueQuantity": {"value": number}}


def document(id: str, *, hidden: bool) -> dict[str, Any]:
    """A letter, with its content in a Binary of the same name."""
    return {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": {"reference": "Patient/rosa"},
        "author": [{"reference": f"Organization/{'harbor' if hidden else 'mercy'}"}],
        "custodian": {"reference": f"Organization/{'harbor' if hidden else 'mercy'}"},
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]},
        "content": [{"attachment": {"contentType": "application/pdf", "url": f"Binary/{id}"}}],
    }


def binary(id: str, owner: str | None, content_type: str = "application/pdf") -> dict[str, Any]:
    """Content, with the record that owns it."""
    data = base64.b64encode(SENTINEL.encode() if "hid" in id else PDF).decode()
    tree = {"resourceType": "Binary", "id": id, "contentType": content_type, "data": data}
    tree["meta"] = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]}
    return tree | ({"securityContext": {"reference": f"DocumentReference/{owner}"}} if owner else {})


def composition(entries: list[str]) -> dict[str, Any]:
    """A summary of these observations."""
    section = {"title": "Heart rates", "entry": [{"reference": f"Observation/{id_}"} for id_ in entries]}
    return {
        "resourceType": "Composition",
        "id": "summary",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": {"reference": "Patient/rosa"},
        "date": "2026-03-01",
        "author": [{"reference": "Organization/mercy"}],
        "custodian": {"reference": "Organization/mercy"},
        "title": "Summary",
        "section": [section],
    }


def member(id: str, number: str, family: str) -> list[dict[str, Any]]:
    """A person and their coverage."""
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MB"}]}
    person = {
        "resourceType": "Patient",
        "id": id,
        "identifier": [{"type": kind, "system": MEMBER, "value": number}, {"system": MRN, "value": f"{id}-mrn"}],
        "name": [{"family": family, "given": ["Mia"]}],
        "birthDate": "1980-01-01",
    }
    coverage = {
        "resourceType": "Coverage",
        "id": f"{id}-coverage",
        "status": "active",
        "subscriberId": number,
        "beneficiary": {"reference": f"Patient/{id}"},
        "payor": [{"reference": "Organization/sunrise"}],
    }
    return [person, coverage]


SIGNED = {
    "resourceType": "Provenance",
    "id": "signed",
    "target": [{"reference": "Observation/walk-2"}],
    "recorded": "2026-03-01T00:00:00Z",
    "agent": [{"who": {"reference": "Practitioner/quentin"}}],
}
OPEN = [
    {"resourceType": "Practitioner", "id": "quentin", "name": [{"family": "Quentin"}]},
    SIGNED,
    *(walk(number) for number in (2, 3, 6)),
    document("doc-ok", hidden=False),
    binary("doc-ok", "doc-ok"),
    binary("page", "doc-ok", "text/html"),
    *member("mia", "M-1", "Okapi"),
]
CLOSED = [
    *(walk(number) for number in sorted(HIDDEN)),
    document("doc-hid", hidden=True),
    binary("doc-hid", "doc-hid"),
    binary("hid-nobody", None),
    binary("hid-lost", "never-existed"),
    quokka() | {"id": f"{MARK}-p"},
    observation(f"{MARK}-o", NOBODY_S_BUSINESS),
    member(f"{MARK}-p", "M-2", MARK)[1] | {"id": f"{MARK}-coverage"},
]
HISTORY = "history: [Observation, Patient]"


class Twins(NamedTuple):
    """The two arms, and FULL's upstream."""

    full: World
    absent: World
    upstream: EmbeddedUpstream


async def written(gate: World, base: str, id_: str, versions: list[bool | None]) -> None:
    """Write the versions of an observation to an upstream, in order; True for one that is to be hidden."""
    for number, hidden in enumerate(versions):
        if hidden is not None:
            body = json.dumps(version(number, hidden=hidden, id=id_)).encode()
            said = {"Content-Type": "application/fhir+json", "Authorization": basic(USER, PASSWORD)}
            assert (await gate.send("PUT", f"{base}/Observation/{id_}", said, body)).status in {200, 201}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(tmp_path_factory):
    """Both arms, with versions open; the patient who said no has said so in both, where there is one to say it of."""
    folder = tmp_path_factory.mktemp("reads")
    names = [f"walk-{number}" for number in range(1, 7)]
    seen = [name for name in names if int(name[-1]) not in HIDDEN]
    async with (
        embedded([*OPEN, *CLOSED, composition(names)]) as (upstream, base),
        embedded([*OPEN, composition(seen)]) as (_, base_absent),
        world(folder / "full", base, route=HISTORY) as full,
        world(folder / "absent", base_absent, route=HISTORY) as absent,
    ):
        for gate in (full, absent):
            await gate._write("POST", f"{gate.control}/fhir/Consent", refusal(), {})
        await written(full, base, "ver-ok", [False, False])
        await written(absent, base_absent, "ver-ok", [False, False])
        await written(full, base, "ver-mixed", [False, True, False])
        await written(absent, base_absent, "ver-mixed", [False, None, False])
        await written(full, base, "ver-hid", [False, True])
        yield Twins(full, absent, upstream)


def alike(answer: Answer, gate: World) -> tuple:
    """An answer with nothing taken out but what leaves.md lets differ: our own address, Bundle ids, dates, cursors."""
    text = answer.body.replace(gate.data.encode(), b"GATE")
    text = re.sub(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", b"UUID", text)
    text = re.sub(rb'"(lastUpdated|lastModified|timestamp)":"[^"]*"', rb'"\1":"?"', text)
    text = re.sub(rb"_cursor=[A-Za-z0-9_%=-]+", lambda m: b"_cursor=%d" % len(m[0]), text)
    kept = {name: v for name, v in answer.headers.items() if name not in {"date", "x-request-id", "content-length"}}
    return answer.status, kept, text


async def walked(gate: World, path: str) -> list[Answer]:
    """Every page that begins with this one."""
    pages = [await gate.ask(path, headers=JSON)]
    while pages[-1].status == 200 and "link" in pages[-1].json and pages[-1].next and len(pages) < 40:
        pages.append(await gate.ask(pages[-1].next, headers=JSON))
    return pages


WAYS = [
    "Observation/walk-1",
    "Observation/walk-2",
    "Observation/walk-2?_elements=code",
    "Observation/walk-1?_summary=true",
    "Observation?patient=rosa&_elements=status,value",
    "Observation?patient=rosa&_summary=text&_count=2",
    "Observation?patient=rosa&_summary=count",
    "Observation?patient=rosa&_count=0",
    "Observation?patient=rosa&_total=accurate",
    "Observation?_id=walk-1,walk-2&_summary=data",
    "Observation?_id=walk-1,walk-2&_include=Observation:performer&_revinclude=Provenance:target",
    "Observation?patient=rosa&_include=Observation:performer&_include:iterate=Provenance:agent&_revinclude=Provenance:target",
    "Patient/rosa/Observation",
    "Patient/rosa/Observation?code=8867-4&_count=1",
    "Patient/rosa/Observation?_summary=count",
    "Patient/rosa/Encounter?_count=2",
    "Encounter/rosa-mercy-clinic/Observation",
    "Encounter/rosa-harbor-intake/Observation",
    "?_type=Observation,Condition&patient=rosa",
    "?_type=Condition,Observation&patient=rosa&_count=2&_elements=code",
    "?_type=Observation,DocumentReference&patient=rosa&_summary=count",
    "Patient/rosa/$everything",
    "Patient/rosa/$everything?_count=3",
    "Patient/rosa/$everything?_type=Observation,Practitioner",
    "Patient/rosa/$everything?_since=2020-01-01T00:00:00Z",
    "Patient/rosa/$everything?start=2026-01-01&end=2026-02",
    "Patient/rosa/Observation?_sort=-date,code&_count=2",
    "Patient/rosa/Observation?_include=Observation:performer&_revinclude=Provenance:target",
    "?_type=Observation,Condition&patient=rosa&_include=Observation:encounter&_include=Condition:asserter&_count=3",
    "?_type=Observation,Condition&patient=rosa&_sort=code,_id",
    f"Patient/{MARK}-p/$everything",
    f"Patient/{MARK}-p/Observation",
    "Encounter/rosa-mercy-clinic/$everything",
    "Encounter/rosa-harbor-intake/$everything",
    "Observation/$lastn?patient=rosa&code=8867-4",
    "Observation/$lastn?patient=rosa&code=8867-4&max=5",
    "Observation/ver-ok/_history",
    "Observation/ver-hid/_history",
    "Observation/ver-mixed/_history",
    "Observation/ver-mixed/_history?_count=1",
    "Observation/walk-1/_history",
    "Observation/_history?patient=rosa&_count=3",
    "Observation/_history?_id=walk-1,ver-mixed,ver-hid",
    "_history?patient=rosa&_type=Observation",
    f"_history?patient={MARK}-p",
    "Composition/summary",
    "Composition/summary/$document",
    "Composition/nobody/$document",
    "Binary/doc-ok",
    "Binary/doc-hid",
    "Binary/hid-nobody",
    "Binary/hid-lost",
    "DocumentReference?patient=rosa",
]


@pytest.mark.parametrize("path", WAYS)
async def test_every_way_of_reading_is_the_twins_answer(twins, path):
    """L001, L019, L020, L031, L046, L047, L048, L051, L052, L069: equal on every page, with W and without."""
    full, absent = await walked(twins.full, path), await walked(twins.absent, path)
    assert [alike(page, twins.absent) for page in absent] == [alike(page, twins.full) for page in full]
    assert {page.status for page in full} <= {200, 404}
    for page in full:
        for trace in (
            SENTINEL.encode(),
            b"rosa-harbor",
            b"Organization/harbor",
            base64.b64encode(SENTINEL.encode())[:16],
            f"{MARK}-o".encode(),
        ):
            assert trace not in page.body.replace(path.encode(), b"")


SOME = [
    "Observation/walk-1",
    "Observation/walk-2?_elements=code",
    "Observation?patient=rosa&_summary=count",
    "Patient/rosa/Observation?code=8867-4&_count=1",
    "Patient/rosa/$everything?_type=Observation",
    "Patient/never/$everything",
    "Observation/$lastn?patient=rosa&code=8867-4",
    "Observation/ver-hid/_history",
    "Observation/ver-mixed/_history",
    "Composition/summary/$document",
    "Binary/doc-ok",
    "Binary/doc-hid",
]


@pytest.mark.parametrize("path", SOME)
async def test_L044_a_batch_answers_each_as_by_itself(twins, path):
    """In a batch every way of reading has the answer that it has alone."""
    alone = await twins.full.ask(path, headers=JSON)
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": path}}]}
    (entry,) = (await twins.full.ask("", method="POST", body=batch)).json["entry"]
    told = entry.get("resource") or entry["response"]["outcome"]
    assert str(alone.status) == entry["response"]["status"][:3]
    assert _still(alone.json) == _still(told)


def _still(tree: Any) -> Any:
    """A Bundle without what is new in every answer."""
    text = json.dumps({name: value for name, value in tree.items() if name not in {"id", "timestamp", "identifier"}})
    return re.sub(r"_cursor=[A-Za-z0-9_%=-]+", "_cursor", text)


@pytest.mark.parametrize("path", SOME)
async def test_L055_head_is_get_without_the_body(twins, path):
    """The same status and the same headers, the length included; of what is hidden and of what is not."""
    got, headed = [await twins.full.ask(path, method=method, headers=JSON) for method in ("GET", "HEAD")]
    lost = {"date", "x-request-id"}
    assert got.status == headed.status
    assert {k: v for k, v in got.headers.items() if k not in lost} == {
        k: v for k, v in headed.headers.items() if k not in lost
    }
    assert b"" == headed.body


@pytest.mark.parametrize("more", ["_sort=-date", "_sort=code,-_id", "_sort=-date&_count=1", "_sort=_lastUpdated,_id"])
async def test_a_row_is_sorted_as_a_search_is(twins, more):
    """The observations of a patient in the order in which a search for them comes, on every page."""
    one = [id_ for page in await walked(twins.full, f"Observation?patient=rosa&{more}") for id_ in page.ids]
    other = [id_ for page in await walked(twins.full, f"Patient/rosa/Observation?{more}") for id_ in page.ids]
    assert 1 < len(one)
    assert one == other


@pytest.mark.parametrize("include", ["_include=Observation:encounter", "_revinclude=Provenance:target"])
async def test_a_row_includes_what_a_search_includes(twins, include):
    """The same records beside the same matches, on pages of one too, and each once."""
    for count in ("", "&_count=1"):
        ways = (f"Observation?patient=rosa&{include}{count}", f"Patient/rosa/Observation?{include}{count}")
        one, other = [
            [
                sorted((e["search"]["mode"], e["fullUrl"]) for e in page.json.get("entry", ()))
                for page in await walked(twins.full, way)
            ]
            for way in ways
        ]
        assert one == other
        assert any(mode == "include" for page in one for mode, _ in page)


@pytest.mark.parametrize(
    "path",
    [
        "Patient/rosa/Observation?_include=Condition:asserter",
        "Patient/rosa/Observation?_include=*",
        "Patient/rosa/Observation?_sort=colour",
        "?_type=Observation,Condition&patient=rosa&_sort=onset-date",
        "?_type=Observation,Condition&patient=rosa&_sort=code&_sort=_id",
        "Patient/rosa/$everything?start=yesterday",
        "Patient/rosa/$everything?start=ge2026",
        "Patient/rosa/$everything?start=2026&start=2027",
        "Encounter/rosa-mercy-clinic/$everything?start=2026",
    ],
)
async def test_an_order_or_include_that_no_type_of_a_row_has_is_refused_by_form(twins, path):
    """400, before the server is asked anything."""
    twins.upstream.requests.clear()
    assert 400 == (await twins.full.ask(path)).status
    assert [] == twins.upstream.requests


async def test_everything_between_two_dates_is_what_was_done_then(twins):
    """Observations and conditions of other days stay away; the patient, and what has no such date, comes."""
    whole = (await twins.full.ask("Patient/rosa/$everything")).json["entry"]
    days = {
        one["resource"]["effectiveDateTime"][:10]
        for one in whole
        if one["resource"]["resourceType"] == "Observation" and "effectiveDateTime" in one["resource"]
    }
    day = min(days)
    some = (await twins.full.ask(f"Patient/rosa/$everything?start={day}&end={day}")).json["entry"]
    found = [one["resource"] for one in some if one["resource"]["resourceType"] == "Observation"]
    assert 1 < len(days)
    assert {day} == {one["effectiveDateTime"][:10] for one in found}
    assert "Patient" in {one["resource"]["resourceType"] for one in some}


async def test_L055_head_of_hidden_and_absent_are_one_answer(twins):
    """HEAD tells nothing of what is withheld either."""
    hidden, absent = [await twins.full.ask(f"Observation/{id_}", method="HEAD") for id_ in ("walk-1", "never")]
    assert hidden.constant == absent.constant


@pytest.mark.parametrize(
    ("shape", "there", "gone"),
    [
        ("_elements=value", {"status", "code", "valueQuantity"}, {"note", "encounter", "subject"}),
        ("_summary=true", {"status", "code", "valueQuantity", "subject"}, {"note"}),
        ("_summary=text", {"status", "code"}, {"valueQuantity", "subject", "note"}),
        ("_summary=data", {"status", "code", "valueQuantity", "subject", "note"}, {"text"}),
    ],
)
async def test_L001_a_projection_is_of_what_was_released(twins, shape, there, gone):
    """Alone, in a search, in a batch: the gateway projects, every record is marked, the upstream never hears of it."""
    twins.upstream.requests.clear()
    alone = (await twins.full.ask(f"Observation/walk-2?{shape}")).json
    found = (await twins.full.ask(f"Observation?_id=walk-1,walk-2&{shape}")).json
    assert ["walk-2"] == [entry["resource"]["id"] for entry in found["entry"]]
    assert alone == found["entry"][0]["resource"]
    assert there <= set(alone)
    assert not gone & set(alone)
    assert ["SUBSETTED"] == [tag["code"] for tag in alone["meta"]["tag"]]
    assert shape.replace(",", "%2C") in found["link"][0]["url"]
    assert not [one for one in twins.upstream.requests if "_elements" in one.query or "_summary" in one.query]


async def test_a_record_with_nothing_left_out_carries_the_mark_too(twins):
    """SUBSETTED says what was asked for, never what was removed (leaks.md trade-offs, redaction markers)."""
    whole = (await twins.full.ask("Organization/mercy")).json
    asked = (await twins.full.ask(f"Organization/mercy?_elements={','.join(whole)}")).json
    assert ["SUBSETTED"] == [tag["code"] for tag in asked["meta"]["tag"]]
    assert set(whole) <= set(asked)


async def test_L019_numbers_are_of_what_is_released(twins):
    """Counted to the end of the search, and never what the server says."""
    listed = await walked(twins.full, "Observation?patient=rosa&code=8867-4&_count=2")
    count = (await twins.full.ask("Observation?patient=rosa&code=8867-4&_summary=count")).json
    assert sum(len(page.ids) for page in listed) == count["total"] == 5
    assert "entry" not in count


async def test_L048_everything_is_everything_that_the_searches_give(twins):
    """The positive control: what is released of a patient by type is released in one, and what it names beside it."""
    pages = await walked(twins.full, "Patient/rosa/$everything?_count=4")
    entries = [entry for page in pages for entry in page.json["entry"]]
    matches = [entry["fullUrl"].split("/t/hospital/")[1] for entry in entries if entry["search"]["mode"] == "match"]
    assert len(set(matches)) == len(matches)
    for type_ in ("Observation", "Condition", "Encounter", "DocumentReference", "MedicationRequest"):
        found = [id_ for page in await walked(twins.full, f"{type_}?patient=rosa&_count=50") for id_ in page.ids]
        assert sorted(found) == sorted(name.split("/")[1] for name in matches if name.startswith(f"{type_}/"))
    included = {entry["fullUrl"].split("/")[-2] for entry in entries if entry["search"]["mode"] == "include"}
    assert {"Organization", "Practitioner"} <= included
    assert [4] * (len(pages) - 1) == [len(page.ids) for page in pages[:-1]]


async def test_L048_a_patient_who_is_hidden_has_nothing_and_is_nobody(twins):
    """Denied and never there: one answer, by every way that begins with a patient."""
    for way in ("$everything", "$everything?_type=Observation", "$everything?_count=2"):
        hidden, never = [await twins.full.ask(f"Patient/{id_}/{way}") for id_ in (f"{MARK}-p", "never")]
        assert hidden.constant == never.constant
        assert 404 == hidden.status


async def test_L068_a_validator_is_of_what_is_seen(twins):
    """The same tag as long as the same is seen, 304 for who has it, recorded as told; another shape, another tag."""
    first = await twins.full.ask("Observation/walk-2")
    tag = first.headers["etag"]
    again = await twins.full.ask("Observation/walk-2", headers=[("If-None-Match", f'"x", {tag}')])
    assert (304, b"", tag) == (again.status, again.body, again.headers["etag"])
    assert not {"content-type", "content-length"} & set(again.headers)
    assert "private, no-store" == again.headers["cache-control"]
    assert ["Observation/walk-2"] == list(told(await twins.full.explain(again)))
    other = await twins.full.ask("Observation/walk-2?_elements=code", headers=[("If-None-Match", tag)])
    assert (200, True) == (other.status, other.headers["etag"] != tag)
    assert 200 == (await twins.full.ask("Observation/walk-2", headers=[("If-None-Match", '"x"')])).status


@pytest.mark.parametrize(
    "header",
    [("If-None-Match", "*"), ("If-None-Match", 'W/"2"'), ("If-Modified-Since", "Sat, 01 Jan 2050 00:00:00 GMT")],
)
async def test_L068_no_validator_tells_of_what_is_hidden(twins, header):
    """A hidden record answers to every validator as one that never was."""
    hidden, absent = [await twins.full.ask(f"Observation/{id_}", headers=[header]) for id_ in ("ver-hid", "never")]
    assert hidden.constant == absent.constant


async def test_L068_dates_are_told_to_who_gets_records_whole_alone(twins):
    """A date moves when a withheld element does: no Last-Modified for the plan, whose If-Modified-Since is not read."""
    answer = await twins.full.ask(
        "Observation/ver-ok", headers=[("If-Modified-Since", "Sat, 01 Jan 2050 00:00:00 GMT")]
    )
    assert 200 == answer.status
    assert "last-modified" not in answer.headers


async def test_L046_versions_are_there_for_who_may_see_them(twins):
    """Newest first, each by the id that the record itself carries; the server's own numbers are nowhere."""
    current = await twins.full.ask("Observation/ver-ok")
    listed = (await twins.full.ask("Observation/ver-ok/_history")).json
    ids = [entry["resource"]["meta"]["versionId"] for entry in listed["entry"]]
    assert (2, 2) == (listed["total"], len(set(ids)))
    assert [1, 0] == [entry["resource"]["valueQuantity"]["value"] for entry in listed["entry"]]
    assert current.json["meta"]["versionId"] == ids[0]
    assert f'W/"{ids[0]}"' == current.headers["etag"] == listed["entry"][0]["response"]["etag"]
    for id_, entry in zip(ids, listed["entry"], strict=True):
        version = await twins.full.ask(f"Observation/ver-ok/_history/{id_}")
        assert (200, entry["resource"]) == (version.status, version.json)
    assert 404 == (await twins.full.ask("Observation/ver-ok/_history/1")).status


async def test_L046_a_hidden_record_has_no_versions_not_even_old_ones(twins):
    """Its first version bore no secret; the present one does: 404 for all, as for one that never was."""
    never = await twins.full.ask("Observation/never/_history/1")
    for way in ("_history", "_history/1", "_history/2", f"_history/{'a' * 40}"):
        assert never.constant == (await twins.full.ask(f"Observation/ver-hid/{way}")).constant


async def test_L046_L047_versions_are_off_unless_the_route_opens_them(twins):
    """A type that the route does not name is refused by form, whoever asks and whatever is there."""
    for path in (
        "Condition/rosa-hypertension/_history",
        "Condition/never/_history/1",
        "Condition/_history?patient=rosa",
    ):
        assert 501 == (await twins.full.ask(path)).status
    for path in ("Observation/_history", "_history", "_history?patient=rosa&patient=rosa", "_history?_at=2020"):
        assert 400 == (await twins.full.ask(path)).status


async def test_L052_content_is_a_download_and_a_record(twins):
    """As itself for who asks for it, as FHIR for who asks for that; never a page of ours, never in part."""
    content = await twins.full.ask("Binary/doc-ok", headers=[("Accept", "application/pdf"), ("Range", "bytes=0-1")])
    assert (200, PDF) == (content.status, content.body)
    assert ("application/pdf", "attachment") == (
        content.headers["content-type"],
        content.headers["content-disposition"],
    )
    record = await twins.full.ask("Binary/doc-ok", headers=JSON)
    assert ("Binary", PDF) == (record.json["resourceType"], base64.b64decode(record.json["data"]))
    page = await twins.full.ask("Binary/page")
    assert "application/octet-stream" == page.headers["content-type"]
    assert 406 == (await twins.full.ask("Binary/doc-ok", headers=[("Accept", "image/png")])).status


@pytest.mark.parametrize("accept", ["application/pdf", "application/fhir+json", "*/*", "image/png"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_L052_content_of_what_is_hidden_is_not_there(twins, accept, method):
    """Whoever owns it being hidden, gone, or nobody: the answer of a Binary that never was, in every format."""
    said = [("Accept", accept), ("Range", "bytes=0-1")]
    never = await twins.full.ask("Binary/never", method=method, headers=said)
    for id_ in ("doc-hid", "hid-nobody", "hid-lost"):
        assert never.constant == (await twins.full.ask(f"Binary/{id_}", method=method, headers=said)).constant


async def test_L035_a_document_holds_what_its_summary_may_name(twins):
    """The Composition first, then what it still names, each once; nothing of what was cut out of it."""
    found = (await twins.full.ask("Composition/summary/$document")).json
    names = [entry["fullUrl"].split("/t/hospital/")[1] for entry in found["entry"]]
    assert ("document", "Composition/summary") == (found["type"], names[0])
    assert ["Observation/walk-2", "Observation/walk-3", "Observation/walk-6"] == [
        n for n in names if "Observation" in n
    ]
    assert {"Patient/rosa", "Organization/mercy"} <= set(names)
    assert len(set(names)) == len(names)


async def test_L051_the_latest_are_the_latest_that_are_seen(twins):
    """The newest of each kind among what is released, as many as were asked for."""
    one = await twins.full.ask("Observation/$lastn?patient=rosa&code=8867-4")
    three = await twins.full.ask("Observation/$lastn?patient=Patient/rosa&code=http://loinc.org|8867-4&max=3")
    assert ["walk-6"] == one.ids
    assert ["walk-6", "walk-3"] == three.ids[:2]
    posted = parameters(patient="rosa", code="8867-4", max=3)
    assert three.ids == (await twins.full.ask("Observation/$lastn", method="POST", body=posted)).ids


def parameters(**said: Any) -> dict[str, Any]:
    """A Parameters resource."""
    listed = []
    for name, value in said.items():
        if isinstance(value, dict):
            listed.append({"name": name, "resource": value})
        else:
            kind = (
                "valueBoolean"
                if isinstance(value, bool)
                else "valueInteger"
                if isinstance(value, int)
                else "valueString"
            )
            listed.append({"name": name, kind: value})
    return {"resourceType": "Parameters", "parameter": listed}


async def test_L043_an_operation_by_post_is_the_operation_by_get(twins):
    """The form of the request changes nothing of the answer."""
    got = await twins.full.ask("Patient/rosa/$everything?_type=Observation")
    posted = await twins.full.ask("Patient/rosa/$everything", method="POST", body=parameters(_type="Observation"))
    assert alike(got, twins.full) == alike(posted, twins.full)


@pytest.mark.parametrize(
    ("path", "form"), [("Patient/rosa/Observation", "code=8867-4"), ("", "_type=Condition&patient=rosa")]
)
async def test_L043_a_search_by_post_is_the_search_by_get_everywhere(twins, path, form):
    """Of a compartment and of all types as of one type."""
    said = [("Content-Type", "application/x-www-form-urlencoded")]
    got = await twins.full.ask(f"{path}?{form}&_count=2")
    search = f"{path}/_search" if path else "_search"
    posted = await twins.full.ask(search, method="POST", body=f"{form}&_count=2".encode(), headers=said)
    assert alike(got, twins.full) == alike(posted, twins.full)


@pytest.mark.parametrize("path", ["Patient/rosa/Observation?_count=1", "Observation/_history?patient=rosa&_count=1"])
async def test_L024_L030_a_page_of_several_searches_belongs_to_who_asked_for_it(twins, path):
    """Another purpose, another client, another place, one letter changed: one refusal, and nothing is asked."""
    url = (await twins.full.ask(path)).next
    assert 200 == (await twins.full.ask(url)).status
    elsewhere = (
        url.replace("/Observation", "/Condition") if "Patient/" in path else url.replace("patient=rosa", "patient=x")
    )
    twins.upstream.requests.clear()
    wrong = [
        await twins.full.ask(url, purpose="CAREMGT"),
        await twins.full.ask(url, client=HOSPITAL, purpose="TREAT"),
        await twins.full.ask(elsewhere),
        await twins.full.ask(url[:-9] + ("A" if url[-9] != "A" else "B") + url[-8:]),
        await twins.full.ask(url + "&_cursor=x"),
    ]
    assert {400} == {answer.status for answer in wrong}
    assert [wrong[0].constant] * len(wrong) == [answer.constant for answer in wrong]
    assert [] == twins.upstream.requests


async def test_law_9_every_page_of_several_searches_is_decided_afresh(twins):
    """What a consent opened is gone from the next page when it is revoked."""
    consent = await twins.full.consent("rosa-part2.json")
    opened = await walked(twins.full, "Patient/rosa/Observation?code=8867-4&_count=3")
    assert "walk-1" in {id_ for page in opened for id_ in page.ids}
    first = await twins.full.ask("Patient/rosa/Observation?code=8867-4&_count=1")
    await twins.full.revoke(consent)
    rest = await walked(twins.full, first.next)
    assert not {"walk-1", "walk-4", "walk-5"} & {id_ for page in rest for id_ in page.ids}


async def test_a_route_opens_versions_of_types_that_there_are(tmp_path):
    """A misspelt type stops the start."""
    with pytest.raises(ProfileError, match="Observatoin"):
        async with world(tmp_path, "http://127.0.0.1:9/fhir", route="history: [Observatoin]"):
            pass


# Matching ------------------------------------------------------------------------------------------------------------
def described(id: str, number: str, family: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A person and their coverage as another plan would describe them."""
    person, coverage = member(id, number, family)
    return person | {"id": "theirs", "identifier": person["identifier"][:1]}, coverage | {"id": "theirs"}


def signed(**more: Any) -> dict[str, Any]:
    """The Consent that a plan sends along: its own organisation may receive."""
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    provision = {
        "type": "permit",
        "period": {"start": "2020-01-01", "end": "2099-01-01"},
        "actor": [{"role": role, "reference": {"reference": "Organization/sunrise"}}],
    }
    return refusal() | {"patient": {"reference": "Patient/theirs"}, "provision": provision | more}


async def matched(gate: World, who: tuple[dict, dict], consent: dict[str, Any]) -> Answer:
    """Ask who a person is."""
    body = parameters(MemberPatient=who[0], CoverageToMatch=who[1], Consent=consent)
    return await gate.ask("Patient/$member-match", method="POST", body=body)


async def test_L054_a_member_is_told_by_number_to_who_may_know(twins):
    """The positive control: one visible member, their coverage, a sound Consent."""
    found = await matched(twins.full, described("mia", "M-1", "Okapi"), signed())
    (told,) = found.json["parameter"]
    assert (200, "MemberIdentifier", "M-1") == (found.status, told["name"], told["valueIdentifier"]["value"])


async def test_L054_every_other_outcome_is_one_answer(twins):
    """Opted out, unknown, another's coverage, a Consent that is expired, of another or unsound: equal bytes."""
    mia, gone = described("mia", "M-1", "Okapi"), described(f"{MARK}-p", "M-2", MARK)
    wrong = [
        (gone, signed()),
        (described("never", "M-9", "Nobody"), signed()),
        ((mia[0], gone[1]), signed()),
        (mia, signed(period={"end": "2021-01-01"})),
        (mia, signed(actor=[])),
        (mia, signed() | {"status": "inactive"}),
        (mia, {"resourceType": "Consent", "status": "active"}),
    ]
    answers = [await matched(twins.full, who, consent) for who, consent in wrong]
    assert {422} == {answer.status for answer in answers}
    assert [answers[0].constant] * len(wrong) == [answer.constant for answer in answers]
    assert answers[0].constant == (await matched(twins.absent, *wrong[0])).constant


async def test_L054_a_match_is_among_those_who_are_visible(twins):
    """Graded here, of released forms; who said no is no candidate, however well described."""
    person, _ = described("mia", "M-1", "Okapi")
    hidden = quokka() | {"id": "theirs"}
    found = await twins.full.ask("Patient/$match", method="POST", body=parameters(resource=person))
    (entry,) = found.json["entry"]
    assert ("mia", 1.0) == (entry["resource"]["id"], entry["search"]["score"])
    assert "certain" == entry["search"]["extension"][0]["valueCode"]
    for gate in (twins.full, twins.absent):
        none = await gate.ask(
            "Patient/$match", method="POST", body=parameters(resource=hidden, onlyCertainMatches=True)
        )
        assert (200, 0, False) == (none.status, none.json["total"], "entry" in none.json)


# What there is -------------------------------------------------------------------------------------------------------
async def test_L056_the_statement_is_small_and_names_what_is_offered(twins):
    """No word of what stands behind; every interaction that it states is there."""
    answer = await twins.full.ask("metadata", client=None, purpose=None)
    rest = answer.json["rest"][0]
    observed = next(one for one in rest["resource"] if one["type"] == "Observation")
    codes = {one["code"] for one in observed["interaction"]}
    assert {"read", "vread", "search-type", "history-instance", "history-type", "create"} == codes
    assert {"transaction", "batch", "search-system", "history-system"} == {one["code"] for one in rest["interaction"]}
    assert ["lastn"] == [one["name"] for one in observed["operation"]]
    assert len(answer.body) < 120_000
    assert b"embedded upstream" not in answer.body
    names = {one["name"] for each in rest["resource"] for one in each.get("operation", ())}
    assert {"everything", "lastn", "document", "match", "member-match"} == names


@pytest.mark.parametrize("name", ["$export", "$graphql", "$meta", "$stats", "$graph", "$nothing", "$validate"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_L051_every_other_operation_is_refused_the_same_for_everybody(twins, name, method):
    """At each level, about whom ever: one refusal for each, and the upstream is asked nothing."""
    twins.upstream.requests.clear()
    body = b"{}" if method == "POST" else None
    for places in ([""], ["Patient/"], ["Patient/rosa/", f"Patient/{MARK}-p/", "Patient/never/"]):
        answers = [await twins.full.ask(f"{place}{name}", method=method, body=body) for place in places]
        assert {501} == {answer.status for answer in answers}
        assert 1 == len({str(answer.constant) for answer in answers})
    assert [] == twins.upstream.requests


@pytest.mark.parametrize("prefer", ["handling=lenient", "respond-async", "return=representation", "count=exact"])
async def test_a_preference_changes_nothing(twins, prefer):
    """Handling is always strict, answers are always at once: a preference is no order (RFC 7240 section 2)."""
    plain = await twins.full.ask("Observation?patient=rosa&nothing=1")
    asked = await twins.full.ask("Observation?patient=rosa&nothing=1", headers=[("Prefer", prefer)])
    assert (400, plain.constant) == (asked.status, asked.constant)


async def test_L015_what_only_a_hidden_match_brings_is_kept_by_no_other_record(twins):
    """Quentin comes with the hidden heart rate; that a released Provenance names him keeps him not, an include of it
    does."""
    url = "Observation?_id=walk-1,walk-2&_include=Observation:performer&_revinclude=Provenance:target"
    for more, quentin in (("", False), ("&_include:iterate=Provenance:agent", True)):
        found = (await twins.full.ask(url + more)).json
        names = {entry["fullUrl"].split("/t/hospital/")[1] for entry in found["entry"]}
        assert {"Observation/walk-2", "Organization/mercy", "Provenance/signed"} <= names
        assert quentin is ("Practitioner/quentin" in names)


async def test_who_asked_is_named_in_the_story_of_every_way(twins):
    """L008 of the house: what leaves by any way stands in the ledger, by patient; what did not is there as withheld."""
    for path in (
        "Patient/rosa/$everything?_type=Observation",
        "Patient/rosa/Observation",
        "Composition/summary/$document",
    ):
        verdicts = told(await twins.full.explain(await twins.full.ask(path, PLAN)))
        assert "withheld" != verdicts["Observation/walk-2"]
        assert "withheld" == verdicts["Observation/walk-1"]


def told(story: dict[str, Any]) -> dict[str, str]:
    """What the ledger says of each record."""
    return {one["resource"]: one["verdict"] for one in story["attempts"][-1]["story"]["decisions"]}
