"""Whose Consent it is: from the patient (R4) or subject (R5) reference to a record id and business identifiers.

Rules of this file
1. A relative `Patient/x`, versioned or not, is the source's record x; so is an absolute one under an own base (L092).
2. An absolute reference elsewhere says nothing of our records: only its identifiers count.
3. `urn:uuid:` and `urn:oid:` stand as the id themselves; `#x` stands for the contained Patient's identifiers.
4. No id and no identifier: the Consent belongs to nobody we know. It is Unreadable with `PatientKey(source, "")`,
   which no subject has; whoever holds it must report it (see `consent_store.filing.is_nobodys`).
"""

import re
from collections.abc import Mapping

import msgspec

from consent_store.elements import Notes, Tree, as_object, note, objects, reference
from consent_store.identifier_systems import system_of
from consent_store.model import Identifier

_PATIENT = re.compile(r"(?:(?P<base>https?://\S+)/)?Patient/(?P<id>[^\s/?#|]{1,256})(?:/_history/[^\s/?#|]+)?")
_URN = re.compile(r"urn:(?:uuid|oid):[0-9A-Za-z.\-]{1,128}")


class Person(msgspec.Struct, frozen=True):
    """What the reference says: the record's id ("" where it names none of ours), whole identifiers."""

    id: str = ""
    identifiers: tuple[Identifier, ...] = ()


def read_patient(
    tree: Tree, name: str, own_bases: frozenset[str], contained: Mapping[str, Tree], notes: Notes
) -> Person:
    """Read the reference `name` of a Consent. What keeps it from naming a patient is noted."""
    if name not in tree:
        note(notes, name, "missing")
        return Person()
    item = as_object(tree[name], name, notes)
    if item is None:
        return Person()
    found = reference(item, name, notes, named=False)
    if found.type not in (None, "Patient", "http://hl7.org/fhir/StructureDefinition/Patient"):
        note(notes, name, "not a patient")
    whole = found.identifier is not None and found.identifier.system is not None
    known = (found.identifier,) if found.identifier is not None and whole else ()
    if found.reference is None:
        if not known:
            note(notes, name, "names no patient")
        return Person("", known)
    if found.reference.startswith("#"):
        return _contained(found.reference[1:], name, known, contained, notes)
    return _record(found.reference, name, known, own_bases, notes)


def contained_resources(tree: Tree) -> dict[str, Tree]:
    """Give the contained resources by id; what is no resource is left out, so a reference to it leads nowhere."""
    inside = tree.get("contained")
    listed = inside if isinstance(inside, list) else []
    return {one["id"]: one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str)}


def identifiers_of(resource: Tree) -> tuple[Identifier, ...]:
    """Give a resource's identifiers that have system and value."""
    ignored: Notes = []
    pairs = ((system_of(one), one.get("value")) for _, one in objects(_listed(resource), "identifier", "", ignored))
    return tuple(
        Identifier(system, value) for system, value in pairs if system is not None and isinstance(value, str) and value
    )


def _listed(resource: Tree) -> Tree:
    one = resource.get("identifier")
    return {"identifier": [one]} if isinstance(one, dict) else resource


def _contained(
    inner: str, name: str, known: tuple[Identifier, ...], contained: Mapping[str, Tree], notes: Notes
) -> Person:
    resource = contained.get(inner, {})
    if resource.get("resourceType") != "Patient":
        note(notes, name, "names no contained patient")
        return Person("", known)
    found = tuple(dict.fromkeys((*known, *identifiers_of(resource))))
    if not found:
        note(notes, name, "a contained patient without an identifier")
    return Person("", found)


def _record(written: str, name: str, known: tuple[Identifier, ...], own_bases: frozenset[str], notes: Notes) -> Person:
    if _URN.fullmatch(written):
        return Person(written, known)
    match = _PATIENT.fullmatch(written)
    if match is None:
        note(notes, name, "not a reference to a patient")
        return Person("", known)
    base = match["base"]
    if base is None or base.rstrip("/") in {own.rstrip("/") for own in own_bases}:
        return Person(match["id"], known)
    if not known:
        note(notes, name, "a patient of another server, without an identifier")
    return Person("", known)
