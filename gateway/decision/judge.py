"""The judge: every resource of a document is ruled on, then freed of residue, until nothing released betrays another.

Rules of this file
1. Contained resources are ruled on as records of their parent's patients; nested ones by themselves (L034, L045).
2. A container (a Bundle, Parameters) goes when nothing about a patient is left in it; signed, it goes whole or not.
3. Withholding spreads until nothing released points at anything withheld (L032), or came in only for its sake (L015).
4. Same document, same facts: same decisions, in document order.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from gateway.decision.bench import Bench, Opinion, Tools
from gateway.decision.consents import Relations
from gateway.decision.facts import Facts
from gateway.decision.model import Cause, Decision, Edit, Op, Verdict
from gateway.decision.outbound import labels_out, meta_edits
from gateway.decision.parts import prefixed
from gateway.decision.residue import POINTS_AT_WITHHELD, Fate, reference_residue
from gateway.decision.sources import type_named
from gateway.fhir.bundle import Document
from gateway.fhir.origins import encounter_references, source_references
from gateway.fhir.references import Local, Logical
from gateway.fhir.resolver import Resolved, Resolver
from gateway.fhir.view import ReferenceAt, ResourceView, every_view

_CONTEXT: Final = "/context/"
_TELLING: Final = frozenset(
    {"Encounter", "EpisodeOfCare", "Organization", "PractitionerRole"}
)  # tell a record's source
_CONTAINERS: Final = frozenset({"Bundle", "Parameters"})
# People and places a logical reference may name without telling of a record (R4 reference targets).
_NAMES_NO_RECORD: Final = frozenset(
    {
        "Patient",
        "RelatedPerson",
        "CareTeam",
        "Device",
        "Group",
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "Location",
    }
)


class Judgement(msgspec.Struct, frozen=True):
    """The decisions by pointer, in document order; `patient_bearing` are the pointers of records about patients, and
    `edits` every top-level resource's whole list of edits, those of its inner resources included."""

    decisions: tuple[Decision, ...]
    patient_bearing: frozenset[str]
    edits: Mapping[str, tuple[Edit, ...]]

    def decision(self, at: str) -> Decision:
        """Give the decision of the resource at a pointer."""
        return next(decision for decision in self.decisions if decision.at == at)

    @property
    def effect(self) -> str:
        """Count records about patients: all disclosed = permit, none left = deny, else permit_redacted."""
        counted = [d.verdict for d in self.decisions if d.at in self.patient_bearing]
        counted = counted or [d.verdict for d in self.decisions]
        if all(verdict is Verdict.DISCLOSED for verdict in counted):
            return "permit"
        return "deny" if all(verdict is Verdict.WITHHELD for verdict in counted) else "permit_redacted"


UNREACHED: Final = Cause(
    layer="residue",
    effect="deny",
    rule="unreached-include",
    deny_class="discretionary",
    cite="leaks.md L015",
    say="It was included only for the sake of a record that is withheld.",
    reason="law_other",
)
EMPTIED: Final = Cause(
    layer="residue",
    effect="deny",
    rule="emptied-container",
    deny_class="discretionary",
    cite="leaks.md L035",
    say="Nothing of what it holds may be disclosed, or it is signed and could not go in part.",
    reason="law_other",
)


def in_context(document: Document, context: tuple[ResourceView, ...]) -> Document:
    """Give the document with its context beside it, as references read it: context at `/context/n`, without what the
    document holds itself."""
    held = {(view.type, view.id) for top in document.views for view in every_view(top) if view.id}
    beside = (view for view in context if (view.type, view.id) not in held)
    return Document(
        (*document.views, *(_moved(view, f"{_CONTEXT}{n}") for n, view in enumerate(beside))), document.bundle
    )


def _moved(view: ResourceView, at: str) -> ResourceView:
    inner = tuple(_moved(one, at + one.at.removeprefix(view.at)) for one in view.inner)
    return msgspec.structs.replace(view, at=at, inner=inner)


def judge(document: Document, facts: Facts, tools: Tools) -> Judgement:
    """Decide every resource of `document`, contained and nested ones included. Pure; see the module for the order."""
    return _Judge(document, facts, tools).judgement()


