"""Code lists: from their text to one look-up that every Coding of a resource goes through.

Rules of this file
1. A Coding is looked up by canonical system and by its code without dots, spaces or case (L005, L006).
2. A Coding without a system is looked up in every list where it has the form of a code; a Coding of a system that no
   list has labels nothing, and is no proof that there is nothing (gateway.labels.unclassified).
3. CPT and HCPCS are one code space: claims write either system.
4. `until` ends a code's old meaning; it silences a label only for a record known to be later.
5. `confidence` is how sure the list is that a record with this code is about what the group says; what is below the
   profile's threshold labels nothing (docs/labels.md).
6. A type of resource, or the beginning of a profile's canonical, may be listed like a code.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final, Literal

import msgspec

from consent_store.model import ACT_CODE, Coding
from gateway.errors import ProfileError
from gateway.fhir import code_systems as systems
from gateway.fhir.code_systems import canonical_system
from gateway.fhir.v3_tables import POLICIES, SENSITIVITIES

Confidence = Annotated[float, msgspec.Meta(gt=0, le=1)]


class CodeGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Codes of one system that mean the same sensitivities. `match` prefix: every code that begins so. `confidence`
    and `source`, where they are not the list's own; `note` says why they are here."""

    system: str
    sensitivities: tuple[str, ...]
    codes: tuple[str, ...]
    match: Literal["code", "prefix"] = "code"
    until: str = ""
    confidence: Confidence | None = None
    source: str = ""
    note: str = ""


class CodeList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published list, as a fact: where from, which version, under which licence."""

    name: str
    title: str
    source: str
    version: str
    licence: str
    note: str
    groups: tuple[CodeGroup, ...]
    confidence: Confidence = 1.0


class Hit(msgspec.Struct, frozen=True):
    """What a code or a term says: one label code of v3-ActCode, and the list and version that says so."""

    code: str
    source: str
    until: str = ""


RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
PROFILES: Final = "urn:consent-gateway:profile"
"""As the system of a group: its codes are the beginnings of canonical addresses in `meta.profile`."""
_SHAPES: Final = frozenset({RESOURCE_TYPES, PROFILES})
# Numbers of two or three digits mean something only with their system.
_ONLY_WITH_SYSTEM: Final = frozenset(
    {
        systems.MS_DRG,
        systems.PLACE_OF_SERVICE,
        systems.REVENUE,
        systems.HGNC,
        systems.ICD_11,
        systems.SDOH,
        systems.SERVICE_PLACE,
        *_SHAPES,
    }
)


def parse_code_list(text: str | bytes, name: str) -> CodeList:
    """Read one list from JSON text; `name` is the file's, for messages. Raises ProfileError for anything amiss."""
    try:
        found = msgspec.json.decode(text, type=CodeList)
    except msgspec.MsgspecError as wrong:
        raise ProfileError(f"code list `{name}`: {wrong}") from wrong
    for group in found.groups:
        if canonical_system(group.system) not in systems.CLINICAL_SYSTEMS | _SHAPES:
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


def _number(code: str) -> str:
    return code.strip().lstrip("0")


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
    RESOURCE_TYPES: str.strip,
    PROFILES: str.strip,
    systems.ICD_11: _undotted,
    systems.MS_DRG: _drg,
    systems.PLACE_OF_SERVICE: _number,
    systems.REVENUE: _number,
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
# The form of a code, where prefixes are listed: a Coding without a system is only looked up if it has it.
_FORMS: Final[Mapping[str, Callable[[str], object]]] = {
    systems.ICD_10_CM: re.compile(r"[A-Za-z]\d[\dABab](\.?[\dA-Za-z]{1,4})?").fullmatch,
    systems.ICD_10_PCS: re.compile(r"[\dA-Za-z]{7}").fullmatch,
    systems.ICD_9_CM: re.compile(r"(\d{3}|[Vv]\d\d|[Ee]\d{3})(\.?\d{1,2})?").fullmatch,
    systems.ICD_9_PROCEDURES: re.compile(r"\d\d(\.\d{0,2}|\d{1,2})").fullmatch,
    systems.NDC: re.compile(r"\d{10,11}|\d{4,5}-\d{3,4}-\d{1,2}").fullmatch,
    systems.ATC: re.compile(r"[A-Z]\d\d[A-Z]{2}(\d\d)?").fullmatch,
    systems.NUCC: re.compile(r"\d[\dA-Z]{8}[A-Z]").fullmatch,
}


