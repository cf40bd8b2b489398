"""What must be gathered before a document can be judged: whose consents, and which records it refers to.

Rules of this file
1. First round: everything the document refers to on this server that it does not hold. Then only what says where a
   gathered record comes from (organisations, its encounter and that one's organisations), what it carries labels of
   (labels.propagation), its patients and drugs.
2. Nothing is fetched here; a reference of another form than `Type/id` on this server is never fetched (L073).
"""

from collections.abc import Iterable, Mapping

import msgspec

from gateway.fhir.origins import source_references
from gateway.fhir.references import Local
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import ReferenceAt, ResourceView
from gateway.labels.propagation import carrying

# Consents are policy input, read from the consent store; what people wrote about others' reading is never context.
_NEVER_CONTEXT = frozenset({"Consent", "AuditEvent", "Provenance", "Binary"})


class Needs(msgspec.Struct, frozen=True):
    """Ids to fetch, by resource type. Empty: nothing is missing."""

    by_type: Mapping[str, frozenset[str]]


def first_round(views: Iterable[ResourceView], resolver: Resolver) -> Needs:
    """Give what the document refers to and does not hold."""
    return _missing(
        ((found, inner) for view in views for inner in _with_inner(view) for found in inner.references), resolver
    )


def second_round(context: Iterable[ResourceView], resolver: Resolver) -> Needs:
    """Give what says where gathered records come from, and whom they are about. Asked twice: the second time it gives
    the organisations of the encounters that the first time gave."""
    return _missing(((found, view) for view in context for found in _telling(view)), resolver)


def _telling(view: ResourceView) -> Iterable[ReferenceAt]:
    yield from source_references(view)
    yield from carrying(view)
    yield from (found for found in view.references if (found.reference or "").startswith(("Patient/", "Medication/")))


def _with_inner(view: ResourceView) -> Iterable[ResourceView]:
    yield view
    for inner in view.inner:
        yield from _with_inner(inner)


def _missing(found: Iterable[tuple[ReferenceAt, ResourceView]], resolver: Resolver) -> Needs:
    by_type: dict[str, set[str]] = {}
    for reference, view in found:
        resolved = resolver.resolve(view, reference)
        target = resolved.target
        if isinstance(target, Local) and not resolved.views and target.type not in _NEVER_CONTEXT:
            by_type.setdefault(target.type, set()).add(target.id)
    return Needs({name: frozenset(ids) for name, ids in by_type.items()})
