"""One subject's consents for one exchange: who, whom, why, how and when are settled; conditions on the data remain.

Rules of this file (consent-semantics sections 2 and 3)
1. A permit needs every condition for certain, a deny only that none is ruled out (section 2, rule 7).
2. A permit counts only where the custodian, if one is named, is the discloser or one it acts under, or the provision
   names the discloser; never where the Consent is unverified or its scope unknown. A deny always counts.
3. A provision that cannot be read is no permit, and a deny whatever else it says.
4. What is settled holds until the next instant at which a period that mattered begins or ends.
"""

from collections.abc import Iterator
from datetime import tzinfo
from typing import Final

from consent_store.model import ACT_REASON, Coding, Consent, Effect, Reference, Unreadable
from gateway.decision.consents.answer import Permit
from gateway.decision.consents.compile import Compiled, Entry
from gateway.decision.consents.groups import Dated, grouped
from gateway.decision.consents.membership import Moment, names
from gateway.decision.consents.parties import discloser_of, nobody, recipient_of
from gateway.decision.consents.program import ConsentProgram, Line, Settled, program_of
from gateway.decision.consents.relations import Relations
from gateway.decision.consents.rules import Node
from gateway.decision.consents.truth import Match, all_of, any_of, needed
from gateway.decision.model import Cause, Exchange
from gateway.fhir.code_systems import CONSENT_ACTION, CONSENT_SCOPE, canonical_system
from gateway.fhir.terminology import canonical, is_known, purpose_is_a

_DISCLOSING: Final = frozenset({"disclose", "access"})  # a read through a gateway by another is both
_ACTIONS: Final = frozenset({"collect", "access", "use", "disclose", "correct"})
_RESEARCH: Final = Coding(ACT_REASON, "HRESCH")
_OTHER_SCOPES: Final = frozenset({"adr", "treatment"})

Finding = tuple[Match, str]


def specialise(compiled: Compiled, exchange: Exchange, relations: Relations, zone: tzinfo | None) -> ConsentProgram:
    """Settle all that the exchange decides. `relations` shows who is who; `zone` reads dates in the context.

    The program answers for this exchange at every instant from `exchange.at` until before its `valid_until`.
    """
    settling = _Settling(exchange, relations, zone)
    groups = []
    for group in grouped(compiled.entries, relations, compiled.zone):
        lines = [line for dated in group if (line := settling.line(dated)) is not None]
        if lines:
            groups.append(tuple(lines))
    later = [bound for bound in settling.moment.bounds if bound > exchange.at]
    return program_of(groups, settling.erring, relations, (exchange.at, zone), min(later, default=None))


