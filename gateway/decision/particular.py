"""Refusals of particular records: by instance, relation or author. Of a record that nobody has shown, they may speak.

Rules of this file
1. What such a condition says of an unseen record is not known, so its refusal may hold; the engine is asked with that.
"""

import msgspec

from consent_store.model import PatientKey
from gateway.decision.case import Case
from gateway.decision.consents import Compiled, ConsentProgram, compile_consents, specialise
from gateway.decision.consents.compile import Batch
from gateway.decision.consents.rules import Node
from gateway.decision.consents.terms import Doubt, Facet
from gateway.decision.consents.truth import Match
from gateway.decision.model import Answer, SubjectFacts

_PARTICULAR = frozenset({Facet.DATA, Facet.AUTHORS})


class Particular:
    """Asks the consents of some subjects, in one exchange, as of records that were not shown."""

    def __init__(self) -> None:
        self._programs: dict[PatientKey, ConsentProgram] = {}

    def refusing(self, case: Case) -> tuple[str, ...]:
        """Name the consents of the case's subject that may refuse a record like this one for which it is, or whose."""
        if case.subject is None or case.consents.answer is Answer.DENY:
            return ()
        key = case.subject.key
        if key not in self._programs:
            self._programs[key] = _program(case, case.subject)
        answer = self._programs[key].decide(case.target)
        return tuple(cause.consent for cause in answer.causes) if answer.answer is Answer.DENY else ()


def _program(case: Case, subject: SubjectFacts) -> ConsentProgram:
    compiled = compile_consents(subject.consents, case.policy.zone)
    unseen = Compiled(tuple(_unseen(batch) for batch in compiled.batches), compiled.zone)
    return specialise(unseen, case.exchange, case.relations, case.policy.zone)


def _unseen(batch: Batch) -> Batch:
    entries = tuple(msgspec.structs.replace(one, root=_doubtful(one.root)) for one in batch.entries)
    return Batch(batch.custodians, batch.policies, entries)


def _doubtful(node: Node) -> Node:
    """Give the provision with what it asks of particular records open; a permit with it then permits nothing."""
    doubts = tuple(_open(one) for one in node.doubts)
    return msgspec.structs.replace(node, doubts=doubts, children=tuple(map(_doubtful, node.children)))


def _open(doubt: Doubt) -> Doubt:
    """Open what is asked of particular records. All of these say the same, so they may share a place in one facet."""
    if doubt.facet not in _PARTICULAR:
        return doubt
    return msgspec.structs.replace(doubt, facet=Facet.AUTHORS, test=lambda _: Match.UNSURE, data=())
