"""A FHIR R5 Consent, from parsed JSON to the model: `decision` is the base, provisions are exceptions that alternate.

Rules of this file (consent-semantics section 2)
1. Provisions have no type: those of level 1 give what `decision` does not, and so on down.
2. Without `decision` the base is None: it cannot be evaluated.
3. status `unknown` makes it Unreadable (L085); the subject must be a Patient.
"""

from typing import Final

from consent_store import outline
from consent_store.elements import (
    Notes,
    Tree,
    as_object,
    concepts,
    elements,
    inspect,
    note,
    objects,
    period,
    reference,
    references,
    text,
)
from consent_store.lifecycle import R5_STATUSES
from consent_store.model import Consent, Dialect, Effect, PatientKey, Status, Unreadable
from consent_store.patients import contained_resources, read_patient
from consent_store.provisions import R5_SHAPE, flip, read_provisions

ELEMENTS: Final = elements(
    "implicitRules language status date decision",
    "resourceType meta text contained modifierExtension identifier category subject period grantor grantee manager"
    " controller sourceAttachment sourceReference regulatoryBasis policyBasis policyText verification provision",
)
_POLICY_BASIS = elements("url", "modifierExtension reference")


def read_r5(
    tree: Tree, *, source: str, raw: bytes, own_bases: frozenset[str] = frozenset(), spoiled: str = ""
) -> Consent | Unreadable:
    """Read a Consent's JSON object `tree`, parsed from `raw`; the parameters are those of `read_r4`. Never raises."""
    notes: Notes = [spoiled] if spoiled else []
    outline.inspect_root(tree, ELEMENTS, notes)
    contained = contained_resources(tree)
    status = outline.read_status(tree, R5_STATUSES, notes)
    person = read_patient(tree, outline.patient_element(tree, "subject", "patient"), own_bases, contained, notes)
    base = _decision(tree, notes)
    roots = list(objects(tree, "provision", "", notes))
    consent = Consent(
        id=outline.read_id(tree),
        version=outline.read_version(tree),
        patient=PatientKey(source, person.id),
        patient_identifiers=person.identifiers,
        status=status or Status.ACTIVE,
        fhir_version="5.0",
        dialect=Dialect.R5,
        base=base,
        categories=outline.all_codings(concepts(tree, "category", "", notes, whole=False)),
        date=outline.read_date(tree, "date", notes, spoiled=bool(spoiled)),
        period=period(tree, "period", "", notes),
        custodians=references(tree, "manager", "", notes) + references(tree, "controller", "", notes),
        performers=references(tree, "grantor", "", notes),
        grantees=references(tree, "grantee", "", notes),
        policies=_policies(tree, notes),
        policy_rules=outline.all_codings(concepts(tree, "regulatoryBasis", "", notes, whole=False)),
        source_attached=_attached(tree, notes),
        source_references=references(tree, "sourceReference", "", notes),
        verified=outline.read_verified(tree, "5.0", notes),
        expiry=outline.read_expiry(tree, [one for _, one in roots] if base is Effect.DENY else []),
        provisions=read_provisions(roots, R5_SHAPE, flip(base), contained, notes),
        raw=raw,
    )
    return outline.settle(consent, status, notes, beyond=bool(spoiled) or outline.refuses_readers(tree))


def _decision(tree: Tree, notes: Notes) -> Effect | None:
    value = tree.get("decision")
    if value in ("permit", "deny"):
        return Effect(value)
    if value is not None:
        note(notes, "decision", "not a code of the required value set")
    return None


def _policies(tree: Tree, notes: Notes) -> tuple[str, ...]:
    """Give the url of policyBasis, else what its reference says: either names the policy."""
    if "policyBasis" not in tree:
        return ()
    basis = as_object(tree["policyBasis"], "policyBasis", notes)
    if basis is None:
        return ()
    inspect(basis, _POLICY_BASIS, "policyBasis", notes)
    if "modifierExtension" in basis:
        note(notes, "policyBasis.modifierExtension", "not understood")
    name = text(basis, "url", "policyBasis", notes)
    if "reference" in basis:
        named = reference(basis["reference"], "policyBasis.reference", notes, named=False).reference
        name = name or named
    return (name,) if name else ()


def _attached(tree: Tree, notes: Notes) -> bool:
    contents = [outline.has_content(one) for _, one in objects(tree, "sourceAttachment", "", notes)]
    return any(contents)
