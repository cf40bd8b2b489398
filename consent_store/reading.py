"""The door to the readers: any text that should be a FHIR Consent, of any version, to a value that can be decided on.

Rules of this file
1. Nothing raises and nothing becomes None: what cannot be read is Unreadable (law 2).
2. The version is the one told; else by structure: an element only R5 has makes it R5, else it is R4.
3. Text that is not strict JSON (bad UTF-8, NaN, a name twice in one object, too deep) is searched for the members of
   its outermost object that can be read, so that what is left still denies for its patient.
"""

import json
import re
from typing import Any, Final

import msgspec

from consent_store.elements import Tree, names
from consent_store.model import Consent, Unreadable
from consent_store.r4 import read_r4
from consent_store.r5 import read_r5

R4: Final = "4.0"
R5: Final = "5.0"

# Elements of a Consent that only R5 defines, and R4's that R5 turned into lists.
_ONLY_R5: Final = names(
    "decision subject grantor grantee manager controller regulatoryBasis policyBasis policyText period date"
)
_LISTS_IN_R5: Final = ("provision", "sourceAttachment", "sourceReference")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]', re.DOTALL)


def read_consent(
    raw: bytes, *, source: str, fhir_version: str | None = None, own_bases: frozenset[str] = frozenset()
) -> Consent | Unreadable:
    """Read the text of one Consent resource. `source` names whose ids its references are (PatientKey.source).

    `fhir_version` is "4.0", "4.3", "5.0" or with a patch number; None tells it by structure. `own_bases` are the
    service base URLs of `source` itself. An outcome with neither patient id nor identifiers belongs to nobody we know:
    whoever holds it must report it. Never raises.
    """
    tree, spoiled = parse(raw)
    if not spoiled and tree.get("resourceType") != "Consent":
        spoiled = "resourceType: not Consent"
    version = family(fhir_version) if fhir_version is not None else version_of(tree)
    if version is None:
        version, spoiled = version_of(tree), spoiled or "fhirVersion: not one that is read here"
    read = read_r5 if version == R5 else read_r4
    return read(tree, source=source, raw=raw, own_bases=own_bases, spoiled=spoiled)


def version_of(tree: Tree) -> str:
    """Tell the FHIR version of a Consent by its structure: "4.0" or "5.0"."""
    listed = any(isinstance(tree.get(name), list) for name in _LISTS_IN_R5)
    return R5 if listed or not _ONLY_R5.isdisjoint(tree) else R4


def family(fhir_version: str) -> str | None:
    """Give "4.0" or "5.0" for a FHIR version number, None for one that is not read here."""
    if re.fullmatch(r"4\.[03](\.\d+)?", fhir_version):
        return R4
    return R5 if re.fullmatch(r"5\.0(\.\d+)?", fhir_version) else None


def parse(raw: bytes) -> tuple[Tree, str]:
    """Give the object that the text is, and ""; else the members of it that could be read, and what is wrong."""
    try:
        msgspec.json.decode(raw)  # strict where the standard library is not: UTF-8, surrogates, NaN
        tree = json.loads(raw, object_pairs_hook=_once)
    except RecursionError:
        return _members(raw), "Consent: nested too deep"
    except _Twice:
        return _members(raw), "Consent: a name stands twice in one object"
    except ValueError:
        return _members(raw), "Consent: not JSON"
    return (tree, "") if isinstance(tree, dict) else ({}, "Consent: not an object")


class _Twice(ValueError):
    """A name stands twice in one object: which of the values counts is anybody's guess (L059)."""


def _once(pairs: list[tuple[str, Any]]) -> Tree:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise _Twice
    return tree


def _members(raw: bytes) -> Tree:
    """Give the members of the outermost object whose values are whole JSON, whatever the rest is; without recursion."""
    text = raw.decode("utf-8", errors="replace")
    found: Tree = {}
    depth, name, last, start = 0, "", "", -1
    for match in _TOKEN.finditer(text):
        mark = match.group()
        if depth == 1 and start < 0:
            name, start = (last, match.end()) if mark == ":" else (name, -1)
            last = mark
        ends = (mark == "," and depth == 1) or (mark in "]}" and depth == 1)
        if start >= 0 and ends:
            _keep(found, name, text[start : match.start()])
            start = -1
        depth += (mark in "{[") - (mark in "}]")
        if depth == 0:
            break
    return found


def _keep(found: Tree, name: str, value: str) -> None:
    try:
        found[msgspec.json.decode(name, type=str)] = msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return