class _Judge:
    def __init__(self, document: Document, facts: Facts, tools: Tools) -> None:
        self.document, self.facts = document, facts
        whole = in_context(document, facts.context)
        self.resolver = Resolver(whole, facts.own)
        everything = [inner for view in whole.views for inner in every_view(view)]
        relations = Relations.of(everything, facts.directory, own=facts.own, kinds=facts.policy.kinds)
        self.bench = Bench(facts, tools, self.resolver, relations)
        self.opinions: dict[int, Opinion] = {}
        for view in whole.views:
            self._open(view, None)

    def _open(self, view: ResourceView, container: Opinion | None) -> None:
        opinion = self.bench.opinion(view, container)
        self.opinions[id(view)] = opinion
        for inner in view.inner:
            self._open(inner, None if view.type in _CONTAINERS else opinion)

    def judgement(self) -> Judgement:
        changed = True
        while changed:
            changed = sum(self._spread(view) for view in self._all(self.document.views)) > 0
            changed = self._drop_unreached() or changed
        decisions = tuple(self._decision(view) for view in self._all(self.document.views))
        bearing = frozenset(o.view.at for o in map(self._opinion, self._all(self.document.views)) if o.patient_bearing)
        edits = {view.at: self._whole_edits(view) for view in self.document.views}
        return Judgement(decisions, bearing, edits)

    def _opinion(self, view: ResourceView) -> Opinion:
        return self.opinions[id(view)]

    def _all(self, views: tuple[ResourceView, ...]) -> Iterator[ResourceView]:
        for view in views:
            yield from every_view(view)

    # Residue -------------------------------------------------------------------------------------------------------
    def _spread(self, view: ResourceView) -> bool:
        """Free one released resource of what points at withheld ones; say whether its fate changed others'."""
        opinion = self._opinion(view)
        if not opinion.released:
            return False
        if view.type in _CONTAINERS:
            return self._container(opinion)
        before = tuple(opinion.edits)
        causes = [*opinion.causes, POINTS_AT_WITHHELD] if POINTS_AT_WITHHELD not in opinion.causes else opinion.causes
        residue = reference_residue(
            view, lambda ref: self._fate(view, ref), self.bench.tools.elements, before, causes.index(POINTS_AT_WITHHELD)
        )
        if residue.withhold or self._lost_a_required_part(view):
            opinion.withhold(POINTS_AT_WITHHELD)
            return True
        if residue.held_back:
            opinion.causes = causes
            opinion.verdict = Verdict.MASKED
        opinion.edits += residue.edits
        return False

    def _container(self, opinion: Opinion) -> bool:
        inner = [self._opinion(view) for view in self._all(opinion.view.inner)]
        bearing = [one for one in inner if one.patient_bearing]
        touched = any(one.verdict is not Verdict.DISCLOSED for one in inner)
        signed = "signature" in opinion.view.tree
        if (bearing and not any(one.released for one in bearing)) or (signed and touched):
            opinion.withhold(EMPTIED)
            for one in inner:
                one.withhold(EMPTIED)
            return True
        return False

    def _lost_a_required_part(self, view: ResourceView) -> bool:
        return any(
            not self._opinion(inner).released and "/contained/" not in inner.at.removeprefix(view.at)
            for inner in view.inner
        )

    def _fate(self, view: ResourceView, found: ReferenceAt) -> Fate:
        """Say what becomes of one reference of a released resource."""
        resolved = self.resolver.resolve(view, found)
        if resolved.views:
            return self._fate_of_seen(resolved)
        if self.bench.sources.registered(found, resolved):
            return Fate.KEEP
        if isinstance(resolved.target, Local):
            return self._fate_of_unseen(resolved.target.type)
        if isinstance(resolved.target, Logical):
            return self._fate_of_logical(view, found)
        return Fate.UNKNOWN

    def _fate_of_seen(self, resolved: Resolved) -> Fate:
        if not all(self.opinions[id(target)].released for target in resolved.views):
            return Fate.UNNAMED if type_named(resolved) == "Patient" else Fate.CUT
        return Fate.KEEP if all(self._traceable(target) for target in resolved.views) else Fate.UNKNOWN

    def _traceable(self, view: ResourceView) -> bool:
        """Say whether it is known where a record of the context comes from. One that could be a Part 2 program's, for
        all that was gathered, is not known to be releasable."""
        if not view.at.startswith(_CONTEXT) or not self.facts.policy.on("unknown_source_is_sensitive"):
            return True
        sources = (
            (found, self.resolver.resolve(view, found))
            for found in (*source_references(view), *encounter_references(view))
        )
        return all(
            resolved.views or type_named(resolved) not in _TELLING or self.bench.sources.registered(found, resolved)
            for found, resolved in sources
        )

    def _fate_of_unseen(self, resource_type: str | None) -> Fate:
        if resource_type == "Patient":
            return Fate.KEEP
        if resource_type == "Organization" and self.facts.policy.on("unknown_source_is_sensitive"):
            return Fate.UNKNOWN
        return Fate.KEEP if resource_type in self.facts.policy.no_patient_types else Fate.UNKNOWN

    def _fate_of_logical(self, view: ResourceView, found: ReferenceAt) -> Fate:
        never = _NAMES_NO_RECORD | self.facts.policy.no_patient_types
        targets = {found.type} if found.type else self.bench.tools.elements.reference_targets(view.type, found.at)
        return Fate.KEEP if targets is not None and targets & never else Fate.UNKNOWN

    def _drop_unreached(self) -> bool:
        """Withhold what a search included for the sake of withheld matches only."""
        bundle = self.document.bundle
        if bundle is None:
            return False
        included = {id(entry.view): entry.view for entry in bundle.entries if entry.mode == "include" and entry.view}
        reached = {
            id(view) for view in self.document.views if id(view) not in included and self._opinion(view).released
        }
        grown = True
        while grown:
            grown = False
            for key, view in included.items():
                if key not in reached and self._opinion(view).released and self._linked(view, reached):
                    reached.add(key)
                    grown = True
        lost = [view for key, view in included.items() if key not in reached and self._opinion(view).released]
        for view in lost:
            self._opinion(view).withhold(UNREACHED)
        return bool(lost)

    def _linked(self, view: ResourceView, reached: set[int]) -> bool:
        points = any(id(target) in reached for target in self._targets(view))
        return points or any(
            any(target is view for target in self._targets(other))
            for other in self.document.views
            if id(other) in reached
        )

    def _targets(self, view: ResourceView) -> Iterator[ResourceView]:
        for inner in (view, *self._all(view.inner)):
            for found in inner.references:
                yield from self.resolver.resolve(inner, found).views

    # The answer ----------------------------------------------------------------------------------------------------
    def _decision(self, view: ResourceView) -> Decision:
        opinion = self._opinion(view)
        ruling = opinion.ruling
        out = labels_out(opinion.labels, ruling.refrains) if opinion.released else ()
        if opinion.released:
            opinion.edits += [e for e in meta_edits(view, out, ruling, self._whole()) if e not in opinion.edits]
        return Decision(
            at=view.at,
            resource=f"{view.type}/{view.id}" if view.id else view.type,
            subjects=opinion.subjects,
            categories=opinion.categories,
            verdict=opinion.verdict,
            edits=tuple(opinion.edits),
            labels_in=opinion.labels_in,
            labels_out=out,
            because=tuple(opinion.causes),
            erring=ruling.erring,
            unmet=ruling.unmet,
            obligations=ruling.obligations if opinion.released else (),
            refrains=ruling.refrains if opinion.released else (),
        )

    def _whole(self) -> bool:
        policy = self.facts.policy
        return bool(policy.kinds_of(self.facts.exchange.recipient.type) & policy.parts.whole_for)

    def _whole_edits(self, view: ResourceView) -> tuple[Edit, ...]:
        """Give a resource's edits with those of the resources inside it, whose paths are prefixed by they stand."""
        opinion = self._opinion(view)
        edits = list(opinion.edits)
        for inner in view.inner:
            prefix = inner.at.removeprefix(view.at)
            if self._opinion(inner).released:
                edits += prefixed(self._whole_edits(inner), prefix, 0)
            else:
                edits.append(Edit(Op.CUT, _slot(prefix)))
        if view.type == "Bundle" and "total" in view.tree:
            edits.append(Edit(Op.CUT, "/total"))
        return tuple(edits)


def _slot(prefix: str) -> str:
    """Give the element that holds an inner resource: the contained member itself, or the whole entry or parameter."""
    parent, last = prefix.rsplit("/", 1)
    return parent if last == "resource" else prefix
