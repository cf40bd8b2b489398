"""What a client proposes for a record it may see → what may be written: what it could not see stays (L075, L079).

Rules of this file
1. The client changed what it was shown, not what is stored: the difference of the two is made to the stored record.
   What was withheld of it stays, in place where the lists still fit, else at their end.
2. Links, extensions, contained records and identity are not changed by an update: what a record is labelled by, whose
   it is and what it points at rest on them. Neither is narrative that was not shown.
3. Labels are never lowered, and never raised either: a raise would keep the record from others (L082). Those the
   client was shown are written beside those that are stored.
4. What cannot be merged is refused: an element that was withheld and stands once, or another choice of its type.
5. What sums up what a record refers to goes with a reference that is withheld. Where none was shown none is added: what
   was taken and then not shown would tell of one (leaks.md L079; rests on what was shown alone).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from consent_store.model import CONFIDENTIALITY
from gateway.decision.judge import Judgement
from gateway.decision.model import Decision
from gateway.decision.restated import beside, described, instructions, summaries
from gateway.fhir.confidentiality import Confidentiality
from gateway.fhir.elements import Elements
from gateway.fhir.exact import read, same, write
from gateway.fhir.pointer import element_path, members_of
from gateway.fhir.view import ResourceView
from gateway.release.compose import manifest_of
from gateway.release.released import Released

_OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_MARKS: Final = frozenset({"SUBSETTED", "REDACTED"})
_CLOSED: Final = frozenset({"contained", "extension", "modifierExtension"})
_APART: Final = frozenset({"meta", "text"})  # each merged by a rule of its own
_CHOICE: Final = re.compile(r"([a-z]+)[A-Z]")
_LEVELS: Final = Confidentiality.__members__
_NUMBER: Final = re.compile(r"/\d+(?=/|$)")
_ANY: Final = ("/reasonReference",)  # a reference that is no visit, and a reason


def is_marked_partial(proposed: ResourceView) -> bool:
    """Say whether a body says of itself that it is not the whole record (R4 SUBSETTED, REDACTED): a summary, a masked
    copy."""
    meta = proposed.tree.get("meta")
    listed = [meta.get(name) for name in ("tag", "security")] if isinstance(meta, dict) else []
    marks = [one for each in listed if isinstance(each, list) for one in each if isinstance(one, dict)]
    return any(one.get("system") == _OBSERVATION_VALUE and one.get("code") in _MARKS for one in marks)


def touches_closed(shown: ResourceView, proposed: ResourceView) -> bool:
    """Say whether a proposal changes what rule 2 closes. Rests on what was shown alone."""
    return sorted(_pinned(shown)) != sorted(_pinned(proposed))


def raises(shown: ResourceView, proposed: ResourceView) -> tuple[str, ...]:
    """Give the labels of a proposal that were not shown, or a higher confidentiality (rule 3): `system|code` each, the
    place of one that cannot be read."""
    known = {(code.system, code.code) for code in shown.security}
    level = _level(code.code for code in shown.security if code.system == CONFIDENTIALITY)
    found = []
    for code in proposed.security:
        of_level = code.system == CONFIDENTIALITY and code.code in _LEVELS
        higher = of_level and _level([code.code], least=Confidentiality.U) > level
        if higher or (not of_level and (code.system, code.code) not in known):
            found.append(f"{code.system or ''}|{code.code or ''}")
    return (*found, *sorted(set(proposed.malformed) - set(shown.malformed)))


def sums_up_more(shown: ResourceView, proposed: ResourceView, elements: Elements) -> bool:
    """Say whether a proposal says in prose, sums or values what a record refers to, where nothing of the kind was shown
    (rule 5)."""
    return not _summing(proposed, elements) <= _summing(shown, elements)


def lowers(stored: Decision, fresh: Decision) -> bool:
    """Say whether a record would carry less, or speak of others, than it does (labels by code and text included)."""
    before, after = stored.labels_in, fresh.labels_in
    levels = [_level(c.code for c in each if c.system == CONFIDENTIALITY) for each in (before, after)]
    kept = {(c.system, c.code) for c in after}
    lost = any(c.system != CONFIDENTIALITY and (c.system, c.code) not in kept for c in before)
    return lost or levels[1] < levels[0] or set(stored.subjects) != set(fresh.subjects)


class _Unmergeable(Exception):
    """The client would write over what it was not shown."""


def merged(stored: bytes, shown: bytes, proposed: bytes) -> bytes | None:
    """Give the text to be written: `stored` with what `proposed` makes different from `shown` (rules 1, 3); None by
    rule 4."""
    try:
        return _merged(stored, shown, proposed)
    except _Unmergeable:
        return None


def _merged(stored: bytes, shown: bytes, proposed: bytes) -> bytes:
    texts, new = members_of(stored), members_of(proposed)
    trees, seen, wanted = read(stored), read(shown), read(proposed)
    _check_choices(trees, seen, wanted)
    found: dict[str, msgspec.Raw] = {}
    for name in [*texts, *(name for name in new if name not in texts)]:
        if name == "text" and name not in seen:
            kept = texts.get(name)
        elif name == "meta":
            kept = _meta(texts.get(name), seen.get(name), wanted.get(name))
        elif name in seen and name in wanted and same(seen[name], wanted[name]):
            kept = texts.get(name)
        elif name not in wanted:
            kept = _text_of_rest(texts.get(name), trees.get(name), seen.get(name))
        elif name not in trees or (name in seen and same(trees[name], seen[name])):
            kept = new[name]
        else:
            kept = msgspec.Raw(write(_merge(trees[name], seen.get(name), wanted[name])))
        if kept is not None:
            found[name] = kept
    return msgspec.json.encode(found)


def compose_update(text: bytes, judgement: Judgement) -> Released:
    """Give the body that may be written, with what the client discloses by it."""
    return Released(200, {}, text, manifest_of([judgement]))


# What is closed ------------------------------------------------------------------------------------------------------
def _pinned(view: ResourceView) -> Iterator[tuple[str, str]]:
    """Give what an update may not change, by element: where it stands in a list does not count."""
    for name in ("id", "resourceType", "implicitRules"):
        if name in view.tree:
            yield name, str(view.tree[name])
    for each in view.references:
        named = each.identifier
        target = (each.reference, each.type, (named.system, named.value) if named else None)
        yield element_path(each.at), repr(target)
    for link in view.links:
        if not link.at.endswith("/code") and not link.at.startswith(("/meta/", "/text/")):
            yield element_path(link.at), link.text
    members = {name: value for name, value in read(view.raw).items() if name not in _APART}
    yield from _closed(members, "")


def _closed(node: object, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for one in node:
            yield from _closed(one, at)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in _CLOSED or name.startswith("_"):
                yield f"{at}.{name}", _ordered(value)
            else:
                yield from _closed(value, f"{at}.{name}")


def _ordered(value: object) -> str:
    """Give a text that is equal for equal values."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name!r}:{_ordered(value[name])}" for name in sorted(value)) + "}"
    return "[" + ",".join(map(_ordered, value)) + "]" if isinstance(value, list) else repr(value)


