"""What it costs to evaluate 200 active consents of one patient: compile, specialise to an exchange, decide a resource.

    python -m tests.bench.consents_bench            # all mixes, 15 rounds
    python -m tests.bench.consents_bench --rounds 50 --mix named

CPU time. Every round measures all mixes in turn, so that whatever else the machine does falls on all of them; told are
the medians over the rounds. "again" is the program for a later request, from memory. "first" is the first decision of a
program; "new" decides resources of which no two are alike in code, date and encounter and few in labels, each once;
"page" decides 500 resources as a page has them, with few labels and codes. Growth pairs, round by round, twice the
provisions with once: 2.0 is linear.
Asked for: specialise <= 2 ms, decide <= 50 µs a resource, compile linear.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC
from typing import Any, NamedTuple

from consent_store.model import ACT_CODE, ACT_REASON, CONFIDENTIALITY, Consent
from gateway.decision.consents import Compiled, ConsentProgram, Memory, Relations, Target, compile_consents, specialise
from tests.consent_questions import LOINC, exchange, observation, period, relations, target
from tests.consents import ACTION, actor, code, concept, good, permit, r4, r5

CONSENTS = 200
SENSITIVITIES = ("PSY", "MH", "SUD", "ETHUD", "OPIOIDUD", "ETH", "HIV", "SDV", "VIO", "PSYTHPN", "GDIS", "SICKLE")
TYPES = "http://hl7.org/fhir/resource-types"
Tree = dict[str, Any]


def dated(number: int, **parts: Any) -> Tree:
    """An R4 Consent of its own id and day."""
    return r4(
        id=f"c{number}", dateTime=f"20{10 + number // 300}-{1 + number // 28 % 12:02}-{1 + number % 28:02}", **parts
    )


def labelled(number: int) -> list[Tree]:
    """One to three labels, not the same for any two of 500 consents."""
    picked = {number % 12, number // 12 % 12, number // 144 % 12}
    return [code(ACT_CODE, SENSITIVITIES[one]) for one in sorted(picked)] + [code(CONFIDENTIALITY, "LNRV"[number % 4])]


def by_label(number: int) -> Tree:
    """Permits and denies limited by label, all of one custodian and policy."""
    effect = "deny" if number % 3 == 0 else "permit"
    return dated(number, provision=permit(type=effect, securityLabel=labelled(number)))


def by_label_apart(number: int) -> Tree:
    """The same, each under a policy of its own: as many groups as consents."""
    return {**by_label(number), "policy": [{"uri": f"urn:policy:{number}"}]}


def named(number: int) -> Tree:
    """Each names another recipient, has a period and comes from one of forty custodians; one in ten names us."""
    who = "Organization/o7" if number % 10 == 0 else f"Organization/r{number}"
    rule = permit(actor=[actor(who)], period={"start": f"20{10 + number % 15}", "end": f"20{26 + number % 40}"})
    return dated(number, organization=[{"reference": f"Organization/o{1 + number % 40}"}], provision=rule)


def nested(number: int) -> Tree:
    """R4 in turn with R5: a permit with four exceptions, by class and code, date, label and author, and data."""
    exceptions = [
        {"class": [code(TYPES, "Condition")], "code": [concept(LOINC, f"{number}-1")]},
        {"dataPeriod": {"start": f"{1990 + number % 30}", "end": f"{1990 + number % 30}"}},
        {"securityLabel": labelled(number)[:1], "actor": [actor(f"Practitioner/a{number % 20}", "AUT")]},
        {"data": [{"meaning": "related", "reference": {"reference": f"Encounter/e{number}"}}]},
    ]
    if number % 2 == 0:
        rule = permit(action=[concept(ACTION, "access")], provision=[{"type": "deny", **one} for one in exceptions])
        return dated(number, provision=rule, policy=[{"uri": f"urn:policy:{number % 20}"}])
    for one in exceptions:
        if "class" in one:
            one["resourceType"] = one.pop("class")
    rules = [{**one, "purpose": [code(ACT_REASON, "TREAT")]} for one in exceptions]
    return r5(id=f"c{number}", date=f"2020-01-{1 + number % 28:02}", decision="permit", provision=rules)


MIXES: dict[str, Callable[[int], Tree]] = {
    "by_label": by_label,
    "by_label_apart": by_label_apart,
    "named": named,
    "nested": nested,
    "all": lambda number: (by_label, by_label_apart, named, nested)[number % 4](number),
}


def new_resources(number: int) -> list[Target]:
    """Resources of which no two are alike in anything a consent may ask for."""
    return [
        target(
            observation(
                id=f"n{i}", code={"coding": [code(LOINC, f"{i}-1")]}, encounter={"reference": f"Encounter/e{i}"}
            ),
            "LNRV"[i % 4],
            *{SENSITIVITIES[i % 12], SENSITIVITIES[i // 12 % 12]},
            dates=period(f"{1990 + i % 30}-{1 + i % 12:02}-{1 + i % 28:02}"),
            authors=(f"Practitioner/a{i % 10}",),
        )
        for i in range(number)
    ]


def page(number: int) -> list[Target]:
    """Resources as a page has them: six kinds of labels, twenty codes, ten encounters, two authors, most of them N."""
    found = []
    for i in range(number):
        resource = observation(
            id=f"p{i}", code={"coding": [code(LOINC, f"{i % 20}-1")]}, encounter={"reference": f"Encounter/e{i % 10}"}
        )
        labels = ("N",) if i % 4 else ("R", SENSITIVITIES[i // 4 % 5])
        dates = period(f"20{10 + i % 10}-{1 + i % 12:02}-{1 + i % 28:02}")
        found.append(target(resource, *labels, dates=dates, authors=(f"Practitioner/a{i % 2}",)))
    return found


class Cost(NamedTuple):
    """What one round took: seconds to compile, to specialise, to do both from memory, for the first decision, and a
    resource to decide."""

    compile: float
    specialise: float
    again: float
    first: float
    new: float
    page: float


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that the work took, and what came of it; garbage of others is collected before, not within."""
    gc.collect()
    gc.disable()
    start = time.process_time()
    done = work()
    spent = time.process_time() - start
    gc.enable()
    return spent, done


