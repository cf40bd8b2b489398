"""What a consult is answered: a decision, obligations and the consents behind it, told by the judge alone. Pure.

Rules of this file
1. Without content the judge is asked about stand-ins: a record of each type in question, plain, and with each label and
   code that a consent or the law may turn on. What it decides of them is the card.
2. CONSENT_PERMIT: a consent permits and the profile lets it go. A consent that permits what the profile withholds, or
   any refusal beside no permit, is CONSENT_DENY; NO_CONSENT is silence of all consents.
3. A refusal of particular records (by instance or author) cannot be told by codes: without content it is a deny.
4. With content the decision is that of its records, and what is given back is what release made of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from consent_store.model import ACT_CODE, Coding
from gateway.decision.judge import Judgement
from gateway.facts.consult import Consult
from gateway.facts.consult_stand_ins import TYPES, Ask, Said, StandIn, Told, coding_json
from gateway.fhir.terminology import canonical
from gateway.release.compose import released_document

_REDACT: Final = {"system": ACT_CODE, "code": "REDACT"}
_UNSHOWN: Final = "A consent of the patient refuses particular records; send the content to have it applied."
_NOT_BY_CODES: Final = "A consent permits some records that codes cannot tell apart; send the content."


class CardDecision(StrEnum):
    """The three answers of the hook."""

    PERMIT = "CONSENT_PERMIT"
    DENY = "CONSENT_DENY"
    NONE = "NO_CONSENT"


class Card(msgspec.Struct, frozen=True):
    """The answer. `content` is the exact text that may be given back, with the judgement it was released by."""

    decision: CardDecision
    detail: str
    obligations: tuple[Mapping[str, Any], ...]
    based_on: tuple[str, ...]
    content: bytes | None = None
    judgement: Judgement | None = None


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
    worn = [*what.labels, Coding(TYPES, one.type), *(mark for mark in (one.label, one.beside, one.code) if mark)]
    codes = [coding_json(canonical(mark)) for mark in worn] + [coding_json(mark) for mark in worn]
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
        yield _redact(exceptAnyOfCodes=[Coding(TYPES, name) for name in open_types])
        closed = []
    else:
        closed = [Coding(TYPES, name) for name in types if name not in open_types]
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
    told = {name: [coding_json(one) for one in codes] for name, codes in parameters.items()}
    return {"id": _REDACT, "parameters": told}


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
