"""Versions and validators from outside: of what is released alone, and of what is hidden as of what never was."""

import pytest

from gateway.errors import ProfileError
from tests.e2e.read_twins import told
from tests.e2e.world import world

pytestmark = pytest.mark.asyncio(loop_scope="session")


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


async def test_a_route_opens_versions_of_types_that_there_are(tmp_path):
    """A misspelt type stops the start."""
    with pytest.raises(ProfileError, match="Observatoin"):
        async with world(tmp_path, "http://127.0.0.1:9/fhir", route="history: [Observatoin]"):
            pass
