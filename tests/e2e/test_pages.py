"""Searches from outside: no trace of what is withheld, pages filled with what is released, links and cursors of ours.

Two gateways stand before two upstreams: FULL holds everything, ABSENT never had what is withheld from the plan. Which
records those are is written here by hand: the ones of the Part 2 clinic's encounter.
"""

import re
from typing import NamedTuple
from urllib.parse import quote

import pytest
import pytest_asyncio

from gateway.demo.upstream import EmbeddedUpstream
from tests.e2e.world import HOSPITAL, PLAN, Answer, World, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIDDEN = {1, 5, 6, 7, 8, 9, 10}
ALL = "Observation?patient=rosa&code=http://loinc.org|8867-4"


def observation(number, hidden, note="sentinel-plain"):
    """A heart rate of Rosa's; a hidden one was measured at the Part 2 clinic."""
    encounter = "rosa-harbor-intake" if hidden else "rosa-mercy-clinic"
    return {
        "resourceType": "Observation",
        "id": f"walk-{number:02}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/rosa"},
        "encounter": {"reference": f"Encounter/{encounter}"},
        "performer": [{"reference": "Organization/harbor" if hidden else "Organization/mercy"}],
        "effectiveDateTime": f"2026-02-{number:02}",
        "valueQuantity": {"value": 70, "unit": "/min"},
        "note": [{"text": f"sentinel-hidden-{number}" if hidden else note}],
    }


class Twins(NamedTuple):
    """The two arms."""

    full: World
    absent: World
    upstream: EmbeddedUpstream
    base: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(tmp_path_factory):
    """Both arms, with ten observations of which seven are hidden, and with the other three alone."""
    everything = [observation(number, number in HIDDEN) for number in range(1, 11)]
    rest = [one for one in everything if int(one["id"][-2:]) not in HIDDEN]
    folder = tmp_path_factory.mktemp("twins")
    async with (
        embedded(everything) as (upstream, base),
        embedded(rest) as (_, base_absent),
        world(folder / "full", base) as full,
        world(folder / "absent", base_absent) as absent,
    ):
        yield Twins(full, absent, upstream, base)


def alike(answer: Answer, gate: World) -> tuple:
    """An answer with nothing taken out but what differs between any two runs: our own address, ids, dates, cursors."""
    text = re.sub(rb'"id":"[0-9a-f-]{36}","type"', b'"id":"?","type"', answer.body.replace(gate.data.encode(), b"GATE"))
    text = re.sub(rb"_cursor=[A-Za-z0-9_%=-]+", lambda m: b"_cursor=%d" % len(m[0]), text)
    kept = {name: v for name, v in answer.headers.items() if name not in {"date", "x-request-id", "content-length"}}
    return answer.status, kept, text


async def walked(gate: World, path: str) -> list[Answer]:
    """Every page of a search."""
    pages = [await gate.ask(path)]
    while pages[-1].next and len(pages) < 30:
        pages.append(await gate.ask(pages[-1].next))
    return pages


async def read(gate: World, path: str) -> list[Answer]:
    """The one answer of a read."""
    return [await gate.ask(path)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 50])
async def test_L020_a_walk_tells_nothing_of_what_is_withheld(twins, count):
    """Number of pages, entries on each, totals, links, order: as if the hidden ones had never been there (L020)."""
    full = await walked(twins.full, f"{ALL}&_count={count}")
    absent = await walked(twins.absent, f"{ALL}&_count={count}")
    assert [alike(page, twins.absent) for page in absent] == [alike(page, twins.full) for page in full]
    assert ["walk-02", "walk-03", "walk-04"] == [id_ for page in full for id_ in page.ids]
    assert [3] * (count >= 3) == [page.json["total"] for page in full if "total" in page.json]


@pytest.mark.parametrize(
    "path",
    [
        "Observation?patient=rosa&_count=7",
        "Observation?_id=walk-01,walk-02,never-existed",
        f"{ALL}&date=ge2026-02-05",
        f"{ALL}&_include=Observation:encounter&_count=2",
        f"{ALL}&_include=Observation:performer&_include=Observation:subject",
        "Encounter?patient=rosa&_revinclude=Observation:encounter",
        "Patient?_id=rosa&_revinclude=Observation:patient",
        "Observation/walk-01",
        "Observation/walk-02",
    ],
)
async def test_any_search_is_the_twins_answer(twins, path):
    """Filters, includes and reads give the same in both arms, on every page (L012, L015, L032)."""
    ask = walked if "?" in path else read
    full, absent = await ask(twins.full, path), await ask(twins.absent, path)
    assert [alike(page, twins.absent) for page in absent] == [alike(page, twins.full) for page in full]


async def test_L031_nothing_of_what_is_withheld_is_in_any_byte(twins):
    """No text, id or place of a withheld record is anywhere in a searchset that would have held it (L031)."""
    for path in (ALL, f"{ALL}&_include=Observation:encounter&_include=Observation:performer"):
        raw = (await twins.full.ask(path)).body
        assert b"sentinel-plain" in raw
        assert not re.search(rb"sentinel-hidden|walk-(01|0[5-9]|10)|harbor", raw)


async def test_the_hidden_ones_are_really_there(twins):
    """The positive control: with the patient's consent the plan gets all ten, and without it three again."""
    consent = await twins.full.consent("rosa-part2.json")
    assert 10 == len((await twins.full.ask(ALL)).ids)
    await twins.full.revoke(consent)
    assert 3 == len((await twins.full.ask(ALL)).ids)


