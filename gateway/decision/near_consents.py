"""Which of a subject's consents speak of a record in an exchange, and why each of the others does not.

Rules of this file
1. Nothing is matched here: each condition of each provision is put to the engine alone (`specialise`, `decide`), so
   what is told cannot differ from what is decided.
2. A consent is told with its nearest provisions first: those that the fewest conditions keep from speaking.
3. For a privacy officer: what is told names recipients, purposes and dates of consents.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from consent_store.dates import Period
from consent_store.model import Coding, Consent, Provision, Reference, Status, Unreadable
from gateway.decision.case import Case, standing
from gateway.decision.consents import Compiled, ConsentProgram, Permit, compile_consents, part2_compliant, specialise
from gateway.decision.consents.compile import Batch, Entry
from gateway.decision.consents.rules import Node
from gateway.decision.consents.spans import span_of
from gateway.decision.consents.terms import Facet, Terms
from gateway.decision.consents.truth import Match
from gateway.decision.model import Answer

MOST_PROVISIONS: Final = 12
"""Provisions told of one consent."""


class Lack(StrEnum):
    """Why a consent, or a provision of it, does not speak, or does not help."""

    NOT_ACTIVE = "not_active"
    OTHER_PATIENT = "other_patient"
    NOT_EVALUABLE = "not_evaluable"
    SAYS_NOTHING = "says_nothing"
    SCOPE = "scope"
    VERIFICATION = "verification"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    PERIOD = "period_in_doubt"
    RECIPIENT = "recipient_not_named"
    DISCLOSER = "discloser_not_named"
    CUSTODIAN = "other_custodian"
    ROLE = "unknown_role"
    PURPOSE = "purpose_not_covered"
    ACTION = "action_not_covered"
    LABELS = "labels_not_covered"
    CLASS = "class_not_covered"
    CODES = "codes_not_covered"
    DATES = "dates_not_covered"
    DATA = "data_not_covered"
    AUTHORS = "author_not_covered"
    SUPERSEDED = "superseded"
    OUTWEIGHED = "outweighed"
    VOID = "void"
    NOT_PART2 = "not_part2"


class Why(msgspec.Struct, frozen=True):
    """One reason, as a word and as a sentence about the consent."""

    lack: Lack
    say: str


class NearProvision(msgspec.Struct, frozen=True):
    """One provision (`path` "" is the consent's own base) and what keeps it from speaking; nothing: it would."""

    path: str
    effect: str
    why: tuple[Why, ...]


class NearConsent(msgspec.Struct, frozen=True):
    """One consent before a record. `speaks`: it is among what decided. `why`: what keeps the whole of it from it."""

    name: str
    speaks: bool
    effect: str  # of what it says, or would say: permit, deny, or "" where it says neither
    why: tuple[Why, ...] = ()
    provisions: tuple[NearProvision, ...] = ()


_FACETS: Final = {
    Facet.LABELS: (Lack.LABELS, "it does not cover the labels of this record"),
    Facet.CLASS: (Lack.CLASS, "it does not cover records of this class"),
    Facet.CODES: (Lack.CODES, "it does not cover the codes of this record"),
    Facet.DATES: (Lack.DATES, "it does not cover the dates of this record"),
    Facet.DATA: (Lack.DATA, "it is about other records"),
    Facet.AUTHORS: (Lack.AUTHORS, "it is about records of other authors"),
}


def name_of(consent: Consent | Unreadable) -> str:
    """Give how causes name a consent."""
    return f"Consent/{consent.id}" + (f"/_history/{consent.version}" if consent.version else "")


def near_consents(case: Case) -> tuple[NearConsent, ...]:
    """Tell of each consent of the case's subject how it stands to the record; those that speak come first."""
    if case.subject is None:
        return ()
    probe = _Probe(case)
    told = [probe.told(one) for one in case.subject.consents]
    return tuple(sorted(told, key=lambda one: (not one.speaks, one.name)))


class _Probe:
    """Puts the consents of one case to the engine, one condition at a time."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.zone = case.policy.zone
        self.spoke = {cause.consent.partition("#")[0] for cause in case.consents.causes}
        self.permits = {name_of(permit.consent): permit for permit in case.consents.permitting}
        self.counting = {name_of(permit.consent) for permit in standing(case)}

    def told(self, consent: Consent | Unreadable) -> NearConsent:
        name = name_of(consent)
        alone = self._alone(consent)
        effect = {Answer.PERMIT: "permit", Answer.DENY: "deny"}.get(alone, "")
        refused = self.case.consents.answer is Answer.DENY
        if name in self.spoke or (name in self.permits and not refused):
            return NearConsent(name, True, effect, tuple(self._short(name)), ())  # noqa: FBT003  whether it applied
        if isinstance(consent, Unreadable):
            why = [Why(Lack.NOT_EVALUABLE, f"it cannot be read: {consent.why}"), *self._silenced(alone)]
            return NearConsent(name, False, "deny", tuple(why))  # noqa: FBT003  whether it applied
        if effect:
            why = [*self._silenced(alone), *self._short(name)]
            return NearConsent(name, False, effect, tuple(why))  # noqa: FBT003  whether it applied
        return self._silent(name, consent)

    def _alone(self, consent: Consent | Unreadable) -> Answer:
        compiled = compile_consents([consent], self.zone)
        program = specialise(compiled, self.case.exchange, self.case.relations, self.zone)
        return program.decide(self.case.target).answer

    def _short(self, name: str) -> Iterator[Why]:
        """Tell of a consent whose permit stands in what it may yet fall short."""
        permit = self.permits.get(name)
        if permit is None:
            return
        if name not in self.counting:
            yield Why(Lack.VOID, "it is known to be void: capacity, signature or the representative's authority")
        for lack in lacks_of_part2(self.case, permit):
            yield Why(Lack.NOT_PART2, f"it does not meet 42 CFR 2.31: {lack}")

    def _silenced(self, alone: Answer) -> Iterator[Why]:
        """Tell why a consent that would speak by itself does not."""
        if alone is Answer.NOT_APPLICABLE:
            return
        others = ", ".join(sorted(self.spoke)) or "another"
        if self.case.consents.answer is Answer.DENY and alone is Answer.PERMIT:
            yield Why(Lack.OUTWEIGHED, f"it permits, but a refusal outweighs it: {others}")
        else:
            yield Why(Lack.SUPERSEDED, f"it is older than one of its kind that speaks: {others}")

    def _silent(self, name: str, consent: Consent) -> NearConsent:
        why: list[Why] = []
        if consent.status is not Status.ACTIVE:
            why.append(Why(Lack.NOT_ACTIVE, _inactive(consent.status)))
            consent = msgspec.structs.replace(consent, status=Status.ACTIVE)
        batches = compile_consents([consent], self.zone).batches
        if not batches:
            why.append(Why(Lack.SAYS_NOTHING, "it states no provision that can be evaluated"))
            return NearConsent(name, False, "", tuple(why))  # noqa: FBT003  whether it applied
        (entry,) = batches[0].entries
        if entry.why:
            why.append(Why(Lack.NOT_EVALUABLE, f"it cannot be evaluated: {entry.why}"))
            return NearConsent(name, False, "deny", tuple(why))  # noqa: FBT003  whether it applied
        if self._match(entry, Terms(), scoped=True) is not Match.YES:
            why.append(Why(Lack.SCOPE, "it is not about privacy, or its scope is not known"))
        if consent.verified is False:
            why.append(Why(Lack.VERIFICATION, "it was not verified, so it permits nothing"))
        found = sorted(self._provisions(entry, consent), key=lambda one: (len(one.why), one.path))
        near = found[:MOST_PROVISIONS]
        return NearConsent(name, False, near[0].effect if near else "", tuple(why), tuple(near))  # noqa: FBT003  whether it applied

    # One provision ---------------------------------------------------------------------------------------------------
    def _provisions(self, entry: Entry, consent: Consent) -> Iterator[NearProvision]:
        waiting: list[tuple[Node, tuple[Why, ...]]] = [(entry.root, ())]
        while waiting:
            node, outer = waiting.pop()
            why = tuple(self._lacks(entry, node, consent))
            path = node.cause.consent.partition("#")[2]
            if path or not consent.provisions or why:
                lacking = tuple(dict.fromkeys((*why, *outer))) if node.within else why
                yield NearProvision(path, "deny" if node.permit is None else "permit", lacking)
            waiting.extend((child, why) for child in node.children)

    def _lacks(self, entry: Entry, node: Node, consent: Consent) -> Iterator[Why]:
        """Give what keeps a provision from speaking: each of its conditions is put to the engine alone."""
        terms, needs, permits = node.terms, node.needs, node.permit is not None
        if permits and (node.unreadable or terms.doubtful):
            yield Why(Lack.NOT_EVALUABLE, "it has a provision that cannot be read whole")
        if permits and terms.unknown_role:
            yield Why(Lack.ROLE, "it has an actor whose role is not known")
        if terms.purposes and self._match(entry, Terms(purposes=terms.purposes)) < needs:
            yield Why(
                Lack.PURPOSE, f"its purposes ({codes(terms.purposes)}) do not cover {self.case.exchange.purpose.code}"
            )
        if terms.actions and self._match(entry, Terms(actions=terms.actions)) < needs:
            yield Why(Lack.ACTION, f"it does not speak of the action {self.case.exchange.action}")
        if terms.recipients and (said := self._match(entry, Terms(recipients=terms.recipients))) < needs:
            named = people(one for choice in terms.recipients for one in choice)
            verb = "names recipients who may be others" if said is Match.UNSURE else "names other recipients"
            yield Why(Lack.RECIPIENT, f"it {verb} ({named})")
        yield from self._givers(entry, node)
        yield from self._periods(node, consent)
        for doubt in node.doubts:
            bare = msgspec.structs.replace(node, terms=Terms(), doubts=(doubt,))
            if self._said(entry, bare) < needs:
                lack, told = _FACETS[doubt.facet]
                yield Why(lack, told)

    def _givers(self, entry: Entry, node: Node) -> Iterator[Why]:
        named = node.terms.disclosers
        if named and self._match(entry, Terms(disclosers=named)) < node.needs:
            yield Why(Lack.DISCLOSER, f"it names others who may disclose ({people(who for _, who in named)})")
        if node.permit is not None and not named and self._match(entry, Terms(), given=True) is not Match.YES:
            others = people(entry.consent.custodians)
            yield Why(Lack.CUSTODIAN, f"it is addressed to another custodian ({others}), and permits nothing here")

    def _periods(self, node: Node, consent: Consent) -> Iterator[Why]:
        at = self.case.exchange.at
        for _, period in periods_of(consent, node.cause.consent.partition("#")[2]):
            span = span_of(period, self.zone)
            if span.holds(at) >= node.needs:
                continue
            if span.void or span.holds(at) is Match.UNSURE:
                yield Why(Lack.PERIOD, "it runs in a period of which it cannot be told whether it lasts")
            elif span.maybe_until is not None and span.maybe_until <= at:
                yield Why(Lack.EXPIRED, f"it expired on {period.end.text if period.end else ''}")
            else:
                yield Why(Lack.NOT_YET, f"it begins on {period.start.text if period.start else ''}")

    def _match(self, entry: Entry, terms: Terms, *, scoped: bool = False, given: bool = False) -> Match:
        """Ask the engine what terms come to, alone; `scoped` with the consent's scope, `given` with its custodian."""
        bare = msgspec.structs.replace(entry.root, terms=terms, doubts=(), children=(), within=False, unreadable=False)
        return self._said(entry, bare, scoped=scoped, given=given)

    def _said(self, entry: Entry, node: Node, *, scoped: bool = False, given: bool = False) -> Match:
        """Ask as of a permit, which needs certainty; where that is not given, as of a deny, which holds in doubt."""
        consent = entry.consent
        if isinstance(consent, Unreadable):
            return Match.UNSURE
        neutral = msgspec.structs.replace(consent, custodians=consent.custodians if given else (), verified=None)
        asked = msgspec.structs.replace(
            entry, consent=neutral, why="", notes=(), in_scope=entry.in_scope if scoped else (Match.YES, Match.YES)
        )
        bare = msgspec.structs.replace(node, children=(), within=False, unreadable=False)
        nothing = Permit(consent=consent, path="", purposes=(), labels=(), names_recipient=False, names_discloser=False)
        if self._speaks(asked, msgspec.structs.replace(bare, permit=nothing, needs=Match.YES)):
            return Match.YES
        in_doubt = not scoped and not given
        refused = msgspec.structs.replace(bare, permit=None, needs=Match.UNSURE)
        return Match.UNSURE if in_doubt and self._speaks(asked, refused) else Match.NO

    def _speaks(self, entry: Entry, root: Node) -> bool:
        asked = msgspec.structs.replace(entry, root=root)
        return self._program(asked).decide(self.case.target).answer is not Answer.NOT_APPLICABLE

    def _program(self, entry: Entry) -> ConsentProgram:
        compiled = Compiled((Batch(entry.consent.custodians, frozenset(), (entry,)),), self.zone)
        return specialise(compiled, self.case.exchange, self.case.relations, self.zone)


def lacks_of_part2(case: Case, permit: Permit) -> tuple[str, ...]:
    """Name what a permit lacks to meet 42 CFR 2.31; nothing where the record is not of that kind."""
    if case.subject is None or "42CFRPart2" not in case.target.labels.policies:
        return ()
    return part2_compliant(permit, case.exchange, case.subject, case.target, case.relations)[1]


def provisions_on(consent: Consent, path: str) -> tuple[tuple[str, Provision], ...]:
    """Give the provisions from the outermost to the one at `path`, each with its own path."""
    found: list[tuple[str, Provision]] = []
    listed = consent.provisions
    steps = path.split(".") if path else []
    for depth, step in enumerate(steps):
        number = int(step.partition("[")[2].rstrip("]"))
        if number >= len(listed):
            break
        found.append((".".join(steps[: depth + 1]), listed[number]))
        listed = listed[number].nested
    return tuple(found)


def periods_of(consent: Consent, path: str) -> tuple[tuple[str, Period], ...]:
    """Give every period that must run for the provision at `path`: the consent's ("") and those on the way."""
    own = (("", consent.period),) if consent.period is not None else ()
    return (*own, *((at, one.period) for at, one in provisions_on(consent, path) if one.period is not None))


def codes(codings: tuple[Coding, ...]) -> str:
    """Give codes in plain sight."""
    return ", ".join(one.code or "?" for one in codings)


def people(references: Iterator[Reference] | tuple[Reference, ...]) -> str:
    """Give references in plain sight, as they are written."""
    told = []
    for one in references:
        who = one.identifier
        told.append(one.reference or (f"{who.system}|{who.value}" if who is not None else "nobody who could be read"))
    return ", ".join(dict.fromkeys(told))


def _inactive(status: Status) -> str:
    return {
        Status.INACTIVE: "it was revoked (inactive)",
        Status.ENTERED_IN_ERROR: "it was entered in error",
        Status.REJECTED: "it was rejected",
    }.get(status, f"it is not in force yet ({status.value})")
