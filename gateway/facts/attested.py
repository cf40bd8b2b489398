"""From attestations to stated facts: of the exchange, of one patient, of one record. Pure.

Rules of this file
1. What is attested lands where a question states it (`facts` of docs/decide.md); nothing derived is ever attested.
2. Of two attestations of one fact the one that says "no" counts.
3. A record that an attestation names is one of the discloser's own server: it means none of a pushed Bundle.
"""

from collections.abc import Iterable, Mapping

from consent_store.model import Identifier, PatientKey
from gateway.directory.model import Attestation


def of_exchange(attestations: Iterable[Attestation]) -> Mapping[str, bool]:
    """Give what is attested of an exchange as a whole."""
    return _facts(one for one in attestations if not one.of_one_patient and not one.resource)


class OfPatients:
    """What is attested of single patients; found by patient, however many there are."""

    def __init__(self, attestations: Iterable[Attestation]) -> None:
        self._found: dict[PatientKey | Identifier, list[Attestation]] = {}
        for one in attestations:
            for who in (one.patient, one.identifier):
                if who is not None:
                    self._found.setdefault(who, []).append(one)

    def stated(self, patient: PatientKey, identifiers: Iterable[Identifier]) -> Mapping[str, bool]:
        """Give what is attested of one patient alone, by record key or business identifier."""
        keys: tuple[PatientKey | Identifier, ...] = (patient, *identifiers)
        return _facts(one for who in keys for one in self._found.get(who, ()))


def of_resources(attestations: Iterable[Attestation], source: str) -> Mapping[str, Mapping[str, bool]]:
    """Give what is attested of single records of `source`, by `Type/id`."""
    found: dict[str, list[Attestation]] = {}
    for one in attestations:
        if one.resource and one.source == source:
            found.setdefault(one.resource, []).append(one)
    return {name: _facts(several) for name, several in found.items()}


def _facts(attestations: Iterable[Attestation]) -> Mapping[str, bool]:
    found: dict[str, bool] = {}
    for one in attestations:
        found[one.fact] = found.get(one.fact, True) and one.holds
    return found
