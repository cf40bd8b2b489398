"""Every kind of search from outside, in two worlds: with what is withheld from the plan, and where it never was.

Hidden are the records of the Part 2 clinic's visit, written down here by hand, and in the world without them whatever
pointed at them is gone too. The embedded server knows few parameters, so the gateway tells the rest by itself.
"""

import re
from typing import NamedTuple

import pytest
import pytest_asyncio

from gateway.demo.upstream import EmbeddedUpstream
from tests.bench.paging import measure
from tests.e2e.test_pages import alike, walked
from tests.e2e.world import World, embedded, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = "http://loinc.org|29463-7"
ALL = f"Observation?patient=rosa&code={CODE}"
# number: weight, date, hidden?
WEIGHED = {1: (71, "2026-01-05", False), 2: (95, "2026-01-04", True), 3: (64, "2026-01-03", False)}
WEIGHED |= {4: (99, "2026-01-02", True), 5: (80, "2026-01-01T10:30:00-05:00", False), 6: (50, "2026-01-06", True)}


def weight(number, value, date, hidden, members=()):
    """A body weight of Rosa's; a hidden one was measured at the Part 2 clinic."""
    return {
        "resourceType": "Observation",
        "id": f"weight-{number}",
        "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/bodyweight"]} if number != 3 else {},
        "status": "amended" if number in {3, 6} else "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}], "text": "Weight of the body"},
        "subject": {"reference": "Patient/rosa"},
        "encounter": {"reference": f"Encounter/{'rosa-harbor-intake' if hidden else 'rosa-mercy-clinic'}"},
        "performer": [{"reference": f"Organization/{'harbor' if hidden else 'mercy'}"}],
        "effectiveDateTime": date,
        "valueQuantity": {"value": value, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        **({"focus": [{"reference": f"Observation/weight-{other}"} for other in members]} if members else {}),
    }


def report(members):
    """A report on some of the weights."""
    return {
        "resourceType": "DiagnosticReport",
        "id": "weights",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "55107-7"}]},
        "subject": {"reference": "Patient/rosa"},
        "encounter": {"reference": "Encounter/rosa-mercy-clinic"},
        "performer": [{"reference": "Organization/mercy"}],
        "effectiveDateTime": "2026-01-09",
        **({"result": [{"reference": f"Observation/weight-{other}"} for other in members]} if members else {}),
    }


def records(*, full):
    """The records of one world."""
    numbers = [number for number, (_, _, hidden) in WEIGHED.items() if full or not hidden]
    members = {1: [2], 5: [3, 4]}
    kept = {one: [other for other in found if other in numbers] for one, found in members.items()}
    return [
        *(weight(number, *WEIGHED[number], kept.get(number, ())) for number in numbers),
        report([2] if full else []),
    ]


class Twins(NamedTuple):
    """The two worlds, and the servers behind them."""

    full: World
    absent: World
    entitled: World
    upstream: EmbeddedUpstream
    upstream_absent: EmbeddedUpstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(tmp_path_factory):
    """Both worlds, and a third in which the patient agreed that the plan sees everything."""
    folder = tmp_path_factory.mktemp("searches")
    async with (
        embedded(records(full=True)) as (upstream, base),
        embedded(records(full=False)) as (upstream_absent, base_absent),
        world(folder / "full", base) as full,
        world(folder / "absent", base_absent) as absent,
        world(folder / "entitled", base) as entitled,
    ):
        await entitled.consent("rosa-part2.json")
        yield Twins(full, absent, entitled, upstream, upstream_absent)


