"""One resource on the bench: its labels, whom it names, and the ruling of every layer for each of them.

Rules of this file
1. A label is found from the record, its source and what it refers to; the patient and the recipient play no part.
2. Every patient named must permit; where one is not known, nothing is permitted.
3. Specialised work (rules in force, each subject's consents) is done once per document.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from consent_store.model import Coding, PatientKey
from gateway.decision.combine import Ruling, rule_on
from gateway.decision.conditions import Case
from gateway.decision.consents import ConsentAnswer, ConsentProgram, Relations, Target, compile_consents, specialise
from gateway.decision.facts import Facts
from gateway.decision.model import Answer, Cause, Edit, SubjectFacts, Verdict
from gateway.decision.parts import mask, part_rule, uniform_edits
from gateway.decision.rules import in_force
from gateway.decision.sources import Sources
from gateway.fhir.dates import clinical_period
from gateway.fhir.elements import Elements
from gateway.fhir.origins import authors
from gateway.fhir.patients import PatientsNamed, patients_named
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import ResourceView
from gateway.labels.assign import assign
from gateway.labels.model import Kind, Labels
from gateway.labels.rules import LabelRules
from gateway.policy.model import Policy


class Tools(msgspec.Struct, frozen=True):
    """The standard's tables and the label rules a profile is read with; the same for every exchange under it."""

    elements: Elements
    label_rules: LabelRules


class Opinion(msgspec.Struct, kw_only=True):
    """What is thought of one resource so far; residue may still take from it."""

    view: ResourceView
    subjects: tuple[PatientKey, ...]
    patient_bearing: bool
    categories: tuple[str, ...]
    verdict: Verdict
    labels: Labels
    labels_in: tuple[Coding, ...]
    ruling: Ruling
    causes: list[Cause]
    edits: list[Edit]

    @property
    def released(self) -> bool:
        """Say whether anything of the resource is released."""
        return self.verdict is not Verdict.WITHHELD

    def withhold(self, cause: Cause) -> None:
        """Withhold the resource for one more reason."""
        if cause not in self.causes:
            self.causes.append(cause)
        self.verdict = Verdict.WITHHELD
        self.edits.clear()


UNKNOWN_PATIENT: Final = Cause(
    layer="implicit",
    effect="deny",
    rule="unknown-patient",
    deny_class="discretionary",
    cite="leaks.md L003, L007",
    say="Whom the record is about could not be established.",
    reason="identity",
)
_T = TypeVar("_T")
_NO_CONSENTS: Final = ConsentAnswer(Answer.NOT_APPLICABLE)
_CONTAINERS: Final = frozenset({"Bundle", "Parameters"})


