"""A decide question → its answer: what the proxy would do, without an upstream. Pure; the CLI and the control plane call it.

Rules of this file
1. The same judge and the same release as the proxy's; nothing is decided here.
2. The same question has the same answer; `revision` and `profile_digest` say what it was answered from (law 7).
3. A question that cannot be asked raises QuestionError; a profile nobody has is one of those.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from consent_store.dates import FhirDate, parse_date
from consent_store.model import Coding, Consent, Identifier, PatientKey, Unreadable
from consent_store.reading import read_consent
from gateway.decision.bench import Tools
from gateway.decision.facts import Facts
from gateway.decision.judge import Judgement, judge
from gateway.decision.model import Cause, Decision, Direction, Exchange, SubjectFacts, Verdict
from gateway.decision.sources import identifiers_of
from gateway.errors import QuestionError
from gateway.facts.question import Question, exchange_of, read_question
from gateway.fhir.bundle import Document, read_document
from gateway.fhir.patients import patients_named
from gateway.fhir.references import Resolver
from gateway.fhir.strict import MalformedJson
from gateway.fhir.terminology import purpose_is_a, purpose_of
from gateway.fhir.view import ResourceView
from gateway.policy.model import Policy
from gateway.policy.reading import REASONS
from gateway.release.compose import manifest_of, refused_whole, released_document


class Shelf(msgspec.Struct, frozen=True):
    """The compiled profiles by name, and the tools each is read with."""

    policies: Mapping[str, Policy]
    tools: Mapping[str, Tools]


def answer(raw: bytes, shelf: Shelf) -> dict[str, Any]:
    """Answer one question (JSON text). Raises QuestionError. The answer's `released` is msgspec.Raw of exact text."""
    question = read_question(raw)
    policy = shelf.policies.get(question.profile)
    if policy is None:
        raise QuestionError(f"`profile`: no profile `{question.profile}`; there are {', '.join(sorted(shelf.policies))}")
    tools = shelf.tools[question.profile]
    exchange, directory = exchange_of(question, policy)
    document = document_of(bytes(question.resource), "resource")
    context = tuple(view for one in question.context for view in document_of(bytes(one), "context").views)
    consents = tuple(_consent(bytes(one)) for one in question.consents)
    resolver = Resolver.over(document.views, document.bundle, context)
    subjects = _subjects(question, (*document.views, *context), consents, resolver, tools)
    facts = Facts(
        exchange=exchange,
        policy=policy,
        directory=directory,
        subjects=subjects,
        context=context,
        stated_resources=question.facts.resources,
    )
    judgement = judge(document, facts, tools)
    return _answer(question, policy, exchange, document, judgement)


def document_of(raw: bytes, where: str) -> Document:
    """Read one resource or a Bundle. Raises QuestionError naming the part of the question."""
    try:
        document = read_document(raw)
    except MalformedJson as wrong:
        raise QuestionError(f"`{where}`: {wrong}") from None
    if document.bundle is not None and document.bundle.unread:
        raise QuestionError(f"`{where}`: the bundle has the unknown element `{document.bundle.unread[0]}`")
    return document



def _consent(raw: bytes) -> Consent | Unreadable:
    try:
        wrapper = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        if set(wrapper) == {"fhirVersion", "resource"}:
            version = msgspec.json.decode(wrapper["fhirVersion"], type=str)
            return read_consent(bytes(wrapper["resource"]), source="", fhir_version=".".join(version.split(".")[:2]))
    except msgspec.DecodeError:
        raise QuestionError("`consents`: an element is not a resource") from None
    return read_consent(raw, source="")


def _subjects(
    question: Question,
    views: tuple[ResourceView, ...],
    consents: tuple[Consent | Unreadable, ...],
    resolver: Resolver,
    tools: Tools,
) -> dict[PatientKey, SubjectFacts]:
    keys = dict.fromkeys(key for view in views for key in patients_named(view, resolver, tools.elements).keys)
    stated = {resolver.patient_key(text): facts for text, facts in question.facts.subjects.items()}
    patients = {resolver.patient_key(f"Patient/{v.id}"): v for v in _all(views) if v.type == "Patient" and v.id}
    return {key: subject_facts(key, patients.get(key), consents, stated.get(key, {})) for key in keys}


def _all(views: Iterable[ResourceView]) -> Iterable[ResourceView]:
    for view in views:
        yield view
        yield from _all(view.inner)


