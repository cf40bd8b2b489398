"""One resource on the bench: its labels, whom it names, and the ruling of every layer for each of them.

Rules of this file
1. A label is found from the record, its source and what it refers to; the patient and the recipient play no part.
2. Every patient named must permit; where one is not known, nothing is permitted.
3. Specialised work (rules in force, each subject's consents) is done once per document.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from consent_store.model import ACT_CODE, Coding, PatientKey
from gateway.decision.case import Told
from gateway.decision.claims import numbered_soundly
from gateway.decision.combine import Ruling, rule_on
from gateway.decision.conditions import OF_THE_RECORD, Case, derived_of
from gateway.decision.consents import ConsentAnswer, ConsentProgram, Memory, Relations, Target
from gateway.decision.facts import Facts
from gateway.decision.members import ITEMS, Shortened, item_of, shortened
from gateway.decision.mentions import without_mentions
from gateway.decision.model import Answer, Cause, Direction, Exchange, SubjectFacts, Verdict
from gateway.decision.necessary import binding, necessary_edits, sets_in_force
from gateway.decision.opinion import Opinion
from gateway.decision.part2_conditions import programs_of
from gateway.decision.parts import mask, part_rule, uniform_edits
from gateway.decision.recognising import Recogniser
from gateway.decision.refusals import SERVERS_WORDS, refused
from gateway.decision.rules import in_force
from gateway.decision.sources import Sources
from gateway.decision.specialised import Rules
from gateway.decision.subjects import linked, owners
from gateway.fhir.bundle import Bundle
from gateway.fhir.dates import clinical_period
from gateway.fhir.elements import Elements
from gateway.fhir.origins import authors
from gateway.fhir.patients import PatientsNamed, patients_by_part, patients_named
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import ResourceView
from gateway.labels.assign import PART2, assign, summarise, with_implied
from gateway.labels.model import Basis, Kind, Label, Labels
from gateway.labels.rules import LabelRules
from gateway.policy.model import Condition, Policy, Rule


class Tools(msgspec.Struct, frozen=True):
    """The standard's tables and the label rules a profile is read with, the same for every exchange under it; and the
    consents that were compiled and settled for one of them."""

    elements: Elements
    label_rules: LabelRules
    memory: Memory = msgspec.field(default_factory=Memory)


UNKNOWN_PATIENT: Final = Cause(
    layer="implicit",
    effect="deny",
    rule="unknown-patient",
    deny_class="discretionary",
    cite="leaks.md L003, L007",
    say="Whom the record is about could not be established.",
    reason="identity",
)
NAMING_WITHHOLDS: Final = "naming_a_program_withholds"
Heard = Callable[[ResourceView, Case], None]
"""Told of every case that is ruled on: a record, as one of its patients has it, with labels."""
_T = TypeVar("_T")
_NO_CONSENTS: Final = ConsentAnswer(Answer.NOT_APPLICABLE)
_CONTAINERS: Final = frozenset({"Bundle", "Parameters"})


class Bench:
    """Rules on resources one by one, for one document and its facts. `views` are those of document and context."""

    def __init__(
        self,
        facts: Facts,
        tools: Tools,
        resolver: Resolver,
        relations: Relations,
        views: Sequence[ResourceView],
        bundle: Bundle | None = None,
        heard: Heard | None = None,
    ) -> None:
        self.heard = heard
        self.facts, self.tools, self.resolver, self.relations = facts, tools, resolver, relations
        self.policy: Policy = facts.policy
        self.sources = Sources(facts, tools.label_rules, resolver, relations, views, bundle)
        known = [(subject.key, subject.identifiers) for subject in facts.subjects.values()]
        self.people = owners(known)
        self.linked = linked(views, known, resolver, facts.source)
        in_this_exchange = in_force(facts.policy, facts.directory, facts.exchange)
        self.rules = Rules(in_this_exchange)
        self.recogniser = Recogniser(facts.policy, facts.exchange, self.sources.written_by_discloser)
        # A ruling turns on subject, consents, categories and labels; of some rules on the record itself.
        asked = {one for rule in in_this_exchange for one in conditions_of(rule)}
        self.by_record = bool(facts.stated_resources) or not asked.isdisjoint(OF_THE_RECORD)
        self.ruled: dict[object, tuple[Ruling, tuple[ConsentAnswer, ...]]] = {}
        self.derived: dict[str, dict[bool, None]] = {}  # of what was said though it is derived: what came out
        self.recipient = facts.exchange.recipient.type
        # In what is sent to be carried out by the receiver's server, `Type/id` is one of the receiver's own records.
        carried_out = bundle is not None and bundle.type in ("transaction", "batch")
        self.names_receivers_records = carried_out and facts.exchange.direction is Direction.PUSH
        self.necessary = sets_in_force(facts.policy, facts.exchange)
        self.whole = bool(self.policy.kinds_of(self.recipient) & self.policy.parts.whole_for)
        self._owners = _owners_of_binaries(views, resolver)
        self._programs: dict[PatientKey, ConsentProgram] = {}
        self._told: dict[PatientKey | None, Told] = {}
        self._told_of_exchange: dict[Condition, bool | None] = {}
        self._people_of: dict[int, PatientsNamed] = {}

    def opinion(self, view: ResourceView, container: Opinion | None = None) -> Opinion:
        """Give the opinion on one resource; `container` is that on the resource it is contained in."""
        named = self._named(view, container.subjects if container else None)
        labels = assign(view, self.sources.label_context(view), self.tools.label_rules)
        subjects = [self.facts.subjects.get(key) for key in named.keys]
        known = not named.unknown and all(subject is not None for subject in subjects)
        patient_bearing = (bool(named.keys) or named.unknown) and view.type != SERVERS_WORDS
        whose = [s for s in subjects if s is not None] if named.keys or named.unknown else [None]
        rule_all = _Rulings(self, view, container.view if container else None, whose, known)
        ruling, labels, hidden = self._named_programs(view, container, labels, rule_all)
        people = named.keys
        if (
            not ruling.permitted
            and known
            and container is None
            and (fewer := self._shortened(view, labels)) is not None
        ):
            people, ruling, labels = fewer.people, fewer.ruling, fewer.labels
            hidden = {**hidden, **fewer.hidden}
        opinion = Opinion(
            view=view,
            subjects=people,
            patient_bearing=patient_bearing,
            categories=tuple(sorted(ruling.categories)),
            verdict=Verdict.DISCLOSED if ruling.permitted else Verdict.WITHHELD,
            labels=labels,
            labels_in=_codings(labels),
            ruling=ruling,
            causes=list(ruling.causes),
            hidden=hidden,
        )
        refusal = None if self.whole else refused(view, self.facts.exchange, self.sources.registered)
        if refusal is not None:
            opinion.withhold(refusal)
            return opinion
        self._parts(opinion, rule_all)
        return opinion

    def _named(self, view: ResourceView, parents: tuple[PatientKey, ...] | None) -> PatientsNamed:
        named = self._patients(view)
        if not named.keys and (owners := self.owners_of(view)):
            told = [self._patients(owner) for owner in owners]
            keys = tuple(dict.fromkeys(key for one in told for key in one.keys))
            named = PatientsNamed(keys, any(one.unknown for one in told))
        if parents is None:
            unowned = not named.keys and view.type not in self.policy.no_patient_types | _CONTAINERS
            return msgspec.structs.replace(named, unknown=named.unknown or unowned)
        return PatientsNamed(tuple(dict.fromkeys((*parents, *named.keys))), named.unknown)

    def _patients(self, view: ResourceView) -> PatientsNamed:
        """Give whom a resource names; each is asked once, a container before what it contains."""
        if id(view) not in self._people_of:
            contained = self.resolver.is_contained(view)
            self._people_of[id(view)] = patients_named(
                view,
                self.resolver,
                self.tools.elements,
                source=self.facts.source,
                identifiers=self.people,
                container=self._patients(self.resolver.container(view)) if contained else None,
            )
        return self._people_of[id(view)]

    def owners_of(self, view: ResourceView) -> tuple[ResourceView, ...]:
        """Give the records whose content a Binary is: those that give its address (L052)."""
        return self._owners.get(id(view), ())

    def _named_programs(
        self, view: ResourceView, container: Opinion | None, labels: Labels, rule_all: "_Rulings"
    ) -> tuple[Ruling, Labels, dict[str, Cause]]:
        """Rule on a record that names a Part 2 program in passing: as Part 2, or else without those names."""
        bare = container is None and view.type in self.policy.no_patient_types
        names = {} if bare else {at: told for at, told in self.sources.mentions(view).items() if not self._unread(at)}
        if names:
            marked = [Label(Kind.POLICY, ACT_CODE, PART2, Basis.SOURCE, at, program) for at, program in names.items()]
            with_names = summarise((*labels.labels, *with_implied(marked, self.tools.label_rules)), labels.unknown)
            ruling = rule_all(with_names)
            if ruling.permitted or self.policy.on(NAMING_WITHHOLDS):
                return ruling, with_names, {}
            return rule_all(labels), labels, dict.fromkeys(names, ruling.causes[0])
        return rule_all(labels), labels, {}

    def _unread(self, at: str) -> bool:
        """Say whether a text is narrative, which no copy of a record carries to this recipient."""
        return self.policy.parts.narrative_cut and not self.whole and at.endswith("/text/div")

    def _shortened(self, view: ResourceView, labels: Labels) -> Shortened | None:
        """Rule on a list without the people it may not tell of (L036)."""
        if self.whole or view.type not in ITEMS:
            return None
        named = patients_by_part(
            view,
            lambda at: item_of(view, at),
            self.resolver,
            self.tools.elements,
            source=self.facts.source,
            identifiers=self.people,
        )

        def rule_on(keys: Sequence[PatientKey], having: Labels) -> Ruling:
            subjects = [self.facts.subjects[key] for key in keys]
            return _Rulings(self, view, None, subjects, known=True)(having)

        return None if named is None else shortened(view, named, labels, rule_on)

    def _parts(self, opinion: Opinion, rule_all: "_Rulings") -> None:
        """Cut what may be cut: to save a record from being withheld, and what every copy of its type loses."""
        view = opinion.view
        rule = part_rule(self.policy, self.recipient, view.type)
        if not opinion.released and opinion.patient_bearing and not self.whole:
            freed = without_mentions(view, opinion.labels, rule_all)
            if freed is not None:
                opinion.ruling, opinion.labels, hidden = freed
                opinion.hidden = {**opinion.hidden, **hidden}
                opinion.causes, opinion.verdict = list(opinion.ruling.causes), Verdict.DISCLOSED
        if not opinion.released and rule is not None and opinion.patient_bearing:
            masking = mask(view, opinion.labels, rule, rule_all)
            if masking is None:
                return
            opinion.verdict = Verdict.MASKED
            opinion.ruling, opinion.labels = masking.ruling, masking.labels
            opinion.causes = [*masking.causes, *masking.ruling.causes]
            opinion.removed = dict(masking.removed)
        if opinion.released and opinion.patient_bearing and not self.whole:
            opinion.renumbered = rule is not None and numbered_soundly(view.tree)
            opinion.take(uniform_edits(view, rule, self.policy.parts, self.tools.elements), None)
            opinion.hidden = {**opinion.hidden, **self._stripped(view)}
        if opinion.released and not self.whole and self.necessary:
            named = binding(view.type, self.necessary, opinion.ruling)
            opinion.take(necessary_edits(view, named, self.tools.elements), None)

    def _stripped(self, view: ResourceView) -> dict[str, Cause]:
        """Give the identifiers that the policy takes out of every record, each with the reason."""
        return {
            at: Cause("law", "deny", one.id, "federal_law", one.cite, "", one.says, "law_other", one.obligations)
            for one in self.policy.strips
            for at in self.recogniser.identifiers_at(view, one.identifiers)
        }

    def contradictions(self) -> tuple[str, ...]:
        """Name what was said of the exchange, a subject or a record of which nothing but the opposite is derived."""
        return tuple(name for name, agreed in self.derived.items() if True not in agreed)

    def stated(self, view: ResourceView) -> Mapping[str, bool]:
        """Give what was stated of one resource, by `Type/id` or by its place."""
        known = self.facts.stated_resources
        return {**known.get(f"{view.type}/{view.id}", {}), **known.get(view.at, {})} if known else {}

    def consents_in(self, subject: SubjectFacts, exchange: Exchange, target: Target) -> ConsentAnswer:
        """Ask a subject's consents about a record in another exchange than this one."""
        program = self.tools.memory.program(subject.consents, exchange, self.relations, self.policy.zone)
        return program.decide(target)

    def told(self, subject: SubjectFacts | None) -> Told:
        """Give where to keep what is found true of the exchange, and of a subject in it."""
        key = None if subject is None else subject.key
        if key not in self._told:
            facts = self.facts
            self._told[key] = Told(facts.exchange, facts.directory, subject, self._told_of_exchange, {})
        return self._told[key]

    def program(self, subject: SubjectFacts) -> ConsentProgram:
        """Give a subject's consents, specialised to the exchange."""
        if subject.key not in self._programs:
            self._programs[subject.key] = self.tools.memory.program(
                subject.consents, self.facts.exchange, self.relations, self.policy.zone
            )
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
            scopes=_united(ruling.scopes for ruling in told),
        )

    def _one(self, subject: SubjectFacts | None, labels: Labels) -> Ruling:
        bench = self.bench
        target = Target(
            view=self.view,
            labels=labels,
            period=clinical_period(self.view),
            authors=authors(self.view),
            container=self.container,
            identity=bench.resolver.identity(self.container or self.view),
        )
        stated = bench.stated(self.view)
        case = Case(
            policy=bench.policy,
            directory=bench.facts.directory,
            exchange=bench.facts.exchange,
            relations=bench.relations,
            subject=subject,
            target=target,
            consents=_NO_CONSENTS if subject is None else bench.program(subject).decide(target),
            linked=() if subject is None else self._linked(subject, target),
            categories=bench.recogniser.categories(self.view, labels),
            stated=stated,
            came_from=lambda: bench.sources.came_from(self.view),
            consents_as_part2=None if subject is None else lambda: self._as_part2(subject, target),
            told=bench.told(subject),
            source=bench.facts.source,
            consents_in=None if subject is None else lambda other: bench.consents_in(subject, other, target),
        )
        if bench.heard is not None:
            bench.heard(self.view, case)
        said = {**bench.facts.exchange.attested, **(subject.stated if subject else {}), **stated}
        if said and subject is not None:
            for name, truth in derived_of(case, said).items():
                bench.derived.setdefault(name, {})[truth is said[name]] = None
        if bench.by_record:
            return rule_on(case, bench.rules)
        told = (case.consents, *case.linked)
        key = (subject.key if subject else None, tuple(map(id, told)), case.categories, _signature(labels))
        known = bench.ruled.get(key)
        if known is None:
            known = bench.ruled[key] = (rule_on(case, bench.rules), told)
        return known[0]

    def _as_part2(self, subject: SubjectFacts, target: Target) -> ConsentAnswer:
        """Ask the consents as if the record told of a Part 2 program."""
        marks = [(Kind.POLICY, PART2), (Kind.SENSITIVITY, "SUD")]
        labels = [*target.labels.labels, *(Label(kind, ACT_CODE, code, Basis.CONTEXT) for kind, code in marks)]
        asked = msgspec.structs.replace(target, labels=summarise(labels, target.labels.unknown))
        return self.bench.program(subject).decide(asked)

    def _linked(self, subject: SubjectFacts, target: Target) -> tuple[ConsentAnswer, ...]:
        """Ask the consents of records that may be of the same person."""
        keys = sorted(self.bench.linked.get(subject.key, ()), key=lambda key: (key.source, key.id))
        others = (self.bench.facts.subjects.get(key) for key in keys)
        return tuple(self.bench.program(other).decide(target) for other in others if other is not None)


