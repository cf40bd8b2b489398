"""Records that are withheld for what they are, before any layer is asked; nobody but the patient gets them.

Rules of this file
1. A modifier we do not know may turn a record's meaning round: unknown modifierExtension, implicitRules (L038).
2. AuditEvents tell who saw what; they leave by the accounting alone (L042). An OperationOutcome is a server's own
   words about its data: never a record, never released (L022).
3. A Consent tells whom the patient trusts and with what: to its custodian, and to the recipient where it names no
   other than it and the discloser (L041).
"""

from collections.abc import Callable
from typing import Final

from gateway.decision.model import Cause, Exchange
from gateway.directory.model import Participant
from gateway.fhir.pointer import element_path
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt


def _refusal(rule: str, cite: str, say: str) -> Cause:
    return Cause(
        layer="implicit", effect="deny", rule=rule, deny_class="discretionary", cite=cite, say=say, reason="law_other"
    )


UNKNOWN_MODIFIER: Final = _refusal(
    "unknown-modifier", "leaks.md L038", "It has a modifier that is not known here and may change what it says."
)
NOT_BY_EXCHANGE: Final = _refusal(
    "not-by-exchange", "leaks.md L022, L042", "Records of this type do not leave by an exchange."
)
CONSENT_OF_OTHERS: Final = _refusal(
    "consent-names-others", "leaks.md L041", "A consent goes to its custodian and to the recipient it is for."
)
SERVERS_WORDS: Final = "OperationOutcome"
_NEVER: Final = frozenset({"AuditEvent", SERVERS_WORDS})
_CUSTODIANS: Final = frozenset({"organization", "manager", "controller"})

Registered = Callable[[ResourceView, ReferenceAt], tuple[Participant, ...]]


def refused(view: ResourceView, exchange: Exchange, registered: Registered) -> Cause | None:
    """Give why a record is withheld whatever it is about and whoever permits it; None where nothing speaks against it.

    `registered` gives the participants that a reference names. Not asked for a recipient who gets records whole.
    """
    if view.type in _NEVER:
        return NOT_BY_EXCHANGE
    if view.modifier_extensions or "implicitRules" in view.tree:
        return UNKNOWN_MODIFIER
    if view.type == "Consent" and not _is_theirs(view, exchange, registered):
        return CONSENT_OF_OTHERS
    return None


def _is_theirs(view: ResourceView, exchange: Exchange, registered: Registered) -> bool:
    named = {found.at: {party.id for party in registered(view, found)} for found in view.references}
    custodians = [ids for at, ids in named.items() if element_path(at) in _CUSTODIANS]
    if any(exchange.recipient.id in ids for ids in custodians):
        return True
    actors = [ids for at, ids in named.items() if element_path(at).endswith("actor.reference") or _grantee(at)]
    sides = {exchange.recipient.id, exchange.discloser.id}
    return any(exchange.recipient.id in ids for ids in actors) and all(ids & sides for ids in actors)


def _grantee(at: str) -> bool:
    return element_path(at) == "grantee"
