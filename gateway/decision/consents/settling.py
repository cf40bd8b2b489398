"""One subject's consents for one exchange: who, whom, why, how and when are settled; conditions on the data remain.

Rules of this file (consent-semantics sections 2 and 3)
1. A permit needs every condition for certain, a deny only that none is ruled out (section 2, rule 7).
2. A permit counts only where the custodian, if one is named, is the discloser or one it acts under, or the provision
   names the discloser; never where the Consent is unverified or its scope unknown. A deny always counts.
3. A provision that cannot be read is no permit, and a deny whatever else it says.
4. What is settled holds until the next instant at which a period that mattered begins or ends.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import tzinfo
from operator import is_
from typing import Final

import msgspec

from consent_store.model import ACT_REASON, Coding, Consent, Reference
from gateway.decision.consents.compile import Compiled, Entry
from gateway.decision.consents.groups import grouped
from gateway.decision.consents.matching import Shown
from gateway.decision.consents.membership import Moment, names
from gateway.decision.consents.parties import discloser_of, nobody, recipient_of
from gateway.decision.consents.program import ConsentProgram, Settled
from gateway.decision.consents.relations import Relations
from gateway.decision.consents.rules import Node
from gateway.decision.consents.speaking import Line
from gateway.decision.consents.terms import Doubt, Terms
from gateway.decision.consents.truth import Match, all_of, any_of
from gateway.decision.model import Exchange
from gateway.fhir.code_systems import CONSENT_ACTION, canonical_system
from gateway.fhir.terminology import canonical, is_known, purpose_is_a

_DISCLOSING: Final = frozenset({"disclose", "access"})  # a read through a gateway by another is both
_ACTIONS: Final = frozenset({"collect", "access", "use", "disclose", "correct"})
_RESEARCH: Final = Coding(ACT_REASON, "HRESCH")


class _Finding(msgspec.Struct, frozen=True):
    """What terms come to in this exchange, and, where they are not ruled out, what could not be told."""

    match: Match
    untold: tuple[str, ...] = ()


_RULED_OUT: Final = _Finding(Match.NO)


def specialise(compiled: Compiled, exchange: Exchange, relations: Relations, zone: tzinfo | None) -> ConsentProgram:
    """Settle all that the exchange decides. `relations` shows who is who; `zone` reads dates in the context.

    The program answers for this exchange at every instant from `exchange.at` until before its `valid_until`.
    """
    return ConsentProgram(settle(compiled, exchange, relations, zone), Shown(relations, exchange.at, zone))


def settle(compiled: Compiled, exchange: Exchange, relations: Relations, zone: tzinfo | None) -> Settled:
    """Settle all that the exchange decides, without what the context shows of the data (see `specialise`)."""
    settling = _Settling(exchange, relations, zone)
    groups = []
    for group in grouped(compiled, relations):
        lines = tuple([line for entry in group if (line := settling.line(entry)) is not None])
        if lines:
            groups.append(lines)
    later = [bound for bound in settling.moment.bounds if bound > exchange.at]
    return Settled(groups, settling.opening, settling.erring, exchange.at, min(later, default=None))


class _Settling:
    """The settling of one subject's consents; what the same terms came to is kept."""

    def __init__(self, exchange: Exchange, relations: Relations, zone: tzinfo | None) -> None:
        self.exchange = exchange
        self.relations = relations
        self.purpose = canonical(exchange.purpose)
        self.research = purpose_is_a(self.purpose, _RESEARCH)
        self.moment = Moment(exchange.at, zone, [])
        self.recipient = recipient_of(exchange, relations)
        self.discloser = discloser_of(exchange, relations, acting_under=False)
        self.acting = discloser_of(exchange, relations, acting_under=True)
        self.erring: list[str] = []
        self.opening = defaultdict[Doubt, list[int]](list)
        self.lines = 0
        self.findings: dict[Terms, _Finding] = {}
        self.named: dict[tuple[Reference, bool, bool], Match] = {}
        self.timed: set[Reference] = set()
        self.holders: dict[tuple[Reference, ...], bool] = {}

    def line(self, entry: Entry) -> Line | None:
        """Settle one consent; None where nothing of it can apply."""
        self.erring.extend(entry.notes)
        scope = entry.in_scope[self.research]
        if scope is Match.NO:
            self.erring.append(f"{entry.name}: its scope is not patient privacy, so it does not apply")
            return None
        permits = False
        if entry.why:
            self.erring.append(f"{entry.name}: {entry.why}")
        else:
            permits = self.permits(entry, scope)
        root = self.node(entry, entry.root, permits=permits, outer=True)
        if root is None:
            return None
        self.lines += 1
        return Line(entry.first, entry.after, root)

    def permits(self, entry: Entry, scope: Match) -> bool:
        """Say whether the Consent may permit at all."""
        verified = not isinstance(entry.consent, Consent) or entry.consent.verified is not False
        if scope is Match.YES and verified:
            return True
        why = "its scope is not known" if scope is not Match.YES else "its verification failed"
        self.erring.append(f"{entry.name}: {why}, so it permits nothing")
        return False

    def node(self, entry: Entry, node: Node, *, permits: bool, outer: bool) -> Node | None:
        """Give what is left of one provision and those inside it; `outer` False: what it stands in does not apply."""
        if node.within and not outer:
            return None
        if node.permit is None:
            live = node.unreadable or self.holds(node)
        else:
            live = permits and not node.unreadable and self.counts(entry, node.terms) and self.holds(node)
        if live and node.doubts:
            self.doubted(node)
        if not node.children:
            return node if live else None
        found = [self.node(entry, one, permits=permits, outer=live) for one in node.children]
        if live and all(map(is_, found, node.children)):
            return node
        children = tuple([child for child in found if child is not None])
        return msgspec.structs.replace(node, live=live, children=children) if live or children else None

    def counts(self, entry: Entry, terms: Terms) -> bool:
        """Say whether a permit counts here: what it stands in could be read, and the Consent was given to the
        discloser or the provision names who discloses."""
        return not terms.doubtful and (bool(terms.disclosers) or self.given(entry.consent.custodians))

    def given(self, custodians: tuple[Reference, ...]) -> bool:
        """Say whether one of them is the discloser or one it acts under; none named: given to whoever holds it."""
        if custodians not in self.holders:
            found = any_of(self.names(one, acting=True) for one in custodians)
            self.holders[custodians] = not custodians or found is Match.YES
        return self.holders[custodians]

    def holds(self, node: Node) -> bool:
        """Say whether all that does not turn on the data holds; note what could not be told where it mattered."""
        finding = self.findings.get(node.terms)
        if finding is None:
            finding = self.findings[node.terms] = self.finding(node.terms)
        if finding.untold:
            self.erring.extend([f"{node.cause.consent}: {what}" for what in finding.untold])
        return finding.match >= node.needs

    def finding(self, terms: Terms) -> _Finding:
        """Work out what terms come to; the periods of terms that are not ruled out bound how long that holds."""
        found = list(self.conditions(terms))
        if all_of(match for match, _ in found) is Match.NO:
            return _RULED_OUT
        self.moment.bounds.extend(instant for span in terms.spans for instant in span.instants())
        found.append(
            (all_of(span.holds(self.exchange.at) for span in terms.spans), "whether its period runs cannot be told")
        )
        match = all_of(match for match, _ in found)
        return _Finding(
            match, tuple(what for said, what in found if said is Match.UNSURE) if match is not Match.NO else ()
        )

    def conditions(self, terms: Terms) -> Iterator[tuple[Match, str]]:
        if terms.doubtful:
            yield Match.UNSURE, "what it stands in could not be read"
        if terms.unknown_role:
            yield Match.UNSURE, "the role of an actor is not known"
        if terms.purposes:
            yield any_of(map(self.purposed, terms.purposes)), "a purpose has no system"
        if terms.actions:
            yield any_of(map(self.acted, terms.actions)), "an action is not known"
        for choice in terms.recipients:
            yield any_of(self.names(one, recipient=True) for one in choice), "a recipient cannot be resolved"
        if terms.disclosers:
            named = any_of(self.names(who, acting=as_custodian) for as_custodian, who in terms.disclosers)
            yield named, "a discloser cannot be resolved"

    def names(self, reference: Reference, *, recipient: bool = False, acting: bool = False) -> Match:
        key = (reference, recipient, acting)
        if key not in self.named:
            party = self.recipient if recipient else self.acting if acting else self.discloser
            self.named[key] = names(reference, party, self.relations, self.moment)
        return self.named[key]

    def doubted(self, node: Node) -> None:
        """Note what a provision that may match asks of the data, and when memberships end that a test of authorship
        turns on, whoever the author will be."""
        self.opening[node.doubts[0]].append(self.lines)
        for doubt in node.doubts[1:]:
            self.opening.setdefault(doubt, [])
        for reference in node.authors:
            if reference not in self.timed:
                self.timed.add(reference)
                names(reference, nobody(), self.relations, self.moment)

    def purposed(self, rule: Coding) -> Match:
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