def decide_all(program: ConsentProgram, targets: list[Target]) -> None:
    """Decide each resource once."""
    for one in targets:
        program.decide(one)


def cost(consents: list[Consent], shown: Relations, targets: tuple[list[Target], list[Target]]) -> Cost:
    """Measure once."""
    asked = exchange()
    compiling, compiled = timed(lambda: compile_consents(consents, UTC))
    settling, program = timed(lambda: specialise(compiled, asked, shown, UTC))
    memory, kept = Memory(), tuple(consents)
    memory.program(kept, asked, shown, UTC)
    again, _ = timed(lambda: memory.program(kept, asked, shown, UTC))
    first, _ = timed(lambda: program.decide(targets[1][0]))
    new, _ = timed(lambda: decide_all(program, targets[0]))
    whole, _ = timed(lambda: decide_all(program, targets[1]))
    return Cost(compiling, settling, again, first, new / len(targets[0]), whole / len(targets[1]))


def many_provisions(number: int) -> list[Consent]:
    """One Consent with so many exceptions."""
    exceptions = [
        {"type": "deny", "securityLabel": labelled(i), "code": [concept(LOINC, f"{i}-1")]} for i in range(number)
    ]
    return [good(r4(provision=permit(provision=exceptions)))]


def growth(rounds: int, number: int = 2000) -> float:
    """How many times as long twice the provisions take to compile: the median over pairs."""
    once, twice = many_provisions(number), many_provisions(2 * number)

    def compiled(consents: list[Consent]) -> Compiled:
        return compile_consents(consents, UTC)

    pairs = [(timed(lambda: compiled(twice))[0], timed(lambda: compiled(once))[0]) for _ in range(rounds)]
    return statistics.median(two / one for two, one in pairs)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--mix", choices=sorted(MIXES), action="append")
    options = parser.parse_args()
    write = sys.stdout.write
    names = options.mix or list(MIXES)
    mixes = {name: [good(MIXES[name](number)) for number in range(CONSENTS)] for name in names}
    shown = relations()
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name, consents in mixes.items():
            costs[name].append(cost(consents, shown, (new_resources(200), page(500))))
    write(f"{CONSENTS} active consents, medians of {options.rounds} rounds\n")
    write(
        f"{'mix':16}{'compile ms':>12}{'specialise ms':>15}{'again ms':>10}{'first ms':>10}"
        f"{'new µs':>10}{'page µs':>10}\n"
    )
    for name, rows in costs.items():
        compiling, settling, again, first, new, whole = (
            statistics.median(column) for column in zip(*rows, strict=True)
        )
        write(f"{name:16}{compiling * 1e3:12.2f}{settling * 1e3:15.2f}{again * 1e3:10.2f}{first * 1e3:10.2f}")
        write(f"{new * 1e6:10.1f}{whole * 1e6:10.1f}\n")
    write(f"compile, 2000 to 4000 provisions: {growth(options.rounds):.2f} times as long\n")


if __name__ == "__main__":
    main()