class _Settling:
    """The settling of one subject's consents; what the same actor, purpose or action said is kept."""

    def __init__(self, exchange: Exchange, relations: Relations, zone: tzinfo | None) -> None:
        self.exchange = exchange
        self.relations = relations
        self.purpose = canonical(exchange.purpose)
        self.moment = Moment(exchange.at, zone, [])
        self.recipient = recipient_of(exchange, relations)
        self.discloser = discloser_of(exchange, relations, acting_under=False)
        self.acting = discloser_of(exchange, relations, acting_under=True)
        self.erring: list[str] = []
        self.named: dict[tuple[Reference, bool, bool], Match] = {}
        self.purposes: dict[Coding, Match] = {}

    def line(self, dated: Dated) -> Line | None:
        """Settle one consent; None where nothing of it can apply."""
        entry = dated.entry
        self.erring.extend(f"{entry.name}{note}" for note in entry.notes)
        if isinstance(entry.consent, Unreadable):
            self.erring.append(f"{entry.name}: {entry.why}")
            return Line(dated, _unevaluable(entry))
        scope = self.scope(entry.consent)
        if scope is Match.NO:
            self.erring.append(f"{entry.name}: its scope is not patient privacy, so it does not apply")
            return None
        if entry.root is None:
            self.erring.append(f"{entry.name}: {entry.why}")
            return Line(dated, _unevaluable(entry))
        permits = scope is Match.YES and entry.consent.verified is not False
        if not permits:
            why = "its scope is not known" if scope is not Match.YES else "its verification failed"
            self.erring.append(f"{entry.name}: {why}, so it permits nothing")
        held = self.custodian(entry.consent)
        root = self.node(entry, entry.consent, entry.root, permits=permits, held=held, outer=True)
        return None if root is None else Line(dated, root)

    def node(
        self, entry: Entry, consent: Consent, node: Node, *, permits: bool, held: bool, outer: bool
    ) -> Settled | None:
        """Settle one provision and those inside it; `outer` False: what it stands in does not apply."""
        if node.within and not outer:
            return None
        deny = node.effect is Effect.DENY
        if node.unreadable:
            live = deny
        elif deny:
            live = self.holds(entry, node)
        else:
            live = permits and not node.doubtful and (held or bool(node.disclosers)) and self.holds(entry, node)
        found = (self.node(entry, consent, one, permits=permits, held=held, outer=live) for one in node.children)
        children = tuple(child for child in found if child is not None)
        if not live and not children:
            return None
        doubts = () if node.unreadable else node.doubts
        if live and doubts:
            self.members(node)
        return Settled(
            cause=_cause(entry, node),
            effect=node.effect,
            needs=needed(node.effect),
            live=live,
            doubts=doubts,
            within=node.within,
            children=children,
            permit=None if deny else _permit(consent, node, held=held),
        )

    def holds(self, entry: Entry, node: Node) -> bool:
        """Say whether all that does not turn on the data holds; note what could not be told where it mattered."""
        least = needed(node.effect)
        found = list(self.conditions(node))
        worst = all_of(match for match, _ in found)
        if worst is Match.NO:
            return False
        self.moment.bounds.extend(instant for span in node.spans for instant in span.instants())
        when = all_of(span.holds(self.exchange.at) for span in node.spans)
        found.append((when, "whether its period runs cannot be told"))
        if when is not Match.NO:
            place = f"{entry.name}#{node.path}" if node.path else entry.name
            self.erring.extend(f"{place}: {what}" for match, what in found if match is Match.UNSURE)
        return min(worst, when) >= least

    def conditions(self, node: Node) -> Iterator[Finding]:
        if node.doubtful:
            yield Match.UNSURE, "what it stands in could not be read"
        if node.unknown_role:
            yield Match.UNSURE, "the role of an actor is not known"
        if node.purposes:
            yield any_of(map(self.purposed, node.purposes)), "a purpose has no system"
        if node.actions:
            yield any_of(map(self.acted, node.actions)), "an action is not known"
        for choice in node.recipients:
            yield any_of(self.names(one, recipient=True) for one in choice), "a recipient cannot be resolved"
        if node.disclosers:
            named = any_of(self.names(who, acting=as_custodian) for as_custodian, who in node.disclosers)
            yield named, "a discloser cannot be resolved"

    def names(self, reference: Reference, *, recipient: bool = False, acting: bool = False) -> Match:
        key = (reference, recipient, acting)
        if key not in self.named:
            party = self.recipient if recipient else self.acting if acting else self.discloser
            self.named[key] = names(reference, party, self.relations, self.moment)
        return self.named[key]

    def custodian(self, consent: Consent) -> bool:
        """Say whether the Consent was given to the discloser or one it acts under; none named: to whoever holds it."""
        found = any_of(self.names(one, acting=True) for one in consent.custodians)
        return not consent.custodians or found is Match.YES

    def members(self, node: Node) -> None:
        """Note when memberships end that a test of authorship turns on, whoever the author will be."""
        for reference in node.authors:
            names(reference, nobody(), self.relations, self.moment)

    def purposed(self, rule: Coding) -> Match:
        if rule not in self.purposes:
            self.purposes[rule] = self._purposed(rule)
        return self.purposes[rule]

    def _purposed(self, rule: Coding) -> Match:
        if rule.code is None:
            return Match.UNSURE
        if rule.system is not None:
            return Match.YES if purpose_is_a(self.purpose, rule) else Match.NO
        meant = canonical(Coding(ACT_REASON, rule.code))
        open_to_it = rule.code == self.purpose.code or not is_known(meant) or purpose_is_a(self.purpose, meant)
        return Match.UNSURE if open_to_it else Match.NO

    def acted(self, concept: tuple[Coding, ...]) -> Match:
        return any_of(self._acted(coding) for coding in concept) if concept else Match.UNSURE

    def _acted(self, coding: Coding) -> Match:
        wanted, code = self.exchange.action, coding.code
        if code not in _ACTIONS:
            return Match.UNSURE
        same = code == wanted or {code, wanted} <= _DISCLOSING
        if canonical_system(coding.system) != CONSENT_ACTION:
            return Match.UNSURE if same or coding.system is not None else Match.NO
        if same:
            return Match.YES
        # Who may not use what it would receive is refused it; who may use what it has is not therefore sent more.
        return Match.UNSURE if code == "use" and wanted in _DISCLOSING else Match.NO

    def scope(self, consent: Consent) -> Match:
        """Say whether the Consent is about privacy: patient-privacy, or research for research; the code may also stand
        in category, and without any the Consent is taken to be (R5 has none)."""
        stated = consent.scopes or tuple(
            one for one in consent.categories if canonical_system(one.system) == CONSENT_SCOPE
        )
        return any_of(map(self._scope, stated)) if stated else Match.YES

    def _scope(self, coding: Coding) -> Match:
        if canonical_system(coding.system) != CONSENT_SCOPE:
            return Match.UNSURE
        if coding.code == "patient-privacy":
            return Match.YES
        if coding.code == "research":
            return Match.YES if purpose_is_a(self.purpose, _RESEARCH) else Match.NO
        return Match.NO if coding.code in _OTHER_SCOPES else Match.UNSURE


