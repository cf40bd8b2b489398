"""What a route shows of itself besides its searches: versions, operations, how records are projected.

Rules of this file
1. Fixed at start-up by settings and policy, the same for all callers of a class; never by data.
2. What a class of callers may get in part has no versions for it: each version would tell of another part (leaks.md
   trade-offs, L046).
"""

from collections.abc import Callable

import msgspec

from gateway.decision.rules import party_matches
from gateway.directory.model import Participant
from gateway.errors import NotSupported
from gateway.fhir.interaction import REFUSALS, Interaction, Kind, Opened, Unoffered
from gateway.policy.model import Policy
from gateway.proxy.abilities import Abilities
from gateway.proxy.writable import NOT_UPDATED
from gateway.release.projection import Projector
from gateway.settings import Route

_VERSIONS = {
    Kind.VREAD: Unoffered.VREAD,
    Kind.HISTORY_INSTANCE: Unoffered.HISTORY_INSTANCE,
    Kind.HISTORY_TYPE: Unoffered.HISTORY_TYPE,
}


class Surface(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. Of callers who do not get records whole: `in_part` are the types of which parts may go alone,
    `trimmed` those of which some class gets the necessary minimum."""

    opened: Opened
    projector: Projector
    abilities: Abilities
    in_part: frozenset[str]
    trimmed: frozenset[str]
    definitions: frozenset[str]  # what is of no patient

    def versioned(self, policy: Policy, participant_type: str) -> frozenset[str]:
        """Give the types whose versions a class of callers may read."""
        whole = self._whole(policy, participant_type)
        return self.opened.history if whole else self.opened.history - self.in_part - self.trimmed

    def updatable(self, policy: Policy, participant_type: str) -> Callable[[str], bool]:
        """Give what tells whether a class of callers may update records of a type: those it gets whole or not at all
        (L079), by which nothing else is decided."""
        in_part = frozenset() if self._whole(policy, participant_type) else self.in_part | self.trimmed
        closed = NOT_UPDATED | self.definitions | in_part
        return lambda type_: type_ not in closed

    def check(self, interaction: Interaction, policy: Policy, participant_type: str) -> None:
        """Raise the refusal of a history that this class of callers is not offered, as if no route had it."""
        found = _VERSIONS.get(interaction.kind)
        if found is not None and interaction.type not in self.versioned(policy, participant_type):
            status, text = REFUSALS[found]
            raise NotSupported(text, status)

    def _whole(self, policy: Policy, participant_type: str) -> bool:
        return bool(policy.kinds_of(participant_type) & policy.parts.whole_for)


def surface_of(route: Route, owner: Participant, policy: Policy, projector: Projector, abilities: Abilities) -> Surface:
    """Give the surface of a route under a policy. `owner` is the participant whose records the route gives."""
    return Surface(
        opened=Opened(route.history, route.terminology, route.writes),
        projector=projector,
        abilities=abilities,
        in_part=frozenset(policy.parts.types),
        trimmed=frozenset(
            name
            for one in policy.minimum_necessary
            if party_matches(one.discloser, owner, policy)
            for name in one.elements
        ),
        definitions=policy.no_patient_types,
    )
