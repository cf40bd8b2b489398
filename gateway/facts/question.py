"""A decide question (version 1) → its parts as values. docs/decide.md is the norm.

Rules of this file
1. A question that cannot be asked is a QuestionError, never a deny: unknown participant, profile or fact name,
   unknown key, no purpose, two purposes, an instant without an offset.
2. `resource`, `consents` and `context` keep their exact text; everything else is small and read strictly.
3. Nothing is assumed: what the question leaves out is unknown.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from consent_store.dates import Period, parse_date
from consent_store.model import Coding, Identifier
from gateway.decision.model import Direction, Exchange, Initiator
from gateway.directory.lookups import as_classified
from gateway.directory.model import Agreement, Directory, Participant
from gateway.directory.reading import AGREEMENT_TYPES, purpose_text
from gateway.directory.vocabulary import ATTRIBUTES, DERIVED, EXCHANGE_FACTS, RESOURCE_FACTS, SUBJECT_FACTS
from gateway.errors import QuestionError
from gateway.fhir.strict import closings, count_members, exact_members
from gateway.fhir.terminology import purpose_of
from gateway.policy.model import Policy

VERSION = 1


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the question in which an unknown key is an error."""


class _Identifier(_Strict, frozen=True):
    value: str
    system: str | None = None


class _Participant(_Strict, frozen=True):
    id: str
    type: str
    hipaa_covered: bool | msgspec.UnsetType = msgspec.UNSET
    part2_program: bool = False
    references: tuple[str, ...] = ()
    identifiers: tuple[_Identifier, ...] = ()
    identifier_systems: tuple[str, ...] = ()
    purposes: tuple[Any, ...] | None = None
    attributes: dict[str, Any] = {}
    name: str = ""


class _BreakGlass(_Strict, frozen=True):
    reason: str


class _Coding(msgspec.Struct, frozen=True):
    system: str | None = None
    code: str | None = None


class _Initiator(_Strict, frozen=True):
    reference: str | None = None
    identifiers: tuple[_Identifier, ...] = ()
    roles: tuple[_Coding | str, ...] = ()
    break_glass: _BreakGlass | None = None


class _Period(_Strict, frozen=True):
    start: str | None = None
    end: str | None = None


class _Agreement(_Strict, frozen=True):
    type: str
    between: tuple[str, ...]
    data: tuple[str, ...] | None = None
    purposes: tuple[Any, ...] | None = None
    period: _Period | None = None


class _Interaction(_Strict, frozen=True):
    type: str = "read"
    direction: str | None = None


class _Facts(_Strict, frozen=True):
    exchange: dict[str, bool] = {}
    subjects: dict[str, dict[str, bool]] = {}
    resources: dict[str, dict[str, bool]] = {}


class Question(_Strict, frozen=True, kw_only=True):
    """The question as written. `read_question` checks it and gives it meaning."""

    v: int
    id: str | int | None = None
    at: str
    profile: str
    interaction: _Interaction = _Interaction()
    participants: tuple[_Participant, ...]
    discloser: str
    recipient: str
    initiator: _Initiator | None = None
    agreements: tuple[_Agreement, ...] = ()
    purpose: Any = None
    facts: _Facts = _Facts()
    consents: tuple[msgspec.Raw, ...] = ()
    context: tuple[msgspec.Raw, ...] = ()
    resource: msgspec.Raw


_KEPT = ("resource", "consents", "context")
# R4 restful-interaction, as the capability statement names them, and the kinds of Bundle that can be posted.
_INTERACTIONS = frozenset(
    {"read", "vread", "search", "search-type", "search-system", "history", "history-instance", "history-type"}
    | {"history-system", "operation", "delete", "create", "update", "patch", "batch", "transaction", "message"}
    | {"document", "collection"}
)
# Interactions by which data go to the route's owner; every other one goes out of it.
_PUSHES = frozenset({"create", "update", "patch", "batch", "transaction", "message", "document", "collection"})