def _summing(view: ResourceView, elements: Elements) -> frozenset[str]:
    """Give the elements of a record that go with a reference of it, whichever: places in lists do not count, all
    choices of a value are one."""
    found = {*summaries(view, _ANY), *instructions(view, _ANY)}
    for name, element in elements.children(view.type).items():
        if "Reference" in element.types:
            found |= {*beside(view, f"/{name}", view.tree, ""), *described(view, f"/{name}", view.tree, "")}
    return frozenset("/value" if one.startswith("/value") else _NUMBER.sub("", one) for one in found)


# What is merged ------------------------------------------------------------------------------------------------------
def _merge(stored: Any, shown: Any, wanted: Any) -> Any:  # noqa: ANN401  any JSON value
    if shown is not None and same(shown, wanted):
        return stored
    if same(stored, shown):
        return wanted
    if isinstance(stored, dict) and isinstance(shown, dict) and isinstance(wanted, dict):
        return _objects(stored, shown, wanted)
    if isinstance(stored, list) and isinstance(wanted, list) and isinstance(shown, list | None):
        return _lists(stored, shown or [], wanted)
    raise _Unmergeable


def _check_choices(stored: Mapping[str, Any], shown: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise _Unmergeable where an element is new beside another choice of it (value[x]) that was withheld."""
    hidden = {match[1] for name in stored if name not in shown and (match := _CHOICE.match(name))}
    new = {match[1] for name in wanted if name not in stored and (match := _CHOICE.match(name))}
    if hidden & new:
        raise _Unmergeable


def _objects(stored: Mapping[str, Any], shown: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    _check_choices(stored, shown, wanted)
    found: dict[str, Any] = {}
    for name in [*stored, *(name for name in wanted if name not in stored)]:
        if name in wanted:
            found[name] = _merge(stored[name], shown.get(name), wanted[name]) if name in stored else wanted[name]
        elif (rest := _rest(stored[name], shown.get(name))) is not None:
            found[name] = rest
    return found


def _rest(stored: Any, shown: Any) -> Any:  # noqa: ANN401  any JSON value
    """Give what was withheld of an element that the client took away, None where that was nothing."""
    if shown is None or same(stored, shown):
        return stored if shown is None else None
    if isinstance(stored, list) and isinstance(shown, list):
        return _lists(stored, shown, []) or None
    if isinstance(stored, dict) and isinstance(shown, dict):
        return _objects(stored, shown, {}) or None
    return None


def _text_of_rest(text: msgspec.Raw | None, stored: Any, shown: Any) -> msgspec.Raw | None:  # noqa: ANN401  any JSON value
    if shown is None:
        return text
    rest = _rest(stored, shown)
    return None if rest is None else msgspec.Raw(write(rest))


def _lists(stored: list[Any], shown: list[Any], wanted: list[Any]) -> list[Any]:
    """Give a list with what was withheld of it: in place where as many stand there as were shown, else at its end."""
    origins = _origins(stored, shown)
    if len(wanted) == len(shown):
        fresh = {at: _merge(stored[at], shown[number], wanted[number]) for number, at in enumerate(origins)}
        return [fresh.get(at, one) for at, one in enumerate(stored)]
    kept = list(zip(origins, shown, strict=True))
    found = []
    for one in wanted:
        match = next((each for each in kept if same(each[1], one)), None)
        if match is not None:
            kept.remove(match)
        found.append(stored[match[0]] if match is not None else one)
    return [*found, *(one for at, one in enumerate(stored) if at not in origins)]


def _origins(stored: list[Any], shown: list[Any]) -> list[int]:
    """Give where each shown element stands among the stored: each the first that it can be left of."""
    found: list[int] = []
    start = 0
    for one in shown:
        rest = range(start, len(stored))
        at = next(
            (at for at in rest if same(stored[at], one)), next((at for at in rest if _left(stored[at], one)), start)
        )
        found.append(at)
        start = at + 1
    return found


def _left(stored: Any, shown: Any) -> bool:  # noqa: ANN401  any JSON value
    """Say whether `shown` can be what is left of `stored`."""
    if isinstance(stored, dict) and isinstance(shown, dict):
        return all(name in stored and _left(stored[name], value) for name, value in shown.items())
    if isinstance(stored, list) and isinstance(shown, list):
        rest = iter(stored)
        return all(any(_left(each, one) for each in rest) for one in shown)
    return same(stored, shown)


def _meta(stored: msgspec.Raw | None, shown: object, wanted: object) -> msgspec.Raw | None:
    """Give the stored `meta` with the labels that were shown and came back (rule 3)."""
    before = read(bytes(stored)) if stored is not None else {}
    labels = list(_labels(before))
    known = {(one.get("system"), one.get("code")) for one in labels}
    back = {(one.get("system"), one.get("code")) for one in _labels(wanted)}
    fresh = [
        one for one in _labels(shown) if (pair := (one.get("system"), one.get("code"))) in back and pair not in known
    ]
    level = _level(one.get("code") for one in labels if one.get("system") == CONFIDENTIALITY)
    codes = [one for one in fresh if one.get("system") == CONFIDENTIALITY]
    higher = [one for one in codes if _level([one.get("code")]) > level]
    added = [one for one in fresh if one.get("system") != CONFIDENTIALITY] + higher
    if not added:
        return stored
    kept = [one for one in labels if not (higher and one.get("system") == CONFIDENTIALITY)]
    return msgspec.Raw(write({**before, "security": [*kept, *added]}))


def _labels(meta: object) -> list[dict[str, Any]]:
    listed = meta.get("security") if isinstance(meta, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _level(codes: Iterable[object], least: Confidentiality = Confidentiality.N) -> Confidentiality:
    return max((_LEVELS[code] for code in codes if isinstance(code, str) and code in _LEVELS), default=least)
