"""The read API from outside: whatever may be read may be read in every way, and no way tells of what is withheld."""

import base64
import json
import re
from typing import Any

import pytest

from tests.attack.records import MARK
from tests.e2e.read_twins import JSON, PDF, SENTINEL, alike, told, walked
from tests.e2e.world import HOSPITAL, PLAN

pytestmark = pytest.mark.asyncio(loop_scope="session")
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
    "Binary/hid-own",
    "DocumentReference/hid-own",
    "Binary/hid-shared",
    "DocumentReference/doc-two",
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
