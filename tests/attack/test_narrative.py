"""Narrative that a patient's own app gets: what could act in a browser is gone (L060)."""

import pytest

from tests.attack.records import observation

pytestmark = pytest.mark.asyncio(loop_scope="session")

APP = ("rosa-app", "PATRQT")
CLEAN = '<div xmlns="http://www.w3.org/1999/xhtml"><p>pulse <b>70</b></p></div>'
ACTIVE = {
    "a script": "<script>alert(1)</script>",
    "an event": '<b onload="alert(1)">x</b>',
    "an address that acts": '<a href="javascript:alert(1)">x</a>',
    "an image elsewhere": '<img src="https://elsewhere.example/x.png"/>',
}


def told(div: str) -> dict:
    """A narrative."""
    return {"status": "generated", "div": div}


@pytest.mark.parametrize("case", ACTIVE)
async def test_L060_narrative_that_could_act_is_not_shown(scene, case):
    """By read, by search, in a record within the record: the narrative goes, and the record stays."""
    div = CLEAN.replace("</p>", f"</p>{ACTIVE[case]}")
    inner = {"resourceType": "Observation", "id": "in", "status": "final", "code": {"text": "x"}, "text": told(div)}
    scene.server.hold(observation("told", text=told(div), contained=[inner], hasMember=[{"reference": "#in"}]))
    read = await scene.ask("Observation/told", *APP)
    assert 200 == read.status
    assert "text" not in read.json
    assert ("final", "text" in read.json["contained"][0]) == (read.json["status"], False)
    found = await scene.ask("Observation?patient=rosa", *APP)
    assert "told" in found.ids
    assert b"alert(1)" not in found.body
    assert b"elsewhere.example" not in found.body


async def test_narrative_that_is_plain_is_shown_as_it_is(scene):
    """The positive control: a patient's app gets the text of its record, byte for byte; others get none."""
    scene.server.hold(observation("told", text=told(CLEAN)))
    assert CLEAN == (await scene.ask("Observation/told", *APP)).json["text"]["div"]
    assert "text" not in (await scene.ask("Observation/told")).json


async def test_L060_a_section_of_a_document_is_held_to_the_same(scene):
    """The narrative of one section goes, that of another stays."""
    sections = [{"title": name, "text": told(div)} for name, div in (("a", CLEAN), ("b", CLEAN.replace("p>", "form>")))]
    who, mercy = {"reference": "Patient/rosa"}, {"reference": "Organization/mercy"}
    head = {"resourceType": "Composition", "id": "told", "status": "final", "type": {"text": "note"}, "title": "note"}
    scene.server.hold(head | {"subject": who, "date": "2026-01-01", "author": [mercy], "section": sections})
    found = (await scene.ask("Composition/told", *APP)).json["section"]
    assert [True, False] == ["text" in one for one in found]
