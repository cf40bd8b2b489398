"""Who takes part: participants, what they agreed, whom they have a relationship with. Frozen, pure.

Rules of this file
1. A participant is an organisation (or a patient's own app) that the operator registered; nobody else exists.
2. An agreement gives only what it lists: absent `data` or `purposes` = not limited, empty = nothing
   (ARCHITECTURE.md section 6). `between` may name any participants.
3. Who is who is settled by reference or identifier, never by display.
4. An attestation is somebody's word for a fact that cannot be derived; it counts where it limits itself to, no further.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from consent_store.dates import Period
from consent_store.model import Identifier, PatientKey


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """One registered party. `references` are its records on the servers (`Organization/7`), `identifier_systems` the
    systems of the numbers it gives its patients, `purposes` what it may claim (None: the question did not limit it;
    the data plane requires a list), `hipaa_covered` whether it is a covered entity (None: left out, its type tells)."""

    id: str
    type: str
    hipaa_covered: bool | None = None
    part2_program: bool = False
    references: frozenset[str] = frozenset()
    identifiers: frozenset[Identifier] = frozenset()
    identifier_systems: frozenset[str] = frozenset()
    purposes: frozenset[str] | None = None
    attributes: Mapping[str, object] = {}
    name: str = ""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """A signed agreement between two or more participants."""

    type: str
    between: frozenset[str]
    data: frozenset[str] | None = None
    purposes: frozenset[str] | None = None
    period: Period = Period()


class Relationship(msgspec.Struct, frozen=True, kw_only=True):
    """A participant's standing relationship with a patient (member, patient, client), while its period lasts."""

    participant: str
    patient: PatientKey | None = None
    identifier: Identifier | None = None
    period: Period = Period()


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """The word of participant `by` that a fact holds, or not: standing in the directory, or a claim of a signed token.

    It speaks of exchanges between these sides ("": any) for these purposes (None: any), about one patient or all, about
    one record (`resource`, `Type/id` at `source`) or all. `name` is how the ledger tells which one it was."""

    fact: str
    by: str
    name: str
    holds: bool = True
    standing: bool = True
    discloser: str = ""
    recipient: str = ""
    purposes: frozenset[str] | None = None
    patient: PatientKey | None = None
    identifier: Identifier | None = None
    source: str = ""
    resource: str = ""
    period: Period = Period()

    @property
    def of_one_patient(self) -> bool:
        """Say whether it is about one patient alone."""
        return self.patient is not None or self.identifier is not None


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A registered client, and the participant it speaks for. `issuer` "" = the only issuer configured; `may_attest`
    are the facts that its signed tokens may attest."""

    client_id: str
    participant: str
    issuer: str = ""
    may_break_glass: bool = False
    may_attest: frozenset[str] = frozenset()


class Directory(msgspec.Struct, frozen=True):
    """Everything the gateway knows of parties. `revision` changes whenever any of it does. What is asked for by patient
    or by sides is found at once, however many there are (`related_to`, `between`, both made here)."""

    participants: Mapping[str, Participant]
    agreements: tuple[Agreement, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    revision: str = ""
    clients: tuple[Client, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    related_to: Mapping[PatientKey | Identifier | None, tuple[Relationship, ...]] = {}
    between: Mapping[tuple[str, str], tuple[Attestation, ...]] = {}

    def __post_init__(self) -> None:
        """Make the indexes."""
        of_patients = [(who, one) for one in self.relationships for who in (one.patient, one.identifier)]
        msgspec.structs.force_setattr(self, "related_to", _grouped(of_patients))
        of_sides = [((one.discloser, one.recipient), one) for one in self.attestations]
        msgspec.structs.force_setattr(self, "between", _grouped(of_sides))


_K = TypeVar("_K")
_V = TypeVar("_V")


def _grouped(pairs: Iterable[tuple[_K, _V]]) -> dict[_K, tuple[_V, ...]]:
    found: dict[_K, list[_V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}
