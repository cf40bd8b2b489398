"""Attestations → what the ledger tells of them: whose word an exchange rested on, and where it was given.

Rules of this file
1. The open part says which facts, by whom and by which attestation; whom they are about stands in the story alone.
2. Of a patient or record of which nothing leaves, the open part does not tell even that something was attested.
"""

from collections.abc import Iterable, Mapping

from consent_store.store import Subject
from gateway.directory.lookups import about
from gateway.directory.model import Attestation
from gateway.ledger.model import Account, Attested, Story


def attested_of(
    attestations: Iterable[Attestation], subjects: Iterable[Subject], account: Account, story: Story
) -> tuple[tuple[Attested, ...], Mapping[str, tuple[Attested, ...]]]:
    """Give what was attested: for the open part, and for the story by patient (`source|id`) or record."""
    given = tuple(attestations)
    open_part = [one for one in given if not one.of_one_patient and not one.resource]
    of_each: dict[str, tuple[Attested, ...]] = {}
    left = {disclosed.patient for disclosed in account.disclosed}
    for subject in subjects:
        if found := about(given, subject.key, subject.identifiers):
            of_each[f"{subject.key.source}|{subject.key.id}"] = _told(found)
            open_part += found if subject.key in left else ()
    records = {name for disclosed in account.disclosed for name in disclosed.resources}
    asked_about = {decision.resource for decision in story.decisions}
    for name in sorted({one.resource for one in given if one.resource} & asked_about):
        found = tuple(one for one in given if one.resource == name)
        of_each[name] = _told(found)
        open_part += found if name in records else ()
    return _told(open_part), of_each


def _told(attestations: Iterable[Attestation]) -> tuple[Attested, ...]:
    return tuple(
        sorted(
            {
                Attested(one.fact, one.holds, one.by, "standing" if one.standing else "token", one.name)
                for one in attestations
            }
        )
    )
