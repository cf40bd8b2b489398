"""Code lists: from their text to one look-up that every Coding of a resource goes through.

Rules of this file
1. A Coding is looked up by canonical system and by its code without dots, spaces or case (L005, L006).
2. A Coding without a system is looked up in every list; a Coding of a system that no list has is unclassified: it
   labels nothing, and is no proof that there is nothing (the unlabelled default and the term rules speak there).
3. CPT and HCPCS are one code space: claims write either system.
4. `until` ends a code's old meaning; it silences a label only for a record known to be later.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import msgspec

from consent_store.model import ACT_CODE, Coding
from gateway.errors import ProfileError
from gateway.fhir import code_systems as systems
from gateway.fhir.code_systems import canonical_system
from gateway.fhir.v3_tables import POLICIES, SENSITIVITIES


class CodeGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Codes of one system that mean the same sensitivities. `match` prefix: every code that begins so."""

    system: str
    sensitivities: tuple[str, ...]
    codes: tuple[str, ...]
    match: Literal["code", "prefix"] = "code"
    until: str = ""


class CodeList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published list, as a fact: where from, which version, under which licence."""

    name: str
    title: str
    source: str
    version: str
    licence: str
    note: str
    groups: tuple[CodeGroup, ...]


class Hit(msgspec.Struct, frozen=True):
    """What a code or a term says: one label code of v3-ActCode, and the list and version that says so."""

    code: str
    source: str
    until: str = ""


def parse_code_list(text: str | bytes, name: str) -> CodeList:
    """Read one list from JSON text; `name` is the file's, for messages. Raises ProfileError for anything amiss."""
    try:
        found = msgspec.json.decode(text, type=CodeList)
    except msgspec.MsgspecError as wrong:
        raise ProfileError(f"code list `{name}`: {wrong}") from wrong
    for group in found.groups:
        if canonical_system(group.system) not in systems.CLINICAL_SYSTEMS:
            raise ProfileError(f"code list `{name}`: unknown system `{group.system}`")
        unknown = set(group.sensitivities) - SENSITIVITIES.keys()
        if unknown or not group.sensitivities or not all(group.codes):
            raise ProfileError(f"code list `{name}`: a group without known sensitivity or with an empty code")
    return found


def _plain(code: str) -> str:
    return code if code.isdigit() else code.strip().upper()


def _undotted(code: str) -> str:
    return code.replace(".", "").replace(" ", "").upper()


def _drg(code: str) -> str:
    return _plain(code).removeprefix("MS-DRG").removeprefix("DRG").strip().lstrip("0")


def _ndc(code: str) -> str:
    """An NDC as its eleven digits (labeler 5, product 4, package 2). Ten digits without hyphens do not say which of
    the three lacks its zero: they keep a sign of their own."""
    parts = code.replace(" ", "").split("-")
    if len(parts) > 1:
        return "".join(part.zfill(size) for part, size in zip(parts, (5, 4, 2), strict=False))
    return f"?{parts[0]}" if len(parts[0]) == 10 else parts[0]


def _ndc_of_ten(prefix: str) -> list[str]:
    """How the ten digits of a product's packages may begin: without the labeler's, the product's or the package's
    zero (4-4-2, 5-3-2, 5-4-1)."""
    labeler, product = prefix[:5], prefix[5:]
    short = [labeler[1:] + product] if labeler[0] == "0" else []
    short += [labeler + product[1:]] if product[:1] == "0" else []
    return [f"?{one}" for one in (*short, prefix)]


_WRITTEN: Final[Mapping[str, Callable[[str], str]]] = {
    systems.ICD_10_CM: _undotted,
    systems.ICD_10_PCS: _undotted,
    systems.ICD_9_CM: _undotted,
    systems.ICD_9_PROCEDURES: _undotted,
    systems.MS_DRG: _drg,
    systems.NDC: _ndc,
}
# Privacy codes that stand in the content itself, as in Consent.provision.securityLabel, say what it is about; so does
# the category of a consent that only a Part 2 program asks for (labels.md sections 4 and 10).
_IN_CONTENT: Final[Mapping[str, str]] = {
    **{code: code for code in (*SENSITIVITIES, *POLICIES) if not code.startswith("_")},
    "42CFRPart2CD": "42CFRPart2",
    "MDHHS-5515Part2": "42CFRPart2",
}
_ONE_SPACE: Final = frozenset({systems.CPT, systems.HCPCS})
_NOTHING: Final = ()


class _Table:
    """The codes of one system. Filled while the index is built, then only read."""

    __slots__ = ("exact", "lengths", "prefixes", "system", "written")

    def __init__(self, system: str) -> None:
        self.system = system
        self.written = _WRITTEN.get(system, _plain)
        self.exact: dict[str, tuple[Hit, ...]] = {}
        self.prefixes: dict[str, tuple[Hit, ...]] = {}
        self.lengths: tuple[int, ...] = ()

    def add(self, group: CodeGroup, hits: tuple[Hit, ...]) -> None:
        """Enter one group of a list."""
        into = self.prefixes if group.match == "prefix" else self.exact
        for code in group.codes:
            key = self.written(code)
            for one in (key, *(_ndc_of_ten(key) if self.system == systems.NDC else ())):
                into[one] = _united(into.get(one, _NOTHING), hits)
        self.lengths = tuple(sorted({len(prefix) for prefix in self.prefixes}))

    def find(self, code: str) -> tuple[Hit, ...]:
        """Look one code up as it is written and by every stem."""
        key = self.written(code)
        found = self.exact.get(key, _NOTHING)
        for length in self.lengths:
            more = self.prefixes.get(key[:length])
            if more is not None and len(key) >= length:
                found = _united(found, more)
        return found


def _united(hits: tuple[Hit, ...], more: tuple[Hit, ...]) -> tuple[Hit, ...]:
    """Hits of both, one for each label code: a lasting one before one that ends, else the first."""
    by_code = {hit.code: hit for hit in more}
    by_code |= {hit.code: hit for hit in hits if not hit.until or hit.code not in by_code}
    return tuple(by_code[code] for code in sorted(by_code))


class CodeIndex:
    """Every list in one look-up. Immutable once made; `revision` names the lists and versions in it."""

    __slots__ = ("_any_system", "_tables", "revision")

    def __init__(self, lists: Iterable[CodeList]) -> None:
        self._tables: dict[str, _Table] = {}
        names = []
        for code_list in lists:
            source = f"{code_list.name} {code_list.version}"
            names.append(source)
            for group in code_list.groups:
                hits = tuple(Hit(code, source, group.until) for code in group.sensitivities)
                system = canonical_system(group.system) or ""
                for one in _ONE_SPACE if system in _ONE_SPACE else (system,):
                    self._tables.setdefault(one, _Table(one)).add(group, hits)
        self.revision = ", ".join(sorted(names))
        self._any_system = tuple(self._tables.values())
        own = self._tables[ACT_CODE] = _Table(ACT_CODE)
        own.exact = {code.upper(): (Hit(meaning, "v3-ActCode"),) for code, meaning in _IN_CONTENT.items()}

    def find(self, coding: Coding) -> tuple[Hit, ...]:
        """What the lists say of a Coding, in any spelling of its system; nothing for a code of another system."""
        code, system = coding.code, coding.system
        if not code:
            return _NOTHING
        table = self._tables.get(system) if system is not None else None
        if table is None:
            system = canonical_system(system)
            table = self._tables.get(system) if system is not None else None
        if table is not None:
            return table.find(code)
        if system is not None:
            return _NOTHING
        found: tuple[Hit, ...] = _NOTHING
        for table in self._any_system:
            found = _united(found, table.find(code))
        return found
