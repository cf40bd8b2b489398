"""Consents in Redis, and in the FHIR server itself, from outside: what they permit, and what their loss denies."""

import json

import pytest
from redis.asyncio import Redis

from consent_store.store import StoreUnavailable
from tests.e2e.world import STORY, embedded, world
from tests.redis_server import running

HIDDEN = "Condition/rosa-opioid-dependence"
PLAIN = "Condition/rosa-hypertension"


def redis(server) -> str:
    """The settings of a store in this server."""
    return f"{{driver: redis, url: 'redis://127.0.0.1:{server.port}'}}"


# Redis ------------------------------------------------------------------------------------------------------------
async def test_gateways_that_share_a_redis_share_its_consents(tmp_path):
    """Signed at one, a consent permits at the other; revoked there, it permits at neither from then on (L083)."""
    with running(tmp_path / "redis") as server:
        async with (
            embedded() as (_, base),
            world(tmp_path / "one", base, consents=redis(server)) as one,
            world(tmp_path / "two", base, consents=redis(server)) as two,
        ):
            for _ in range(3):
                assert {404} == {(await gate.ask(HIDDEN)).status for gate in (one, two)}
                consent = await one.consent("rosa-part2.json")
                assert {200} == {(await gate.ask(HIDDEN)).status for gate in (one, two)}
                await two.revoke(consent)
                assert {404} == {(await gate.ask(HIDDEN)).status for gate in (one, two)}


async def test_a_redis_that_is_emptied_or_gone_discloses_nothing(tmp_path):
    """Its data lost, or no answer from it: 503 for whatever is asked, and the gateway is not ready (L088)."""
    with running(tmp_path / "redis") as server:
        async with embedded() as (_, base), world(tmp_path / "gate", base, consents=redis(server)) as gate:
            await gate.consent("rosa-part2.json")
            assert 200 == (await gate.ask(PLAIN)).status
            async with Redis(port=server.port, protocol=2) as client:
                await client.flushall()
            emptied = [await gate.ask(path) for path in (PLAIN, HIDDEN, "Condition?patient=rosa")]
            server.stop()
            gone = [await gate.ask(path) for path in (PLAIN, HIDDEN, "Condition?patient=rosa")]
            assert {503} == {answer.status for answer in emptied + gone}
            assert 1 == len({answer.body for answer in emptied + gone})
            assert 503 == (await gate.ask("/readyz", client=None, purpose=None)).status


async def test_a_redis_that_may_forget_stops_the_start(tmp_path):
    """The gateway does not start on a consent store that can lose a revocation."""
    with running(tmp_path / "redis", "--appendfsync", "everysec") as server:
        async with embedded() as (_, base):
            with pytest.raises(StoreUnavailable, match="appendfsync"):
                async with world(tmp_path / "gate", base, consents=redis(server)):
                    pass


# The FHIR server itself ---------------------------------------------------------------------------------------------
UPSTREAM = "{driver: upstream}"


def signed(**changes) -> dict:
    """Rosa's consent for her Part 2 records, as the FHIR server holds it."""
    return json.loads((STORY / "consents" / "rosa-part2.json").read_bytes()) | {"id": "rosa-part2"} | changes


def keep(app, consent: bytes | dict) -> None:
    """Write a Consent as the FHIR server's own users do."""
    app.store.put(consent if isinstance(consent, bytes) else json.dumps(consent).encode(), "Consent", "rosa-part2")


async def test_consents_of_the_fhir_server_decide(tmp_path):
    """One that is active there permits; made inactive, it permits no more from the next request on."""
    draft = signed(status="inactive")
    async with embedded([draft]) as (app, base), world(tmp_path, base, consents=UPSTREAM) as gate:
        for _ in range(3):
            assert (404, 200) == ((await gate.ask(HIDDEN)).status, (await gate.ask(PLAIN)).status)
            keep(app, signed())
            assert 200 == (await gate.ask(HIDDEN)).status
            keep(app, draft)
        assert (404, 200) == ((await gate.ask(HIDDEN)).status, (await gate.ask(PLAIN)).status)


async def test_a_search_for_consents_that_fails_discloses_nothing(tmp_path):
    """The records could be read, the consents could not: 503, the same for every record (L088)."""
    async with embedded([signed()]) as (app, base), world(tmp_path, base, consents=UPSTREAM) as gate:
        assert 200 == (await gate.ask(HIDDEN)).status
        keep(app, json.dumps(signed()).encode().replace(b'"coding"', b'"coding": [], "coding"', 1))
        answers = [await gate.ask(path) for path in (PLAIN, HIDDEN, "Condition?patient=rosa")]
        assert {503} == {answer.status for answer in answers}
        assert 1 == len({answer.body for answer in answers})


async def test_the_consent_api_tells_that_it_is_not_offered(tmp_path):
    """Consents are written where they live: create, read and search are 501, and nothing is forwarded."""
    async with embedded() as (_, base), world(tmp_path, base, consents=UPSTREAM) as gate:
        officer = {"Authorization": f"Bearer {gate.token('officer', roles=['privacy_officer'])}"}
        url = f"{gate.control}/fhir/Consent"
        asked = [
            await gate.send(
                "POST", url, officer | {"Content-Type": "application/fhir+json"}, json.dumps(signed()).encode()
            ),
            await gate.send("GET", f"{url}/rosa-part2", officer),
            await gate.send("GET", f"{url}?_id=rosa-part2", officer),
        ]
        assert {501} == {answer.status for answer in asked}
        assert {"consents are written and read at the server that keeps them, not here"} == {one.told for one in asked}
