"""What is remembered of consents over requests never shows: the same answers as compiled and settled anew."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.consents import Memory, Relations, compile_consents, specialise
from gateway.decision.consents import memory as remembering
from gateway.fhir.references import parse_base
from tests.consent_questions import DIRECTORY, exchange, relations, view
from tests.consents import actor, good, permit, r4
from tests.laws.cases import CONTEXT, KINDS, OURS, exchange_of, target_of
from tests.laws.made_cases import cases
from tests.laws.made_consents import instants, purposes

PIECES = [[one for number, one in enumerate(CONTEXT) if number % 3 != left] for left in range(3)]
# The gateway loads these once: the same objects for every request.
OWN = frozenset({parse_base(OURS)})


def shown(piece: int) -> Relations:
    """A part of the context, read anew as every request does."""
    views = [view(one, f"/{index}") for index, one in enumerate(PIECES[piece])]
    return Relations.of(views, DIRECTORY, own=OWN, kinds=KINDS)


@given(
    cases(each=2),
    st.lists(st.tuples(instants, st.integers(0, 2), purposes), min_size=2, max_size=4),
)
def test_an_answer_from_memory_is_the_one_that_is_worked_out_anew(pairs, requests):
    """At any instant, before any context, for any purpose, in any order."""
    memory, same_parties = Memory(), exchange_of(pairs[0])
    for at, piece, purpose in requests:
        for case in pairs:
            asked = msgspec.structs.replace(same_parties, at=at, purpose=purpose)
            before = shown(piece)
            fresh = specialise(compile_consents(case.whole, case.read_in), asked, before, case.read_in)
            kept = memory.program(case.whole, asked, before, case.read_in)
            assert fresh.valid_until == kept.valid_until
            assert fresh.decide(target_of(case)) == kept.decide(target_of(case))


@given(cases(each=5))
def test_one_program_says_of_each_resource_what_it_says_of_it_alone(pairs):
    """Whatever resources it was asked about before."""
    first = pairs[0]
    asked, whole, zone = exchange_of(first), first.whole, first.read_in
    together = specialise(compile_consents(whole, zone), asked, shown(0), zone)
    for case in (*pairs, *pairs):
        alone = specialise(compile_consents(whole, zone), asked, shown(0), zone)
        assert alone.decide(target_of(case)) == together.decide(target_of(case))


class Counting:
    """Counts how often consents are compiled and settled."""

    def __init__(self, monkeypatch):
        self.compiled = self.settled = 0
        compile_anew, settle_anew = remembering.compile_consents, remembering.settle

        def compiling(*given):
            self.compiled += 1
            return compile_anew(*given)

        def settling(*given):
            self.settled += 1
            return settle_anew(*given)

        monkeypatch.setattr(remembering, "compile_consents", compiling)
        monkeypatch.setattr(remembering, "settle", settling)


GROUP = {"resourceType": "Group", "id": "g", "member": [{"entity": {"reference": "Organization/o7"}}]}


def test_what_is_remembered_is_not_worked_out_again(monkeypatch):
    """The same consents and exchange, before a context that shows the same of whom they name: once for all."""
    count, memory = Counting(monkeypatch), Memory()
    consents = (good(r4(provision=permit(actor=[actor("Group/g")]))),)
    asked = exchange()
    for other in ({"resourceType": "Group", "id": "other"}, {"resourceType": "Patient", "id": "1"}):
        before = msgspec.structs.replace(relations(GROUP, other), kinds=KINDS)
        memory.program(consents, asked, before, None)
    assert (1, 1) == (count.compiled, count.settled)
    memory.program(consents, asked, msgspec.structs.replace(relations(), kinds=KINDS), None)
    assert (1, 2) == (count.compiled, count.settled)


def test_memory_is_bounded():
    """Whoever asks about ever new patients or for ever new purposes costs time, not space."""
    memory = Memory()
    for number in range(3 * remembering.MOST_SUBJECTS):
        memory.program((good(r4(id=f"c{number}")),), exchange(), relations(), None)
    assert remembering.MOST_SUBJECTS >= len(memory._kept)
    consents = (good(r4()),)
    for number in range(3 * remembering.MOST_SETTLED):
        asked = msgspec.structs.replace(exchange(), action=f"a{number}")
        memory.program(consents, asked, relations(), None)
    assert remembering.MOST_SETTLED >= max(len(one.settled) for one in memory._kept.values())
