"""Before servers that nobody here wrote for: what comes out is what `decide` gives, whatever the server's manner.

The manners are those of products as their makers describe them, and of small servers that people write themselves.
"""

import json
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from gateway import bootstrap, clock
from gateway.demo.lines import Line
from gateway.demo.second_opinion import Examiner
from gateway.demo.stage import RouteOf
from gateway.demo.story import story_resources
from gateway.errors import ProfileError
from gateway.facts.answer import answer
from gateway.proxy.telemetry import LOGGER
from tests.e2e.other_servers import Manner, OtherServer
from tests.e2e.world import PLAN, World, world
from tests.stub_upstream import stub_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLIC = "https://fhir.hospital.example/r4"
STORE = "/v1/projects/p/locations/l/datasets/d/fhirStores/s/fhir"
IDENTIFIER = "https://mercy-general.example/mrn|MG-40021"
HOME_MADE: dict[str, Any] = {
    "content_type": "application/json",
    "full_urls": "",
    "known": frozenset({"patient", "_id"}),
    "lists": False,
    "modes": False,
    "refuses": False,
    "self_link": False,
    "statement": "none",
    "versions": False,
}
MANNERS = {
    "pages by offset": Manner(path="/fhir/R4", most=4),
    "continuation tokens, what is unknown ignored": Manner(
        path="", following="{base}/{type}?{query}&ct={token}", token="ct", most=4, refuses=False
    ),
    "a long base, a slash before the query": Manner(
        path=STORE,
        following="{base}/{type}/?{query}&_page_token={token}",
        token="_page_token",
        content_type="application/fhir+json;charset=utf-8",
        most=4,
    ),
    "links to the host, no fullUrl": Manner(
        following="{path}/{type}?{query}&page={token}", token="page", full_urls="", most=4
    ),
    "links by query alone, fullUrls relative": Manner(
        following="?{query}&page={token}", token="page", full_urls="{type}/{id}", most=4
    ),
    "links relative to the base, fullUrls by path": Manner(
        following="{type}?{query}&page={token}", token="page", full_urls="{path}/{type}/{id}", most=4
    ),
    "snapshots at the base": Manner(following="{base}?_snapshot={token}", token="_snapshot", most=4),
    "few parameters, one id at once, the old media type": Manner(
        known=frozenset({"_id", "identifier", "patient"}), lists=False, most=4, content_type="application/json+fhir"
    ),
    "no search by id, outcomes that inform": Manner(known=frozenset({"identifier", "patient"}), notes=True, most=4),
    "no number of entries": Manner(counts="refused"),
    "its public name": Manner(calls_itself=PUBLIC, most=4),
    "home-made": Manner(**HOME_MADE, counts="ignored", http="HTTP/1.0", unknown_types=404),
    "home-made, ids alone, in chunks": Manner(
        **HOME_MADE | {"statement": "bare"}, bare=frozenset({"patient", "subject"}), counts="ignored", chunked=True
    ),
    "home-made, everything to every search": Manner(**HOME_MADE | {"known": frozenset()}, counts="ignored"),
    "home-made, no links to what is left": Manner(**HOME_MADE, following=""),
}
QUICK = {"links to the host, no fullUrl", "its public name", "home-made"}
ASKED = [
    "Observation?patient=rosa&_count=2",
    "Observation?subject=Patient/rosa&code=http://loinc.org|8867-4",
    "Observation?_id=walk-0,walk-1,rosa-glucose",
    "Condition?patient=Patient/rosa&_include=Condition:encounter",
    "Condition/rosa-hypertension",
    "Condition/rosa-opioid-dependence",
    f"Patient?identifier={IDENTIFIER}",
    "Goal?patient=rosa",
    "Patient/rosa/Observation?_count=3",
    "Patient/rosa/$everything?_type=Patient,Observation,Condition,Claim,Coverage&_count=5",
    "Observation?patient=rosa&_summary=count",
]


def records() -> list[dict[str, Any]]:
    """The story's records, and six heart rates of Rosa's, every other one taken by the Part 2 clinic."""
    return [json.loads(one) if isinstance(one, bytes) else dict(one) for one in story_resources()] + [
        {
            "resourceType": "Observation",
            "id": f"walk-{number}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": "Patient/rosa"},
            "encounter": {"reference": f"Encounter/{'rosa-mercy-clinic' if number % 2 else 'rosa-harbor-visit'}"},
            "performer": [{"reference": f"Organization/{'mercy' if number % 2 else 'harbor'}"}],
        }
        for number in range(6)
    ]


