"""What would change the outcome of an exchange for each record, found by asking the judge again.

Rules of this file
1. Nothing is claimed that was not judged: a way is told only where the judge, asked with it, decides otherwise.
2. First each thing alone; where none is enough, all of a kind together, less whatever is not needed.
3. What contradicts what is derived cannot be stated, so it is no way. Every try counts against a bound, which is told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from consent_store.model import PatientKey
from gateway.decision.alterations import Alteration, Kind
from gateway.decision.bench import Tools
from gateway.decision.candidates import Candidates, Stateable
from gateway.decision.case import Case
from gateway.decision.facts import Facts
from gateway.decision.judge import Judgement, judge
from gateway.decision.model import Cause, Decision, Op, Verdict
from gateway.decision.near_consents import NearConsent, near_consents
from gateway.decision.near_rules import NearRule, near_rules
from gateway.fhir.bundle import Document
from gateway.fhir.view import ResourceView
from gateway.policy.model import DenyClass, RuleEffect

TRIES: Final = 800
"""How often one explanation asks the judge."""
WAYS: Final = 12
"""Ways told of one record in one direction."""
_RANK: Final = {Verdict.WITHHELD: 0, Verdict.MASKED: 1, Verdict.DISCLOSED: 2}
_CONSENTS: Final = frozenset({Kind.CONSENT_GIVEN, Kind.CONSENT_AMENDED, Kind.CONSENT_WITHDRAWN})
_STATED: Final = frozenset({Kind.FACT_STATED, Kind.ATTRIBUTE_STATED, Kind.AGREEMENT_MADE})
# Dropped in this order where not all are needed: what is left tells of whole consents rather than of patches.
_DROPPED: Final = (Kind.CONSENT_AMENDED, Kind.FACT_STATED, Kind.ATTRIBUTE_STATED, Kind.AGREEMENT_MADE)


class Way(msgspec.Struct, frozen=True):
    """What together makes it come out otherwise, and what the record then becomes."""

    alterations: tuple[Alteration, ...]
    becomes: Verdict


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One record: what was decided, what came near, what would have it (more widely) disclosed or withheld.

    `barred`: the rules that withhold it and know no exception, where nothing was found to change it. `complete`: all
    that could be thought of was tried."""

    decision: Decision
    consents: tuple[tuple[PatientKey, tuple[NearConsent, ...]], ...]
    rules: tuple[NearRule, ...]
    disclosing: tuple[Way, ...]
    withholding: tuple[Way, ...]
    barred: tuple[Cause, ...]
    complete: bool


class Explanation(msgspec.Struct, frozen=True):
    """All records of a document, in its order, and the judgement they are explained of."""

    judgement: Judgement
    records: tuple[Explained, ...]


class _Outcome(msgspec.Struct, frozen=True):
    """What becomes of one record: how much, and where a rule cuts."""

    verdict: Verdict
    cuts: frozenset[str]

    def wider_than(self, other: "_Outcome") -> bool:
        if self.verdict is not other.verdict:
            return _RANK[self.verdict] > _RANK[other.verdict]
        return self.verdict is Verdict.MASKED and self.cuts < other.cuts


_Outcomes = Mapping[str, _Outcome]


def explained(
    document: Document, facts: Facts, tools: Tools, stateable: Stateable, only: frozenset[str] | None = None
) -> Explanation:
    """Explain what `judge` decides of a document; `only` limits it to records named by pointer or `Type/id`.

    Pure. `stateable` are the facts that may be stated, by scope.
    """
    cases: dict[str, dict[PatientKey | None, Case]] = {}

    def heard(view: ResourceView, case: Case) -> None:
        key = case.subject.key if case.subject is not None else None
        cases.setdefault(view.at, {}).setdefault(key, case)  # the first: with all the labels of the record

    judgement = judge(document, facts, tools, heard)
    asked = [one for one in judgement.decisions if only is None or not only.isdisjoint({one.at, one.resource})]
    search = _Search(document, facts, tools, judgement)
    found = Candidates(facts, stateable, [(one, tuple(cases.get(one.at, {}).values())) for one in asked])
    records = tuple(_explained(one, tuple(cases.get(one.at, {}).values()), found, search) for one in asked)
    return Explanation(judgement, records)


