"""A consent consult (CDS Hooks `patient-consent-consult`, as LEAP and SHARES speak it): the request as values. Pure.

Rules of this file
1. Nothing is assumed: no purpose, two purposes, an actor nobody registered, no patient: a QuestionError (400).
2. An actor's identifiers name one registered participant; what else they name is the person who asks.
3. `class` names resource types; a consent override in the request is policy from a client, and refused (L080).
4. Where the caller's server is (`fhirServer`) and its prefetch are never used: nothing is fetched that it names (L073).
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from consent_store.model import Coding, Identifier
from gateway.decision.model import Initiator
from gateway.directory.lookups import by_identifier, by_reference, covers_purpose
from gateway.directory.model import Directory, Participant
from gateway.errors import Forbidden, QuestionError
from gateway.fhir.code_systems import CONSENT_SCOPE
from gateway.fhir.elements import Elements
from gateway.fhir.strict import count_members, exact_members
from gateway.fhir.terminology import purpose_is_a, purpose_of

HOOK: Final = "patient-consent-consult"
_TYPE_SYSTEMS: Final = frozenset({"http://hl7.org/fhir/resource-types", "http://hl7.org/fhir/fhir-types"})
_PATIENT: Final = re.compile(r"Patient/([A-Za-z0-9\-.]{1,64})")
_REFERENCE: Final = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")
_EMERGENCY: Final = Coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", "ETREAT")
_MOST: Final = 20  # members of one list


class Consult(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: may `recipient` have data of this patient for `purpose`. `content` is the exact text sent."""

    identifiers: tuple[Identifier, ...]
    ids: tuple[str, ...]  # of Patient resources of the server
    recipient: Participant
    initiator: Initiator | None
    purpose: Coding
    categories: tuple[Coding, ...]
    types: tuple[str, ...]
    content: bytes | None


class _Pair(msgspec.Struct, frozen=True):
    system: str | None = None
    value: str | None = None
    code: str | None = None