# (leak, search, what a caller with part of the records sees, what one with all of them sees)
CASES = [
    ("L012", f"{ALL}&value-quantity=gt90", [], [2, 4]),
    ("L012", f"{ALL}&value-quantity=lt75||kg", [1, 3], [1, 3, 6]),
    ("L012", f"{ALL}&value-quantity=71", [1], [1]),
    ("L012", f"{ALL}&value-quantity=ge64&value-quantity=le80", [1, 3, 5], [1, 3, 5]),
    ("L012", f"{ALL}&performer=Organization/harbor", [], [2, 4, 6]),
    ("L012", f"{ALL}&focus=Observation/weight-2", [], [1]),
    ("L012", f"{ALL}&focus=Observation/weight-3,Observation/weight-2", [5], [1, 5]),
    ("L012", f"{ALL}&focus:missing=true", [1, 3], [2, 3, 4, 6]),
    ("L016", f"{ALL}&focus:missing=false", [5], [1, 5]),
    ("L016", f"{ALL}&status:not=final", [3], [3, 6]),
    ("L016", f"{ALL}&status:not=final,amended", [], []),
    ("L016", f"{ALL}&date=ne2026-01-05", [3, 5], [2, 3, 4, 5, 6]),
    ("L016", f"{ALL}&date=sa2026-01-03", [1], [1, 2, 6]),
    ("L016", f"{ALL}&date=2026-01-01", [5], [5]),
    ("L016", f"{ALL}&date=2026-01-01T15:30:00Z", [5], [5]),
    ("L016", f"{ALL}&code:text=weight+of", [1, 3, 5], [1, 2, 3, 4, 5, 6]),
    ("L016", f"{ALL}&subject:identifier=x|y", [], []),
    ("L017", f"{ALL}&_profile=http://hl7.org/fhir/StructureDefinition/bodyweight", [1, 5], [1, 2, 4, 5, 6]),
    ("L017", f"{ALL}&_security=http://terminology.hl7.org/CodeSystem/v3-ActCode|42CFRPart2", [], None),
    ("L018", f"{ALL}&_sort=value-quantity", [3, 1, 5], [6, 3, 1, 5, 2, 4]),
    ("L018", f"{ALL}&_sort=-value-quantity", [5, 1, 3], [4, 2, 5, 1, 3, 6]),
    ("L018", f"{ALL}&_sort=date", [5, 3, 1], [5, 4, 3, 2, 1, 6]),
    ("L018", f"{ALL}&_sort=-status,-date", [1, 5, 3], [1, 2, 4, 5, 6, 3]),
    ("L018", f"{ALL}&_sort=focus", [5, 1, 3], [1, 5, 2, 3, 4, 6]),
    ("L019", f"{ALL}&_total=accurate", [1, 3, 5], [1, 2, 3, 4, 5, 6]),
    ("L014", f"Observation?patient.identifier=urn:example:mrn|none&code={CODE}", [], []),
    ("L014", f"{ALL}&performer:Organization.name=harbor", [], [2, 4, 6]),
    ("L014", f"{ALL}&performer:Organization.name:contains=a", None, None),
    ("L014", f"Observation?encounter:Encounter._id=rosa-harbor-intake&code={CODE}&patient=rosa", [], [2, 4, 6]),
    ("L014", f"Observation?encounter:Encounter._id=rosa-mercy-clinic&code={CODE}&patient=rosa", [1, 3, 5], [1, 3, 5]),
]


@pytest.mark.parametrize(("leak", "path", "seen", "_all"), CASES)
@pytest.mark.parametrize("count", [2, 50])
async def test_L012_L014_L016_L017_L018_L019_a_search_tells_nothing(twins, count, leak, path, seen, _all):
    """Status, headers, body, number of pages: as in the world without it; and what may be seen is found, in order."""
    full = await walked(twins.full, f"{path}&_count={count}")
    absent = await walked(twins.absent, f"{path}&_count={count}")
    assert [alike(page, twins.absent) for page in absent] == [alike(page, twins.full) for page in full], leak
    assert {200} == {page.status for page in full}
    found = [id_ for page in full for id_ in page.ids]
    if seen is not None:
        assert [f"weight-{number}" for number in seen] == found
    assert (len(full) == 1) == ("total" in full[0].json)


@pytest.mark.parametrize(("_leak", "path", "_seen", "everything"), [one for one in CASES if one[3] is not None])
async def test_who_may_see_all_loses_nothing(twins, _leak, path, _seen, everything):
    """The positive control: with the patient's consent the same search finds each record, in the order asked for."""
    found = await twins.entitled.ask(path)
    assert [f"weight-{number}" for number in everything] == found.ids


HAS = "Patient?_id=rosa,dana&_has:Observation:patient:"


@pytest.mark.parametrize(
    ("rest", "seen", "everything"),
    [
        ("value-quantity=gt90||kg", [], ["rosa"]),
        ("value-quantity=gt75||kg", ["rosa"], ["rosa"]),
        ("_id=weight-6", [], ["rosa"]),
        ("_id=weight-1", ["rosa"], ["rosa"]),
        ("performer=Organization/harbor", [], ["rosa"]),
        ("focus=Observation/weight-2", [], ["rosa"]),
        ("code=http://nothing|x", [], []),
    ],
)
async def test_L012_has_asks_of_what_may_be_seen(twins, rest, seen, everything):
    """`_has` on a hidden record is answered as if there were none, at every step of a bisection."""
    full, absent = await twins.full.ask(HAS + rest), await twins.absent.ask(HAS + rest)
    assert alike(absent, twins.absent) == alike(full, twins.full)
    assert seen == full.ids
    assert everything == (await twins.entitled.ask(HAS + rest)).ids


@pytest.mark.parametrize(
    "path",
    [
        f"{ALL}&_include=Observation:encounter&_include:iterate=Encounter:service-provider&_count=2",
        f"{ALL}&_include=Observation:focus&_include:iterate=Observation:focus&_count=1",
        f"{ALL}&value-quantity=gt1&_include=Observation:performer",
        "DiagnosticReport?_id=weights&_include=DiagnosticReport:result&_include:iterate=Observation:performer",
        "Patient?_id=rosa&_revinclude:iterate=Observation:patient",
        "Patient?_id=rosa&_revinclude=Observation:patient&_include:iterate=Observation:performer&_count=1",
        "DiagnosticReport?_id=weights&result:missing=true",
    ],
)
async def test_L015_what_is_included_is_reached_from_what_is_released(twins, path):
    """With `:iterate`, backwards, and where the server itself does not include: the same in both worlds."""
    full, absent = await walked(twins.full, path), await walked(twins.absent, path)
    assert [alike(page, twins.absent) for page in absent] == [alike(page, twins.full) for page in full]
    assert {200} == {page.status for page in full}
    raw = b"".join(page.body for page in full)
    assert not re.search(rb"weight-[246]|rosa-harbor", raw)