def read_question(raw: bytes) -> Question:
    """Read the JSON of one question. Raises QuestionError naming the key that is wrong."""
    try:
        question = msgspec.json.decode(raw, type=Question)
        _refuse_duplicates(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise QuestionError(f"not a question of version {VERSION}: {_lower(str(wrong))}") from None
    if question.v != VERSION:
        raise QuestionError(f"`v` is `{question.v}`; this gateway answers version {VERSION}")
    return question


def _refuse_duplicates(raw: bytes) -> None:
    """Refuse a name that stands twice in one object (L059): of two purposes the last is no answer. What is kept as text
    is read by itself, with a check of its own."""
    parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    kept = [bytes(parts.pop(name)) for name in _KEPT if name in parts]
    members = len(kept) + len(parts) + sum(count_members(msgspec.json.decode(part)) for part in parts.values())
    if closings(raw) - sum(map(closings, kept)) == members:
        return
    if exact_members(raw) - sum(map(exact_members, kept)) != members:
        raise QuestionError("a name stands twice in one object of the question")


def exchange_of(question: Question, policy: Policy) -> tuple[Exchange, Directory]:
    """Give the exchange asked about and the directory of everyone named. Raises QuestionError."""
    directory = Directory(
        participants=_participants(question, policy),
        agreements=tuple(_agreement(a, question, policy.data_words) for a in question.agreements),
        revision="question",
    )
    sides = {}
    for side in ("discloser", "recipient"):
        wanted = getattr(question, side)
        if wanted not in directory.participants:
            raise QuestionError(f"`{side}`: no participant `{wanted}`")
        sides[side] = directory.participants[wanted]
    for name in question.facts.exchange:
        _fact_name(name, EXCHANGE_FACTS, "exchange")
    for scope, known in (("subjects", SUBJECT_FACTS), ("resources", RESOURCE_FACTS)):
        for stated in getattr(question.facts, scope).values():
            for name in stated:
                _fact_name(name, known, scope)
    exchange = Exchange(
        discloser=sides["discloser"],
        recipient=sides["recipient"],
        initiator=_initiator(question.initiator),
        purpose=_purpose(question.purpose, "purpose"),
        at=_instant(question.at),
        direction=_direction(question.interaction),
        attested=question.facts.exchange,
    )
    return exchange, directory


def _participants(question: Question, policy: Policy) -> dict[str, Participant]:
    found: dict[str, Participant] = {}
    for one in question.participants:
        if one.id in found:
            raise QuestionError(f"`participants`: `{one.id}` stands twice")
        if one.type not in policy.types:
            raise QuestionError(f"`participants`: `{one.id}` has the unknown type `{one.type}`")
        for name in one.attributes:
            if name not in ATTRIBUTES:
                raise QuestionError(f"`participants`: `{one.id}` has the unknown attribute `{name}`")
        party = Participant(
            id=one.id,
            type=one.type,
            hipaa_covered=None if one.hipaa_covered is msgspec.UNSET else one.hipaa_covered,
            part2_program=one.part2_program,
            references=frozenset(one.references),
            identifiers=_identifiers(one.identifiers),
            identifier_systems=frozenset(one.identifier_systems),
            purposes=_codes(one.purposes, f"purposes of `{one.id}`"),
            attributes=one.attributes,
            name=one.name,
        )
        found[one.id] = as_classified(party, policy.kinds_of)
    return found


def _agreement(one: _Agreement, question: Question, words: Mapping[str, frozenset[str]]) -> Agreement:
    known = {participant.id for participant in question.participants}
    for party in one.between:
        if party not in known:
            raise QuestionError(f"`agreements`: no participant `{party}`")
    if len(set(one.between)) < 2:
        raise QuestionError("`agreements`: an agreement is between two or more participants")
    if one.type not in AGREEMENT_TYPES:
        raise QuestionError(f"`agreements`: no type of agreement `{one.type}`")
    for word in one.data or ():
        if word not in words:
            raise QuestionError(f"`agreements`: no category of data `{word}`")
    return Agreement(
        type=one.type,
        between=frozenset(one.between),
        data=None if one.data is None else frozenset().union(*(words[word] for word in one.data)),
        purposes=_codes(one.purposes, "purposes of an agreement"),
        period=_period(one.period),
    )


def _period(one: _Period | None) -> Period:
    if one is None:
        return Period()
    try:
        return Period(*(parse_date(text) if text is not None else None for text in (one.start, one.end)))
    except ValueError:
        raise QuestionError("`agreements`: a period has a date that is not of the FHIR grammar") from None


def _initiator(one: _Initiator | None) -> Initiator | None:
    if one is None:
        return None
    roles = tuple(Coding(None, r) if isinstance(r, str) else Coding(r.system, r.code) for r in one.roles)
    reason = one.break_glass.reason if one.break_glass else None
    return Initiator(one.reference, _identifiers(one.identifiers), roles, reason)


def _identifiers(found: tuple[_Identifier, ...]) -> frozenset[Identifier]:
    return frozenset(Identifier(one.system, one.value) for one in found)


def _direction(interaction: _Interaction) -> Direction:
    if interaction.type not in _INTERACTIONS:
        raise QuestionError(f"`interaction.type`: no interaction `{interaction.type}`")
    if interaction.direction is None:
        return Direction.PUSH if interaction.type in _PUSHES else Direction.READ
    if interaction.direction not in {d.value for d in Direction}:
        raise QuestionError("`interaction.direction` is neither `read` nor `push`")
    return Direction(interaction.direction)


def _instant(text: str) -> datetime:
    try:
        at = parse_date(text)
    except ValueError:
        raise QuestionError("`at` is not a FHIR instant") from None
    if not at.zoned:
        raise QuestionError("`at` must be an instant with an offset")
    return at.start


def _purpose(value: object, where: str) -> Coding:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value in (None, "", []):
        raise QuestionError(f"`{where}` is missing; a purpose is never assumed")
    if isinstance(value, list):
        raise QuestionError(f"`{where}` names more than one purpose")
    if isinstance(value, dict):
        value = Coding(value.get("system"), value.get("code"))
    try:
        return purpose_of(value)  # type: ignore[arg-type]  # any other kind is refused below
    except (ValueError, TypeError, AttributeError):
        raise QuestionError(f"`{where}` is no purpose of use") from None


def _codes(values: tuple[Any, ...] | None, where: str) -> frozenset[str] | None:
    return None if values is None else frozenset(purpose_text(_purpose(value, where)) for value in values)


def _fact_name(name: str, known: frozenset[str], scope: str) -> None:
    if name not in known and name not in DERIVED:
        raise QuestionError(f"`facts.{scope}`: unknown fact `{name}`")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