def subject_facts(
    key: PatientKey,
    patient: ResourceView | None,
    consents: Iterable[Consent | Unreadable],
    stated: Mapping[str, bool],
) -> SubjectFacts:
    """Give what is known of one subject from its Patient resource, if there is one, and the consents that are its own.

    A Consent that names nobody readable counts against everyone asked about: it can only deny (law 2).
    """
    identifiers = frozenset(identifiers_of(patient)) if patient is not None else frozenset()
    tree = patient.tree if patient is not None else {}
    return SubjectFacts(
        key=key,
        identifiers=identifiers,
        consents=tuple(c for c in consents if _is_of(c, key, identifiers)),
        birth_date=_date(tree.get("birthDate")),
        deceased=bool(tree.get("deceasedDateTime")) or tree.get("deceasedBoolean") is True,
        stated=stated,
    )


def _is_of(consent: Consent | Unreadable, key: PatientKey, identifiers: frozenset[Identifier]) -> bool:
    if not consent.patient.id and not consent.patient_identifiers:
        return True
    return consent.patient == key or not identifiers.isdisjoint(consent.patient_identifiers)


def _date(text: object) -> FhirDate | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


# The answer ----------------------------------------------------------------------------------------------------------
def _answer(
    question: Question, policy: Policy, exchange: Exchange, document: Document, judgement: Judgement
) -> dict[str, Any]:
    refused = _not_granted(exchange)
    text = None if refused else released_document(bytes(question.resource), document, judgement)
    whole = refused is not None or refused_whole(document, judgement)
    effect = "deny" if whole or text is None else judgement.effect
    return {
        "v": 1,
        "id": question.id,
        "effect": effect,
        "refusal": _refusal(judgement, refused) if effect == "deny" else None,
        "released": None if text is None or effect == "deny" else msgspec.Raw(text),
        "obligations": list(manifest_of([judgement]).obligations) if effect != "deny" else [],
        "decisions": [decision_json(decision) for decision in judgement.decisions],
        "revision": _revision(question),
        "profile_digest": policy.digest,
    }


def _not_granted(exchange: Exchange) -> str | None:
    """Say where the claimant of the purpose is limited to others by the question (law 3): the proxy would refuse."""
    claimant = exchange.discloser if exchange.direction is Direction.PUSH else exchange.recipient
    if claimant.purposes is None or any(purpose_is_a(exchange.purpose, purpose_of(p)) for p in claimant.purposes):
        return None
    return "identity"


def _refusal(judgement: Judgement, refused: str | None) -> dict[str, str | None]:
    if refused:
        return {"reason": refused, "exception": REASONS[refused]}
    causes = [cause for d in judgement.decisions if d.verdict is not Verdict.DISCLOSED for cause in d.because]
    told = [cause for cause in causes if cause.effect == "deny" and cause.reason and cause.layer != "residue"] or causes
    reason = min(told, key=_weight).reason if told else "local_policy"
    return {"reason": reason, "exception": REASONS[reason]}


_CLASS_ORDER = ("federal_law", "other_law", "patient", "agreement", "discretionary", "")


def _weight(cause: Cause) -> int:
    return _CLASS_ORDER.index(cause.deny_class)


def decision_json(decision: Decision) -> dict[str, Any]:
    """Give a Decision in the words of the answer (docs/decide.md)."""
    return {
        "at": decision.at,
        "resource": decision.resource,
        "subjects": [f"Patient/{key.id}" for key in decision.subjects],
        "categories": list(decision.categories),
        "verdict": decision.verdict.value,
        "edits": [
            {"op": e.op.value, "path": e.path, "because": e.because}
            | ({"value": msgspec.Raw(e.value)} if e.value else {})
            for e in decision.edits
        ],
        "labels_in": [_coding(c) for c in decision.labels_in],
        "labels_out": [_coding(c) for c in decision.labels_out],
        "because": [
            {
                "layer": c.layer,
                "class": c.deny_class or None,
                "effect": c.effect,
                "rule": c.rule,
                "cite": c.cite,
                "consent": c.consent or None,
                "say": c.say,
            }
            for c in decision.because
        ],
        "erring": list(decision.erring),
        "unmet": list(decision.unmet),
        "obligations": list(decision.obligations),
        "refrains": list(decision.refrains),
    }


def _coding(coding: Coding) -> dict[str, str | None]:
    return {"system": coding.system, "code": coding.code}


def _revision(question: Question) -> str:
    digest = hashlib.sha256()
    for one in sorted(bytes(consent) for consent in question.consents):
        digest.update(len(one).to_bytes(8, "big") + one)
    return "sha256:" + digest.hexdigest()
