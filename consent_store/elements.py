"""The FHIR data types a Consent is made of, read from parsed JSON with a note of whatever is not as it should be.

Rules of this file
1. Nothing raises: what is wrong is noted as `path: why`, and the caller decides what follows from it.
2. null and an empty string, list or object are wrong, not absent (R4 2.6.2): `purpose: []` must not read as "any".
3. A name that the type does not define is wrong: a misspelt limit is a lost limit (L089).
4. Notes hold element names of the standard and our own words, never text of the Consent.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from consent_store.dates import FhirDate, Period, parse_date
from consent_store.identifier_systems import system_of
from consent_store.model import Coding, Identifier, Reference

Tree: TypeAlias = dict[str, Any]
Notes: TypeAlias = list[str]

SEPARATOR: Final = "; "  # between the notes of one `why`
_CODE = re.compile(r"\S+( \S+)*")  # R4 datatypes: code
_EMPTY: Final[tuple[object, ...]] = (None, "", [], {})


def names(text: str) -> frozenset[str]:
    """Give the words of `text`: lists of element names read best as one line."""
    return frozenset(text.split())


def elements(primitives: str, others: str = "") -> frozenset[str]:
    """Give the names an object may have: `primitives` and their `_` companions, `others`, what all elements have."""
    plain = primitives.split()
    return frozenset(("id", "extension", *plain, *(f"_{name}" for name in plain), *others.split()))


_CODING = elements("system version code display userSelected")
_CONCEPT = elements("text", "coding")
_REFERENCE = elements("reference type display", "identifier")
_IDENTIFIER = elements("use system value", "type period assigner")
_PERIOD = elements("start end")


def path(at: str, name: str) -> str:
    """Name the element `name` of the object at `at` ("" is the Consent itself)."""
    return f"{at}.{name}" if at else name


def note(notes: Notes, at: str, why: str) -> None:
    """Note that the element at `at` is wrong, and why."""
    notes.append(f"{at or 'Consent'}: {why}")


def inspect(tree: Tree, allowed: frozenset[str], at: str, notes: Notes) -> None:
    """Note names that are not `allowed`, and empty values."""
    for name, value in tree.items():
        if name not in allowed:
            note(notes, at, "unknown element")
        elif value in _EMPTY:
            note(notes, path(at, name), "empty")


def as_object(value: object, at: str, notes: Notes) -> Tree | None:
    """Give `value` where it is an object; else None, noted."""
    if isinstance(value, dict):
        return value
    note(notes, at, "not an object")
    return None


def objects(tree: Tree, name: str, at: str, notes: Notes) -> Iterator[tuple[str, Tree]]:
    """Give each object of the list `name` with its path; nothing where absent. Anything but a list is noted."""
    value = tree.get(name)
    if value is None:
        return
    place = path(at, name)
    if not isinstance(value, list):
        note(notes, place, "not a list")
        return
    for number, item in enumerate(value):
        found = as_object(item, f"{place}[{number}]", notes)
        if found is not None:
            yield f"{place}[{number}]", found


def text(tree: Tree, name: str, at: str, notes: Notes) -> str | None:
    """Give the string `name`, None where absent or, noted, not a string."""
    value = tree.get(name)
    if value is None or isinstance(value, str):
        return value or None
    note(notes, path(at, name), "not a string")
    return None


def coding(tree: Tree, at: str, notes: Notes, *, whole: bool) -> Coding:
    """Read a Coding. With `whole`, a missing system or code is noted: it could match nothing."""
    inspect(tree, _CODING, at, notes)
    system, code = text(tree, "system", at, notes), text(tree, "code", at, notes)
    if code is not None and not _CODE.fullmatch(code):
        note(notes, path(at, "code"), "not a code")
    if whole and (system is None or code is None):
        note(notes, at, "needs a system and a code")
    return Coding(system, code)


def codings(tree: Tree, name: str, at: str, notes: Notes) -> tuple[Coding, ...]:
    """Read a list of Coding, each whole."""
    return tuple(coding(item, place, notes, whole=True) for place, item in objects(tree, name, at, notes))


def concept(value: object, at: str, notes: Notes, *, whole: bool) -> tuple[Coding, ...]:
    """Read a CodeableConcept to its codings. With `whole`, one of them must have system and code."""
    tree = as_object(value, at, notes)
    if tree is None:
        return ()
    inspect(tree, _CONCEPT, at, notes)
    found = tuple(coding(item, place, notes, whole=False) for place, item in objects(tree, "coding", at, notes))
    if whole and not any(one.system and one.code for one in found):
        note(notes, at, "needs a coding with a system and a code")
    return found


def concepts(tree: Tree, name: str, at: str, notes: Notes, *, whole: bool) -> tuple[tuple[Coding, ...], ...]:
    """Read a list of CodeableConcept, each to its codings."""
    return tuple(concept(item, place, notes, whole=whole) for place, item in objects(tree, name, at, notes))


def identifier(tree: Tree, at: str, notes: Notes) -> Identifier | None:
    """Read an Identifier; None without a value."""
    inspect(tree, _IDENTIFIER, at, notes)
    system, value = text(tree, "system", at, notes), text(tree, "value", at, notes)
    return None if value is None else Identifier(system or system_of(tree), value)


def reference(value: object, at: str, notes: Notes, *, named: bool) -> Reference:
    """Read a Reference as written. With `named`, one that names nothing (display alone, or an identifier without
    system or value) is noted."""
    tree = as_object(value, at, notes)
    if tree is None:
        return Reference()
    inspect(tree, _REFERENCE, at, notes)
    who: Identifier | None = None
    if "identifier" in tree:
        item = as_object(tree["identifier"], path(at, "identifier"), notes)
        who = identifier(item, path(at, "identifier"), notes) if item is not None else None
    found = Reference(text(tree, "reference", at, notes), text(tree, "type", at, notes), who)
    if named and found.reference is None and (who is None or who.system is None):
        note(notes, at, "names nothing")
    return found


def references(tree: Tree, name: str, at: str, notes: Notes) -> tuple[Reference, ...]:
    """Read a list of Reference as written."""
    return tuple(reference(item, place, notes, named=False) for place, item in objects(tree, name, at, notes))


def date(tree: Tree, name: str, at: str, notes: Notes) -> FhirDate | None:
    """Read a date or dateTime; None where absent or, noted, not one."""
    value = tree.get(name)
    if value is None:
        return None
    try:
        return parse_date(value)
    except ValueError:
        note(notes, path(at, name), "not a date")
        return None


def period(tree: Tree, name: str, at: str, notes: Notes) -> Period | None:
    """Read a Period; None where absent or, noted, not one."""
    if name not in tree:
        return None
    place = path(at, name)
    item = as_object(tree[name], place, notes)
    if item is None:
        return None
    inspect(item, _PERIOD, place, notes)
    return Period(date(item, "start", place, notes), date(item, "end", place, notes))
