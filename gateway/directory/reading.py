"""Directory YAML → Directory: participants, clients, agreements, relationships. Text in, values out; pure.

Rules of this file
1. A word we do not know (key, type, attribute, purpose, participant) is an error by line, never passed over (L089).
2. Who is who must be certain: no reference, identifier or client belongs to two participants (L092).
3. What a participant may claim is always listed; an agreement gives only what it lists (absent = not limited).
4. Purposes are kept in one spelling: the code alone for v3-ActReason, else `system|code`.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from datetime import UTC
from typing import Final

from consent_store.dates import FhirDate, Period, parse_date
from consent_store.model import ACT_REASON, Coding, Identifier, PatientKey
from gateway.directory.model import Agreement, Client, Directory, Participant, Relationship
from gateway.fhir.terminology import purpose_of
from gateway.strict_yaml import Node, load

AGREEMENT_TYPES: Final = frozenset({"BAA", "CNDA", "DEAA", "QSOA", "SOW"})
"""Business associate, confidentiality, data exchange application, qualified service organisation, scope of work."""

# Conditions of a party (ARCHITECTURE.md section 6) and the kind of their value.
_ATTRIBUTES: Final[Mapping[str, type]] = {
    "consent_custodians": list,
    "local_policy_requires_consent": bool,
    "requester_has_cjis_access": bool,
    "sender_requires_own_release": bool,
    "usda_funding": bool,
}
# FHIR R4 Reference.reference: `Type/id`, or an absolute URL or URN.
_REFERENCE: Final = re.compile(r"(?:https?://[^\s|?#]+/)?[A-Z][A-Za-z]{2,63}/[A-Za-z0-9\-.]{1,64}|urn:(?:uuid|oid):\S+")


def parse_directory(
    text: str, name: str, types: Collection[str], *, agreement_types: Collection[str] = AGREEMENT_TYPES
) -> Directory:
    """Read a directory file whose participants are of `types`. Raises ProfileError by file, line and key."""
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
        agreements=tuple(_agreement(node, participants, agreement_types) for node in top.at("agreements").items()),
        relationships=tuple(_relationship(node, participants) for node in top.at("relationships").items()),
        revision=hashlib.sha256(text.encode()).hexdigest()[:16],
        clients=tuple(_client(node, participants) for node in top.at("clients").items()),
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
    return Participant(
        id=_word(node.at("id")),
        type=node.at("type").one_of(types),
        hipaa_covered=node.at("hipaa_covered").flag(default=False),
        part2_program=node.at("part2_program").flag(default=False),
        references=frozenset(_reference(item) for item in node.at("references").items()),
        identifiers=frozenset(_identifier(item) for item in node.at("identifiers").items()),
        identifier_systems=frozenset(node.at("identifier_systems").texts()),
        purposes=_purposes(node.at("purposes")),
        attributes=_attributes(node.at("attributes")),
        name=node.at("name").text(""),
    )


def _agreement(node: Node, participants: Mapping[str, Participant], types: Collection[str]) -> Agreement:
    between = tuple(_known(item, participants) for item in node.at("between").items())
    if len(set(between)) < 2:
        raise node.wrong("between needs two participants or more")
    data = node.at("data")
    return Agreement(
        type=node.at("type").one_of(types),
        between=frozenset(between),
        data=frozenset(data.texts()) if data.present else None,
        purposes=_purposes(node.at("purposes")) if node.at("purposes").present else None,
        period=_period(node.at("period")),
    )


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
    )


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
        if key not in _ATTRIBUTES:
            raise value.wrong(f"unknown attribute `{key}`")
        found[key] = value.flag() if _ATTRIBUTES[key] is bool else value.texts()
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