async def test_L015_iterate_brings_what_is_included_of_what_is_included(twins):
    """The positive control: visit, and through it the clinic; members of members."""
    path = f"{ALL}&_include=Observation:encounter&_include:iterate=Encounter:service-provider"
    page = (await twins.full.ask(path)).json
    brought = {
        one["fullUrl"].rpartition("/t/hospital/")[2] for one in page["entry"] if one["search"]["mode"] != "match"
    }
    assert {"Encounter/rosa-mercy-clinic", "Organization/mercy"} == brought


async def test_L021_a_page_of_a_sorted_search_is_decided_anew(twins):
    """A consent given between two pages counts on the second; one taken back, too."""
    first = await twins.full.ask(f"{ALL}&_sort=value-quantity&_count=2")
    consent = await twins.full.consent("rosa-part2.json")
    try:
        assert ["weight-1", "weight-5"] == (await twins.full.ask(first.next)).ids
    finally:
        await twins.full.revoke(consent)
    assert ["weight-5"] == (await twins.full.ask(first.next)).ids


async def test_a_refused_search_asks_nobody(twins):
    """What is refused by form is refused before any upstream call, whatever the data."""
    twins.upstream.requests.clear()
    refused = [
        await twins.full.ask(f"Observation?{query}")
        for query in (
            "patient=rosa&_filter=status%20eq%20final",
            "patient=rosa&_text=harbor",
            "patient=rosa&_list=42",
            "patient=rosa&code:in=http://x",
            "patient=rosa&_sort=_text",
            "encounter.status=finished",
            "performer.name=x&patient=rosa",
            "patient=rosa&_include:iterate=*",
            "patient=rosa&_revinclude:iterate=AuditEvent:entity",
            "patient=rosa&_has:AuditEvent:entity:action=R",
            "patient=rosa&_has:Provenance:target:_id=x&_has:Consent:data:status=active",
        )
    ]
    assert {400} == {answer.status for answer in refused}
    assert [] == twins.upstream.requests


async def test_L020_filled_pages_cost_little_more_than_a_walk_of_what_is_released(tmp_path):
    """Half of four hundred withheld: no page is short, and upstream is asked less than by who may see them all."""
    plain, whole, half = await measure(400, 20, tmp_path / "half")
    assert (20, 400, False) == (whole.pages, whole.matches, whole.short)
    assert (10, 200, False) == (half.pages, half.matches, half.short)
    assert half.requests <= 2.5 * plain.requests  # what a page refers to and who made its records beside it
    assert half.requests <= 0.75 * whole.requests


async def test_a_chain_to_the_patient_is_what_a_server_is_asked_for_that_knows_little(twins):
    """The server knows no `part-of`: it is asked for the patients that the chain led to, not for that alone."""
    path = "Encounter?patient.identifier=http://mercy.example/mrn|none&part-of=Encounter/rosa-mercy-clinic"
    assert 200 == (await twins.full.ask(path)).status
    path = "Encounter?subject:Patient._id=rosa&part-of=Encounter/rosa-mercy-clinic"
    assert (200, []) == ((found := await twins.full.ask(path)).status, found.ids)


async def test_L056_the_statement_names_what_is_refused(twins):
    """What is dropped is a named list: for every type once, for a type what it alone does not offer."""
    rest = (await twins.full.ask("metadata", client=None, purpose=None)).json["rest"][0]
    told = {one["type"]: one.get("documentation", "") for one in rest["resource"]}
    for name in ("_content", "_filter", "_list", "_query", "_text", "_tag", "_source"):
        assert f" {name}" in rest["documentation"]
    assert "code-value-quantity" in told["Observation"]
    assert "encounter" in told["ExplanationOfBenefit"]
    assert "_text" not in told["Observation"]


async def test_L015_the_order_of_what_is_included_does_not_depend_on_what_is_withheld(tmp_path):
    """A withheld match is the first to name the second of two performers: they come in the same order all the same."""

    def by(number, performer, hidden):
        return weight(number, 70, "2026-01-01", hidden) | {"performer": [{"reference": performer}]}

    rest = [by(2, "Organization/mercy", hidden=False), by(3, "Practitioner/okafor", hidden=False)]
    path = f"{ALL}&_include=Observation:performer"
    async with (
        embedded([by(1, "Practitioner/okafor", hidden=True), *rest]) as (_, base),
        embedded(rest) as (_, base_absent),
        world(tmp_path / "full", base) as full,
        world(tmp_path / "absent", base_absent) as absent,
    ):
        one, other = await full.ask(path), await absent.ask(path)
        assert alike(other, absent) == alike(one, full)
        assert 4 == len(one.json["entry"])
