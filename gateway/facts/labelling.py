"""Records with everything that was found of them: what `consent-gateway label` and `POST /control/label` tell. Pure.

Rules of this file (docs/labels.md)
1. The labels are those the gateway decides by: the same sources, propagation and lists; nobody discloses here.
2. A contained resource has no label of its own (R4 dom-4): its container carries what it says.
3. A Bundle carries the highest level of what is in it, and nothing that says of what kind (labels.md section 6).
4. Asked what was found without the labels that came, it takes those away before it looks: for comparing with a hand.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from consent_store.model import ACT_REASON, CONFIDENTIALITY, Coding
from gateway.decision.bench import Tools
from gateway.decision.consents import Relations
from gateway.decision.facts import Facts
from gateway.decision.judge import in_context
from gateway.decision.model import Exchange
from gateway.decision.sources import Sources
from gateway.directory.model import Directory, Participant
from gateway.fhir.bundle import Document
from gateway.fhir.resolver import Resolver, bases_stated
from gateway.fhir.view import ResourceView, every_view
from gateway.labels.assign import assign, summarise
from gateway.labels.model import Basis, Confidentiality, Kind, Label, Labels
from gateway.policy.model import Policy

_NOBODY: Final = Participant(id="", type="")
_EXCHANGE: Final = Exchange(
    discloser=_NOBODY, recipient=_NOBODY, purpose=Coding(ACT_REASON, "METAMGT"), at=datetime.min.replace(tzinfo=UTC)
)


class Labelled(msgspec.Struct, frozen=True):
    """One resource and what was found of it, its contained resources' labels among them."""

    view: ResourceView
    labels: Labels

    @property
    def name(self) -> str:
        """`Type/id`, or the type and the place where there is no id."""
        return f"{self.view.type}/{self.view.id}" if self.view.id else f"{self.view.type} at {self.view.at or '/'}"


class Labeller:
    """Labels documents one by one, by one profile. `context` are resources that the documents refer to."""

    def __init__(
        self, policy: Policy, tools: Tools, directory: Directory | None = None, context: Iterable[ResourceView] = ()
    ) -> None:
        self._policy, self._rules = policy, tools.label_rules
        self._directory, self._context = directory or Directory({}), tuple(context)

    def label(self, document: Document, *, received: bool = True) -> tuple[Labelled, ...]:
        """Give every resource of a document, nested ones too, with its labels; not `received`: as if none had come."""
        if not received:
            document = _bare_document(document)
        context = self._context if received else tuple(bare(view) for view in self._context)
        own = bases_stated(document)
        whole = in_context(document, context)
        views = [inner for view in whole.views for inner in every_view(view)]
        facts = Facts(
            exchange=_EXCHANGE, policy=self._policy, directory=self._directory, subjects={}, context=context, own=own
        )
        relations = Relations.of(views, self._directory, own=own, kinds=self._policy.kinds)
        sources = Sources(facts, self._rules, Resolver(whole, own), relations, views, document.bundle)
        return tuple(one for view in document.views for one in self._labelled(view, sources))

    def _labelled(self, view: ResourceView, sources: Sources) -> Iterator[Labelled]:
        contained = [deeper for inner in view.inner if _contained(view, inner) for deeper in every_view(inner)]
        nested = [one for inner in view.inner if not _contained(view, inner) for one in self._labelled(inner, sources)]
        if view.type == "Bundle":
            yield Labelled(view, container_labels(nested))
        else:
            own = assign(view, sources.label_context(view), self._rules)
            inside = [(one, assign(one, sources.label_context(one), self._rules)) for one in contained]
            labels = [_moved(label, one.at.removeprefix(view.at)) for one, found in inside for label in found.labels]
            kept = [label for label in labels if label.basis is not Basis.DEFAULT]
            unknown = own.unknown or any(found.unknown for _, found in inside)
            yield Labelled(view, summarise([*own.labels, *kept], unknown) if inside else own)
        yield from nested


def container_labels(nested: Iterable[Labelled]) -> Labels:
    """Give the label of a Bundle: the highest level of what is in it."""
    level = max((one.labels.confidentiality for one in nested), default=Confidentiality.N)
    label = Label(Kind.CONFIDENTIALITY, CONFIDENTIALITY, level.name, Basis.CONTEXT, "", "the highest of its contents")
    return summarise([label], unknown=False)


def bare(view: ResourceView) -> ResourceView:
    """Give a view without the labels that came with it."""
    return msgspec.structs.replace(
        view,
        security=(),
        extensions=tuple(one for one in view.extensions if "sec-label" not in one[1]),
        tree={name: value for name, value in view.tree.items() if name not in {"securityLabel", "confidentiality"}},
        inner=tuple(bare(inner) for inner in view.inner),
    )


def _bare_document(document: Document) -> Document:
    views = {view.at: bare(view) for view in document.views}
    bundle = document.bundle
    if bundle is not None:
        entries = (msgspec.structs.replace(e, view=views[e.view.at]) if e.view else e for e in bundle.entries)
        bundle = msgspec.structs.replace(bundle, security=(), entries=tuple(entries))
    return Document(tuple(views.values()), bundle)


def _contained(view: ResourceView, inner: ResourceView) -> bool:
    return inner.at.removeprefix(view.at).startswith("/contained/")


def _moved(label: Label, prefix: str) -> Label:
    return msgspec.structs.replace(label, at=prefix + label.at)
