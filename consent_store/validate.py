"""What the Consent API refuses to store, and why. The readers keep anything; a client is told while it can still mend.

Rules of this file
1. Refused: what is not FHIR by structure (fhir.resources), what the readers could not read whole, unknown codes of
   known systems, no patient, R4 without scope, a period that ends before it starts, more rules than anyone reads.
2. fhir.resources checks no required binding and no invariant (consent-semantics section 9): the whitelists are ours.
3. A refusal names the element and says why, in lower case; never a value (leaks.md L069).
4. Valid FHIR that no rule can evaluate (base None) is stored: it denies, and shows as needing review.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from typing import Any, Final

import msgspec

from consent_store.dates import Period
from consent_store.elements import SEPARATOR, Tree, path, period
from consent_store.filing import is_nobodys
from consent_store.model import CONFIDENTIALITY, Consent, Provision, Unreadable
from consent_store.r4 import read_r4
from consent_store.r5 import read_r5
from consent_store.reading import R4, family, parse, read_consent

MAX_PROVISIONS: Final = 1000
MAX_LEVELS: Final = 10
MAX_REFUSALS: Final = 50

# Small closed systems as published (HL7 Terminology 6.x; labels.md section 1); larger ones come with the caller.
CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
CONSENT_ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
_SMALL: Final[Mapping[str, frozenset[str]]] = {
    CONSENT_SCOPE: frozenset({"adr", "patient-privacy", "research", "treatment"}),
    CONSENT_ACTION: frozenset({"access", "collect", "correct", "disclose", "use"}),
    CONFIDENTIALITY: frozenset("ULMNRV"),
}
# Where codings steer nothing: text for people, other resources, other people's extensions.
_NOT_WALKED: Final = frozenset({"text", "contained", "extension"})
_NAME = re.compile(r"_?[A-Za-z]{1,64}")


class KnownCodes(msgspec.Struct, frozen=True):
    """The code systems that are known whole: a code of one of them that is not listed is an error (L089)."""

    systems: Mapping[str, frozenset[str]] = {}

    def lists(self, system: object, code: object) -> bool:
        """Say whether the code may stand: its system is not a known one, or has it."""
        if not isinstance(system, str):
            return True
        codes = self.systems.get(system, _SMALL.get(system))
        return codes is None or (isinstance(code, str) and code in codes)


class Refusal(msgspec.Struct, frozen=True, order=True):
    """One reason not to store a Consent: the element as a FHIRPath (`Consent.provision.actor[0].role`) and why."""

    path: str
    why: str


def refusals(
    raw: bytes, fhir_version: str, known: KnownCodes, own_bases: frozenset[str] = frozenset()
) -> tuple[Refusal, ...]:
    """Say what keeps the text of a Consent from being stored, at most `MAX_REFUSALS` reasons; () where nothing does.

    `fhir_version` is "4.0" or "5.0" (or with patch number; 4.3 counts as 4.0); `own_bases` are the base URLs of the
    server whose patients it may name by absolute reference. Never raises. Sources: FHIR R4 and R5
    Consent; consent-semantics sections 1, 2, 9; leaks.md L085, L086, L089.
    """
    tree, spoiled = parse(raw)
    if spoiled:
        return (_refusal(spoiled),)
    version = family(fhir_version)
    if version is None:
        return (Refusal("Consent", "the FHIR version is not 4.0 or 5.0"),)
    shape = _too_large(tree)
    if shape:
        return (shape,)
    found = [
        *_unread(tree, raw, version, own_bases),
        *_without_scope(tree, version),
        *_unknown_codes(tree, known),
        *_backward_periods(tree),
    ]
    named = {one.path for one in found}
    found += [one for one in _structure(tree, version) if one.path not in named]
    return tuple(dict.fromkeys(found))[:MAX_REFUSALS]


def _too_large(tree: Tree) -> Refusal | None:
    """Refuse what is too deep or too long, before anything is read with recursion."""
    waiting: list[tuple[object, int]] = [(tree.get("provision"), 1)]
    count = 0
    while waiting:
        held, level = waiting.pop()
        for one in held if isinstance(held, list) else [held]:
            if not isinstance(one, dict):
                continue
            count += 1
            if level > MAX_LEVELS or count > MAX_PROVISIONS:
                return Refusal("Consent.provision", f"more than {MAX_LEVELS} levels or {MAX_PROVISIONS} provisions")
            waiting.append((one.get("provision"), level + 1))
    return None


def _unread(tree: Tree, raw: bytes, version: str, own_bases: frozenset[str]) -> Iterator[Refusal]:
    """Give what the readers noted, whatever the status: a draft becomes active one day."""
    consent = _read(tree, raw, version, own_bases)
    if isinstance(consent, Unreadable):
        yield from (_refusal(one) for one in consent.why.split(SEPARATOR))
        return
    if is_nobodys(consent):
        yield Refusal("Consent.patient" if version == R4 else "Consent.subject", "names no patient")
    waiting: list[Provision] = list(consent.provisions)
    while waiting:
        provision = waiting.pop(0)
        yield from (_refusal(one) for one in provision.unreadable)
        waiting.extend(provision.nested)


def _read(tree: Tree, raw: bytes, version: str, own_bases: frozenset[str]) -> Consent | Unreadable:
    consent = read_consent(raw, source="", fhir_version=version, own_bases=own_bases)
    if isinstance(consent, Unreadable):
        return consent
    read = read_r4 if version == R4 else read_r5
    return read({**tree, "status": "active"}, source="", raw=raw, own_bases=own_bases)


def _without_scope(tree: Tree, version: str) -> Iterator[Refusal]:
    """R4 requires a scope, and ours must be one of the published ones: anything else would steer nothing."""
    if version != R4:
        return
    scope = tree.get("scope")
    codings = scope.get("coding") if isinstance(scope, dict) else None
    listed: list[Any] = codings if isinstance(codings, list) else []
    if "scope" not in tree:
        yield Refusal("Consent.scope", "required")
    elif not any(isinstance(one, dict) and one.get("system") == CONSENT_SCOPE and one.get("code") for one in listed):
        yield Refusal("Consent.scope", "needs a code of the consent scope code system")


def _unknown_codes(tree: Tree, known: KnownCodes) -> Iterator[Refusal]:
    for at, one in _objects(tree):
        if "code" in one and "system" in one and not known.lists(one["system"], one["code"]):
            yield Refusal(f"{at}.code", "not a code of its code system")


def _backward_periods(tree: Tree) -> Iterator[Refusal]:
    for at, one in _objects(tree):
        for name in ("period", "dataPeriod"):
            found = period(one, name, "", []) if name in one else None
            if found is not None and _ends_before_start(found):
                yield Refusal(path(at, name), "ends before it starts")


def _ends_before_start(found: Period) -> bool:
    if found.start is None or found.end is None:
        return False
    return found.end.after(UTC, wide=True) <= found.start.first(UTC, wide=True)


def _objects(tree: Tree) -> Iterator[tuple[str, Tree]]:
    """Give every object of the Consent with its path, without recursion and in order; names are the standard's only."""
    waiting: list[tuple[str, object]] = [("Consent", tree)]
    while waiting:
        at, held = waiting.pop()
        if isinstance(held, list):
            waiting.extend((f"{at}[{index}]", one) for index, one in reversed(list(enumerate(held))))
        elif isinstance(held, dict):
            yield at, held
            below = [(path(at, _safe(name)), one) for name, one in held.items() if name not in _NOT_WALKED]
            waiting.extend(reversed(below))


