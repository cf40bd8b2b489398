"""Directory YAML → Directory: participants, clients, agreements, relationships, attestations. Pure.

Rules of this file
1. A word we do not know (key, type, attribute, purpose, participant) is an error by line, never passed over (L089).
2. Who is who must be certain: no reference, identifier or client belongs to two participants (L092).
3. What a participant may claim is always listed; an agreement gives only what it lists (absent = not limited).
4. An attestation says who attests, of whose exchanges, and of which patient where its fact is about a person.
5. Purposes are kept in one spelling: the code alone for v3-ActReason, else `system|code`.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Final

from consent_store.dates import FhirDate, Period, parse_date
from consent_store.model import ACT_REASON, Coding, Identifier, PatientKey
from gateway.directory.model import Agreement, Attestation, Client, Directory, Participant, Relationship
from gateway.directory.vocabulary import (
    ATTRIBUTES,
    DERIVED,
    DISCLOSERS_WORD,
    EMERGENCY,
    RESOURCE_FACTS,
    STATED,
    SUBJECT_FACTS,
)
from gateway.fhir.terminology import purpose_of
from gateway.strict_yaml import Node, load

AGREEMENT_TYPES: Final = frozenset({"BAA", "CNDA", "DEAA", "QSOA", "SOW"})
"""Business associate, confidentiality, data exchange application, qualified service organisation, scope of work."""

# FHIR R4 Reference.reference: `Type/id`, or an absolute URL or URN.
_REFERENCE: Final = re.compile(r"(?:https?://[^\s|?#]+/)?[A-Z][A-Za-z]{2,63}/[A-Za-z0-9\-.]{1,64}|urn:(?:uuid|oid):\S+")
_RECORD: Final = re.compile(r"[A-Z][A-Za-z]{2,63}/[A-Za-z0-9\-.]{1,64}")


def parse_directory(
    text: str,
    name: str,
    types: Collection[str],
    *,
    agreement_types: Collection[str] = AGREEMENT_TYPES,
    words: Mapping[str, Collection[str]] | None = None,
) -> Directory:
    """Read a directory file whose participants are of `types`. Raises ProfileError by file, line and key.

    `words` are those that an agreement may list as its data, with the categories each stands for (None: not limited).
    """
    top = load(text, name)
    participants: dict[str, Participant] = {}
    for node in top.at("participants").items():
        participant = _participant(node, types)
        if participant.id in participants:
            raise node.wrong(f"participant `{participant.id}` stands twice")
        participants[participant.id] = participant
    if not participants:
        raise top.wrong("no participants")
    directory = Directory(
        participants=participants,
        agreements=tuple(
            _agreement(node, participants, agreement_types, words) for node in top.at("agreements").items()
        ),
        relationships=tuple(_relationship(node, participants) for node in top.at("relationships").items()),
        revision=hashlib.sha256(text.encode()).hexdigest()[:16],
        clients=tuple(_client(node, participants) for node in top.at("clients").items()),
        attestations=tuple(_attestation(node, participants) for node in top.at("attestations").items()),
    )
    top.finish()
    _refuse_doubles(top, directory)
    return directory


def purpose_text(purpose: Coding) -> str:
    """Give the one spelling in which participants and agreements list a purpose."""
    return purpose.code or "" if purpose.system == ACT_REASON else f"{purpose.system}|{purpose.code}"


def _participant(node: Node, types: Collection[str]) -> Participant:
    if not node.at("purposes").present:
        raise node.wrong("purposes is missing: list what it may claim, `[]` for nothing")
    covered = node.at("hipaa_covered")
    return Participant(
        id=_word(node.at("id")),
        type=node.at("type").one_of(types),
        hipaa_covered=covered.flag() if covered.present else None,
        part2_program=node.at("part2_program").flag(default=False),
        references=frozenset(_reference(item) for item in node.at("references").items()),
        identifiers=frozenset(_identifier(item) for item in node.at("identifiers").items()),
        identifier_systems=frozenset(node.at("identifier_systems").texts()),
        purposes=_purposes(node.at("purposes")),
        attributes=_attributes(node.at("attributes")),
        name=node.at("name").text(""),
    )


def _agreement(
    node: Node,
    participants: Mapping[str, Participant],
    types: Collection[str],
    words: Mapping[str, Collection[str]] | None,
) -> Agreement:
    between = tuple(_known(item, participants) for item in node.at("between").items())
    if len(set(between)) < 2:
        raise node.wrong("between needs two participants or more")
    return Agreement(
        type=node.at("type").one_of(types),
        between=frozenset(between),
        data=_data(node.at("data"), words),
        purposes=_purposes(node.at("purposes")) if node.at("purposes").present else None,
        period=_period(node.at("period")),
    )


def _data(node: Node, words: Mapping[str, Collection[str]] | None) -> frozenset[str] | None:
    if not node.present:
        return None
    if words is None:
        return frozenset(node.texts())
    return frozenset(category for item in node.items() for category in words[item.one_of(words)])


def _relationship(node: Node, participants: Mapping[str, Participant]) -> Relationship:
    patient, identifier = node.at("patient"), node.at("identifier")
    if not patient.present and not identifier.present:
        raise node.wrong("patient or identifier is needed")
    return Relationship(
        participant=_known(node.at("participant"), participants),
        patient=PatientKey(patient.at("source").text(), patient.at("id").text()) if patient.present else None,
        identifier=_identifier(identifier) if identifier.present else None,
        period=_period(node.at("period")),
    )


def _client(node: Node, participants: Mapping[str, Participant]) -> Client:
    return Client(
        client_id=node.at("client_id").text(),
        participant=_known(node.at("participant"), participants),
        issuer=node.at("issuer").text(""),
        may_break_glass=node.at("may_break_glass").flag(default=False),
        may_attest=frozenset(_fact(item) for item in node.at("may_attest").items()),
    )


def _attestation(node: Node, participants: Mapping[str, Participant]) -> Attestation:
    fact, by = _fact(node.at("fact")), _known(node.at("by"), participants)
    discloser, recipient = (_side(node.at(side), participants) for side in ("discloser", "recipient"))
    if fact in EMERGENCY:
        raise node.at("fact").wrong("an emergency is attested in a token, by a named person who gives a reason")
    if fact in DISCLOSERS_WORD:
        if discloser not in {"", by}:
            raise node.wrong(f"`{fact}` is the discloser's own word: `by` and discloser are the same")
        discloser = by
    if not discloser and not recipient:
        raise node.wrong("name the discloser, the recipient or both: an attestation is about somebody's exchanges")
    patient, identifier = _patient(node.at("patient")), node.at("identifier")
    if fact in SUBJECT_FACTS and not identifier.present and not node.at("patient").present:
        raise node.wrong(f"`{fact}` is about a person: patient or identifier is needed, or `patient: all`")
    if identifier.present and node.at("patient").kind == "scalar":
        raise node.wrong("is about all patients or about one")
    source, resource = _record(node.at("resource"), fact)
    if resource and (patient or identifier.present):
        raise node.wrong("a resource says itself whose it is: leave patient and identifier out")
    return Attestation(
        fact=fact,
        by=by,
        name=_word(node.at("id")) if node.at("id").present else node.path,
        holds=node.at("holds").flag(default=True),
        discloser=discloser,
        recipient=recipient,
        purposes=_purposes(node.at("purposes")) if node.at("purposes").present else None,
        patient=patient,
        identifier=_identifier(identifier) if identifier.present else None,
        source=source,
        resource=resource,
        period=_period(node.at("period")),
    )


def _fact(node: Node) -> str:
    if node.text() in DERIVED:
        raise node.wrong(f"`{node.text()}` is derived and cannot be attested")
    return node.one_of(STATED)


def _side(node: Node, participants: Mapping[str, Participant]) -> str:
    return _known(node, participants) if node.present else ""


def _patient(node: Node) -> PatientKey | None:
    if not node.present:
        return None
    if node.kind == "scalar":
        node.one_of({"all"})
        return None
    return PatientKey(node.at("source").text(), node.at("id").text())


def _record(node: Node, fact: str) -> tuple[str, str]:
    if not node.present:
        return "", ""
    if fact not in RESOURCE_FACTS:
        raise node.wrong(f"`{fact}` is not a fact about single records")
    if not _RECORD.fullmatch(node.at("id").text()):
        raise node.at("id").wrong("is not `Type/id`")
    return node.at("source").text(), node.at("id").text()


def _word(node: Node) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", node.text()):
        raise node.wrong("an id is letters, digits, `.`, `_` and `-`")
    return node.text()


def _known(node: Node, participants: Mapping[str, Participant]) -> str:
    if node.text() not in participants:
        raise node.wrong(f"unknown participant `{node.text()}`")
    return node.text()


def _reference(node: Node) -> str:
    if not _REFERENCE.fullmatch(node.text()):
        raise node.wrong("a reference is `Type/id` or an absolute URL that ends in it")
    return node.text()


def _identifier(node: Node) -> Identifier:
    return Identifier(node.at("system").text(), node.at("value").text())


def _purposes(node: Node) -> frozenset[str]:
    found = set()
    for item in node.items():
        try:
            found.add(purpose_text(purpose_of(item.text())))
        except ValueError:
            raise item.wrong(f"`{item.text()}` is not a purpose of use") from None
    return frozenset(found)


def _attributes(node: Node) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in node.entries():
        if key not in ATTRIBUTES:
            raise value.wrong(f"unknown attribute `{key}`")
        found[key] = value.flag() if ATTRIBUTES[key] is bool else value.texts()
    return found


def _period(node: Node) -> Period:
    if not node.present:
        return Period()
    start, end = _date(node.at("start")), _date(node.at("end"))
    if start and end and end.after(UTC, wide=True) <= start.first(UTC, wide=True):
        raise node.wrong("ends before it begins")
    return Period(start, end)


def _date(node: Node) -> FhirDate | None:
    if not node.present:
        return None
    try:
        return parse_date(node.text())
    except ValueError:
        raise node.wrong("is not a FHIR date") from None


def _refuse_doubles(top: Node, directory: Directory) -> None:
    """Raise ProfileError where a reference, identifier or client would stand for two participants."""
    seen: dict[str, str] = {}
    for participant in directory.participants.values():
        marks = [f"{one.system}|{one.value}" for one in participant.identifiers]
        systems = [f"identifier system {system}" for system in participant.identifier_systems]
        for mark in (*participant.references, *marks, *systems):
            other = seen.setdefault(mark, participant.id)
            if other != participant.id:
                raise top.at("participants").wrong(f"`{mark}` belongs to `{other}` and to `{participant.id}`")
    clients = [(client.issuer, client.client_id) for client in directory.clients]
    for client in clients:
        if clients.count(client) > 1 or (client[0] and ("", client[1]) in clients):
            raise top.at("clients").wrong(f"client `{client[1]}` stands twice")
