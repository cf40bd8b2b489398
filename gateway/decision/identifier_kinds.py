"""Identifiers of the kinds that a profile tells of (Social Security numbers, say). Pure.

Rules of this file
1. A kind is told by the system, by a code of the type, or by a word in the system, the type or the assigner's name;
   or by how a number is written, where nothing else tells and in texts.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from consent_store.identifier_systems import system_of
from gateway.fhir.view import ResourceView
from gateway.policy.matching import IdentifierMatch

_PUBLISHED: Final = "/fhir/sid/"  # tells of no kind
_TELLING: Final = frozenset({"system", "type"})
_DASHES: Final = r"\-\u2010-\u2015\u2212"
_WORDS: Final = re.compile(r"[a-z0-9]+")


def written_as(view: ResourceView, wanted: IdentifierMatch) -> Iterator[str]:
    """Give the pointers of texts in which a number of one of the forms stands, and of identifiers that are one and of
    which nothing tells the kind."""
    form = _form(wanted.forms)
    if view.texts and form.search("\n".join([one.text for one in view.texts])):
        values = {f"{one.own}/value" for one in view.identifiers}
        yield from (one.at for one in view.texts if one.at not in values and form.search(one.text))
    for found in view.identifiers:
        value = found.node.get("value")
        if isinstance(value, str) and found.node.keys().isdisjoint(_TELLING) and form.fullmatch(value.strip()):
            yield found.own


@lru_cache(maxsize=16)
def _form(forms: frozenset[str]) -> re.Pattern[str]:
    told = "|".join(form.replace("n", r"\d").replace("-", f"[{_DASHES}]") for form in sorted(forms))
    return re.compile(f"(?<![\\d{_DASHES}])(?:{told})(?![\\d{_DASHES}])")


def is_of_kind(item: Mapping[str, Any], wanted: IdentifierMatch) -> bool:
    """Say whether an Identifier is of a kind."""
    kind, assigner = item.get("type"), item.get("assigner")
    codings = kind.get("coding") if isinstance(kind, dict) else None
    listed = [one for one in codings if isinstance(one, dict)] if isinstance(codings, list) else []
    if item.get("system") in wanted.systems or system_of(item) in wanted.systems:
        return True
    if any(f"{one.get('system')}|{one.get('code')}" in wanted.types for one in listed):
        return True
    system = item.get("system")
    texts = [
        system.replace(_PUBLISHED, "/") if isinstance(system, str) else None,
        kind.get("text") if isinstance(kind, dict) else None,
    ]
    texts += [assigner.get("display") if isinstance(assigner, dict) else None]
    texts += [one.get(name) for one in listed for name in ("code", "display")]
    said = [f" {' '.join(_WORDS.findall(text.lower()))} " for text in texts if isinstance(text, str)]
    return any(f" {word} " in text for text in said for word in wanted.words)
