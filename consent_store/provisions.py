"""The provision tree of R4 and R5, read without recursion.

Rules of this file (consent-semantics section 2, rule 7; L089, L090)
1. What cannot be read inside a provision stays there, in `unreadable`: a permit then never matches, a deny always.
2. What could have been a provision and cannot be told is noted for the whole Consent: a lost deny is a release.
3. A nested permit takes purpose, actor and period from what is above it: under an unreadable one it is unreadable.
4. An unknown extension makes a permit unreadable; a deny may ignore it, as FHIR allows. modifierExtension: both.
5. An R4 `type` of another code is kept as a deny that always matches.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from consent_store.elements import (
    Notes,
    Tree,
    as_object,
    codings,
    concept,
    concepts,
    elements,
    inspect,
    names,
    note,
    objects,
    path,
    period,
    reference,
)
from consent_store.model import Actor, Coding, Data, Effect, Meaning, Provision, Reference
from consent_store.patients import identifiers_of

MAX_DEPTH: Final = 50  # PCF allows 2; nobody writes more than a handful

_STRUCTURE: Final = "http://hl7.org/fhir/StructureDefinition/"
ABSENT_REASON: Final = _STRUCTURE + "data-absent-reason"
# Extensions that only tell again, in another form, what the element says (HL7 core extension registry).
HARMLESS: Final = frozenset(
    _STRUCTURE + name
    for name in (
        "language",
        "narrativeLink",
        "originalText",
        "rendering-markdown",
        "rendering-style",
        "rendering-styleSensitive",
        "rendering-xhtml",
        "translation",
    )
)

_RULE = "period actor action securityLabel purpose code dataPeriod data provision modifierExtension"
_ACTOR = elements("", "modifierExtension role reference")
_DATA = elements("meaning", "modifierExtension reference")
# What only a provision has, not the actors, references or codings inside one.
_TELLTALE = names("actor action securityLabel purpose class dataPeriod data provision resourceType")


class Shape(msgspec.Struct, frozen=True):
    """What differs between the versions: the names, whether rules have a type, whether an actor needs its parts."""

    names: frozenset[str]
    typed: bool
    actor_whole: bool
    classes: tuple[str, ...]


R4_SHAPE: Final = Shape(elements("type", f"{_RULE} class"), typed=True, actor_whole=True, classes=("class",))
R5_SHAPE: Final = Shape(
    elements("", f"{_RULE} documentType resourceType expression"),
    typed=False,
    actor_whole=False,
    classes=("documentType", "resourceType"),
)


class _Frame(msgspec.Struct):
    """A provision still to be read. `implied` is its effect where it says none; `doomed`: rule 3 applies."""

    at: str
    tree: Tree
    level: int
    parent: int
    implied: Effect | None
    doomed: bool


def flip(effect: Effect | None) -> Effect | None:
    """Give the other effect; None (unknown) stays None."""
    if effect is None:
        return None
    return Effect.DENY if effect is Effect.PERMIT else Effect.PERMIT


def read_provisions(
    roots: Sequence[tuple[str, Tree]],
    shape: Shape,
    implied: Effect | None,
    contained: Mapping[str, Tree],
    notes: Notes,
) -> tuple[Provision, ...]:
    """Read the provisions `roots` (path, object) and all below them, in order. `implied` is the effect of a root that
    states none. What concerns the whole Consent (rule 2; deeper than `MAX_DEPTH`) is added to `notes`."""
    rules: list[Provision] = []
    parents: list[int] = []
    waiting = [_Frame(at, tree, 1, -1, implied, doomed=False) for at, tree in reversed(roots)]
    while waiting:
        frame = waiting.pop()
        if frame.level > MAX_DEPTH:
            note(notes, "provision", f"nested more than {MAX_DEPTH} deep")
            return ()
        rule, effect = _read_rule(frame, shape, contained)
        below = [
            _Frame(at, tree, frame.level + 1, len(rules), flip(effect), doomed=bool(rule.unreadable))
            for at, tree in _nested(frame, shape, notes)
        ]
        waiting.extend(reversed(below))
        rules.append(rule)
        parents.append(frame.parent)
    return _assemble(rules, parents)


def _assemble(rules: list[Provision], parents: list[int]) -> tuple[Provision, ...]:
    """Hang each rule under its parent; the last come first, so that every rule is whole before it is hung."""
    below: list[list[Provision]] = [[] for _ in rules]
    roots: list[Provision] = []
    for index in reversed(range(len(rules))):
        rule = rules[index]
        if below[index]:
            rule = msgspec.structs.replace(rule, nested=tuple(reversed(below[index])))
        (roots if parents[index] < 0 else below[parents[index]]).append(rule)
    return tuple(reversed(roots))


def _nested(frame: _Frame, shape: Shape, notes: Notes) -> Iterator[tuple[str, Tree]]:
    yield from objects(frame.tree, "provision", frame.at, notes)
    if frame.tree.get("provision", [...]) in (None, []):
        note(notes, path(frame.at, "provision"), "empty")
    for name, value in frame.tree.items():
        if name not in shape.names and _may_hold_provisions(value):
            note(notes, frame.at, "an unknown element that may hold provisions")


def _may_hold_provisions(value: object) -> bool:
    """Tell a misspelt `provision` from any other unknown element."""
    listed = value if isinstance(value, list) else [value]
    return any(
        isinstance(one, dict) and (not _TELLTALE.isdisjoint(one) or one.get("type") in ("permit", "deny"))
        for one in listed
    )


def _read_rule(frame: _Frame, shape: Shape, contained: Mapping[str, Tree]) -> tuple[Provision, Effect | None]:
    tree, at = frame.tree, frame.at
    wrong: Notes = []
    inspect(tree, shape.names, at, wrong)
    stated = _type(tree, at, wrong) if shape.typed and "type" in tree else None
    effect = stated or frame.implied
    if "expression" in tree:
        note(wrong, path(at, "expression"), "not supported")
    _extensions(tree, at, shape, effect, wrong)
    if frame.doomed and effect is not Effect.DENY:
        note(wrong, at, "inside a provision that cannot be read")
    rule = Provision(
        type=stated,
        period=period(tree, "period", at, wrong),
        actors=_actors(tree, at, shape, contained, wrong),
        actions=concepts(tree, "action", at, wrong, whole=True),
        labels=codings(tree, "securityLabel", at, wrong),
        purposes=codings(tree, "purpose", at, wrong),
        classes=_classes(tree, at, shape, wrong),
        codes=concepts(tree, "code", at, wrong, whole=True),
        data_period=period(tree, "dataPeriod", at, wrong),
        data=_data(tree, at, wrong),
    )
    return (msgspec.structs.replace(rule, unreadable=tuple(wrong)) if wrong else rule), effect


def _type(tree: Tree, at: str, wrong: Notes) -> Effect:
    value = tree["type"]
    if value in ("permit", "deny"):
        return Effect(value)
    note(wrong, path(at, "type"), "not a code of the required value set")
    return Effect.DENY


def _classes(tree: Tree, at: str, shape: Shape, wrong: Notes) -> tuple[Coding, ...]:
    return tuple(one for name in shape.classes for one in codings(tree, name, at, wrong))


def _actors(tree: Tree, at: str, shape: Shape, contained: Mapping[str, Tree], wrong: Notes) -> tuple[Actor, ...]:
    found: list[Actor] = []
    for place, item in objects(tree, "actor", at, wrong):
        inspect(item, _ACTOR, place, wrong)
        role = concept(item["role"], path(place, "role"), wrong, whole=True) if "role" in item else ()
        who = reference(item["reference"], path(place, "reference"), wrong, named=True) if "reference" in item else None
        for name in ("role", "reference") if shape.actor_whole else ():
            if name not in item:
                note(wrong, path(place, name), "required")
        if "role" not in item and "reference" not in item:
            note(wrong, place, "names nobody")
        found.extend(Actor(role, one) for one in _named(who, place, contained, wrong))
    return tuple(found)


def _named(
    who: Reference | None, place: str, contained: Mapping[str, Tree], wrong: Notes
) -> tuple[Reference | None, ...]:
    """Give the reference, and for a contained one a reference for each identifier it has: any of them matches."""
    if who is None or who.reference is None or not who.reference.startswith("#"):
        return (who,)
    resource = contained.get(who.reference[1:])
    if resource is None:
        note(wrong, path(place, "reference"), "names nothing contained")
        return (who,)
    known = dict.fromkeys((*((who.identifier,) if who.identifier else ()), *identifiers_of(resource)))
    return tuple(msgspec.structs.replace(who, identifier=one) for one in known) or (who,)


def _data(tree: Tree, at: str, wrong: Notes) -> tuple[Data, ...]:
    found: list[Data] = []
    for place, item in objects(tree, "data", at, wrong):
        inspect(item, _DATA, place, wrong)
        meaning = item.get("meaning")
        if not isinstance(meaning, str) or meaning not in tuple(Meaning):
            note(wrong, path(place, "meaning"), "not a code of the required value set")
            continue
        if as_object(item.get("reference"), path(place, "reference"), wrong) is None:
            continue
        found.append(Data(Meaning(meaning), reference(item["reference"], path(place, "reference"), wrong, named=True)))
    return tuple(found)


def _extensions(tree: Tree, at: str, shape: Shape, effect: Effect | None, wrong: Notes) -> None:
    """Note extensions anywhere in the provision, those of nested provisions excepted (rule 4)."""
    for name, value in tree.items():
        if name == "provision" or name not in shape.names:
            continue
        place = path(at, name)
        modifies, unknown = _unknown_in(name, value)
        if modifies:
            note(wrong, place, "unknown modifierExtension")
        if unknown and effect is not Effect.DENY:
            note(wrong, place, "unknown extension")


def _unknown_in(name: str, value: object) -> tuple[bool, bool]:
    """Say whether the element holds a modifierExtension, and whether an extension that is not harmless."""
    modifies = unknown = False
    waiting: list[tuple[str, object]] = [(name, value)]
    while waiting:
        here, held = waiting.pop()
        if here == "modifierExtension":
            modifies = True
        elif here == "extension":
            unknown = unknown or not _harmless(held)
        elif isinstance(held, list):
            waiting.extend(("", one) for one in held)
        elif isinstance(held, dict) and not (here == "_end" and is_event(held)):
            waiting.extend(held.items())
    return modifies, unknown


def _harmless(extensions: object) -> bool:
    listed: list[Any] = extensions if isinstance(extensions, list) else [None]
    return all(isinstance(one, dict) and one.get("url") in HARMLESS for one in listed)


def is_event(end: object) -> bool:
    """Say whether a period's `_end` tells that no date applies: the Consent ends by an event, told in its source."""
    reasons = end.get("extension") if isinstance(end, dict) else None
    return (
        isinstance(reasons, list)
        and len(reasons) == 1
        and isinstance(reasons[0], dict)
        and set(reasons[0]) == {"url", "valueCode"}
        and reasons[0]["url"] == ABSENT_REASON
        and reasons[0]["valueCode"] == "not-applicable"
    )
