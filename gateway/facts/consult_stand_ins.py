"""What a consult asks the judge about: stand-ins for the records that nobody has shown, and what it says of them. Pure.

Rules of this file
1. A record of each type in question, plain, and with each label and code that a consent or the law may turn on.
2. What holds of one patient's records holds of all that are the patient's: all must permit, one refusal is enough.
3. What a refusal of particular records says of an unshown one is not known, so it may hold (`decision.particular`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding, Consent, Provision, Unreadable
from gateway.decision.bench import Tools
from gateway.decision.case import Case
from gateway.decision.facts import Facts
from gateway.decision.judge import judge
from gateway.decision.model import Answer, Cause, Decision, SubjectFacts, Verdict
from gateway.decision.particular import Particular
from gateway.facts.consult import Consult
from gateway.fhir import v3_tables as v3
from gateway.fhir.bundle import Document
from gateway.fhir.terminology import canonical
from gateway.fhir.view import ResourceView

TYPES: Final = "http://hl7.org/fhir/resource-types"
_TYPE_SYSTEMS: Final = frozenset({TYPES, "https://hl7.org/fhir/resource-types", "http://hl7.org/fhir/fhir-types"})
_PLAIN: Final = ("Observation", "Procedure", "Encounter", "Condition", "DiagnosticReport", "Immunization")
_CONFIDENTIAL: Final = ("R", "V")
_MOST_TYPES: Final = 30
_REFUSING: Final = frozenset({Answer.DENY, Answer.INDETERMINATE})


class StandIn(msgspec.Struct, frozen=True):
    """What is asked about: a record of a type, plain, with one label (and one `beside` it), or with one code."""

    type: str
    label: Coding | None = None
    code: Coding | None = None
    beside: Coding | None = None

    @property
    def mark(self) -> Coding | None:
        """What sets it apart from a plain one."""
        return self.beside or self.label or self.code


class Said(msgspec.Struct, frozen=True):
    """What the judge says of one record or stand-in, of all its patients together."""

    permits: bool
    denies: bool
    released: bool
    labels: tuple[Coding, ...]
    causes: tuple[Cause, ...]
    consents: tuple[str, ...]


def stand_ins(consult: Consult, consents: Iterable[Consent | Unreadable]) -> tuple[StandIn, ...]:
    """Give what to ask the judge about: every type with every label and code that may matter."""
    rules = [one for consent in consents if isinstance(consent, Consent) for one in _provisions(consent)]
    named = dict.fromkeys(one.code or "" for rule in rules for one in rule.classes if one.system in _TYPE_SYSTEMS)
    types = consult.types or (_plain(named), *(name for name in named if name.isalpha()))[:_MOST_TYPES]
    labels = [canonical(one) for rule in rules for one in rule.labels]
    labels += [Coding(CONFIDENTIALITY, code) for code in _CONFIDENTIAL]
    # Abstract codes (`_ActInformationSensitivityPolicy`) stand on no record.
    tables = (v3.POLICIES, v3.SENSITIVITIES)
    labels += [Coding(ACT_CODE, code) for table in tables for code in table if not code.startswith("_")]
    codes = [one for rule in rules for concept in rule.codes for one in concept if one.system and one.code]
    return tuple(
        dict.fromkeys(
            stand_in
            for name in dict.fromkeys(types)
            for stand_in in (
                StandIn(name),
                *(StandIn(name, label=one) for one in labels),
                *(StandIn(name, code=one) for one in codes),
            )
        )
    )


def _plain(named: Iterable[str]) -> str:
    """Give a type that stands for any other: one that no consent names."""
    taken = set(named)
    return next((one for one in _PLAIN if one not in taken), "Basic")


def _provisions(consent: Consent) -> Iterator[Provision]:
    waiting = list(consent.provisions)
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(one.nested)


def stand_in_document(asked: Sequence[StandIn], patients: Sequence[tuple[str, bytes]]) -> bytes:
    """Give a Bundle of the patients (address, text) and of every stand-in, about each of them."""
    entries = [_entry(text, at if at.startswith("urn:") else None) for at, text in patients]
    for number, one in enumerate(asked):
        for place, (at, _) in enumerate(patients):
            tree = {"resourceType": one.type, "id": f"stand-in-{number}-{place}", **_content(one, at)}
            entries.append(_entry(msgspec.json.encode(tree), None))
    return b'{"resourceType":"Bundle","type":"collection","entry":[' + b",".join(entries) + b"]}"


def _entry(text: bytes, at: str | None) -> bytes:
    address = b"" if at is None else b'"fullUrl":%b,' % msgspec.json.encode(at)
    return b'{%b"resource":%b}' % (address, text)


def _content(one: StandIn, patient: str) -> dict[str, Any]:
    labels = [label for label in (one.label, one.beside) if label is not None] or [Coding(CONFIDENTIALITY, "N")]
    person = {"reference": patient}
    marked = {"security": [coding_json(label) for label in labels]}
    found: dict[str, Any] = {"meta": marked, "subject": person, "patient": person}
    return found | ({"code": {"coding": [coding_json(one.code)]}} if one.code is not None else {})


def narrowed(facts: Facts, categories: tuple[Coding, ...]) -> Facts:
    """Give the facts in which only consents of one of these categories permit; a refusal counts whatever it is of."""
    if not categories:
        return facts
    wanted = set(map(canonical, categories))

    def kept(one: Consent | Unreadable) -> Consent | Unreadable:
        if isinstance(one, Unreadable) or _is_of(one, wanted):
            return one
        return msgspec.structs.replace(one, verified=False)  # what is not verified permits nothing, and may refuse

    def told(subject: SubjectFacts) -> SubjectFacts:
        return msgspec.structs.replace(subject, consents=tuple(map(kept, subject.consents)))

    return msgspec.structs.replace(facts, subjects={key: told(one) for key, one in facts.subjects.items()})


def _is_of(consent: Consent, wanted: set[Coding]) -> bool:
    """Say whether a consent is of one of the categories; one that states no scope is one of patient privacy."""
    stated = {canonical(one) for one in (*consent.categories, *consent.scopes)}
    privacy = not consent.scopes and any(one.code == "patient-privacy" for one in wanted)
    return privacy or not stated.isdisjoint(wanted)


class Told:
    """What the judge said of a document, by place; `stands_in`: of records that nobody has shown (rule 3)."""

    def __init__(self, document: Document, facts: Facts, tools: Tools, *, stands_in: bool = False) -> None:
        self.particular = Particular() if stands_in else None
        self.cases: dict[str, list[Case]] = {}
        self.document = document
        self.judgement = judge(document, facts, tools, self._heard)

    def _heard(self, view: ResourceView, case: Case) -> None:
        known = self.cases.setdefault(view.at, [])
        if case.subject is not None and all(one.subject != case.subject for one in known):
            known.append(case)

    def of(self, decisions: Iterable[Decision]) -> Said:
        """Give what is said of some records together: all must permit and be released, one refusal is enough."""
        listed = list(decisions)
        cases = [case for one in listed for case in self.cases.get(one.at, ())]
        answers = [case.consents.answer for case in cases]
        causes = [cause for one in listed for cause in one.because]
        named = [cause.consent for case in cases for cause in (*case.consents.causes, *_linked(case)) if cause.consent]
        unshown = [name for case in cases for name in (self.particular.refusing(case) if self.particular else ())]
        return Said(
            permits=bool(answers) and not unshown and all(one is Answer.PERMIT for one in answers),
            denies=bool(unshown) or any(one in _REFUSING for one in answers) or any(map(_linked, cases)),
            released=not unshown and all(one.verdict is not Verdict.WITHHELD for one in listed),
            labels=tuple(label for one in listed for label in one.labels_in),
            causes=tuple(causes),
            consents=_names((*named, *unshown)),
        )


def _names(causes: Iterable[str]) -> tuple[str, ...]:
    """Give `Consent/id` of causes, each once."""
    return tuple(dict.fromkeys(name.partition("#")[0].partition("/_history")[0] for name in causes))


def _linked(case: Case) -> list[Cause]:
    """Give the refusals on records that may be of the same person."""
    return [cause for said in case.linked for cause in said.causes if cause.effect == "deny"]


Ask = Callable[[tuple[StandIn, ...]], Mapping[StandIn, Said]]
"""Puts stand-ins to the judge."""


def said_of(asked: tuple[StandIn, ...], told: Told) -> dict[StandIn, Said]:
    """Give what was said of each stand-in of `stand_in_document`, of all patients together."""
    places: dict[int, list[Decision]] = {}
    for decision in told.judgement.decisions:
        _, _, name = decision.resource.partition("/stand-in-")
        if name:
            places.setdefault(int(name.partition("-")[0]), []).append(decision)
    return {one: told.of(places[number]) for number, one in enumerate(asked)}


def coding_json(coding: Coding) -> dict[str, str]:
    """Give a code as JSON."""
    pairs = (("system", coding.system), ("code", coding.code))
    return {name: value for name, value in pairs if value is not None}