@asynccontextmanager
async def before(folder, manner, **more):
    """A gateway before a server of this manner, and the server."""
    server = OtherServer(manner, records())
    async with stub_upstream(server) as stub:
        server.base = f"http://127.0.0.1:{stub.port}{manner.path}"
        said = {"route": f"upstream_aliases: [{manner.calls_itself}]"} if manner.calls_itself else {}
        async with world(folder, server.base, **said | more) as gate:
            yield gate, server


async def walked(gate: World, path: str) -> tuple[int, list[tuple[str, str]]]:
    """All pages of an answer: its status, and each record that came with its text, in one order."""
    found: list[tuple[str, str]] = []
    page = await gate.ask(path)
    status = page.status
    for _ in range(40):
        tree = page.json
        found += [
            (f"{entry['search']['mode']} {entry['fullUrl'].split('/t/hospital/')[1]}", str(entry))
            for entry in tree.get("entry", ())
        ]
        if tree["resourceType"] != "Bundle":
            found.append((tree["resourceType"], str(tree)))
        if tree["resourceType"] != "Bundle" or page.next is None:
            break
        page = await gate.ask(page.next)
        status = max(status, page.status)
    if "_summary=count" in path:
        found.append(("total", str(tree["total"])))
    return status, sorted((name, text.replace(gate.data, "GATE")) for name, text in found)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain(tmp_path_factory):
    """What comes out before a plain and whole server, by what is asked."""
    async with before(tmp_path_factory.mktemp("plain"), Manner()) as (gate, _):
        yield {path: await walked(gate, path) for path in ASKED}


async def test_a_plain_server_gives_what_decide_gives(tmp_path, plain):
    """The set that the rest is held against is the one `decide` gives of the same records (law 1: one pipeline)."""
    async with before(tmp_path, Manner()) as (gate, _):
        directory = next(iter(gate.plane._live().doors.values())).directory
    made = Examiner(None, None, upstream="", behind="", store=None, directory=directory)
    line = Line(id="x", who="", client=PLAN, purpose="HPAYMT", route="r", patients=("rosa",), types=())
    entries = [{"resource": one} for one in records()]
    document = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    question = made.question(line, RouteOf("r", "mercy", "us-part2"), (), clock.now(), document, ())
    said = answer(question, bootstrap.read_shelf())
    given = {one["resource"] for one in said["decisions"] if one["verdict"] != "withheld"}
    mine = {f"Observation/{one['id']}" for one in records() if one.get("subject") == {"reference": "Patient/rosa"}}
    matches = {name.split()[1] for name, _ in plain[ASKED[0]][1]}
    assert given & mine == matches
    assert {"Observation/walk-1", "Observation/walk-3"} < matches
    assert not {"Observation/walk-0", "Condition/rosa-opioid-dependence"} & given


@pytest.mark.parametrize(
    "manner", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in MANNERS]
)
async def test_the_same_comes_out_whatever_the_servers_manner(tmp_path, plain, manner):
    """Reads, searches to the last page, compartments, $everything, numbers: record by record as before a plain one."""
    async with before(tmp_path, MANNERS[manner]) as (gate, _):
        for path in ASKED:
            assert plain[path] == await walked(gate, path), path


async def test_what_one_parameter_takes_says_nothing_of_another(tmp_path):
    """`encounter=Encounter/1` finds, `patient=Patient/1` does not and `patient=1` does: whichever is asked first."""
    async with before(tmp_path, Manner(bare=frozenset({"patient"}))) as (gate, _):
        by_visit, by_patient = "Observation?encounter=Encounter/rosa-mercy-clinic", "Observation?patient=Patient/rosa"
        asked = [await walked(gate, path) for path in (by_visit, by_patient, by_visit)]
    assert {"match Observation/walk-1", "match Observation/walk-3"} < {name for name, _ in asked[1][1]}
    assert asked[0] == asked[2]
    assert asked[0][1]


TRANSACTION = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "resource": {key: value for key, value in records()[-1].items() if key != "id"},
            "request": {"method": "POST", "url": "Observation"},
        }
    ],
}
PLACES = {
    "absolute": Manner(),
    "by path": Manner(path="/fhir/R4", places="{path}/{type}/{id}"),
    "relative": Manner(places="{type}/{id}/_history/1"),
    "by its public name": Manner(calls_itself=PUBLIC),
}


