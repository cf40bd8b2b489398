"""A FHIR R4 (and R4B) Consent, from parsed JSON to the model. Its two dialects are told apart by the root's `type`.

Rules of this file (consent-semantics section 2)
1. Root provision with a type: TYPED, and the type is the base.
2. Without: UNTYPED, and policyRule holds the base (OPTIN, OPTOUT), if it says one thing and the root carries nothing
   but a period and actors of role CST, which are context. Otherwise base is None: it cannot be evaluated.
3. No scope is read as none; the API refuses it, a decision does not.
"""

from collections.abc import Mapping
from typing import Final

from consent_store import outline
from consent_store.elements import (
    Notes,
    Tree,
    as_object,
    concept,
    concepts,
    elements,
    note,
    reference,
    references,
)
from consent_store.lifecycle import R4_STATUSES
from consent_store.model import (
    ACT_CODE,
    Coding,
    Consent,
    Dialect,
    Effect,
    PatientKey,
    Provision,
    Status,
    Unreadable,
)
from consent_store.patients import contained_resources, read_patient
from consent_store.provisions import R4_SHAPE, read_provisions

ELEMENTS: Final = elements(
    "implicitRules language status dateTime",
    "resourceType meta text contained modifierExtension identifier scope category patient performer organization"
    " sourceAttachment sourceReference policy policyRule verification provision",
)
# R5's elements in an R4 Consent (HL7 cross-version extensions; FAST requires one of them).
_CUSTODIAN_URLS = frozenset(
    f"http://hl7.org/fhir/5.0/StructureDefinition/extension-Consent.{name}" for name in ("manager", "controller")
)
# v3-ActCode consent directives (HL7 Terminology): the base that policyRule states.
_BASES: Final[Mapping[Coding, Effect]] = {
    Coding(ACT_CODE, "OPTIN"): Effect.PERMIT,
    Coding(ACT_CODE, "OPTINR"): Effect.PERMIT,
    Coding(ACT_CODE, "OPTOUT"): Effect.DENY,
    Coding(ACT_CODE, "OPTOUTE"): Effect.DENY,
}
_CUSTODIAN_ROLE: Final = Coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "CST")


def read_r4(
    tree: Tree, *, source: str, raw: bytes, own_bases: frozenset[str] = frozenset(), spoiled: str = ""
) -> Consent | Unreadable:
    """Read a Consent's JSON object `tree`, parsed from `raw`; `source` names whose ids its references are.

    Absolute references under `own_bases` are the source's own. `spoiled` says what is wrong with the text as a whole:
    the outcome is then Unreadable whatever it says. Never raises; see `consent_store.reading` for the door.
    """
    notes: Notes = [spoiled] if spoiled else []
    outline.inspect_root(tree, ELEMENTS, notes)
    contained = contained_resources(tree)
    status = outline.read_status(tree, R4_STATUSES, notes)
    person = read_patient(tree, outline.patient_element(tree, "patient", "subject"), own_bases, contained, notes)
    rules = concept(tree["policyRule"], "policyRule", notes, whole=False) if "policyRule" in tree else ()
    roots = _root(tree, notes)
    provisions = read_provisions(roots, R4_SHAPE, _stated_base(rules), contained, notes)
    dialect, base = _base(provisions, rules)
    root = roots[0][1] if roots else {}
    consent = Consent(
        id=outline.read_id(tree),
        version=outline.read_version(tree),
        patient=PatientKey(source, person.id),
        patient_identifiers=person.identifiers,
        status=status or Status.ACTIVE,
        fhir_version="4.0",
        dialect=dialect,
        base=base,
        scopes=concept(tree["scope"], "scope", notes, whole=False) if "scope" in tree else (),
        categories=outline.all_codings(concepts(tree, "category", "", notes, whole=False)),
        date=outline.read_date(tree, "dateTime", notes, spoiled=bool(spoiled)),
        custodians=references(tree, "organization", "", notes)
        + outline.extension_references(tree, _CUSTODIAN_URLS, notes),
        performers=references(tree, "performer", "", notes),
        policies=outline.read_policies(tree, "policy", ("uri", "authority"), notes),
        policy_rules=rules,
        source_attached=_attached(tree, notes),
        source_references=(reference(tree["sourceReference"], "sourceReference", notes, named=False),)
        if "sourceReference" in tree
        else (),
        verified=outline.read_verified(tree, "4.0", notes),
        expiry=outline.read_expiry(root, _permits_in(root, base)),
        provisions=provisions,
        raw=raw,
    )
    return outline.settle(consent, status, notes, beyond=bool(spoiled) or outline.refuses_readers(tree))


def _root(tree: Tree, notes: Notes) -> list[tuple[str, Tree]]:
    if "provision" not in tree:
        return []
    root = as_object(tree["provision"], "provision", notes)
    if root is None:
        return []
    if "type" in root and root["type"] not in ("permit", "deny"):
        note(notes, "provision.type", "not a code of the required value set")
    return [("provision", root)]


def _stated_base(rules: tuple[Coding, ...]) -> Effect | None:
    said = {_BASES[one] for one in rules if one in _BASES}
    return said.pop() if len(said) == 1 else None


def _base(provisions: tuple[Provision, ...], rules: tuple[Coding, ...]) -> tuple[Dialect, Effect | None]:
    """Tell the dialect and the base (rules 1 and 2)."""
    root = provisions[0] if provisions else Provision()
    if root.type is not None:
        return Dialect.TYPED, root.type
    return Dialect.UNTYPED, _stated_base(rules) if _is_context(root) else None


def _is_context(root: Provision) -> bool:
    limits = (root.actions, root.labels, root.purposes, root.classes, root.codes, root.data)
    if any(limits) or root.data_period is not None or root.unreadable:
        return False
    return all(actor.role and all(code == _CUSTODIAN_ROLE for code in actor.role) for actor in root.actors)


def _permits_in(root: Tree, base: Effect | None) -> list[Tree]:
    """Give the nested provisions that permit what the root denies: their periods may state the expiry."""
    nested = root.get("provision")
    listed = nested if base is Effect.DENY and isinstance(nested, list) else []
    return [one for one in listed if isinstance(one, dict) and one.get("type", "permit") == "permit"]


def _attached(tree: Tree, notes: Notes) -> bool:
    if "sourceAttachment" not in tree:
        return False
    attachment = as_object(tree["sourceAttachment"], "sourceAttachment", notes)
    return attachment is not None and outline.has_content(attachment)