class Bench:
    """Rules on resources one by one, for one document and its facts."""

    def __init__(self, facts: Facts, tools: Tools, resolver: Resolver, relations: Relations) -> None:
        self.facts, self.tools, self.resolver, self.relations = facts, tools, resolver, relations
        self.sources = Sources(facts, tools.label_rules, resolver)
        self.people = {i: s.key for s in facts.subjects.values() for i in s.identifiers}
        self.policy: Policy = facts.policy
        self.rules = in_force(facts.policy, facts.directory, facts.exchange)
        self._programs: dict[PatientKey, ConsentProgram] = {}

    def opinion(self, view: ResourceView, container: "Opinion | None" = None) -> Opinion:
        """Give the opinion on one resource; `container` is that on the resource it is contained in."""
        named = self._named(view, container.subjects if container else None)
        labels = assign(view, self.sources.label_context(view), self.tools.label_rules)
        subjects = [self.facts.subjects.get(key) for key in named.keys]
        known = not named.unknown and all(subject is not None for subject in subjects)
        patient_bearing = bool(named.keys) or named.unknown
        whose = [s for s in subjects if s is not None] if patient_bearing else [None]
        rule_all = _Rulings(self, view, container.view if container else None, whose, known)
        ruling = rule_all(labels)
        opinion = Opinion(
            view=view,
            subjects=named.keys,
            patient_bearing=patient_bearing,
            categories=tuple(sorted(ruling.categories)),
            verdict=Verdict.DISCLOSED if ruling.permitted else Verdict.WITHHELD,
            labels=labels,
            labels_in=_codings(labels),
            ruling=ruling,
            causes=list(ruling.causes),
            edits=[],
        )
        self._parts(opinion, rule_all)
        return opinion

    def _named(self, view: ResourceView, parents: tuple[PatientKey, ...] | None) -> PatientsNamed:
        named = patients_named(
            view, self.resolver, self.tools.elements, source=self.facts.source, identifiers=self.people
        )
        if parents is None:
            unowned = not named.keys and view.type not in self.policy.no_patient_types | _CONTAINERS
            return msgspec.structs.replace(named, unknown=named.unknown or unowned)
        return PatientsNamed(tuple(dict.fromkeys((*parents, *named.keys))), named.unknown)

    def _parts(self, opinion: Opinion, rule_all: "_Rulings") -> None:
        """Cut what may be cut: to save a record from being withheld, and what every copy of its type loses."""
        view = opinion.view
        recipient = self.facts.exchange.recipient.type
        whole = bool(self.policy.kinds_of(recipient) & self.policy.parts.whole_for)
        rule = part_rule(self.policy, recipient, view.type)
        if not opinion.released and rule is not None and opinion.patient_bearing:
            masking = mask(view, opinion.labels, rule, rule_all)
            if masking is None:
                return
            opinion.verdict = Verdict.MASKED
            opinion.ruling, opinion.labels = masking.ruling, masking.labels
            opinion.causes = [*masking.causes, *masking.ruling.causes]
            opinion.edits = list(masking.edits)
        if opinion.released and opinion.patient_bearing and not whole:
            uniform = uniform_edits(view, rule, narrative=self.policy.parts.narrative_cut)
            paths = {edit.path for edit in opinion.edits}
            opinion.edits += [edit for edit in uniform if edit.path not in paths]

    def program(self, subject: SubjectFacts) -> ConsentProgram:
        """Give a subject's consents, specialised to the exchange."""
        if subject.key not in self._programs:
            compiled = compile_consents(subject.consents, self.policy.zone)
            self._programs[subject.key] = specialise(compiled, self.facts.exchange, self.relations, self.policy.zone)
        return self._programs[subject.key]


class _Rulings:
    """The rulings of all patients a resource names, united: one deny is enough, obligations add up."""

    def __init__(
        self,
        bench: Bench,
        view: ResourceView,
        container: ResourceView | None,
        subjects: list[SubjectFacts] | list[None],
        known: bool,  # noqa: FBT001  whether everyone it names is known
    ) -> None:
        self.bench, self.view, self.container = bench, view, container
        self.subjects, self.known = subjects, known

    def __call__(self, labels: Labels) -> Ruling:
        if not self.known:
            return Ruling(permitted=False, categories=frozenset(), causes=(UNKNOWN_PATIENT,))
        rulings = [self._one(subject, labels) for subject in self.subjects]
        permitted = all(ruling.permitted for ruling in rulings)
        told = rulings if permitted else [ruling for ruling in rulings if not ruling.permitted]
        return Ruling(
            permitted=permitted,
            categories=frozenset().union(*(ruling.categories for ruling in rulings)),
            causes=_united(ruling.causes for ruling in told),
            erring=_united(ruling.erring for ruling in rulings),
            unmet=_united(ruling.unmet for ruling in told),
            obligations=_united(ruling.obligations for ruling in told),
            refrains=_united(ruling.refrains for ruling in told),
        )

    def _one(self, subject: SubjectFacts | None, labels: Labels) -> Ruling:
        bench = self.bench
        target = Target(
            view=self.view,
            labels=labels,
            period=clinical_period(self.view),
            authors=authors(self.view),
            container=self.container,
        )
        case = Case(
            policy=bench.policy,
            directory=bench.facts.directory,
            exchange=bench.facts.exchange,
            relations=bench.relations,
            subject=subject,
            target=target,
            consents=_NO_CONSENTS if subject is None else bench.program(subject).decide(target),
        )
        return rule_on(case, bench.rules, self.view.type, labels)


def _united(parts: Iterable[tuple[_T, ...]]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(one for part in parts for one in part))


def _codings(labels: Labels) -> tuple[Coding, ...]:
    """Give the codes the decision used, received and assigned, the level first."""
    level = [label for label in labels.labels if label.kind is Kind.CONFIDENTIALITY]
    top = [Coding(label.system, label.code) for label in level if label.code == labels.confidentiality.name]
    others = [Coding(label.system, label.code) for label in labels.labels if label.kind is not Kind.CONFIDENTIALITY]
    return tuple(dict.fromkeys([*top, *others]))
