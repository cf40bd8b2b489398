"""Identifiers of the kinds that a profile tells of (Social Security numbers, say). Pure.

Rules of this file
1. A kind is told by the system, by a code of the type, or by a word in the system, the type or the assigner's name.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from consent_store.identifier_systems import system_of
from gateway.policy.matching import IdentifierMatch

_PUBLISHED: Final = "/fhir/sid/"  # tells of no kind
_WORDS: Final = re.compile(r"[a-z0-9]+")


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
