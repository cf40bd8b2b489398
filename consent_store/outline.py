"""What stands at the top of a Consent in every version: status, policies, verification, source, expiry, the outcome.

Rules of this file
1. Elements no decision reads (`text`, `meta`, `identifier` …) may be of any shape; every other is read strictly.
2. A root extension may be ignored, as FHIR allows; modifierExtension and implicitRules may not: Unreadable.
3. What was noted makes an active Consent Unreadable. One that is plainly not active has no effect anyway and
   stays a Consent of that status, without base and provisions (L085).
"""

from typing import Final

import msgspec

from consent_store.dates import SOME_DATE, FhirDate
from consent_store.elements import (
    SEPARATOR,
    Notes,
    Tree,
    date,
    elements,
    inspect,
    names,
    note,
    objects,
    path,
    reference,
    text,
)
from consent_store.model import Coding, Consent, Expiry, Reference, Status, Unreadable
from consent_store.provisions import is_event

# Never read here, or read by name with care of their own.
_PASSIVE: Final = names(
    "resourceType id meta language _language text contained extension identifier implicitRules _implicitRules"
    " modifierExtension"
)
_MOST_NOTES: Final = 20

_VERIFICATION = {
    "4.0": elements("verified verificationDate", "modifierExtension verifiedWith"),
    "5.0": elements("verified verificationDate", "modifierExtension verificationType verifiedBy verifiedWith"),
}


def inspect_root(tree: Tree, allowed: frozenset[str], notes: Notes) -> None:
    """Note unknown names, empty values, and what forbids a reader to go on (rule 2)."""
    inspect({name: value for name, value in tree.items() if name not in _PASSIVE}, allowed, "", notes)
    for name in ("modifierExtension", "implicitRules", "_implicitRules"):
        if name in tree:
            note(notes, name, "not understood")


def refuses_readers(tree: Tree) -> bool:
    """Say whether the Consent may not be read for what it seems to say (R4 2.4.0.1: modifiers; 2.26.3.2: rules)."""
    return any(name in tree for name in ("modifierExtension", "implicitRules", "_implicitRules"))


def read_status(tree: Tree, allowed: frozenset[Status], notes: Notes) -> Status | None:
    """Read the status; None, noted, for one the version does not have (R5 `unknown` is none, L085)."""
    value = tree.get("status")
    if isinstance(value, str) and value in allowed:
        return Status(value)
    note(notes, "status", "missing" if value is None else "not a code of the required value set")
    return None


def patient_element(tree: Tree, proper: str, other: str) -> str:
    """Name the element that says whose Consent it is: `other`, of another version, still tells whom to keep it for."""
    return other if proper not in tree and other in tree else proper


def read_id(tree: Tree) -> str:
    """Give the resource's id, "" where there is none."""
    value = tree.get("id")
    return value if isinstance(value, str) else ""


def read_version(tree: Tree) -> str:
    """Give meta.versionId, "" where there is none."""
    meta = tree.get("meta")
    value = meta.get("versionId") if isinstance(meta, dict) else None
    return value if isinstance(value, str) else ""


def extension_references(tree: Tree, urls: frozenset[str], notes: Notes) -> tuple[Reference, ...]:
    """Read the references that root extensions of these URLs hold (FAST carries R5's manager and controller so)."""
    found: list[Reference] = []
    for place, item in objects(tree, "extension", "", notes):
        if item.get("url") in urls:
            found.append(reference(item.get("valueReference"), path(place, "valueReference"), notes, named=False))
    return tuple(found)


def all_codings(found: tuple[tuple[Coding, ...], ...]) -> tuple[Coding, ...]:
    """Give all codings of several CodeableConcepts, in order."""
    return tuple(one for concept in found for one in concept)


def read_date(tree: Tree, name: str, notes: Notes, *, spoiled: bool) -> FhirDate | None:
    """Read when the Consent was given: None where it does not say. A date that cannot be read, or was lost with a text
    that could not, may be any: no other Consent is surely newer, so none takes this one's refusal away (law 2)."""
    found = date(tree, name, "", notes)
    return SOME_DATE if found is None and (name in tree or spoiled) else found


def read_policies(tree: Tree, name: str, choices: tuple[str, ...], notes: Notes) -> tuple[str, ...]:
    """Give, of each object of the list `name`, the first of `choices` that is stated."""
    allowed = elements(" ".join(choices), "modifierExtension")
    found: list[str] = []
    for place, item in objects(tree, name, "", notes):
        inspect(item, allowed, place, notes)
        _no_modifier(item, place, notes)
        stated = [value for value in (text(item, one, place, notes) for one in choices) if value]
        found.extend(stated[:1])
    return tuple(found)


def read_verified(tree: Tree, fhir_version: str, notes: Notes) -> bool | None:
    """Say what the verifications say together: False where one denies it, True where one says so, else None."""
    said: list[bool] = []
    for place, item in objects(tree, "verification", "", notes):
        inspect(item, _VERIFICATION[fhir_version], place, notes)
        _no_modifier(item, place, notes)
        value = item.get("verified")
        if isinstance(value, bool):
            said.append(value)
        else:
            note(notes, path(place, "verified"), "required" if value is None else "not a boolean")
    return all(said) if said else None


def has_content(attachment: Tree) -> bool:
    """Say whether an attachment holds or points at something: a title alone is not a source."""
    return any(isinstance(attachment.get(name), str) and attachment[name] != "" for name in ("data", "url"))


def read_expiry(own: Tree, permits: list[Tree]) -> Expiry:
    """Say how a Consent ends: as its `own` period (or root provision's) states, else as those of all its permits do."""
    stated = _expiry(own)
    if stated is not Expiry.UNSTATED:
        return stated
    found = {_expiry(one) for one in permits}
    if not found or Expiry.UNSTATED in found:
        return Expiry.UNSTATED
    return Expiry.EVENT if Expiry.EVENT in found else Expiry.DATE


def settle(consent: Consent, status: Status | None, notes: Notes, *, beyond: bool) -> Consent | Unreadable:
    """Give the Consent, or what is left of it (rule 3). `beyond`: its own words, status too, cannot be relied on."""
    if not notes:
        return consent
    if status not in (None, Status.ACTIVE) and not beyond:
        return msgspec.structs.replace(consent, base=None, provisions=())
    return Unreadable(
        id=consent.id,
        version=consent.version,
        patient=consent.patient,
        patient_identifiers=consent.patient_identifiers,
        why=SEPARATOR.join(notes[:_MOST_NOTES]),
        date=consent.date,
        custodians=consent.custodians,
        policies=consent.policies,
        policy_rules=consent.policy_rules,
        raw=consent.raw,
    )


def _expiry(holder: Tree) -> Expiry:
    stated = holder.get("period")
    if not isinstance(stated, dict):
        return Expiry.UNSTATED
    if "end" in stated:
        return Expiry.UNSTATED if date(stated, "end", "", []) is None else Expiry.DATE
    return Expiry.EVENT if is_event(stated.get("_end")) else Expiry.UNSTATED


def _no_modifier(item: Tree, place: str, notes: Notes) -> None:
    if "modifierExtension" in item:
        note(notes, path(place, "modifierExtension"), "not understood")
