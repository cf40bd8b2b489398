"""Explanations at the control plane: for a privacy officer, as JSON or in words."""

import pytest

from tests.questions import hidden, question
from tests.unit.gateway.control.plane import OFFICER, OMARS, OPERATOR, ROSAS


async def test_an_officer_gets_the_explanation_of_a_question(plane):
    """As JSON, with what would change it."""
    answer = await plane.ask("POST", "/control/explain", OFFICER, question(hidden()))

    (record,) = answer.json()["records"]
    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"].rpartition(" ")[2])
    assert "withheld" == record["verdict"]
    assert record["would_disclose"]


async def test_an_officer_gets_it_in_words(plane):
    """Plain text where it is asked for first."""
    answer = await plane.ask(
        "POST", "/control/explain?record=Encounter/hidden", OFFICER, question(hidden()), accept="text/plain, */*"
    )

    assert "text/plain; charset=utf-8" == answer.headers["content-type"]
    assert "meets 42 CFR 2.31 were on file" in answer.text


@pytest.mark.parametrize("token", [OPERATOR, ROSAS, OMARS])
async def test_nobody_else_gets_it(plane, token):
    """An operator, a patient's app: 403."""
    assert 403 == (await plane.ask("POST", "/control/explain", token, question(hidden()))).status_code


async def test_without_a_token_it_is_401(plane):
    """Nobody is let in without one."""
    assert 401 == (await plane.ask("POST", "/control/explain", None, question(hidden()))).status_code


@pytest.mark.parametrize(("path", "body"), [("", b"{"), ("", b"[]"), ("?record=Claim/1", None)])
async def test_what_cannot_be_asked_is_400(plane, path, body):
    """Neither a question, nor a record of it."""
    asking = question(hidden()) if body is None else body
    answer = await plane.ask("POST", f"/control/explain{path}", OFFICER, asking)

    assert (400, "OperationOutcome") == (answer.status_code, answer.json()["resourceType"])