def _permit(consent: Consent, node: Node, *, held: bool) -> Permit:
    return Permit(
        consent=consent,
        path=node.path,
        purposes=node.purposes,
        labels=node.labels,
        names_recipient=bool(node.recipients),
        names_discloser=bool(node.disclosers) or (held and bool(consent.custodians)),
    )


def _dated(consent: Consent | Unreadable) -> str:
    return f"of {consent.date.text}" if consent.date is not None else "without date"


def _cause(entry: Entry, node: Node) -> Cause:
    place = f"{entry.name}#{node.path}" if node.path else entry.name
    if node.effect is Effect.PERMIT:
        say = f"The patient's consent {_dated(entry.consent)} permits it."
        return Cause(layer="patient", effect="permit", rule="consent-permits", consent=place, say=say)
    say = f"The patient's consent {_dated(entry.consent)} refuses it."
    if node.unreadable:
        say = f"The patient's consent {_dated(entry.consent)} has a refusal that cannot be read, and so stands."
    return _deny("consent-refuses", place, say)


def _unevaluable(entry: Entry) -> Settled:
    unreadable = isinstance(entry.consent, Unreadable)
    rule = "consent-unreadable" if unreadable else "consent-not-evaluable"
    verb = "read" if unreadable else "evaluated"
    say = f"The patient's consent {_dated(entry.consent)} cannot be {verb}; until it is reviewed it can only refuse."
    return Settled(cause=_deny(rule, entry.name, say), effect=Effect.DENY, needs=needed(Effect.DENY), live=True)


def _deny(rule: str, place: str, say: str) -> Cause:
    return Cause(
        layer="patient",
        effect="deny",
        rule=rule,
        deny_class="patient",
        consent=place,
        say=say,
        reason="patient_request",
    )
