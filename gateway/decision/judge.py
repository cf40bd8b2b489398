"""The judge: every resource of a document is ruled on, then freed of residue, until nothing released betrays another.

Rules of this file
1. Contained resources are ruled on as records of their parent's patients; nested ones by themselves (L034, L045).
2. A container (a Bundle, Parameters) goes when nothing about a patient is left in it; signed, it goes whole or not.
3. Withholding spreads until nothing released points at anything withheld (L032), or came in only for its sake (L015).
4. Same document, same facts: same decisions, in document order.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

import msgspec

from gateway.decision.addresses import outward_edits
from gateway.decision.bench import Bench, Heard, Tools
from gateway.decision.consents import Relations
from gateway.decision.envelope import envelope_edits, signed, unread_entries
from gateway.decision.facts import Facts
from gateway.decision.fates import CONTEXT, POINTS_AT_WITHHELD, Fates
from gateway.decision.model import Cause, Decision, Direction, Edit, Op, Verdict
from gateway.decision.opinion import Opinion
from gateway.decision.outbound import container_labels, labels_out, meta_edits
from gateway.decision.parts import prefixed
from gateway.decision.pushed import is_pushed
from gateway.decision.reach import UNREACHED, Reach
from gateway.decision.residue import free
from gateway.fhir.bundle import Document
from gateway.fhir.narrative import unclean
from gateway.fhir.resolver import Named, Resolver
from gateway.fhir.view import ResourceView, every_view

_CONTAINERS: Final = frozenset({"Bundle", "Parameters"})
# Bundles that go whole or not at all.
_WHOLE: Final = frozenset({"transaction", "message"})
# What a sender may write about who belongs to whom is data, never policy input (ARCHITECTURE section 4; L080).
_POLICY_BEARING: Final = frozenset(
    {"CareTeam", "Group", "List", "Organization", "OrganizationAffiliation", "PractitionerRole", "Provenance"}
)


class Judgement(msgspec.Struct, frozen=True, dict=True):
    """The decisions by pointer, in document order; `patient_bearing` are the pointers of records about patients, and
    `edits` every top-level resource's whole list of edits, those of its inner resources included. `trimmed`: the
    recipient is not one who gets records whole."""

    decisions: tuple[Decision, ...]
    patient_bearing: frozenset[str]
    edits: Mapping[str, tuple[Edit, ...]]
    trimmed: bool = True
    contradictions: tuple[str, ...] = ()  # what was said though the opposite is derived

    @cached_property
    def _by_pointer(self) -> dict[str, Decision]:
        return {decision.at: decision for decision in self.decisions}

    def decision(self, at: str) -> Decision:
        """Give the decision of the resource at a pointer."""
        return self._by_pointer[at]

    @property
    def effect(self) -> str:
        """Count records about patients: all disclosed = permit, none left = deny, else permit_redacted."""
        counted = [d.verdict for d in self.decisions if d.at in self.patient_bearing]
        counted = counted or [d.verdict for d in self.decisions]
        if all(verdict is Verdict.DISCLOSED for verdict in counted):
            return "permit"
        return "deny" if all(verdict is Verdict.WITHHELD for verdict in counted) else "permit_redacted"


EMPTIED: Final = Cause(
    layer="residue",
    effect="deny",
    rule="emptied-container",
    deny_class="discretionary",
    cite="leaks.md L035",
    say="Nothing of what it holds may be disclosed, or it is signed and could not go in part.",
    reason="law_other",
)
OUTER_WITHHELD: Final = Cause(
    layer="residue",
    effect="deny",
    rule="outer-withheld",
    deny_class="discretionary",
    cite="leaks.md L034, L035",
    say="The resource it stands in is withheld.",
    reason="law_other",
)

COPY_WITHHELD: Final = Cause(
    layer="residue",
    effect="deny",
    rule="copy-withheld",
    deny_class="discretionary",
    cite="leaks.md L002",
    say="Another copy of it is withheld.",
    reason="law_other",
)


def in_context(document: Document, context: tuple[ResourceView, ...]) -> Document:
    """Give the document with its context beside it, at `/context/n`. What stands in both is one thing with two copies:
    whatever either says counts (L002)."""
    beside = (_moved(view, f"{CONTEXT}{number}") for number, view in enumerate(context))
    return Document((*document.views, *beside), document.bundle)


def _moved(view: ResourceView, at: str) -> ResourceView:
    inner = tuple(_moved(one, at + one.at.removeprefix(view.at)) for one in view.inner)
    return msgspec.structs.replace(view, at=at, inner=inner)


def judge(document: Document, facts: Facts, tools: Tools, heard: Heard | None = None) -> Judgement:
    """Decide every resource of `document`, contained and nested ones included. Pure; see the module for the order.

    `heard` is told of every case on the way (an explanation asks for it).
    """
    return _Judge(document, facts, tools, heard).judgement()


class _Judge:
    def __init__(self, document: Document, facts: Facts, tools: Tools, heard: Heard | None = None) -> None:
        self.document, self.facts = document, facts
        whole = in_context(document, facts.context)
        resolver = Resolver(whole, facts.own)
        views = [inner for view in whole.views for inner in every_view(view)]
        relations = Relations.of(
            _telling(document, whole, facts), facts.directory, own=facts.own, kinds=facts.policy.kinds
        )
        self.bench = Bench(facts, tools, resolver, relations, views, document.bundle, heard)
        self.opinions: dict[int, Opinion] = {}
        for view in whole.views:
            self._open(view, None)
        self.fates = Fates(self.bench, self._opinion)
        self.reach = Reach(document, resolver, self.bench.sources.resolve, self._opinion)
        self.views = [inner for view in document.views for inner in every_view(view)]
        beside = whole.views[len(document.views) :]
        # What would not be released by itself is not to be pointed at: the context is freed of residue too.
        self.beside = [inner for view in beside for inner in every_view(view)]
        cut = facts.policy.parts.narrative_cut and not self.bench.whole
        self.shows_narrative = facts.exchange.direction is Direction.READ and not cut
        self._agree(resolver)

    def _open(self, view: ResourceView, container: Opinion | None) -> None:
        opinion = self.bench.opinion(view, container)
        self.opinions[id(view)] = opinion
        for inner in view.inner:
            self._open(inner, None if view.type in _CONTAINERS else opinion)

    def _opinion(self, view: ResourceView) -> Opinion:
        return self.opinions[id(view)]

    def judgement(self) -> Judgement:
        changed = True
        while changed:
            changed = sum(self._spread(view) for view in (*self.views, *self.beside)) > 0
            for view in list(self.reach.unreached()):
                changed = self._opinion(view).withhold(UNREACHED) or changed
        decisions = {view.at: self._decision(view) for view in reversed(self.views)}
        bearing = frozenset(view.at for view in self.views if self._opinion(view).patient_bearing)
        edits = {view.at: self._whole_edits(view) for view in self.document.views}
        return Judgement(
            tuple(decisions[view.at] for view in self.views),
            bearing,
            edits,
            not self.bench.whole,
            self.bench.contradictions(),
        )

    def _agree(self, resolver: Resolver) -> None:
        """Withhold every copy of a record of which one may not be released for itself, or of which one loses members
        that another keeps (L002)."""
        copies: dict[Named, list[Opinion]] = {}
        for view in (*self.views, *self.beside):
            if (name := resolver.identity(view)) is not None:
                copies.setdefault(name, []).append(self._opinion(view))
        for opinions in copies.values():
            lost = {frozenset(one.removed) for one in opinions}
            if len(lost) > 1 or not all(one.released for one in opinions):
                for one in opinions:
                    if one.released:
                        one.withhold(COPY_WITHHELD)

    def _spread(self, view: ResourceView) -> bool:
        """Free one released resource of what points at withheld ones; say whether its fate changed others'."""
        opinion = self._opinion(view)
        if not opinion.released:
            inner = [self._opinion(one) for one in every_view(view)[1:]]
            return sum([one.withhold(OUTER_WITHHELD) for one in inner if one.released]) > 0
        if view.type in _CONTAINERS and self._emptied(view):
            return opinion.withhold(EMPTIED)
        verdict = opinion.verdict
        freed = view.type == "Bundle" or free(
            opinion,
            lambda found: self.fates.of_reference(view, found),
            lambda link: self.fates.of_address(view, link),
            self.fates.of_texts(view),
            self.bench.tools.elements,
        )
        if not freed or self.fates.companion_lost(view) or self._lost_a_required_part(view):
            return opinion.withhold(POINTS_AT_WITHHELD)
        return opinion.verdict is not verdict

    def _emptied(self, view: ResourceView) -> bool:
        inner = [self._opinion(one) for one in every_view(view)[1:]]
        bearing = [one for one in inner if one.patient_bearing]
        touched = any(one.verdict is not Verdict.DISCLOSED for one in inner)
        if bearing and not any(one.released for one in bearing):
            return True
        return touched and (signed(view.tree) or view.tree.get("type") in _WHOLE or self._lost_its_head(view))

    def _lost_its_head(self, view: ResourceView) -> bool:
        """Say whether a document has lost its Composition."""
        first = next((self._opinion(one) for one in view.inner if one.at == f"{view.at}/entry/0/resource"), None)
        return view.tree.get("type") == "document" and first is not None and not first.released

    def _lost_a_required_part(self, view: ResourceView) -> bool:
        if view.type in _CONTAINERS:
            return False
        return any(
            not self._opinion(inner).released and "/contained/" not in inner.at.removeprefix(view.at)
            for inner in view.inner
        )

    # The answer ----------------------------------------------------------------------------------------------------
    def _decision(self, view: ResourceView) -> Decision:
        opinion = self._opinion(view)
        ruling = opinion.ruling
        out = labels_out(opinion.labels, ruling) if opinion.released else ()
        if view.type == "Bundle" and out:
            out = container_labels(code for inner in self._released_in(view) for code in inner.labels_out)
        if opinion.released:
            opinion.take(meta_edits(view, out, ruling, self.bench.whole), None)
            if view.type == "Bundle":
                opinion.take(self._envelope(view), None)
            if self.shows_narrative:
                opinion.take([Edit(Op.CUT, at) for at in unclean(view)], None)
            if self.facts.outward is not None:
                opinion.take(outward_edits(view, self.facts.outward), None)
        opinion.labels_out = out
        return Decision(
            at=view.at,
            resource=f"{view.type}/{view.id}" if view.id else view.type,
            subjects=opinion.subjects,
            categories=opinion.categories,
            verdict=opinion.verdict,
            edits=opinion.all_edits,
            labels_in=opinion.labels_in,
            labels_out=out,
            because=tuple(opinion.causes),
            erring=ruling.erring,
            unmet=ruling.unmet,
            obligations=ruling.obligations if opinion.released else (),
            refrains=ruling.refrains if opinion.released else (),
        )

    def _released_in(self, view: ResourceView) -> Iterator[Opinion]:
        return (one for one in map(self._opinion, every_view(view)[1:]) if one.released)

    def _whole_edits(self, view: ResourceView) -> tuple[Edit, ...]:
        """Give a resource's edits with those of the resources inside it, their paths prefixed by where they stand."""
        edits = list(self._opinion(view).all_edits)
        for inner in view.inner:
            prefix = inner.at.removeprefix(view.at)
            if self._opinion(inner).released:
                edits += prefixed(self._whole_edits(inner), prefix)
            else:
                edits.append(Edit(Op.CUT, _slot(prefix)))
        return tuple(edits)

    def _envelope(self, view: ResourceView) -> Iterator[Edit]:
        """Give the edits of an inner Bundle's own elements, which every copy of it gets."""
        yield from (Edit(Op.CUT, path) for path in unread_entries(view.tree))
        if "total" in view.tree:
            yield Edit(Op.CUT, "/total")
        if not self.bench.whole:
            yield from envelope_edits(view.tree, inner=True)


def _telling(document: Document, whole: Document, facts: Facts) -> Iterator[ResourceView]:
    """Give what shows who belongs to whom: the document and what the context adds to it. Of a sender's document not
    the records that would make policy, and of no document what was pushed (L080)."""
    return (view for view in _shown(document, whole, facts) if not is_pushed(view))


def _shown(document: Document, whole: Document, facts: Facts) -> Iterator[ResourceView]:
    own = [inner for view in document.views for inner in every_view(view)]
    pushed = facts.exchange.direction is Direction.PUSH
    kept = [view for view in own if not (pushed and view.type in _POLICY_BEARING)]
    held = {(view.type, view.id) for view in kept if "/contained/" not in view.at}
    beside = (inner for view in whole.views[len(document.views) :] for inner in every_view(view))
    yield from kept
    yield from (view for view in (*beside, *facts.named) if (view.type, view.id) not in held)


def _slot(prefix: str) -> str:
    """Give the element that holds an inner resource: the contained member itself, or the whole entry or parameter."""
    parent, last = prefix.rsplit("/", 1)
    return parent if last == "resource" else prefix
