"""Decisions → what the ledger writes of them: the account of what leaves, and the restricted story.

Rules of this file
1. The account speaks of what leaves, by patient; of what is withheld it has counts by type and no more.
2. Records inside others (contained) are part of the record that holds them: in the story, not in the account.
3. No resource content: the values of edits are dropped, their places are kept.
"""

import secrets
from collections import Counter
from collections.abc import Iterable

import msgspec

from consent_store.model import PatientKey
from gateway.decision.model import Cause, Decision, Verdict
from gateway.ledger.model import Account, Disclosed, RuleHit, Story


def account_of(decisions: Iterable[Decision]) -> tuple[Account, Story]:
    """Give the account and the story of one answer's decisions."""
    all_of_them = tuple(decisions)
    whole = [decision for decision in all_of_them if "/contained/" not in decision.at]
    released = [decision for decision in whole if decision.verdict is not Verdict.WITHHELD]
    withheld = [decision for decision in whole if decision.verdict is Verdict.WITHHELD]
    account = Account(
        disclosed=_by_patient(released),
        others=_once(decision.resource for decision in released if not decision.subjects),
        released=_counts(released),
        withheld=_counts(withheld),
        rules=tuple(sorted({RuleHit(cause.rule, cause.cite) for cause in _causes(released)})),
        obligations=_once(sorted(o for decision in released for o in decision.obligations)),
        refrains=_once(sorted(r for decision in released for r in decision.refrains)),
    )
    story = Story(
        decisions=tuple(_without_values(decision) for decision in all_of_them),
        withheld=_once(decision.resource for decision in withheld),
        nonce=secrets.token_hex(16),
    )
    return account, story


def _by_patient(released: Iterable[Decision]) -> tuple[Disclosed, ...]:
    resources: dict[PatientKey, list[str]] = {}
    consents: dict[PatientKey, list[str]] = {}
    for decision in released:
        for patient in decision.subjects:
            resources.setdefault(patient, []).append(decision.resource)
            relied = [cause.consent.partition("#")[0] for cause in decision.because if cause.consent]
            consents.setdefault(patient, []).extend(relied)
    return tuple(
        Disclosed(patient, _once(resources[patient]), _once(sorted(consents[patient])))
        for patient in sorted(resources, key=lambda key: (key.source, key.id))
    )


def _causes(decisions: Iterable[Decision]) -> Iterable[Cause]:
    return (cause for decision in decisions for cause in decision.because if cause.rule)


def _counts(decisions: Iterable[Decision]) -> dict[str, int]:
    return dict(sorted(Counter(decision.resource.partition("/")[0] for decision in decisions).items()))


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _without_values(decision: Decision) -> Decision:
    edits = tuple(msgspec.structs.replace(edit, value=b"") for edit in decision.edits)
    return msgspec.structs.replace(decision, edits=edits)
