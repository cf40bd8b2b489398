"""Which rules of a profile speak in an exchange, and which categories a record has.

Rules of this file
1. `in_force` is the exchange's part of a rule: parties, purpose, agreement. It needs no record.
2. Purposes subsume downwards: a rule for HOPERAT speaks of CAREMGT, never the other way (L096).
3. A category is recognised from type and labels alone.
"""

from gateway.decision.model import Exchange
from gateway.directory.lookups import agreements_between
from gateway.directory.model import Directory, Participant
from gateway.fhir.terminology import purpose_is_a, sensitivity_is_a
from gateway.labels.model import Labels
from gateway.policy.model import CategoryMatch, PartyMatch, Policy, Rule


def in_force(policy: Policy, directory: Directory, exchange: Exchange) -> tuple[Rule, ...]:
    """Give the rules of `policy` that speak of these parties, purpose and agreements, in its order."""
    return tuple(rule for rule in policy.rules if _speaks(rule, policy, directory, exchange))


def _speaks(rule: Rule, policy: Policy, directory: Directory, exchange: Exchange) -> bool:
    if not party_matches(rule.discloser, exchange.discloser, policy):
        return False
    if not party_matches(rule.recipient, exchange.recipient, policy):
        return False
    if rule.purposes and not any(purpose_is_a(exchange.purpose, purpose) for purpose in rule.purposes):
        return False
    if rule.agreements is None:
        return True
    sides = (exchange.discloser.id, exchange.recipient.id)
    found = agreements_between(directory, *sides, exchange.at, policy.zone, exchange.purpose)
    return any(agreement.type in rule.agreements for agreement in found)


def party_matches(match: PartyMatch, party: Participant, policy: Policy) -> bool:
    """Say whether a participant is one that `match` speaks of."""
    if match.types is not None and not match.types & policy.kinds_of(party.type):
        return False
    if match.hipaa_covered is not None and match.hipaa_covered is not party.hipaa_covered:
        return False
    if match.part2_program is not None and match.part2_program is not party.part2_program:
        return False
    return not match.any or any(party_matches(one, party, policy) for one in match.any)


def categories_of(policy: Policy, resource_type: str, labels: Labels) -> frozenset[str]:
    """Give the ids of the profile's categories that a record of this type and labels belongs to."""
    return frozenset(
        category.id
        for category in policy.categories.values()
        if any(_recognised(match, resource_type, labels) for match in category.any)
    )


def _recognised(match: CategoryMatch, resource_type: str, labels: Labels) -> bool:
    if match.types is not None and resource_type not in match.types:
        return False
    if match.policies is not None and not match.policies & labels.policies:
        return False
    if match.sensitivities is not None and not any(
        sensitivity_is_a(found, wanted) for found in labels.sensitivities for wanted in match.sensitivities
    ):
        return False
    if match.at_least is not None and labels.confidentiality < match.at_least:
        return False
    return match.unknown is None or match.unknown is labels.unknown