async def test_a_search_by_post_is_the_search_by_get(twins):
    """The form has the same answer, its links included (L043)."""
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    got = await twins.full.ask(f"{ALL}&_count=2")
    body = f"patient=rosa&code={quote('http://loinc.org|8867-4')}&_count=2".encode()
    posted = await twins.full.ask("Observation/_search", method="POST", body=body, headers=form)
    assert alike(got, twins.full) == alike(posted, twins.full)


async def test_L025_L028_every_link_is_at_our_door(twins):
    """Self link, next link, fullUrl: ours; the upstream's address is nowhere in any spelling (L025, L028)."""
    page = await twins.full.ask(f"{ALL}&_count=1&_include=Observation:subject")
    links = {link["relation"]: link["url"] for link in page.json["link"]}
    asked = "Observation?patient=rosa&code=http%3A%2F%2Floinc.org%7C8867-4&_count=1&_include=Observation%3Asubject"
    assert f"{twins.full.data}/t/hospital/{asked}" == links["self"]
    assert links["next"].startswith(links["self"] + "&_cursor=")
    urls = [entry["fullUrl"] for entry in page.json["entry"]]
    assert [f"{twins.full.data}/t/hospital/{name}" for name in ("Observation/walk-02", "Patient/rosa")] == urls
    port = twins.base.partition("//")[2].partition("/")[0]
    assert port.encode() not in page.body
    assert quote(port, safe="").encode() not in page.body
    assert b"_getpages" not in page.body


async def test_a_record_keeps_its_own_text(twins):
    """Inside a released record every value is as the upstream wrote it, spaces and all (law 5)."""
    alone = await twins.full.ask("Condition/rosa-hypertension")
    held = next(one.raw for one in twins.upstream.store.versions("Condition", "rosa-hypertension"))
    kept = [line for line in held.splitlines() if b'"code"' in line or b"onset" in line]
    assert kept
    assert all(line in alone.body for line in kept)


# Cursors -----------------------------------------------------------------------------------------------------------
async def test_L024_a_page_link_belongs_to_who_got_it_and_why(twins):
    """Another client, another purpose, another query, a changed or made-up cursor: one refusal, no call (L024)."""
    link = (await twins.full.ask(f"{ALL}&_count=1")).next
    changed = link[:-20] + ("A" if link[-20] != "A" else "B") + link[-19:]
    twins.upstream.requests.clear()
    refused = [
        await twins.full.ask(link, HOSPITAL, "TREAT"),
        await twins.full.ask(link, PLAN, "CAREMGT"),
        await twins.full.ask(link.replace("_count=1", "_count=2")),
        await twins.full.ask(link.replace("patient=rosa", "patient=dana")),
        await twins.full.ask(changed),
        await twins.full.ask(f"{ALL}&_count=1&_cursor=abc"),
        await twins.full.ask(f"{link}&_cursor=abc"),
        await twins.absent.ask(link.replace(twins.full.data, twins.absent.data)),
    ]
    assert {400} == {answer.status for answer in refused}
    assert 1 == len({answer.body for answer in refused})
    assert [] == twins.upstream.requests


async def test_a_page_link_may_be_asked_again(twins):
    """The same link gives the same page: it is a place, not a token that is used up."""
    link = (await twins.full.ask(f"{ALL}&_count=1")).next
    first, second = await twins.full.ask(link), await twins.full.ask(link)
    assert ["walk-03"] == first.ids == second.ids


# Batches -----------------------------------------------------------------------------------------------------------
def batch(*urls):
    """A batch of gets."""
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


async def test_a_get_in_a_batch_is_answered_as_by_itself(twins):
    """Read, search, hidden, absent, refused: each entry is the stand-alone answer (L044)."""
    urls = ["Observation/walk-02", "Observation/walk-01", "Observation/never", f"{ALL}&_count=2", "Patient/rosa/$meta"]
    whole = await twins.full.ask("", method="POST", body=batch(*urls))
    assert 200 == whole.status
    entries = whole.json["entry"]
    alone = [await twins.full.ask(url) for url in urls]
    assert ["200 OK", "404 Not Found", "404 Not Found", "200 OK", "501 Not Implemented"] == [
        entry["response"]["status"] for entry in entries
    ]
    assert alone[0].json == entries[0]["resource"]
    assert alone[1].json == entries[1]["response"]["outcome"] == entries[2]["response"]["outcome"]
    assert entries[1] == entries[2]
    assert alone[3].ids == [one["resource"]["id"] for one in entries[3]["resource"]["entry"]]
    assert alone[4].json == entries[4]["response"]["outcome"]


async def test_a_batch_is_the_twins_answer(twins):
    """The same batch in both arms differs in nothing."""
    asked = batch("Observation/walk-01", f"{ALL}&_count=2", "Observation/walk-02")
    full, absent = [await gate.ask("", method="POST", body=asked) for gate in (twins.full, twins.absent)]
    ours = re.compile(rb'"id":"[0-9a-f-]{36}","type"')
    assert ours.sub(b"", alike(absent, twins.absent)[2]) == ours.sub(b"", alike(full, twins.full)[2])


@pytest.mark.parametrize(
    "url",
    [
        "http://other/fhir/Observation/1",
        "//other/x",
        "/t/hospital/Observation/1",
        "../Observation/1",
        "Patient?_id=1#x",
    ],
)
async def test_L029_an_address_in_a_batch_is_relative(twins, url):
    """Another base, another route, a way up: the whole is 400 and nothing is asked (L029)."""
    twins.upstream.requests.clear()
    assert 400 == (await twins.full.ask("", method="POST", body=batch("Observation/walk-02", url))).status
    assert [] == twins.upstream.requests
