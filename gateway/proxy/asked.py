"""One request whose form and caller are known: all that the steps of its journey share.

Rules of this file
1. Purpose is never assumed, and is settled before anything else happens (law 3, leaks.md L061, L062).
2. The instant is taken once for each time it is decided; nothing below reads a clock.
"""

from collections.abc import Mapping

import msgspec

from consent_store.model import Coding
from consent_store.store import Revision, Subject
from gateway.decision.facts import Facts
from gateway.decision.model import Direction, Exchange
from gateway.directory.lookups import attestations_of, attested
from gateway.directory.model import Directory
from gateway.facts.attested import of_exchange
from gateway.fhir import strict
from gateway.identity.caller import Caller, caller_of, check_patient
from gateway.identity.purpose import effective_purpose, is_emergency, purpose_header
from gateway.identity.tokens import bearer
from gateway.ledger.account import account_of
from gateway.ledger.attested import attested_of
from gateway.ledger.model import Intent, Story
from gateway.proxy.alerts import Alert
from gateway.proxy.incoming import Incoming
from gateway.proxy.live import Door, Services
from gateway.release.released import Manifest, Released


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. `interaction` is a code of FHIR's restful-interaction, as the ledger writes it."""

    interaction: str
    door: Door
    directory: Directory
    services: Services
    caller: Caller
    purpose: Coding
    request_id: str
    address: str
    alerts: tuple[str, ...] = ()
    proposed: tuple[str, ...] = ()  # labels that a change would have raised

    def alerted(self, alert: Alert) -> "Asked":
        """Tell of something to look at; give the request with it."""
        self.services.telemetry.alert(self.door.name, alert.value, self.request_id)
        return msgspec.structs.replace(self, alerts=(*self.alerts, alert.value))

    @property
    def emergency(self) -> bool:
        """Whether this is asked in an emergency."""
        return is_emergency(self.caller, self.purpose)

    @property
    def json_limits(self) -> strict.Limits:
        """How large and deep a body may be."""
        limits = self.services.limits
        return strict.Limits(size=limits.body_bytes, depth=limits.json_depth)

    def exchange(self, direction: Direction) -> Exchange:
        """Give the exchange as it is to be decided now: on a push the caller discloses to the route's owner."""
        parties = (self.door.owner, self.caller.participant)
        discloser, recipient = parties if direction is Direction.READ else parties[::-1]
        at, sides = self.services.clock(), (discloser.id, recipient.id)
        given = (*attestations_of(self.directory, sides), *self.caller.attested_at(self.door.route.source))
        attestations = attested(given, sides, self.purpose, at, self.door.policy.zone)
        return Exchange(
            discloser=discloser,
            recipient=recipient,
            initiator=self.caller.initiator,
            purpose=self.purpose,
            at=at,
            direction=direction,
            attested=of_exchange(attestations),
            attestations=attestations,
        )

    def intent(
        self, exchange: Exchange, manifest: Manifest, revisions: Mapping[Subject, Revision]
    ) -> tuple[Intent, Story]:
        """Give what the ledger writes before anything leaves."""
        account, story = account_of(manifest.decisions)
        marks = {f"{subject.key.source}|{subject.key.id}": found.mark for subject, found in revisions.items()}
        named = {f"{disclosed.patient.source}|{disclosed.patient.id}" for disclosed in account.disclosed}
        stated, of_each = attested_of(exchange.attestations, revisions, account, story)
        caller, policy = self.caller, self.door.policy
        person = caller.initiator.reference if caller.initiator else None
        intent = Intent(
            request_id=self.request_id,
            at=exchange.at,
            tenant=self.door.route.tenant,
            route=self.door.route.name,
            interaction=self.interaction,
            direction=exchange.direction.value,
            issuer=caller.issuer,
            client=caller.client_id,
            client_address=self.address,
            token_id=caller.token_id,
            initiator=person or "",
            discloser=exchange.discloser.id,
            recipient=exchange.recipient.id,
            claimed=caller.purposes or (),
            purpose=self.purpose,
            profile=policy.name,
            profile_digest=policy.digest,
            directory_revision=self.directory.revision,
            consent_revisions={name: mark for name, mark in marks.items() if name in named},
            public_url=self.door.route.public_url,
            attested=stated,
            alerts=self.alerts,
            account=account,
        )
        reason = caller.initiator.break_glass if caller.initiator and self.emergency else None
        more = msgspec.structs.replace(story, consent_revisions=marks, attested=of_each, proposed=self.proposed)
        return intent, msgspec.structs.replace(more, emergency=reason or "")


class Prepared(msgspec.Struct, frozen=True):
    """An answer that may be recorded, and the revisions of the consents it was decided on."""

    released: Released
    revisions: Mapping[Subject, Revision] = {}


class ChangedMeanwhile(Exception):
    """Consents changed while one answer was decided in parts; it is decided again."""


def united(facts: tuple[Facts, ...]) -> Mapping[Subject, Revision]:
    """Give the revisions of several look-ups for one answer. Raises ChangedMeanwhile where they saw different ones."""
    found: dict[Subject, Revision] = {}
    for one in facts:
        for subject, revision in one.revisions.items():
            if found.setdefault(subject, revision) != revision:
                raise ChangedMeanwhile
    return found


async def identify(
    incoming: Incoming, interaction: str, door: Door, directory: Directory, services: Services, request_id: str
) -> Asked:
    """Give the request with its caller and purpose. Raises Unauthenticated, Forbidden, BadRequest, Unavailable."""
    claims = await services.verifier.verify(bearer(incoming.values("authorization")))
    caller = caller_of(claims, directory)
    check_patient(caller.participant, door.bases)
    purpose = effective_purpose(caller, purpose_header(incoming.headers))
    return Asked(
        interaction=interaction,
        door=door,
        directory=directory,
        services=services,
        caller=caller,
        purpose=purpose,
        request_id=request_id,
        address=incoming.address,
    )
