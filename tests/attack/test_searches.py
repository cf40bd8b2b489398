"""Searches that ask what may not be known (leaks.md section B): refused by form, or answered from what may be seen.

A refusal by form is the same whoever is asked about, and the server behind the gateway is asked nothing.
"""

import os
import statistics
import sys
import time
from typing import Any
from urllib.parse import quote

import pytest

from tests.attack.records import LOINC, MRN, NOBODY_S_BUSINESS, ROSA, observation, quokka, transaction
from tests.attack.scene import LIMITS, MARK, entries, searchset, staged
from tests.attack.test_residue import HIDDEN
from tests.attack.worlds import PART2, alike, constant

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORM = [("Content-Type", "application/x-www-form-urlencoded")]


def secret(id: str = f"{MARK}-o", **more: Any) -> dict[str, Any]:
    """A record of Rosa's that the plan may not have."""
    return observation(id, meta={"security": PART2}, **more)


async def refused(scene, *paths: str, method: str = "GET", **more: Any) -> None:
    """Each of these is refused, all by the same answer, and nothing is asked for it."""
    answers = [await scene.ask(path, method=method, **more) for path in paths]
    assert {400} == {one.status for one in answers}
    assert 1 == len({constant(one)[2] for one in answers})
    assert [] == scene.stub.seen


CONDITIONS = {
    "one who is hidden": f"Patient?identifier={MRN}|{MARK}-mrn",
    "one who is seen": f"Patient?identifier={MRN}|MGH-0001",
    "many": "Patient?birthdate=1980-01-01",
    "nobody": f"Patient?identifier={MRN}|none",
    "a name alone": f"Patient?name={MARK}",
}


async def test_L011_a_reference_that_searches_is_refused_whatever_it_finds(scene):
    """In a pushed body: one answer for a hidden, a visible, many and no match, and nothing is searched or written."""
    pushed = [await scene.push(transaction(observation("new", condition))) for condition in CONDITIONS.values()]
    assert [constant(pushed[0])] * len(pushed) == [constant(one) for one in pushed]
    assert pushed[0].status in {400, 403, 422}
    assert [] == scene.stub.seen


HAS = [
    "_has:Observation:patient:code=8867-4",
    "_has:Observation:patient:value-quantity=gt140",
    "_has:Observation:patient:_has:Provenance:target:agent=x",
    "_has:Observation:patient:code:not=8867-4",
    "_has%3AObservation%3Apatient%3Acode=8867-4",
    "%5Fhas%3AObservation%3Apatient%3Acode=8867-4",
    "_HAS:Observation:patient:code=8867-4",
    "_has:Observation:patient=x",
    "_has:Observation:Patient.patient:code=8867-4",
    "_has=Observation:patient:code",
    "_has:AuditEvent:patient:type=x",
    "_has:Consent:patient:status=active",
]


@pytest.mark.parametrize("how", ["get", "form", "batch"])
@pytest.mark.parametrize("spelling", HAS)
async def test_L013_has_in_any_spelling_tells_nothing(scene, spelling, how):
    """Decoded once, by GET, form or batch: for the quokka and for nobody one answer, or one refusal without a call."""
    scene.server.hold(secret("marked", valueQuantity={"value": 150, "unit": "mm[Hg]"}))
    answers = []
    for whose in (f"{MARK}-p", "never-existed"):
        query = f"_id={whose}&{spelling}"
        if how == "get":
            found = await scene.ask(f"Patient?{query}")
        elif how == "form":
            found = await scene.ask("Patient/_search", method="POST", body=query.encode(), headers=FORM)
        else:
            entry = {"request": {"method": "GET", "url": f"Patient?{query}"}}
            bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
            found = await scene.ask("", method="POST", body=bundle)
        told = constant(found)[2].replace(whose.encode(), b"WHO").replace(quote(whose).encode(), b"WHO")
        answers.append((found.status, told))
    assert answers[0] == answers[1]
    assert b'"resourceType":"Patient"' not in answers[0][1].replace(b" ", b"")


@pytest.mark.parametrize("spelling", ["_has:Observation:patient:code", "%5Fhas%3AObservation%3Apatient%3Acode"])
@pytest.mark.parametrize("how", ["get", "form"])
async def test_L013_has_finds_nobody_by_what_is_hidden(scene, spelling, how):
    """A server that says yes to everything: Rosa is found by what may be seen of her, and by nothing else."""
    marked = secret("marked", code={"coding": [LOINC | {"code": "9999-9"}]})
    for held, code, found in (([marked], "9999-9", []), ([marked, observation()], "8867-4", ["rosa"])):
        query = f"_id=rosa&{spelling}={code}"
        scene.server.reset()
        scene.server.hold(*held)
        scene.server.lie("Observation?", searchset(*held))
        if how == "get":
            assert found == (await scene.ask(f"Patient?{query}")).ids
        else:
            posted = await scene.ask("Patient/_search", method="POST", body=query.encode(), headers=FORM)
            assert found == posted.ids


@pytest.mark.parametrize(
    "query",
    [
        f"subject:Patient.name={MARK}",
        f"patient.name={MARK}",
        f"subject.identifier={MRN}|{MARK}-mrn",
        "encounter:Encounter.service-provider=Organization/harbor",
        "encounter.service-provider:Organization.name=Harbor",
        "performer:Organization.partof.name=x",
    ],
)
async def test_L014_a_chain_tests_nothing_that_is_hidden(scene, query):
    """With records that only the chain would find and without them: one answer."""
    visit = HIDDEN[0] | {"serviceProvider": {"reference": "Organization/harbor"}}
    there = [quokka(), visit, secret("s", encounter={"reference": f"Encounter/{MARK}-v"})]
    there.append(observation(f"{MARK}-2", NOBODY_S_BUSINESS))
    with_patient = query if query.startswith(("subject", "patient")) else f"patient=rosa&{query}"
    found = await alike(scene, f"Observation?{with_patient.replace(MARK, 'Okapi')}", there)
    assert found.status in {200, 400}
    assert b'"search"' not in found.body


