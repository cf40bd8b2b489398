"""What the consents of one subject are asked, and what they answer.

Rules of this file
1. An answer names the provisions that gave it, and what could not be evaluated and why (law 7).
2. `permitting` lists every consent whose permit stands, not the newest alone: under 42 CFR Part 2 permits add up, and
   a later general one does not take an earlier compliant one away (consent-semantics section 7).
"""

import msgspec

from consent_store.dates import Period
from consent_store.model import Coding, Consent
from gateway.decision.consents.relations import ReferenceLike
from gateway.decision.model import Answer, Cause
from gateway.fhir.references import Foreign, Local, Urn
from gateway.fhir.view import ResourceView
from gateway.labels.model import Labels


class Target(msgspec.Struct, frozen=True):
    """One resource as consents see it: `labels` are those the decision is to be made on, `period` its clinical dates
    (None: none is known), `authors` who made it as it says itself. Its links are read from the view. `container`: the
    resource that contains this one; what a consent says of that by `data` it says of this, and its dates and authors
    stand in where this has none. `identity`: who the resource (or its container) is, where that is not its own type and
    id on this server (an entry of another server)."""

    view: ResourceView
    labels: Labels
    period: Period | None = None
    authors: tuple[ReferenceLike, ...] = ()
    container: ResourceView | None = None
    identity: Local | Urn | Foreign | None = None


class Permit(msgspec.Struct, frozen=True, kw_only=True):
    """One consent's permit that stands: the provision at `path` gave it; `purposes` are those it states or inherits,
    `labels` those it states. `names_recipient`: an actor or grantee named the recipient, by name, membership or class;
    `names_discloser`: an actor or the custodian named the discloser."""

    consent: Consent
    path: str
    purposes: tuple[Coding, ...]
    labels: tuple[Coding, ...]
    names_recipient: bool
    names_discloser: bool


class ConsentAnswer(msgspec.Struct, frozen=True):
    """What the consents say together of one resource. `causes` are the provisions that determined it."""

    answer: Answer
    causes: tuple[Cause, ...] = ()
    permitting: tuple[Permit, ...] = ()
    erring: tuple[str, ...] = ()
