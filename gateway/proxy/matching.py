"""`Patient/$match` and `Patient/$member-match`: who may be the person described, told by what is released alone.

Rules of this file
1. Candidates are found by searches through the pipeline; a person who is not released to this caller for this purpose
   is no candidate (leaks.md L054). Comparison and grade are made here of the released form and the client's own words.
2. `$member-match` gives an identity only for one released member whose released coverage is the one described, and only
   with a Consent in the request that is sound, in force and names the caller as recipient. Everything else, none,
   several, opted out, invalid, is one 422, byte for byte.
3. Nothing of the request is kept or sent on but identifiers, name and birth date.
"""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any, Final

import msgspec

from consent_store.model import Consent, Effect, Status
from consent_store.r4 import read_r4
from consent_store.validate import KnownCodes, refusals
from gateway.decision.model import Exchange
from gateway.directory.model import Participant
from gateway.errors import BadRequest, Unprocessable, UpstreamFault
from gateway.fhir.pointer import items_of, members_of
from gateway.fhir.query import Parameter
from gateway.fhir.strict import MalformedJson, decode
from gateway.proxy.asked import Asked, Prepared
from gateway.proxy.everything import possible
from gateway.proxy.outcomes import outcome
from gateway.proxy.uniting import Part, Walked, every
from gateway.release.compose import ReleasedEntry, compose_own
from gateway.release.uniting import compose_bundle, compose_parameter, entry_text, manifest_of_shown, name_of

_MOST: Final = 50
_GRADE_URL: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"
_MEMBER_TYPES: Final = frozenset({"MB", "UMB"})  # v2-0203: member number, unique member id
_RECIPIENT: Final = frozenset({"IRCP", "PRCP"})
_NO_MATCH: Final = "no member is matched by this request"


class Grade(StrEnum):
    """How sure a match is (match-grade)."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"


_SCORES: Final = {Grade.CERTAIN: 1.0, Grade.PROBABLE: 0.8, Grade.POSSIBLE: 0.5}


class Described(msgspec.Struct, frozen=True):
    """A person as the client describes them; names in lower case."""

    identifiers: frozenset[tuple[str, str]]
    families: frozenset[str]
    givens: frozenset[str]
    birth: str
    gender: str

    def grade(self, other: "Described") -> Grade | None:
        """Say how sure it is that the other is this person, None where it is not likely."""
        if self.gender and other.gender and self.gender != other.gender:
            return None
        if self.identifiers & other.identifiers:
            return Grade.CERTAIN
        if not (self.families & other.families and self.birth and self.birth == other.birth):
            return None
        return Grade.PROBABLE if self.givens & other.givens else Grade.POSSIBLE


class Match(msgspec.Struct, frozen=True):
    """What `$match` asks, by form."""

    person: Described
    parts: tuple[Part, ...]
    certain: bool
    count: int


class Member(msgspec.Struct, frozen=True):
    """What `$member-match` asks, by form: the person, how to find them, their coverage, and the Consent's text."""

    person: Described
    parts: tuple[Part, ...]
    coverage: frozenset[tuple[str, str]]
    consent: bytes


def match_of(resource: bytes | None, parameters: Iterable[Parameter]) -> Match:
    """Read the input of `$match` (R4 patient-operation-match). Raises BadRequest by form."""
    said = {each.name: each.value for each in parameters}
    person, parts = _sought(_tree(resource, "Patient"))
    certain, count = said.get("onlyCertainMatches", "false"), said.get("count", str(_MOST))
    if certain not in {"true", "false"} or not count.isascii() or not count.isdigit() or int(count) == 0:
        raise BadRequest("a parameter of the body is not of a form the gateway reads")
    return Match(person, parts, certain == "true", min(int(count), _MOST))


def member_of(resources: dict[str, bytes]) -> Member:
    """Read the input of `$member-match` (HRex member-match). Raises BadRequest by form."""
    person, parts = _sought(_tree(resources.get("MemberPatient"), "Patient"))
    coverage = _tree(resources.get("CoverageToMatch"), "Coverage")
    _tree(resources.get("Consent"), "Consent")
    return Member(person, parts, frozenset(_numbers(coverage)), resources["Consent"])


async def match(asked: Asked, wanted: Match, exchange: Exchange) -> Prepared:
    """Prepare the answer to `$match`: released candidates, the surest first."""
    walked = await _candidates(asked, wanted.parts, exchange)
    graded = list(_graded(walked, wanted.person))
    if wanted.certain:
        sure = [one for one in graded if one[0] is Grade.CERTAIN]
        graded = sure if len(sure) == 1 else []
    graded.sort(key=lambda one: (-_SCORES[one[0]], name_of(one[1].resource)))
    shown = graded[: wanted.count]
    texts = [entry_text(entry.full_url, entry.resource, {"search": _search(grade)}) for grade, entry in shown]
    manifest = manifest_of_shown(walked.manifests, (name_of(entry.resource) for _, entry in shown))
    head = {"id": str(uuid.uuid4()), "type": "searchset", "total": len(shown)}
    return Prepared(compose_bundle(head, texts, manifest), walked.revisions)


