"""One thing that could be otherwise in an exchange, and the facts as they would then be.

Rules of this file
1. An alteration says what to put in a question, and gives the facts that such a question has: the same reader reads a
   consent that is altered or new (`given` and `altered` cannot differ).
2. Nothing here judges; whether an alteration changes anything is asked of the judge (`changes`).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from consent_store.model import Coding, Consent, PatientKey, Unreadable
from consent_store.reading import read_consent
from gateway.decision.facts import Facts
from gateway.decision.model import SubjectFacts
from gateway.decision.near_consents import name_of
from gateway.decision.subjects import base_text
from gateway.directory.model import Agreement
from gateway.fhir.pointer import escape, segments


class Kind(StrEnum):
    """What kind of thing would be otherwise."""

    CONSENT_GIVEN = "consent_given"
    CONSENT_AMENDED = "consent_amended"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    REFUSAL_GIVEN = "refusal_given"
    FACT_STATED = "fact_stated"
    FACT_WITHDRAWN = "fact_withdrawn"
    ATTRIBUTE_STATED = "attribute_stated"
    AGREEMENT_MADE = "agreement_made"
    AGREEMENT_ENDED = "agreement_ended"
    OTHER_PURPOSE = "other_purpose"
    LATER = "later"


class Alteration(msgspec.Struct, frozen=True, eq=False):
    """See the module. `say` completes "it would be different if …"; `given` is what to put in the question
    (docs/explain.md lists its forms)."""

    kind: Kind
    say: str
    given: Mapping[str, Any]
    altered: Callable[[Facts], Facts]


Patch = tuple[Mapping[str, Any], ...]
"""RFC 6902 operations (add, replace, remove) on the text of a Consent."""


def withdrawn(consent: Consent | Unreadable) -> Alteration:
    """The consent is revoked; one that nobody can read is taken away."""
    name = name_of(consent)

    def gone(facts: Facts) -> Facts:
        return _with_consents(facts, lambda one: () if one.id == consent.id else (one,))

    return Alteration(
        Kind.CONSENT_WITHDRAWN, f"{name} were revoked", {"consent": f"Consent/{consent.id}", "remove": True}, gone
    )


def amended(consent: Consent, patch: Patch, say: str) -> Alteration | None:
    """The consent says what `patch` makes of its text; None where the text cannot be patched."""
    text = patched(consent.raw, patch)
    if text is None:
        return None

    def new(facts: Facts) -> Facts:
        read = _read(text, facts, consent.fhir_version, consent.patient)
        return _with_consents(facts, lambda one: (read,) if one is consent else (one,))

    given = {"consent": f"Consent/{consent.id}", "patch": list(patch)}
    return Alteration(Kind.CONSENT_AMENDED, say, given, new)


def added(kind: Kind, tree: Mapping[str, Any], key: PatientKey, say: str) -> Alteration:
    """The patient `key` gives the Consent `tree` (R4 JSON)."""
    text = msgspec.json.encode(tree)

    def new(facts: Facts) -> Facts:
        read = _read(text, facts, "4.0", key)
        subject = facts.subjects[key]
        told = msgspec.structs.replace(subject, consents=(*subject.consents, read))
        return msgspec.structs.replace(facts, subjects={**facts.subjects, key: told})

    return Alteration(kind, say, {"add_consent": dict(tree)}, new)


def exchange_fact(names: tuple[str, ...], say: str, *, value: bool | None = True) -> Alteration:
    """Facts of the exchange are stated, or (None) no longer stated."""

    def new(facts: Facts) -> Facts:
        exchange = msgspec.structs.replace(facts.exchange, attested=_stated(facts.exchange.attested, names, value))
        return msgspec.structs.replace(facts, exchange=exchange)

    return Alteration(_fact_kind(value), say, {"facts": {"exchange": dict.fromkeys(names, value)}}, new)


def subject_fact(key: PatientKey, name: str, say: str, *, value: bool | None = True) -> Alteration:
    """A fact of a subject is stated, or no longer stated."""

    def new(facts: Facts) -> Facts:
        subject = facts.subjects[key]
        told = msgspec.structs.replace(subject, stated=_stated(subject.stated, (name,), value))
        return msgspec.structs.replace(facts, subjects={**facts.subjects, key: told})

    return Alteration(_fact_kind(value), say, {"facts": {"subjects": {reference_to(key): {name: value}}}}, new)


def resource_fact(place: str, name: str, say: str, *, value: bool | None = True) -> Alteration:
    """A fact of one record is stated, or no longer stated; `place` is `Type/id` or its pointer."""

    def new(facts: Facts) -> Facts:
        known = _stated(facts.stated_resources.get(place, {}), (name,), value)
        return msgspec.structs.replace(facts, stated_resources={**facts.stated_resources, place: known})

    return Alteration(_fact_kind(value), say, {"facts": {"resources": {place: {name: value}}}}, new)


def attribute(participant: str, name: str, value: bool, say: str) -> Alteration:  # noqa: FBT001  the value to state
    """An attribute of a party is stated."""

    def new(facts: Facts) -> Facts:
        party = facts.directory.participants[participant]
        told = msgspec.structs.replace(party, attributes={**party.attributes, name: value})
        people = {**facts.directory.participants, participant: told}
        sides = {side: told for side in ("discloser", "recipient") if getattr(facts.exchange, side).id == participant}
        return msgspec.structs.replace(
            facts,
            directory=msgspec.structs.replace(facts.directory, participants=people),
            exchange=msgspec.structs.replace(facts.exchange, **sides),
        )

    given = {"participant": participant, "attributes": {name: value}}
    return Alteration(Kind.ATTRIBUTE_STATED, say, given, new)


def agreed(kind: str, sides: tuple[str, str], say: str) -> Alteration:
    """The two sides have an agreement of a kind, without limit."""

    def new(facts: Facts) -> Facts:
        made = Agreement(type=kind, between=frozenset(sides))
        directory = msgspec.structs.replace(facts.directory, agreements=(*facts.directory.agreements, made))
        return msgspec.structs.replace(facts, directory=directory)

    return Alteration(Kind.AGREEMENT_MADE, say, {"add_agreement": {"type": kind, "between": list(sides)}}, new)


def agreement_ended(number: int, say: str) -> Alteration:
    """The agreement of this number is no more."""

    def new(facts: Facts) -> Facts:
        left = tuple(one for index, one in enumerate(facts.directory.agreements) if index != number)
        return msgspec.structs.replace(facts, directory=msgspec.structs.replace(facts.directory, agreements=left))

    return Alteration(Kind.AGREEMENT_ENDED, say, {"end_agreement": number}, new)


def other_purpose(purpose: Coding, say: str) -> Alteration:
    """It is asked for another purpose."""

    def new(facts: Facts) -> Facts:
        return msgspec.structs.replace(facts, exchange=msgspec.structs.replace(facts.exchange, purpose=purpose))

    return Alteration(Kind.OTHER_PURPOSE, say, {"purpose": {"system": purpose.system, "code": purpose.code}}, new)


def later(at: datetime, say: str) -> Alteration:
    """It is asked at another instant."""

    def new(facts: Facts) -> Facts:
        return msgspec.structs.replace(facts, exchange=msgspec.structs.replace(facts.exchange, at=at))

    return Alteration(Kind.LATER, say, {"at": at.isoformat()}, new)


def reference_to(key: PatientKey) -> str:
    """Give how a question names a patient."""
    if key.id.startswith("urn:"):
        return key.id
    return f"{key.source}/Patient/{key.id}" if "://" in key.source else f"Patient/{key.id}"


def patched(raw: bytes, patch: Patch) -> bytes | None:
    """Apply a patch to JSON text; None where the text or a path of it is not there."""
    try:
        tree = msgspec.json.decode(raw)
        for one in patch:
            _apply(tree, segments(one["path"]), one)
    except (LookupError, RecursionError, TypeError, ValueError):  # what is no JSON is a ValueError
        return None
    return msgspec.json.encode(tree)


def _apply(tree: Any, path: tuple[str, ...], one: Mapping[str, Any]) -> None:  # noqa: ANN401  JSON
    for step in path[:-1]:
        tree = tree[int(step)] if isinstance(tree, list) else tree[step]
    last: Any = path[-1]
    if isinstance(tree, list):
        if one["op"] == "add":
            tree.insert(len(tree) if last == "-" else int(last), one["value"])
            return
        last = int(last)
    if one["op"] == "remove":
        del tree[last]
    else:
        tree[last] = one["value"]


def at_path(*steps: str | int) -> str:
    """Give a JSON Pointer."""
    return "".join(f"/{escape(str(step))}" for step in steps)


def _read(text: bytes, facts: Facts, version: str, key: PatientKey) -> Consent | Unreadable:
    read = read_consent(text, source=facts.source, fhir_version=version, own_bases=frozenset(map(base_text, facts.own)))
    return msgspec.structs.replace(read, patient=key)


def _with_consents(facts: Facts, becomes: Callable[[Consent | Unreadable], tuple[Consent | Unreadable, ...]]) -> Facts:
    def told(subject: SubjectFacts) -> SubjectFacts:
        consents = tuple(new for one in subject.consents for new in becomes(one))
        return msgspec.structs.replace(subject, consents=consents)

    return msgspec.structs.replace(facts, subjects={key: told(one) for key, one in facts.subjects.items()})


def _stated(known: Mapping[str, bool], names: tuple[str, ...], value: bool | None) -> dict[str, bool]:  # noqa: FBT001  says itself in the name
    left = {name: said for name, said in known.items() if name not in names}
    return left if value is None else {**left, **dict.fromkeys(names, value)}


def _fact_kind(value: bool | None) -> Kind:  # noqa: FBT001  says itself in the name
    return Kind.FACT_WITHDRAWN if value is None else Kind.FACT_STATED