@pytest.mark.parametrize("manner", PLACES)
async def test_what_was_stored_is_told_as_stored(tmp_path, manner):
    """A create and a transaction that the server took: 201, with a place at our door (L025, L077)."""
    async with before(tmp_path, PLACES[manner]) as (gate, server):
        single = await gate.ask("Observation", method="POST", body=TRANSACTION["entry"][0]["resource"])
        whole = await gate.ask("", method="POST", body=TRANSACTION)
    assert 2 == len(server.bodies)
    (entry,) = whole.json["entry"]
    said = [single.headers.get("location"), entry["response"].get("location")]
    assert (201, "201 Created") == (single.status, entry["response"]["status"])
    assert [f"{gate.data}/t/hospital/Observation/made-{n}" for n in (1, 2)] == said


# What is not to be had ------------------------------------------------------------------------------------------------
@pytest.fixture
def heard():
    """What the gateway logs, a line each."""
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record):
            lines.append(f"{record.getMessage()} {getattr(getattr(record, 'told', None), 'why', '')}")

    ear = Ear()
    LOGGER.addHandler(ear)
    level = LOGGER.level
    LOGGER.setLevel("INFO")
    yield lines
    LOGGER.removeHandler(ear)
    LOGGER.setLevel(level)


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        (Manner(forbids=frozenset({"Provenance"})), "it answered 403 to a search of Provenance"),
        (Manner(calls_itself=PUBLIC, most=2), "a next link leads to another server"),
        (Manner(content_type="text/plain"), "the Content-Type of its answer is not FHIR JSON"),
        (Manner(known=frozenset({"_id"})), "it answered 400 to a search of Observation"),
    ],
)
async def test_what_cannot_be_answered_says_why_to_the_operator_alone(tmp_path, heard, manner, why):
    """One 502 for the client; in the log whose fault it is, without an id or a word of the server (L070, L072)."""
    async with before(tmp_path, manner, route="") as (gate, _):
        found = await gate.ask("Observation?patient=rosa")
    assert 502 == found.status
    assert "the server behind the gateway" in found.told
    (line,) = [one for one in heard if why in one]
    assert not {"rosa", "sentinel"} & set(line.replace("/", " ").split())


async def test_a_server_by_another_name_is_not_believed_unless_the_operator_says_so(tmp_path, heard):
    """Its fullUrls are another server's: nothing comes out, and the log says what may be done; no call goes there."""
    async with before(tmp_path, Manner(calls_itself=PUBLIC), route="") as (gate, _):
        assert [] == (await gate.ask("Condition?patient=rosa")).ids
    (line,) = [one for one in heard if "upstream_aliases" in one]
    assert "https://fhir.hospital.example:443/r4" in line


async def test_a_reference_by_the_servers_other_name_is_its_own_and_told_as_ours(tmp_path):
    """What a record names by the public URL is gathered, decided on, and rewritten; the name does not pass (L025)."""
    manner = Manner(calls_itself=PUBLIC)
    async with before(tmp_path, manner) as (gate, server):
        for one in server.records:
            if one["id"].startswith("walk-"):
                for name in ("subject", "encounter"):
                    one[name] = {"reference": f"{PUBLIC}/{one[name]['reference']}"}
        found = await gate.ask("Observation?patient=rosa&code=http://loinc.org|8867-4")
        assert 404 == (await gate.ask("Observation/walk-0")).status
        read = await gate.ask("Observation/walk-1")
    assert [] == found.ids  # this server finds by what is written: the name counts there as another's
    assert f"{gate.data}/t/hospital/Patient/rosa" == read.json["subject"]["reference"]
    assert b"hospital.example" not in read.body


async def test_no_two_sources_go_by_one_name(tmp_path):
    """An alias that is another source's server would make its patients ours."""
    async with AsyncExitStack() as held:
        more = f"""\
      plan:
        owner: sunrise
        upstream: {PUBLIC}
        credentials: {{kind: none}}
        public_url: http://plan.example/t/plan
        profile: us-part2"""
        with pytest.raises(ProfileError, match="names the server of another source"):
            await held.enter_async_context(before(tmp_path, Manner(calls_itself=PUBLIC), more=more))


async def test_a_program_that_only_a_provenance_names_is_seen_where_lists_are_not_found(tmp_path):
    """A server that finds one target at once: each record is asked about, and the program's record stays (L087)."""
    shown = {
        "resourceType": "Provenance",
        "id": "made-by-harbor",
        "target": [{"reference": "Observation/walk-3"}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Organization/harbor"}}],
    }
    known = frozenset({"_id", "patient", "target"})
    for manner in (Manner(known=known), Manner(known=known, lists=False)):
        async with before(tmp_path / str(manner.lists), manner) as (gate, server):
            server.records.append(shown)
            found = await gate.ask("Observation?patient=rosa&_count=50")
        assert ("walk-1" in found.ids, "walk-3" in found.ids) == (True, False)
