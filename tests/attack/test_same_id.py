"""Patients of one id on two servers are two people: an app for one never gets the other's records (L092).

Two servers stand behind the gateway, `story` at `t/hospital` and `annex` at `t/annex`; both hold `Patient/rosa`.
"""

import pytest
import pytest_asyncio

from tests.attack.scene import Server
from tests.e2e.world import DIRECTORY_TEXT, PLAN, world
from tests.stub_upstream import stub_upstream

pytestmark = pytest.mark.asyncio(loop_scope="session")
ANNEX = """\
      annex:
        owner: mercy
        upstream: {base}
        source: annex
        credentials: {{kind: basic, username: gateway, password: {{file: password}}}}
        public_url: http://annex.example/t/annex
        profile: us-part2"""
RECORD = "Condition/rosa-hypertension"
PLACED = "http://annex.example/t/annex/Patient/rosa"
APP = {"client": "rosa-app", "purpose": "PATRQT"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gates(tmp_path_factory):
    """The gateway before both servers, with the app registered for `Patient/rosa`, and for her who is so at the annex;
    and before one of them alone."""
    listed = DIRECTORY_TEXT
    placed = listed.replace("references: [Patient/rosa]", f"references: ['{PLACED}']")
    async with stub_upstream(Server()) as stub, stub_upstream(Server()) as annex:
        more, folder = ANNEX.format(base=annex.base), tmp_path_factory.mktemp("same-id")
        async with (
            world(folder / "open", stub.base, more=more, directory=listed) as open_,
            world(folder / "placed", stub.base, more=more, directory=placed) as at_annex,
            world(folder / "one", stub.base, directory=listed) as one,
        ):
            yield {"open": open_, "placed": at_annex, "one": one}


@pytest.mark.parametrize(
    ("registered", "hospital", "annex"),
    [("open", 403, 403), ("placed", 404, 200)],
)
async def test_L092_a_patients_app_gets_the_records_of_its_own_server(gates, registered, hospital, annex):
    """`Patient/rosa` without a server is nobody where two are served; with one, she is that server's alone."""
    gate = gates[registered]
    for route, status in (("hospital", hospital), ("annex", annex)):
        for path in (RECORD, "Patient/rosa"):
            answer = await gate.ask(f"/t/{route}/{path}", **APP)
            assert (route, path, status) == (route, path, answer.status)


async def test_L092_the_refusal_says_what_to_register(gates):
    """Nothing is said of a patient or of another server; the operator learns what to write."""
    answer = await gates["open"].ask("/t/hospital/Patient/rosa", **APP)
    told = answer.json["issue"][0]["diagnostics"]
    assert "the app's patient must be named with the server that her record is of" == told


async def test_where_one_server_is_served_its_patient_needs_no_server(gates):
    """There `Patient/rosa` can be nobody else; and others' clients are asked nothing of the kind."""
    assert 200 == (await gates["one"].ask(f"/t/hospital/{RECORD}", **APP)).status
    assert 404 == (await gates["open"].ask("/t/hospital/Condition/nobody-x", PLAN)).status
