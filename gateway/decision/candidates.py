"""What could be otherwise for the records of one exchange: all that is worth asking the judge about, each thing once.

Rules of this file
1. What a rule turns on that is about the record; what a consent lacks; what now holds and could end.
2. Nothing is invented about the record, the patient or who the parties are: only consents, agreements, stated facts and
   attributes, the purpose and the instant.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from consent_store.dates import Period
from consent_store.model import Coding, Consent, PatientKey, Provision, Unreadable
from gateway.decision import alterations as alter
from gateway.decision import consent_drafts as drafts
from gateway.decision.alterations import Alteration, Kind
from gateway.decision.case import Case
from gateway.decision.consents.spans import span_of
from gateway.decision.facts import Facts
from gateway.decision.model import Decision
from gateway.decision.near_consents import NearConsent, NearProvision, name_of, near_consents
from gateway.decision.near_rules import about, conditions_of, words
from gateway.fhir.terminology import purpose_of
from gateway.policy.model import Condition, Rule

INSTANTS: Final = 12
"""Later instants asked about."""
_EMERGENCY: Final = ("bona_fide_medical_emergency", "consent_cannot_be_obtained")
_AGREEMENTS: Final = ("BAA", "CNDA", "DEAA", "QSOA", "SOW")
# What a party's attribute would have to be for the conditions that read it (docs/decide.md).
_OF_DISCLOSER: Final = (("usda_funding", False), ("local_policy_requires_consent", False))
_OF_RECIPIENT: Final = (("requester_has_cjis_access", False), ("requester_has_cjis_access", True))
_PART2: Final = frozenset({Condition.PART2_COMPLIANT_CONSENT, Condition.CONSENT_LETS_CMA_CONTACT_SUD_PROVIDER})
_ADULT: Final = 18


class Stateable(msgspec.Struct, frozen=True):
    """The names of the facts that may be stated, by scope."""

    exchange: frozenset[str]
    subjects: frozenset[str]
    resources: frozenset[str]


class Candidates:
    """The alterations for some decisions, with the cases that each was ruled on by."""

    def __init__(self, facts: Facts, stateable: Stateable, asked: Sequence[tuple[Decision, tuple[Case, ...]]]) -> None:
        self.facts, self.stateable = facts, stateable
        self._asked = {decision.at: (decision, cases) for decision, cases in asked}
        self._once: dict[bytes, Alteration] = {}
        self._about: dict[tuple[frozenset[str], bool], tuple[Rule, ...]] = {}
        self._later: tuple[Alteration, ...] | None = None

    def disclosing(self, at: str) -> list[Alteration]:
        """Give what may have the record at a pointer disclosed more widely."""
        decision, cases = self._asked[at]
        found: list[Alteration] = []
        for case in cases:
            found += self._consents(case)
            found += self._stated(case, decision)
        if cases:
            found += self._agreed(cases)
            found += self._attributes()
            found += self._purposes(cases)
            found += self._instants()
        return self._distinct(found)

    def withholding(self, at: str) -> list[Alteration]:
        """Give what may have the record at a pointer withheld, or disclosed less widely."""
        decision, cases = self._asked[at]
        found: list[Alteration] = []
        for case in cases:
            found += self._revoked(case)
        found += self._ended()
        found += self._unstated(decision, cases)
        found += self._instants() if cases else ()
        return self._distinct(found)

    def _distinct(self, found: Iterable[Alteration]) -> list[Alteration]:
        """Give each thing once, and the same thing always as the same object, so that it is asked about once."""
        named = {msgspec.json.encode([one.kind, one.given], order="deterministic"): one for one in found}
        return [self._once.setdefault(key, one) for key, one in named.items()]

    # Consents --------------------------------------------------------------------------------------------------------
    def _consents(self, case: Case) -> Iterator[Alteration]:
        if case.subject is None:
            return
        key = case.subject.key
        consents = {name_of(one): one for one in case.subject.consents}
        for near in near_consents(case):
            consent = consents[near.name]
            if near.effect == "deny" and (near.speaks or isinstance(consent, Unreadable) or not near.provisions):
                yield alter.withdrawn(consent)
            elif isinstance(consent, Consent) and [one.id for one in case.subject.consents].count(consent.id) == 1:
                yield from _amended(case, consent, near)
        yield from self._of_linked(case)
        who, why = case.exchange.recipient.id, case.exchange.purpose.code
        say = f"the patient gave a consent that names {who} for {why}"
        yield alter.added(Kind.CONSENT_GIVEN, drafts.general(case, key), key, say)
        asked_as_part2 = self._conditions(case) & _PART2
        if asked_as_part2:
            contact = Condition.CONSENT_LETS_CMA_CONTACT_SUD_PROVIDER in asked_as_part2
            form = drafts.part2_form(case, key, contact=contact)
            described = ", ".join(label["code"] for label in form["provision"]["securityLabel"])
            say = (
                "a consent that meets 42 CFR 2.31 were on file: signed, naming who discloses and "
                f"{who}, for {why}, describing {described}, with an expiry"
            )
            yield alter.added(Kind.CONSENT_GIVEN, form, key, say)

    def _of_linked(self, case: Case) -> Iterator[Alteration]:
        """The refusals on records that may be of the same person."""
        refusing = {
            cause.consent.partition("#")[0] for one in case.linked for cause in one.causes if cause.effect == "deny"
        }
        for subject in self.facts.subjects.values():
            yield from (alter.withdrawn(one) for one in subject.consents if name_of(one) in refusing)

    def _revoked(self, case: Case) -> Iterator[Alteration]:
        subject = case.subject
        if subject is None:
            return
        permitting = {name_of(permit.consent) for permit in case.consents.permitting}
        yield from (alter.withdrawn(one) for one in subject.consents if name_of(one) in permitting)
        say = f"the patient refused this disclosure to {case.exchange.recipient.id}"
        yield alter.added(Kind.REFUSAL_GIVEN, drafts.refusal(case, subject.key), subject.key, say)

    # What is stated --------------------------------------------------------------------------------------------------
    def _conditions(self, case: Case) -> frozenset[Condition]:
        key = (case.categories, case.subject is None)
        if key not in self._about:
            self._about[key] = tuple(rule for rule in case.policy.rules if about(rule, case))
        return frozenset(condition for rule in self._about[key] for condition in conditions_of(rule))

    def _stated(self, case: Case, decision: Decision) -> Iterator[Alteration]:
        conditions = self._conditions(case)
        names = sorted(one.value for one in conditions)
        if Condition.PART2_EMERGENCY in conditions:
            say = "it were stated that there is a bona fide medical emergency and consent cannot be obtained"
            yield alter.exchange_fact(_EMERGENCY, say)
        for name in names:
            say = f"it were stated that {words(name)}"
            if name in self.stateable.exchange and case.exchange.attested.get(name) is not True:
                yield alter.exchange_fact((name,), say)
            subject = case.subject
            if name in self.stateable.subjects and subject is not None and subject.stated.get(name) is not True:
                yield alter.subject_fact(subject.key, name, f"{say}, of the patient")
            if name in self.stateable.resources and case.stated.get(name) is not True:
                yield alter.resource_fact(decision.at or decision.resource, name, f"{say}, of the record")

    def _unstated(self, decision: Decision, cases: Iterable[Case]) -> Iterator[Alteration]:
        attested = self.facts.exchange.attested
        for name in sorted(name for name, said in attested.items() if said):
            yield alter.exchange_fact((name,), f"it were no longer stated that {words(name)}", value=None)
        for case in cases:
            told = case.subject.stated if case.subject is not None else {}
            for name in sorted(name for name, said in told.items() if said):
                key: PatientKey = case.subject.key  # type: ignore[union-attr]  # it stated something
                yield alter.subject_fact(key, name, f"it were no longer stated that {words(name)}", value=None)
        for place in (decision.resource, decision.at):
            for name in sorted(self.facts.stated_resources.get(place, {})):
                yield alter.resource_fact(place, name, f"it were no longer stated that {words(name)}", value=None)

    def _attributes(self) -> Iterator[Alteration]:
        exchange = self.facts.exchange
        for party, known in ((exchange.discloser, _OF_DISCLOSER), (exchange.recipient, _OF_RECIPIENT)):
            for name, value in known:
                if party.attributes.get(name) is not value:
                    say = f"it were stated of {party.id}: {words(name)} is {'so' if value else 'not so'}"
                    yield alter.attribute(party.id, name, value, say)

    # Agreements, purpose and time ------------------------------------------------------------------------------------
    def _agreed(self, cases: Iterable[Case]) -> Iterator[Alteration]:
        exchange = self.facts.exchange
        sides = (exchange.discloser.id, exchange.recipient.id)
        if sides[0] == sides[1]:
            return
        named = {
            kind for case in cases for rule in case.policy.rules if about(rule, case) for kind in rule.agreements or ()
        }
        for kind in dict.fromkeys([*_AGREEMENTS, *sorted(named)]):
            yield alter.agreed(kind, sides, f"a {kind} between {sides[0]} and {sides[1]} were in force")

    def _ended(self) -> Iterator[Alteration]:
        for number, one in enumerate(self.facts.directory.agreements):
            sides = " and ".join(sorted(one.between))
            yield alter.agreement_ended(number, f"the {one.type} between {sides} ended")

    def _purposes(self, cases: Iterable[Case]) -> Iterator[Alteration]:
        """Purposes that the recipient may claim; where nothing limits them, those that rules and consents name."""
        claimable = self.facts.exchange.recipient.purposes
        if claimable is not None:
            named = {purpose_of(text) for text in claimable}
        else:
            named = {purpose for case in cases for rule in case.policy.rules for purpose in rule.purposes}
            named |= {purpose for case in cases for purpose in _purposes_of(case)}
        for purpose in sorted(named - {self.facts.exchange.purpose}, key=str):
            if purpose.code is not None and purpose.system is not None:
                yield alter.other_purpose(purpose, f"it were asked for {purpose.code}")

    def _instants(self) -> tuple[Alteration, ...]:
        if self._later is None:
            at, zone = self.facts.exchange.at, self.facts.policy.zone
            found = {bound for period in self._periods() for bound in span_of(period, zone).instants()}
            found |= set(self._birthdays())
            ahead = sorted(bound for bound in found if bound > at)[:INSTANTS]
            self._later = tuple(
                alter.later(bound, f"it were asked at {bound.astimezone(at.tzinfo).isoformat()}") for bound in ahead
            )
        return self._later

    def _periods(self) -> Iterator[Period]:
        directory = self.facts.directory
        yield from (one.period for one in directory.agreements)
        yield from (one.period for one in directory.relationships)
        for subject in self.facts.subjects.values():
            for consent in subject.consents:
                if isinstance(consent, Consent):
                    yield from (() if consent.period is None else (consent.period,))
                    yield from (one.period for one in _all(consent.provisions) if one.period is not None)

    def _birthdays(self) -> Iterator[datetime]:
        """When each patient comes of age."""
        for subject in self.facts.subjects.values():
            if subject.birth_date is not None:
                day = subject.birth_date.after(self.facts.policy.zone, wide=True)
                if day.year + _ADULT < 9999:
                    month_end = (day.month, day.day) == (2, 29)
                    yield day.replace(year=day.year + _ADULT, day=28 if month_end else day.day)


def _amended(case: Case, consent: Consent, near: NearConsent) -> Iterator[Alteration]:
    """The amendments that would have a consent permit, nearest provision first."""
    for provision in (one for one in near.provisions if one.effect == "permit"):
        patch = drafts.amendment(case, consent, near, provision)
        altered = alter.amended(consent, patch, _say(near, provision)) if patch else None
        if altered is not None:
            yield altered
            return


def _say(near: NearConsent, provision: NearProvision) -> str:
    now = "; ".join(dict.fromkeys(why.say for why in (*near.why, *provision.why)))
    return f"{near.name} were renewed or amended (now {now})"


def _purposes_of(case: Case) -> Iterator[Coding]:
    for consent in case.subject.consents if case.subject is not None else ():
        if isinstance(consent, Consent):
            yield from (purpose for one in _all(consent.provisions) for purpose in one.purposes)


def _all(provisions: Iterable[Provision]) -> Iterator[Provision]:
    waiting = list(provisions)
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(one.nested)
