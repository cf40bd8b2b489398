"""Which rules of a profile speak in an exchange.

Rules of this file
1. `in_force` is the exchange's part of a rule: parties, purpose, agreement. It needs no record.
2. Purposes subsume downwards: a rule for HOPERAT speaks of CAREMGT, never the other way (L096).
"""

from gateway.decision.model import Exchange
from gateway.directory.lookups import agreements_between
from gateway.directory.model import Directory, Participant
from gateway.fhir.terminology import purpose_is_a
from gateway.policy.matching import PartyMatch
from gateway.policy.model import Policy, Rule


def in_force(policy: Policy, directory: Directory, exchange: Exchange) -> tuple[Rule, ...]:
    """Give the rules of `policy` that speak of these parties, purpose and agreements, in its order."""
    return tuple(rule for rule in policy.rules if _speaks(rule, policy, directory, exchange))


def _speaks(rule: Rule, policy: Policy, directory: Directory, exchange: Exchange) -> bool:
    if rule.switch and not policy.on(rule.switch):
        return False
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
    if match.hipaa_covered is not None and match.hipaa_covered is not bool(party.hipaa_covered):
        return False
    if match.part2_program is not None and match.part2_program is not party.part2_program:
        return False
    if any(party.attributes.get(name) is not wanted for name, wanted in match.attributes):
        return False
    return not match.any or any(party_matches(one, party, policy) for one in match.any)
