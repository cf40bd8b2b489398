"""A decide question → why each record came out as it did, and what would have it come out otherwise. Pure.

Rules of this file
1. For a privacy officer: it tells of consents, patients and what was withheld. The data plane tells none of it.
2. The question, the judge and the answer are those of `decide`; what is claimed was judged (`decision.changes`).
3. `given` of a change is what to put in the question (docs/explain.md); asked again with it, the record comes out so.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from consent_store.model import Consent, PatientKey, Unreadable
from gateway.decision.alterations import Alteration, reference_to
from gateway.decision.candidates import Stateable
from gateway.decision.changes import Explained, Explanation, Way, explained
from gateway.decision.model import Cause
from gateway.decision.near_consents import Lack, NearConsent, Why, name_of
from gateway.decision.near_rules import NearRule
from gateway.directory.vocabulary import EXCHANGE_FACTS, RESOURCE_FACTS, SUBJECT_FACTS
from gateway.errors import QuestionError
from gateway.facts.answer import Read, Shelf, agreeing, answer_to, read_whole

STATEABLE = Stateable(frozenset(EXCHANGE_FACTS), frozenset(SUBJECT_FACTS), frozenset(RESOURCE_FACTS))


def explain(raw: bytes, shelf: Shelf, only: Iterable[str] = ()) -> dict[str, Any]:
    """Explain the answer to one question (JSON text); `only` names records by pointer or `Type/id`, none = all.

    Raises QuestionError, also where a record named is not in the question.
    """
    read = read_whole(raw, shelf)
    wanted = frozenset(only)
    found = explained(read.document, read.facts, read.tools, STATEABLE, wanted or None)
    agreeing(found.judgement)
    there = {name for one in found.records for name in (one.decision.at, one.decision.resource)}
    if not wanted <= there:
        raise QuestionError(f"no record `{min(wanted - there)}` in the question")
    return _explanation(read, found)


def _explanation(read: Read, found: Explanation) -> dict[str, Any]:
    answer = answer_to(read, found.judgement)
    exchange = read.facts.exchange
    return {
        "v": 1,
        "id": answer["id"],
        "at": exchange.at.isoformat(),
        "profile": read.policy.name,
        "exchange": {
            "discloser": exchange.discloser.id,
            "recipient": exchange.recipient.id,
            "purpose": exchange.purpose.code,
        },
        "effect": answer["effect"],
        "refusal": answer["refusal"],
        "whole": _whole(answer, found),
        "records": [_record(one, read) for one in found.records],
        "profile_digest": answer["profile_digest"],
    }


def _whole(answer: Mapping[str, Any], found: Explanation) -> str | None:
    """Say what holds for the answer as a whole, where single records do not show it."""
    if answer["effect"] != "deny" or found.judgement.effect == "deny":
        return None
    if (answer["refusal"] or {}).get("reason") == "identity":
        return "The recipient is not registered for this purpose, so nothing is disclosed for it."
    return (
        "It goes whole or not at all (a transaction, a message, a signed or attested document): see what is held back."
    )


def _record(one: Explained, read: Read) -> dict[str, Any]:
    decision = one.decision
    others = _of_others(read, decision.subjects)
    return {
        "at": decision.at,
        "resource": decision.resource,
        "subjects": [reference_to(key) for key in decision.subjects],
        "labels": [coding.code for coding in decision.labels_in],
        "categories": list(decision.categories),
        "verdict": decision.verdict.value,
        "applied": [_cause(number, cause, one) for number, cause in enumerate(decision.because)],
        "consents": [*(_consent(key, near) for key, listed in one.consents for near in listed), *others],
        "rules": [_rule(rule) for rule in one.rules],
        "not_met": list(decision.unmet),
        "erring": list(decision.erring),
        "would_disclose": [_way(way) for way in one.disclosing],
        "would_withhold": [_way(way) for way in one.withholding],
        "barred": [_bar(cause) for cause in one.barred],
        "tried_all": one.complete,
    }


def _cause(number: int, cause: Cause, one: Explained) -> dict[str, Any]:
    return {
        "layer": cause.layer,
        "effect": cause.effect,
        "rule": cause.rule,
        "cite": cause.cite,
        "consent": cause.consent or None,
        "say": cause.say,
        "edited": [edit.path for edit in one.decision.edits if edit.because == number],
    }


def _consent(key: PatientKey, near: NearConsent) -> dict[str, Any]:
    return {
        "consent": near.name,
        "patient": reference_to(key),
        "applied": near.speaks,
        "effect": near.effect or None,
        "why": [_why(why) for why in near.why],
        "provisions": [
            {"path": one.path, "effect": one.effect, "why": [_why(why) for why in one.why]} for one in near.provisions
        ],
    }


def _of_others(read: Read, subjects: tuple[PatientKey, ...]) -> list[dict[str, Any]]:
    """Tell of the question's consents that are of nobody this record is about."""
    mine = {
        id(consent) for key in subjects if key in read.facts.subjects for consent in read.facts.subjects[key].consents
    }
    why = _why(Why(Lack.OTHER_PATIENT, "it is of another patient than this record is about"))
    return [_other(one, why) for one in read.consents if id(one) not in mine] if subjects else []


def _other(consent: Consent | Unreadable, why: dict[str, str]) -> dict[str, Any]:
    patient = reference_to(consent.patient) if consent.patient.id else None
    return {
        "consent": name_of(consent),
        "patient": patient,
        "applied": False,
        "effect": None,
        "why": [why],
        "provisions": [],
    }


def _why(why: Why) -> dict[str, str]:
    return {"reason": why.lack.value, "say": why.say}


def _rule(rule: NearRule) -> dict[str, Any]:
    return {
        "rule": rule.rule,
        "effect": rule.effect,
        "layer": rule.layer,
        "cite": rule.cite,
        "says": rule.says,
        "why": [
            {"reason": one.kept.value, "say": one.say, "condition": one.condition or None, "known": one.known}
            for one in rule.because
        ],
    }


def _way(way: Way) -> dict[str, Any]:
    return {"becomes": way.becomes.value, "together": [_alteration(one) for one in way.alterations]}


def _alteration(one: Alteration) -> dict[str, Any]:
    return {"kind": one.kind.value, "say": one.say, "given": one.given}


def _bar(cause: Cause) -> dict[str, str]:
    return {"rule": cause.rule, "cite": cause.cite, "say": cause.say}
