"""From what was gathered for a live exchange to Facts: whom it is about, whose consents count, what is known. Pure.

Rules of this file
1. Everyone a document or its context names is asked for, in one look-up; one failure fails the exchange (503, L088).
2. On a read, a patient of this server whose Patient resource did not come back is unknown: nothing about it is
   permitted. On a push the sender's word and the consents by its key must do: whether the server has the patient is not
   to show in the answer (leaks.md point 12).
3. What is attested of one patient counts for that one, what is attested of a record for that record of this server.
"""

from collections.abc import Mapping

from consent_store.model import PatientKey
from consent_store.store import Found, Revision, Snapshot, Subject
from gateway.decision.addresses import Outward
from gateway.decision.bench import Tools
from gateway.decision.facts import Facts
from gateway.decision.judge import in_context
from gateway.decision.model import Direction, Exchange, SubjectFacts
from gateway.directory.model import Directory
from gateway.errors import Unavailable
from gateway.facts.attested import OfPatients, of_resources
from gateway.facts.elsewhere import as_here
from gateway.facts.people import Known, by_identifier, identifiers_in, people, subject_facts
from gateway.fhir.bundle import Document
from gateway.fhir.patients import patients_named
from gateway.fhir.references import Base, is_id
from gateway.fhir.resolver import Resolver
from gateway.fhir.view import ResourceView
from gateway.policy.model import Policy


def everyone(
    document: Document, context: tuple[ResourceView, ...], own: frozenset[Base], source: str, tools: Tools
) -> Known:
    """Give everyone that a document and its context name; local ids are `source`'s."""
    whole = in_context(document, context)
    resolver = Resolver(whole, own)
    known = people(whole, resolver, source)
    identifiers = by_identifier(known)
    named = (
        patients_named(view, resolver, tools.elements, source=source, identifiers=identifiers) for view in whole.views
    )
    keys = dict.fromkeys([*known, *(key for one in named for key in one.keys)])
    return {key: known.get(key, ()) for key in keys}


def unseen(known: Known, source: str) -> frozenset[str]:
    """Give the ids of patients of this server whose Patient resource is not at hand."""
    return frozenset(key.id for key, views in known.items() if not views and key.source == source and is_id(key.id))


def subjects_of(known: Known, source: str, direction: Direction) -> Mapping[PatientKey, Subject]:
    """Give whom to ask consents of, by rule 2."""
    missing = unseen(known, source) if direction is Direction.READ else frozenset()
    return {
        key: Subject(key, identifiers_in(views))
        for key, views in known.items()
        if not (key.source == source and key.id in missing)
    }


def facts_of(  # noqa: PLR0913  what a decision is made from, each by name
    *,
    exchange: Exchange,
    policy: Policy,
    directory: Directory,
    own: frozenset[Base],
    outward: Outward | None,
    source: str,
    context: tuple[ResourceView, ...],
    named: tuple[ResourceView, ...],
    known: Known,
    subjects: Mapping[PatientKey, Subject],
    snapshot: Snapshot,
    bases: Mapping[str, frozenset[str]],
    untraced: frozenset[str] = frozenset(),
) -> Facts:
    """Put the facts of an exchange together; `bases` are the base URLs of every server that is served, by source.

    Raises Unavailable where one subject's consents could not be read."""
    told: dict[PatientKey, SubjectFacts] = {}
    revisions: dict[Subject, Revision] = {}
    of_patients = OfPatients(exchange.attestations)
    for key, subject in subjects.items():
        found = snapshot.get(subject)
        if not isinstance(found, Found):
            raise Unavailable("the consents that this needs cannot be read")
        stated = of_patients.stated(key, subject.identifiers)
        consents = as_here(found.consents, source, bases, directory)
        told[key] = subject_facts(key, known[key], consents, stated, frozenset(known))
        revisions[subject] = found.revision
    return Facts(
        exchange=exchange,
        policy=policy,
        directory=directory,
        subjects=told,
        context=context,
        named=named,
        stated_resources=of_resources(exchange.attestations, source) if exchange.direction is Direction.READ else {},
        revisions=revisions,
        own=own,
        outward=outward,
        source=source,
        untraced=untraced,
    )