def _explained(decision: Decision, cases: tuple[Case, ...], found: Candidates, search: "_Search") -> Explained:
    whole = decision.verdict is Verdict.DISCLOSED
    none = decision.verdict is Verdict.WITHHELD
    disclosing = () if whole else tuple(search.ways(decision.at, found.disclosing(decision.at), wider=True))
    withholding = () if none else tuple(search.ways(decision.at, found.withholding(decision.at), wider=False))
    return Explained(
        decision=decision,
        consents=tuple((case.subject.key, near_consents(case)) for case in cases if case.subject is not None),
        rules=tuple(dict.fromkeys(rule for case in cases for rule in _without(near_rules(case), decision))),
        disclosing=disclosing,
        withholding=withholding,
        barred=() if whole or disclosing else tuple(_barring(decision, cases, search)),
        complete=search.complete,
    )


def _without(rules: Iterable[NearRule], decision: Decision) -> Iterator[NearRule]:
    spoke = {cause.rule for cause in decision.because}
    return (rule for rule in rules if rule.rule not in spoke)


def _barring(decision: Decision, cases: tuple[Case, ...], search: "_Search") -> Iterator[Cause]:
    """Give the denies behind a decision that name no exception."""
    policy = search.facts.policy
    suspended = frozenset().union(*(rule.suspends for rule in policy.rules)) - {DenyClass.FEDERAL_LAW}
    yielding = {
        rule.id
        for rule in policy.rules
        if rule.effect is RuleEffect.DENY and (rule.unless or rule.needs or rule.deny_class in suspended)
    }
    consents = {cause.rule for case in cases for said in (case.consents, *case.linked) for cause in said.causes}
    for cause in decision.because:
        if cause.effect == "deny" and cause.layer != "residue" and cause.rule not in yielding | consents:
            yield cause


class _Search:
    """Asks the judge of one document again and again, and keeps what it said."""

    def __init__(self, document: Document, facts: Facts, tools: Tools, judgement: Judgement) -> None:
        self.document, self.facts, self.tools = document, facts, tools
        self.now = _outcomes(judgement)
        self.tries = 0
        self.complete = True
        self._said: dict[tuple[int, ...], _Outcomes | None] = {}

    def ways(self, at: str, alterations: Sequence[Alteration], *, wider: bool) -> Iterator[Way]:
        """Give what makes the record at a pointer come out wider (or narrower), each alone, else together."""
        told = 0
        timed = False
        for one in alterations:
            if told >= WAYS or (timed and one.kind is Kind.LATER):
                continue
            way = self._way(at, (one,), wider=wider)
            if way is not None:
                told += one.kind not in {Kind.OTHER_PURPOSE, Kind.LATER}
                timed = timed or one.kind is Kind.LATER
                yield way
        if told or not wider:
            return
        several: list[Way] = []
        for kinds in (_CONSENTS, _STATED, _CONSENTS | _STATED):
            all_of_it = tuple(one for one in alterations if one.kind in kinds)
            if len(several) < 2 and len(all_of_it) > 1 and self._way(at, all_of_it, wider=True) is not None:
                way = self._least(at, all_of_it)
                several += [way] if way not in several else []
        yield from several

    def _least(self, at: str, alterations: tuple[Alteration, ...]) -> Way:
        """Drop, one after another, what is not needed."""
        left = alterations
        ordered = [one for kind in _DROPPED for one in alterations if one.kind is kind]
        ordered += [one for one in alterations if one.kind not in _DROPPED]
        for one in ordered:
            less = tuple(other for other in left if other is not one)
            if less and self._way(at, less, wider=True) is not None:
                left = less
        return self._way(at, left, wider=True) or Way(left, Verdict.DISCLOSED)

    def _way(self, at: str, alterations: tuple[Alteration, ...], *, wider: bool) -> Way | None:
        outcomes = self._judged(alterations)
        then, now = (outcomes or {}).get(at), self.now[at]
        if then is None or not (then.wider_than(now) if wider else now.wider_than(then)):
            return None
        return Way(alterations, then.verdict)

    def _judged(self, alterations: tuple[Alteration, ...]) -> _Outcomes | None:
        key = tuple(sorted(map(id, alterations)))
        if key not in self._said:
            if self.tries >= TRIES:
                self.complete = False
                return None
            self.tries += 1
            self._said[key] = self._ask(alterations)
        return self._said[key]

    def _ask(self, alterations: tuple[Alteration, ...]) -> _Outcomes | None:
        facts = self.facts
        for one in alterations:
            facts = one.altered(facts)
        judgement = judge(self.document, facts, self.tools)
        return None if judgement.contradictions else _outcomes(judgement)


def _outcomes(judgement: Judgement) -> _Outcomes:
    return {
        one.at: _Outcome(
            one.verdict,
            frozenset(edit.path for edit in one.edits if edit.op is Op.CUT and edit.because is not None),
        )
        for one in judgement.decisions
    }