def _structure(tree: Tree, version: str) -> Iterator[Refusal]:
    """Ask fhir.resources whether this is a Consent of its version (R4B's model stands for R4: the same elements)."""
    from pydantic import ValidationError  # noqa: PLC0415  slow to load, and only the API needs it

    validate = _model(version)  # not in the block below: a broken installation is no fault of the Consent
    try:
        validate(tree)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_context=False, include_input=False):
            yield Refusal(_expression(one["loc"]), _WHY.get(one["type"], "not as FHIR defines it"))
    except Exception:  # noqa: BLE001  its validators raise TypeError, LookupError and others on odd input
        yield Refusal("Consent", "not as FHIR defines it")


def _model(version: str) -> Callable[[Tree], object]:
    """Give what validates a Consent of a version."""
    if version == R4:
        from fhir.resources.R4B.consent import Consent as Model4  # noqa: PLC0415  as above

        return Model4.model_validate
    from fhir.resources.consent import Consent as Model5  # noqa: PLC0415  as above

    return Model5.model_validate


_WHY: Final[Mapping[str, str]] = {
    "missing": "required",
    "model_field_validation.missing": "required",
    "extra_forbidden": "no element of this name in this FHIR version",
}


def _expression(place: tuple[int | str, ...]) -> str:
    at = "Consent"
    for one in place:
        if isinstance(one, int):
            at += f"[{one}]"
        elif one not in ("root", "__root__"):
            at = path(at, _safe(one).removesuffix("_fhir"))
    return at


def _refusal(noted: str) -> Refusal:
    at, _, why = noted.partition(": ")
    return Refusal(at if at == "Consent" else f"Consent.{at}", why)


def _safe(name: str) -> str:
    """Give an element's name as sent where it looks like one, so that no other text of the body is echoed."""
    return name if _NAME.fullmatch(name) else "(unnamed)"