ELSEWHERE = ["_filter=code eq x", "_query=q", "_content=x", "_text=x", "_list=List/1", "_in=Group/1", "_contained=true",
             "_containedType=contained", "code:in=http://x", "code:not-in=http://x", "code-value-quantity=8867-4$gt1",
             "_source=http://harbor.example", "_tag=SUD", "_tag:not=SUD", "_security:not=SUD", "_profile:missing=false",
             "_sort=_score"]  # fmt: skip


@pytest.mark.parametrize("parameter", ELSEWHERE)
async def test_L016_L017_L018_what_reads_elsewhere_is_refused_for_everybody(scene, parameter):
    """About Rosa, about the quokka, about nobody: the same refusal, before anything is asked."""
    scene.server.hold(secret())
    query = parameter.replace(" ", "%20")
    await refused(scene, *(f"Observation?patient={who}&{query}" for who in ("rosa", f"{MARK}-p", "never-existed")))


@pytest.mark.parametrize("parameter", ["value-quantity:missing=true", "value-quantity:missing=false", "code:not=1-1"])
async def test_L016_what_is_missing_is_missing_of_what_is_seen(scene, parameter):
    """A negation is told from the released forms: a hidden record is on neither side of it."""
    there = secret("s", valueQuantity={"value": 1})
    found = await alike(scene, f"Observation?patient=rosa&{parameter}", [observation(), there], [observation()])
    assert ("plain" in found.ids) == ("false" not in parameter)


@pytest.mark.parametrize("value", ["42CFRPart2", "SUD", "ETHUD"])
async def test_L017_a_label_finds_nothing_that_is_hidden(scene, value):
    """A search by label is held against the labels that leave: hidden records are on no page and in no number."""
    label = f"_security=http://terminology.hl7.org/CodeSystem/v3-ActCode|{value}"
    worlds = [observation(), secret()], [observation()]
    found = await alike(scene, f"Observation?patient=rosa&{label}", *worlds)
    assert (200, [], 0) == (found.status, found.ids, found.json["total"])


async def test_L021_nothing_is_kept_of_another_s_search(scene):
    """After the patient's own app, who sees all, the plan's answer is what it was alone, and is asked for anew."""
    scene.server.hold(secret("own"), observation())
    path = "Observation?patient=rosa"
    alone = await scene.ask(path)
    own = await scene.ask(path, "rosa-app", "PATRQT")
    scene.stub.seen.clear()
    after = await scene.ask(path)
    assert "own" in own.ids
    assert constant(alone) == constant(after)
    assert 1 == len([one for one in scene.stub.seen if one.target.startswith("/fhir/Observation?")])
    assert {"no-cache, no-store", "no-cache", "no-store"} & {one.headers["cache-control"] for one in scene.stub.seen}


async def test_L018_order_and_scores_are_of_what_is_seen(scene):
    """Sorted by a value that a hidden record has: the same order; the server's scores are dropped."""
    low, high = (observation(name, valueQuantity={"value": n}) for name, n in (("low", 5), ("high", 9)))
    worlds = [low, high, secret("between", valueQuantity={"value": 7})], [low, high]
    for key, order in (("value-quantity", ["low", "high"]), ("-value-quantity", ["high", "low"])):
        found = await alike(scene, f"Observation?patient=rosa&_sort={key}", *worlds)
        assert order == [id_ for id_ in found.ids if id_ in {"low", "high"}]
    text = b'{"resource":%b,"search":{"mode":"match","score":0.25}}'
    plain = (
        b'{"resourceType":"Observation","id":"plain","status":"final","code":{"text":"x"},"subject":{"reference":"%b"}}'
    )
    scene.server.lie("Observation?", entries(text % (plain % ROSA.encode())))
    found = await scene.ask("Observation?patient=rosa")
    assert ["plain"] == found.ids
    assert b"score" not in found.body


READS, STEP = int(os.environ.get("PAIRED_READS", "2000")), float(os.environ.get("ANSWER_STEP_S", "0.05"))


@pytest.mark.slow
async def test_L023_reads_of_hidden_and_absent_take_the_same_time(tmp_path):
    """On a grid of time, interleaved reads of a hidden record and of one that never was, first the one and then the
    other: their medians are less than 2 ms apart, and less than a tenth of the spread (leaks.md L023)."""
    taken: dict[str, list[float]] = {"hidden": [], "absent": []}
    async with staged(tmp_path, limits=LIMITS.replace("}", f", answer_step_s: {STEP}}}")) as one:
        one.server.hold(secret("hidden"))
        for number in range(-50, READS):
            for name in ("hidden", "absent") if number % 2 else ("absent", "hidden"):
                began = time.perf_counter()
                found = await one.gate.ask(f"Observation/{name}")
                assert 404 == found.status
                if number >= 0:
                    taken[name].append(time.perf_counter() - began)
    hidden, absent = taken["hidden"], taken["absent"]
    apart = abs(statistics.median(hidden) - statistics.median(absent))
    effect = abs(statistics.mean(hidden) - statistics.mean(absent)) / statistics.pstdev([*hidden, *absent])
    sys.stdout.write(f"\nL023: {READS} pairs, medians {1000 * apart:.3f} ms apart, effect size {effect:.3f}\n")
    assert apart < 0.002
    assert effect < 0.1
