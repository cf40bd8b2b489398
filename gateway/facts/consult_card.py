"""What a consult is answered: a decision, obligations and the consents behind it, told by the judge alone. Pure.

Rules of this file
1. Without content the judge is asked about stand-ins: a record of each type in question, plain, and with each label and
   code that a consent or the law may turn on. What it decides of them is the card.
2. CONSENT_PERMIT: a consent permits and the profile lets it go. A consent that permits what the profile withholds, or
   any refusal beside no permit, is CONSENT_DENY; NO_CONSENT is silence of all consents.
3. A refusal of particular records (by instance or author) cannot be told by codes: without content it is a deny.
4. With content the decision is that of its records, and what is given back is what release made of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding, Consent, Provision, Unreadable
from gateway.decision.bench import Tools
from gateway.decision.case import Case
from gateway.decision.facts import Facts
from gateway.decision.judge import Judgement, judge
from gateway.decision.model import Answer, Cause, Decision, SubjectFacts, Verdict
from gateway.decision.particular import Particular
from gateway.facts.consult import Consult
from gateway.fhir import v3_tables as v3
from gateway.fhir.bundle import Document
from gateway.fhir.terminology import canonical
from gateway.fhir.view import ResourceView
from gateway.release.compose import released_document

_TYPES: Final = "http://hl7.org/fhir/resource-types"
_TYPE_SYSTEMS: Final = frozenset({_TYPES, "https://hl7.org/fhir/resource-types", "http://hl7.org/fhir/fhir-types"})
_PLAIN: Final = ("Observation", "Procedure", "Encounter", "Condition", "DiagnosticReport", "Immunization")
_CONFIDENTIAL: Final = ("R", "V")
_REDACT: Final = {"system": ACT_CODE, "code": "REDACT"}
_MOST_TYPES: Final = 30
_UNSHOWN: Final = "A consent of the patient refuses particular records; send the content to have it applied."
_NOT_BY_CODES: Final = "A consent permits some records that codes cannot tell apart; send the content."
_REFUSING: Final = frozenset({Answer.DENY, Answer.INDETERMINATE})


class CardDecision(StrEnum):
    """The three answers of the hook."""

    PERMIT = "CONSENT_PERMIT"
    DENY = "CONSENT_DENY"
    NONE = "NO_CONSENT"


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


class Card(msgspec.Struct, frozen=True):
    """The answer. `content` is the exact text that may be given back, with the judgement it was released by."""

    decision: CardDecision
    detail: str
    obligations: tuple[Mapping[str, Any], ...]
    based_on: tuple[str, ...]
    content: bytes | None = None
    judgement: Judgement | None = None


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
    marked = {"security": [_coding(label) for label in labels]}
    found: dict[str, Any] = {"meta": marked, "subject": person, "patient": person}
    return found | ({"code": {"coding": [_coding(one.code)]}} if one.code is not None else {})


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


def card_of(consult: Consult, asked: tuple[StandIn, ...], ask: Ask, content: Told | None) -> Card:
    """Give the card. `ask` puts stand-ins to the judge, `content` is what it said of what was sent."""
    said = dict(ask(asked))
    if content is not None:
        return _of_content(consult, said, ask, content)
    decision, detail, based_on = _decided(consult, said)
    if decision is CardDecision.DENY:
        return Card(decision, detail, (), based_on)
    obligations = tuple(_obligations(consult, said, ask))
    if decision is CardDecision.PERMIT and not all(_kept_back(obligations, one, what) for one, what in said.items()):
        refused = [what for one, what in said.items() if what.denies and one.mark is None]
        if refused:
            return Card(CardDecision.DENY, _NOT_BY_CODES, (), based_on)
        return Card(CardDecision.NONE, _NOT_BY_CODES, (), ())
    return Card(decision, detail, obligations, based_on)


def _kept_back(obligations: Sequence[Mapping[str, Any]], one: StandIn, what: Said) -> bool:
    """Say whether a client that carries the obligations out lets nothing through that the judge withholds."""
    if what.released:
        return True
    worn = [*what.labels, Coding(_TYPES, one.type), *(mark for mark in (one.label, one.beside, one.code) if mark)]
    codes = [_coding(canonical(mark)) for mark in worn] + [_coding(mark) for mark in worn]
    for obligation in obligations:
        parameters = obligation["parameters"]
        if any(code in codes for code in parameters.get("codes", ())):
            return True
        if "exceptAnyOfCodes" in parameters and not any(code in codes for code in parameters["exceptAnyOfCodes"]):
            return True
    return False


def _decided(consult: Consult, said: Mapping[StandIn, Said]) -> tuple[CardDecision, str, tuple[str, ...]]:
    plain = {one: what for one, what in said.items() if one.mark is None}
    if consult.types and any(what.denies for what in plain.values()):
        return _denied(what for what in plain.values() if what.denies)
    return _outcome(said.values(), first=plain.values())


def _outcome(said: Iterable[Said], first: Iterable[Said]) -> tuple[CardDecision, str, tuple[str, ...]]:
    everything = [*first, *said]
    let = [what for what in everything if what.permits and what.released]
    if let:
        return CardDecision.PERMIT, "A consent of the patient permits this.", let[0].consents
    refused = [what for what in everything if what.denies]
    if refused:
        return _denied(refused)
    held = [what for what in everything if what.permits]
    if held:
        why = "; ".join(f"{one.say} ({one.cite})" for one in held[0].causes if one.effect == "deny")
        return CardDecision.DENY, f"A consent permits it, the profile does not: {why}", held[0].consents
    return CardDecision.NONE, "No consent of the patient applies.", ()


def _denied(said: Iterable[Said]) -> tuple[CardDecision, str, tuple[str, ...]]:
    found = list(said)
    words = [one.say for one in found[0].causes if one.layer == "patient" and one.effect == "deny"]
    named = tuple(dict.fromkeys(name for what in found for name in what.consents))
    return CardDecision.DENY, words[0] if words else _UNSHOWN, named


def _of_content(consult: Consult, said: dict[StandIn, Said], ask: Ask, content: Told) -> Card:
    judgement = content.judgement
    records = [one for one in judgement.decisions if one.at in judgement.patient_bearing]
    decision, detail, based_on = _outcome((content.of([one]) for one in records), first=())
    text = released_document(consult.content or b"", content.document, judgement)
    if text is None and decision is CardDecision.PERMIT:
        decision, detail = CardDecision.DENY, "It goes whole or not at all, and something of it is refused."
    if decision is CardDecision.DENY:
        return Card(decision, detail, (), based_on)
    return Card(decision, detail, tuple(_obligations(consult, said, ask)), based_on, text, judgement)


# Obligations ---------------------------------------------------------------------------------------------------------
def _obligations(consult: Consult, said: dict[StandIn, Said], ask: Ask) -> Iterator[Mapping[str, Any]]:
    """Give what the client has to redact: all but what it may keep alone, and what it has to take out of that."""
    types = list(dict.fromkeys(one.type for one in said))
    usual = consult.types or types[:1]
    open_types = [name for name in types if said[StandIn(name)].released]
    if not open_types:
        yield from _of_labels_alone(usual, said, ask)
        return
    held = [one.mark for one, what in said.items() if one.type in open_types and not what.released]
    shut = list(dict.fromkeys(mark for mark in held if mark is not None))
    if set(open_types).isdisjoint(usual):
        yield _redact(exceptAnyOfCodes=[Coding(_TYPES, name) for name in open_types])
        closed = []
    else:
        closed = [Coding(_TYPES, name) for name in types if name not in open_types]
    codes = [*closed, *_least(shut, said)]
    if codes:
        yield _redact(codes=codes)


def _of_labels_alone(usual: Sequence[str], said: dict[StandIn, Said], ask: Ask) -> Iterator[Mapping[str, Any]]:
    """Only records with some label or code go: these are named, and what may not stand beside one of the labels."""
    marks = list(dict.fromkeys(one.mark for one in said if one.mark is not None))
    let = [mark for mark in marks if all(said[one].released for one in said if one.mark == mark and one.type in usual)]
    if not let:
        return
    yield _redact(exceptAnyOfCodes=let)
    labels = list(dict.fromkeys(label for one in said if (label := one.label) is not None))
    pairs = tuple(
        StandIn(name, label=mark, beside=other)
        for name in usual
        for mark in let
        if mark in labels
        for other in labels
        if other not in let
    )
    said.update(ask(pairs))
    shut = list(dict.fromkeys(one.beside for one in pairs if one.beside is not None and not said[one].released))
    if shut:
        yield _redact(codes=list(_least(shut, said)))


def _least(shut: list[Coding], said: Mapping[StandIn, Said]) -> Iterator[Coding]:
    """Give the codes without those that imply another of them: a record with the one is labelled with the other too.
    Clients compare codes as they stand, so what is merely of a kind with another stays."""
    labels = {one.label: what.labels for one, what in said.items() if one.label is not None and one.beside is None}
    for one in shut:
        others = set(shut) - {one}
        implied = {canonical(label) for label in labels.get(one, ())} - {one}
        if implied.isdisjoint(others):
            yield one


def _redact(**parameters: list[Coding]) -> Mapping[str, Any]:
    told = {name: [_coding(one) for one in codes] for name, codes in parameters.items()}
    return {"id": _REDACT, "parameters": told}


def _coding(coding: Coding) -> dict[str, str]:
    pairs = (("system", coding.system), ("code", coding.code))
    return {name: value for name, value in pairs if value is not None}


def card_json(card: Card, source: str) -> dict[str, Any]:
    """Give the answer of the hook (CDS Hooks 2.0, card attributes; LEAP's and SHARES' extension)."""
    indicator = {CardDecision.PERMIT: "info", CardDecision.DENY: "critical", CardDecision.NONE: "warning"}
    extension: dict[str, Any] = {"decision": card.decision.value, "obligations": list(card.obligations)}
    if card.based_on:
        extension |= {"basedOn": card.based_on[0], "consents": list(card.based_on)}
    if card.content is not None:
        extension["content"] = msgspec.Raw(card.content)
    return {
        "cards": [
            {
                "summary": card.decision.value,
                "detail": card.detail,
                "indicator": indicator[card.decision],
                "source": {"label": "Consent Gateway", "url": source},
                "extension": extension,
            }
        ]
    }