class _Table:
    """The codes of one system. Filled while the index is built, then only read."""

    __slots__ = ("exact", "form", "lengths", "prefixes", "system", "written")

    def __init__(self, system: str) -> None:
        self.system = system
        self.written = _WRITTEN.get(system, _plain)
        self.form = _FORMS.get(system)
        self.exact: dict[str, tuple[Hit, ...]] = {}
        self.prefixes: dict[str, tuple[Hit, ...]] = {}
        self.lengths: tuple[int, ...] = ()

    def add(self, group: CodeGroup, hits: tuple[Hit, ...]) -> None:
        """Enter one group of a list."""
        stems = group.match == "prefix"
        into, alone = self.prefixes if stems else self.exact, _united(_NOTHING, hits)
        for code in group.codes:
            key = self.written(code)
            for one in (key, *(_ndc_of_ten(key) if self.system == systems.NDC else ())):
                into[one] = _united(into[one], hits) if one in into else alone
        if stems:
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
    """Every list in one look-up. Immutable once made; `revision` names the lists and versions in it.

    `threshold` is the least confidence that counts, `by_list` another one for a list by name.
    """

    __slots__ = ("_any_system", "_limited", "_lists", "_openings", "_profiles", "_tables", "_types", "revision")

    def __init__(
        self, lists: Iterable[CodeList], threshold: float = 0.0, by_list: Mapping[str, float] | None = None
    ) -> None:
        self._tables: dict[str, _Table] = {}
        self._lists = tuple(lists)
        self._limited: dict[tuple[float, frozenset[tuple[str, float]]], CodeIndex] = {}
        names = []
        for code_list in self._lists:
            source = f"{code_list.name} {code_list.version}"
            names.append(source)
            least = (by_list or {}).get(code_list.name, threshold)
            for group in code_list.groups:
                if (group.confidence or code_list.confidence) < least:
                    continue
                hits = tuple(Hit(code, source, group.until) for code in group.sensitivities)
                system = canonical_system(group.system) or ""
                for one in _ONE_SPACE if system in _ONE_SPACE else (system,):
                    self._tables.setdefault(one, _Table(one)).add(group, hits)
        self.revision = ", ".join(sorted(names))
        types, profiles = self._tables.pop(RESOURCE_TYPES, None), self._tables.pop(PROFILES, None)
        self._types = {} if types is None else types.exact
        self._profiles = () if profiles is None else tuple(profiles.exact.items())
        self._openings = tuple(opening for opening, _ in self._profiles)
        self._any_system = tuple(table for table in self._tables.values() if table.system not in _ONLY_WITH_SYSTEM)
        own = self._tables[ACT_CODE] = _Table(ACT_CODE)
        own.exact = {code.upper(): (Hit(meaning, "v3-ActCode"),) for code, meaning in _IN_CONTENT.items()}

    @property
    def names(self) -> frozenset[str]:
        """The names of the lists."""
        return frozenset(one.name for one in self._lists)

    def limited(self, threshold: float, by_list: Mapping[str, float]) -> "CodeIndex":
        """Give the index of the same lists with other thresholds; it is made once for all profiles that have these."""
        asked = threshold, frozenset(by_list.items())
        found = self._limited.get(asked)
        if found is None:
            found = self._limited[asked] = CodeIndex(self._lists, threshold, by_list)
            found._limited = self._limited  # of the same lists
        return found

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
            if table.system == systems.ICD_9_CM and code.strip()[2:3] == ".":  # no diagnosis has its dot there
                table = self._tables.get(systems.ICD_9_PROCEDURES, table)
            return table.find(code)
        if system is not None:
            return _NOTHING
        found: tuple[Hit, ...] = _NOTHING
        for table in self._any_system:
            if table.form is None or table.form(code.strip()):
                found = _united(found, table.find(code))
        return found

    def shape(self, kind: str, profiles: object) -> tuple[Hit, ...]:
        """What a resource's type and its `meta.profile` say."""
        found = self._types.get(kind, _NOTHING)
        for canonical in profiles if isinstance(profiles, list) else ():
            if isinstance(canonical, str) and canonical.startswith(self._openings):
                for opening, hits in self._profiles:
                    found = _united(found, hits) if canonical.startswith(opening) else found
        return found