class _Context(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    patientId: Any = None  # noqa: N815  CDS Hooks' own names
    actor: Any = None
    purposeOfUse: Any = None  # noqa: N815  the standard's name
    category: Any = None
    scope: Any = None
    class_: Any = msgspec.field(name="class", default=None)
    content: msgspec.Raw = msgspec.Raw()
    consent: Any = None  # SHARES' override; never taken


class _Request(msgspec.Struct, frozen=True):
    hook: str
    hookInstance: str  # noqa: N815  the standard's name
    context: _Context


def read_consult(raw: bytes, directory: Directory, elements: Elements) -> Consult:
    """Read the JSON of a consult. Raises QuestionError naming what is wrong, Forbidden for a purpose that the actor is
    not registered for."""
    try:
        request = msgspec.json.decode(raw, type=_Request)
        _refuse_duplicates(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise QuestionError(f"not a request of the hook `{HOOK}`") from None
    if request.hook != HOOK or not request.hookInstance:
        raise QuestionError(f"`hook` must be `{HOOK}`, and `hookInstance` a text")
    context = request.context
    if context.consent is not None:
        raise QuestionError("`context.consent`: consents are those on file, not those of a request")
    identifiers, ids = _patient(_pairs(context.patientId, "patientId"))
    recipient, initiator = _actor(_pairs(context.actor, "actor"), directory)
    return Consult(
        identifiers=identifiers,
        ids=ids,
        recipient=recipient,
        initiator=initiator,
        purpose=_purpose(context.purposeOfUse, recipient),
        categories=(*_categories(context.category), *_scopes(context.scope)),
        types=tuple(dict.fromkeys(_types(_pairs(context.class_ or [], "class"), elements))),
        content=_content(context.content),
    )


def _refuse_duplicates(raw: bytes) -> None:
    """Refuse a name that stands twice in one object (L059); the content is read by itself."""
    outer = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    inner = msgspec.json.decode(outer.pop("context"), type=dict[str, msgspec.Raw])
    content = bytes(inner.pop("content", b"null"))
    members = len(outer) + 1 + len(inner) + (content != b"null")
    members += sum(count_members(msgspec.json.decode(part)) for part in (*outer.values(), *inner.values()))
    if exact_members(raw) - exact_members(content) != members:
        raise QuestionError("a name stands twice in one object of the request")


def _pairs(value: object, where: str) -> tuple[_Pair, ...]:
    """Read a list of {system, value}; LEAP's first form was one of them alone."""
    if value is None:
        raise QuestionError(f"`context.{where}` is missing")
    listed = value if isinstance(value, list) else [value]
    try:
        found = tuple(msgspec.convert(one, _Pair) for one in listed)
    except msgspec.ValidationError:
        raise QuestionError(f"`context.{where}`: a list of objects with `system` and `value`") from None
    if len(found) > _MOST:
        raise QuestionError(f"`context.{where}` names more than {_MOST}")
    return found


def _patient(pairs: Iterable[_Pair]) -> tuple[tuple[Identifier, ...], tuple[str, ...]]:
    """Sort what names the patient: identifiers, and `Patient/id` without a system (as SHARES writes it)."""
    identifiers, ids = [], []
    for pair in pairs:
        reference = _PATIENT.fullmatch(pair.value or "")
        if pair.system and pair.value:
            identifiers.append(Identifier(pair.system, pair.value))
        elif reference is not None:
            ids.append(reference[1])
        else:
            raise QuestionError("`context.patientId`: an identifier needs `system` and `value`")
    if not identifiers and not ids:
        raise QuestionError("`context.patientId` is missing")
    return tuple(dict.fromkeys(identifiers)), tuple(dict.fromkeys(ids))


def _actor(pairs: Iterable[_Pair], directory: Directory) -> tuple[Participant, Initiator | None]:
    parties: dict[str, Participant] = {}
    persons: set[Identifier] = set()
    references: list[str] = []
    for pair in pairs:
        if not pair.value:
            raise QuestionError("`context.actor`: an identifier needs a `value`")
        if pair.system:
            named = Identifier(pair.system, pair.value)
            found = by_identifier(directory, named)
            persons |= set() if found else {named}
        elif _REFERENCE.fullmatch(pair.value):
            found = by_reference(directory, pair.value)
            references += [] if found else [pair.value]
        else:
            raise QuestionError("`context.actor`: an identifier needs `system` and `value`")
        if found is not None:
            parties[found.id] = found
    if len(parties) != 1:
        raise QuestionError("`context.actor` must name one party that is registered here")
    if len(references) > 1:
        raise QuestionError("`context.actor` names more than one person")
    (recipient,) = parties.values()
    known = persons or references
    return recipient, Initiator(references[0] if references else None, frozenset(persons)) if known else None


def _purpose(value: object, recipient: Participant) -> Coding:
    listed = value if isinstance(value, list) else [value]
    if listed in ([], [None], [""]):
        raise QuestionError("`context.purposeOfUse` is missing; a purpose is never assumed")
    if len(listed) > 1:
        raise QuestionError("`context.purposeOfUse` names more than one purpose; ask for each")
    try:
        if not isinstance(listed[0], str):
            raise TypeError  # noqa: TRY301  the same refusal
        purpose = purpose_of(listed[0])
    except (ValueError, TypeError):
        raise QuestionError("`context.purposeOfUse` is no purpose of use") from None
    if recipient.purposes is None or not covers_purpose(recipient.purposes, purpose):
        raise Forbidden("the actor is not registered for this purpose of use")
    if purpose_is_a(purpose, _EMERGENCY):
        raise Forbidden("emergency access is asked for by a named person at the data plane, not by a consult")
    return purpose


def _categories(value: object) -> tuple[Coding, ...]:
    pairs = _pairs(value, "category") if value is not None else ()
    if any(not pair.code for pair in pairs):
        raise QuestionError("`context.category`: a category needs a `code`")
    return tuple(Coding(pair.system, pair.code) for pair in pairs)


def _scopes(value: object) -> tuple[Coding, ...]:
    listed = value if isinstance(value, list) else [] if value is None else [value]
    codes = [one for one in listed if isinstance(one, str) and one]
    if len(codes) != len(listed):
        raise QuestionError("`context.scope` is a code of the consent scopes")
    return tuple(Coding(CONSENT_SCOPE, one) for one in codes)


def _types(pairs: Iterable[_Pair], elements: Elements) -> Iterable[str]:
    for pair in pairs:
        code = pair.code or pair.value or ""
        if pair.system not in _TYPE_SYSTEMS or not elements.is_resource(code):
            raise QuestionError("`context.class`: only resource types are known as classes")
        yield code


def _content(content: msgspec.Raw) -> bytes | None:
    """Give the content's own text; a list of resources becomes a collection of them."""
    text = bytes(content).strip()
    if text in (b"", b"null"):
        return None
    if not text.startswith(b"["):
        return text
    try:
        listed = msgspec.json.decode(text, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        raise QuestionError("`context.content` is neither a Bundle nor resources") from None
    entries = b",".join(b'{"resource":' + bytes(one) + b"}" for one in listed)
    return b'{"resourceType":"Bundle","type":"collection","entry":[' + entries + b"]}"
