"""A decide question → its answer: what the proxy would do, without an upstream. CLI and control plane call it. Pure.

Rules of this file
1. The same judge and the same release as the proxy's; nothing is decided here.
2. The same question has the same answer; `revision` and `profile_digest` say what it was answered from (law 7).
3. A question that cannot be asked raises QuestionError; a profile nobody has is one of those.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from consent_store.model import Coding, Consent, PatientKey, Unreadable
from consent_store.reading import read_consent
from gateway.decision.bench import Tools
from gateway.decision.facts import Facts
from gateway.decision.judge import Judgement, in_context, judge
from gateway.decision.model import Cause, Decision, Direction, Exchange, SubjectFacts, Verdict
from gateway.decision.subjects import base_text
from gateway.errors import QuestionError
from gateway.facts.people import by_identifier, names_by_urn, own_bases, people, subject_facts
from gateway.facts.question import Question, exchange_of, read_question
from gateway.fhir.bundle import Document, read_document
from gateway.fhir.patients import patients_named
from gateway.fhir.references import Base, Local, Urn, parse
from gateway.fhir.resolver import Resolver
from gateway.fhir.strict import MalformedJson
from gateway.fhir.terminology import purpose_is_a, purpose_of
from gateway.policy.model import Policy
from gateway.policy.reading_rules import REASONS
from gateway.release.compose import manifest_of, refused_whole, released_document

# R4 bundle-type; one that does not say is a collection.
_BUNDLES = frozenset(
    {"", "document", "message", "transaction", "transaction-response", "batch", "batch-response", "history"}
    | {"searchset", "collection"}
)


class Shelf(msgspec.Struct, frozen=True):
    """The compiled profiles by name, and the tools each is read with."""

    policies: Mapping[str, Policy]
    tools: Mapping[str, Tools]


class Read(msgspec.Struct, frozen=True):
    """A question that can be asked: what is asked about, and all that is known for it. `consents` are all of its."""

    question: Question
    policy: Policy
    tools: Tools
    document: Document
    facts: Facts
    consents: tuple[Consent | Unreadable, ...]


def answer(raw: bytes, shelf: Shelf) -> dict[str, Any]:
    """Answer one question (JSON text). Raises QuestionError. The answer's `released` is msgspec.Raw of exact text."""
    read = read_whole(raw, shelf)
    return answer_to(read, agreeing(judge(read.document, read.facts, read.tools)))


def agreeing(judgement: Judgement) -> Judgement:
    """Give a judgement back. Raises QuestionError where the question says the opposite of what is derived from it."""
    if judgement.contradictions:
        raise QuestionError(f"`facts`: the opposite of `{judgement.contradictions[0]}` is derived from the question")
    return judgement


def read_whole(raw: bytes, shelf: Shelf) -> Read:
    """Read a question with all its parts. Raises QuestionError."""
    question = read_question(raw)
    policy = shelf.policies.get(question.profile)
    if policy is None:
        there = ", ".join(sorted(shelf.policies))
        raise QuestionError(f"`profile`: no profile `{question.profile}`; there are {there}")
    tools = shelf.tools[question.profile]
    exchange, directory = exchange_of(question, policy)
    document = document_of(bytes(question.resource), "resource")
    context = tuple(view for one in question.context for view in document_of(bytes(one), "context").views)
    own, several = own_bases(document)
    consents = tuple(_consent(bytes(one), own) for one in question.consents)
    whole = in_context(document, context)
    resolver = Resolver(whole, own)
    consents = tuple(_renamed(consent, names_by_urn(document, resolver)) for consent in consents)
    subjects = _subjects(question, whole, consents, resolver, tools)
    if several:  # whose ids are "ours" cannot be told, so nobody's consent can be found
        subjects = {key: facts for key, facts in subjects.items() if key.source == ""}
    facts = Facts(
        exchange=exchange,
        policy=policy,
        directory=directory,
        subjects=subjects,
        context=context,
        stated_resources=question.facts.resources,
        own=own,
    )
    return Read(question, policy, tools, document, facts, consents)


def document_of(raw: bytes, where: str) -> Document:
    """Read one resource or a Bundle. Raises QuestionError naming the part of the question."""
    try:
        document = read_document(raw)
    except MalformedJson as wrong:
        raise QuestionError(f"`{where}`: {wrong}") from None
    if document.bundle is not None and document.bundle.type not in _BUNDLES:
        raise QuestionError(f"`{where}`: no type of bundle `{document.bundle.type}`")
    if document.bundle is not None and document.bundle.unread:
        raise QuestionError(f"`{where}`: the bundle has the unknown element `{document.bundle.unread[0]}`")
    return document


def _consent(raw: bytes, own: frozenset[Base]) -> Consent | Unreadable:
    bases = frozenset(map(base_text, own))
    try:
        wrapper = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        if set(wrapper) == {"fhirVersion", "resource"}:
            version = msgspec.json.decode(wrapper["fhirVersion"], type=str)
            return read_consent(bytes(wrapper["resource"]), source="", fhir_version=version, own_bases=bases)
    except (msgspec.DecodeError, RecursionError):
        raise QuestionError("`consents`: an element is not a resource") from None
    return read_consent(raw, source="", own_bases=bases)


def _renamed(consent: Consent | Unreadable, names: Mapping[str, PatientKey]) -> Consent | Unreadable:
    """Give a consent whose patient is named by a urn under the key that the patient has here."""
    key = names.get(consent.patient.id.lower(), consent.patient)
    return msgspec.structs.replace(consent, patient=key) if key != consent.patient else consent


def _subjects(
    question: Question, whole: Document, consents: tuple[Consent | Unreadable, ...], resolver: Resolver, tools: Tools
) -> dict[PatientKey, SubjectFacts]:
    known = people(whole, resolver, "")
    named = (patients_named(v, resolver, tools.elements, identifiers=by_identifier(known)) for v in whole.views)
    keys = dict.fromkeys([*known, *(key for one in named for key in one.keys)])
    stated = {_stated_key(text): facts for text, facts in question.facts.subjects.items()}
    everyone = frozenset(keys)
    return {key: subject_facts(key, known.get(key, ()), consents, stated.get(key, {}), everyone) for key in keys}


def _stated_key(text: str) -> PatientKey:
    target = parse(text, frozenset())
    if isinstance(target, Local) and target.type == "Patient":
        return PatientKey("", target.id)
    if isinstance(target, Urn):
        return PatientKey("", target.text)
    raise QuestionError(f"`facts.subjects`: `{text}` is no reference to a Patient")


# The answer ----------------------------------------------------------------------------------------------------------
def answer_to(read: Read, judgement: Judgement) -> dict[str, Any]:
    """Give the answer to a question that was judged (docs/decide.md)."""
    question, policy, document = read.question, read.policy, read.document
    refused = _not_granted(read.facts.exchange)
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