async def member_match(asked: Asked, wanted: Member, exchange: Exchange) -> Prepared:
    """Prepare the answer to `$member-match`, by rule 2."""
    walked = await _candidates(asked, wanted.parts, exchange)
    people = [entry for grade, entry in _graded(walked, wanted.person) if grade is not Grade.POSSIBLE]
    sound = _consented(wanted.consent, asked, exchange)
    found: list[tuple[ReleasedEntry, bytes]] = []
    for person in people:
        own = [Parameter("patient", name_of(person.resource))]
        covered = await every(asked, [Part("Coverage", tuple(own))], exchange)
        for page in covered.pages:
            walked.note(Prepared(page, covered.revisions))
        numbers = {one for entry, _ in covered.matches for one in _numbers(decode(entry.resource))}
        identifier = _member_identifier(person.resource)
        if numbers & wanted.coverage and identifier is not None:
            found.append((person, identifier))
    if len(found) != 1 or not sound:
        refused = outcome(Unprocessable(_NO_MATCH))
        return Prepared(
            compose_own(refused.status, {}, refused.body, manifest_of_shown(walked.manifests, ())), walked.revisions
        )
    manifest = manifest_of_shown(walked.manifests, [name_of(found[0][0].resource)])
    return Prepared(compose_parameter("MemberIdentifier", "valueIdentifier", found[0][1], manifest), walked.revisions)


async def _candidates(asked: Asked, parts: Iterable[Part], exchange: Exchange) -> Walked:
    """Walk the searches that the upstream states. Raises UpstreamFault where it states none of them."""
    kept = await possible(asked, parts)
    if not kept:
        raise UpstreamFault
    return await every(asked, kept, exchange)


def _graded(walked: Walked, person: Described) -> Iterator[tuple[Grade, ReleasedEntry]]:
    seen = set()
    for entry, _ in walked.matches:
        grade = person.grade(_described(decode(entry.resource)))
        if grade is not None and name_of(entry.resource) not in seen:
            seen.add(name_of(entry.resource))
            yield grade, entry


def _search(grade: Grade) -> dict[str, Any]:
    extension = [{"url": _GRADE_URL, "valueCode": grade.value}]
    return {"extension": extension, "mode": "match", "score": _SCORES[grade]}


def _sought(tree: dict[str, Any]) -> tuple[Described, tuple[Part, ...]]:
    """Give the person described and the searches that may find them. Raises BadRequest where there is too little."""
    person = _described(tree)
    parts: list[Part] = []
    if person.identifiers:
        tokens = ",".join(sorted(f"{_escaped(system)}|{_escaped(value)}" for system, value in person.identifiers))
        parts.append(Part("Patient", (Parameter("identifier", tokens),), by="identifier"))
    if person.families and person.birth:
        families = ",".join(sorted(map(_escaped, person.families)))
        parts.append(
            Part("Patient", (Parameter("family", families), Parameter("birthdate", person.birth)), by="family")
        )
    if not parts:
        raise BadRequest("a person is described by an identifier with its system, or by family name and birth date")
    return person, tuple(parts)


def _described(tree: dict[str, Any]) -> Described:
    names = _objects(tree.get("name"))
    identifiers = ((one.get("system"), one.get("value")) for one in _objects(tree.get("identifier")))
    givens = (given for name in names for given in name.get("given", ()) if isinstance(given, str))
    return Described(
        identifiers=frozenset((s, v) for s, v in identifiers if isinstance(s, str) and isinstance(v, str) and s and v),
        families=frozenset(name["family"].strip().lower() for name in names if isinstance(name.get("family"), str)),
        givens=frozenset(given.strip().lower() for given in givens),
        birth=str(tree.get("birthDate", "")),
        gender=str(tree.get("gender", "")),
    )


def _numbers(coverage: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the numbers by which two coverages are the same one: identifiers with their systems, the subscriber's id."""
    for one in _objects(coverage.get("identifier")):
        if isinstance(one.get("system"), str) and isinstance(one.get("value"), str):
            yield one["system"], one["value"]
    if isinstance(coverage.get("subscriberId"), str):
        yield "", coverage["subscriberId"]


def _member_identifier(person: bytes) -> bytes | None:
    """Give the exact text of a released Patient's member number."""
    listed = members_of(person).get("identifier")
    for text in items_of(listed) if listed is not None else ():
        kind = decode(bytes(text)).get("type", {})
        if any(one.get("code") in _MEMBER_TYPES for one in _objects(kind.get("coding"))):
            return bytes(text)
    return None


def _consented(text: bytes, asked: Asked, exchange: Exchange) -> bool:
    """Say whether the Consent of the request is one: sound, active, in force, permitting, for this caller."""
    if refusals(text, "4.0", KnownCodes()):
        return False
    consent = read_r4(decode(text), source=asked.door.route.source, raw=text)
    if not isinstance(consent, Consent) or consent.status is not Status.ACTIVE:
        return False
    permits = [one for one in consent.provisions if one.type is Effect.PERMIT and not one.unreadable]
    return any(
        _in_force(one.period, exchange.at, asked.door.policy.zone) and _names(one.actors, exchange.recipient)
        for one in permits
    )


def _in_force(period: Any, at: datetime, zone: tzinfo | None) -> bool:  # noqa: ANN401  Period or None
    return period is None or period.covers(at, zone, wide=False)


def _names(actors: Iterable[Any], recipient: Participant) -> bool:
    """Say whether the recipient stands among the actors as one who receives."""
    for actor in actors:
        who = actor.reference
        receives = any(coding.code in _RECIPIENT for coding in actor.role)
        if (
            receives
            and who is not None
            and (who.reference in recipient.references or who.identifier in recipient.identifiers)
        ):
            return True
    return False


def _tree(text: bytes | None, kind: str) -> dict[str, Any]:
    try:
        tree = decode(text) if text is not None else None
    except MalformedJson:
        tree = None
    if not isinstance(tree, dict) or tree.get("resourceType") != kind:
        raise BadRequest(f"the body has to hold a {kind}")
    return tree


def _objects(node: object) -> list[dict[str, Any]]:
    return [one for one in node if isinstance(one, dict)] if isinstance(node, list) else []


def _escaped(value: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\,|$" else letter for letter in value)
