"""What an operator sees of the directory: parties and counts, no patient of any relationship."""

from collections import Counter
from typing import Any

from gateway.directory.model import Directory


def summary(directory: Directory) -> dict[str, Any]:
    """Give the directory's revision, its participants with what they are and may claim, and counts of the rest."""
    participants = [
        {
            "id": party.id,
            "type": party.type,
            "name": party.name,
            "hipaa_covered": party.hipaa_covered,
            "part2_program": party.part2_program,
            "purposes": sorted(party.purposes or ()),
            "clients": sum(client.participant == party.id for client in directory.clients),
        }
        for party in sorted(directory.participants.values(), key=lambda one: one.id)
    ]
    return {
        "revision": directory.revision,
        "participants": participants,
        "agreements": dict(sorted(Counter(agreement.type for agreement in directory.agreements).items())),
        "attestations": dict(sorted(Counter(one.fact for one in directory.attestations).items())),
        "relationships": dict(sorted(Counter(one.participant for one in directory.relationships).items())),
    }