def conditions_of(rule: Rule) -> tuple[Condition, ...]:
    """Give every condition that a rule turns on."""
    return (*rule.needs, *rule.unless, *rule.when_false, *rule.unless_false)


def _signature(labels: Labels) -> tuple[object, ...]:
    # Whether a Part 2 record may be passed on turns on whose it is.
    programs = programs_of(labels) if labels.policies else frozenset()
    return labels.sensitivities, labels.policies, labels.confidentiality, labels.unknown, labels.unread, programs


def _owners_of_binaries(views: Iterable[ResourceView], resolver: Resolver) -> Mapping[int, tuple[ResourceView, ...]]:
    """Find whose content each Binary is: by the addresses in records, and by the resources it names as its owner."""
    found: dict[int, list[ResourceView]] = {}
    for view in views:
        for link in view.links:
            for target in resolver.resolve_text(view, link.text).views:
                if target.type == "Binary":
                    found.setdefault(id(target), []).append(view)
    return {key: tuple(owners) for key, owners in found.items()}


def _united(parts: Iterable[tuple[_T, ...]]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(one for part in parts for one in part))


def _codings(labels: Labels) -> tuple[Coding, ...]:
    """Give the codes the decision used, received and assigned, the level first."""
    level = [label for label in labels.labels if label.kind is Kind.CONFIDENTIALITY]
    top = [Coding(label.system, label.code) for label in level if label.code == labels.confidentiality.name]
    others = [Coding(label.system, label.code) for label in labels.labels if label.kind is not Kind.CONFIDENTIALITY]
    return tuple(dict.fromkeys([*top, *others]))
