"""The evaluation of consents again, as naively as the written rules allow: no compiling, no shared matching.

Rules of this file
1. It shares the values (Consent, Labels …) and the published code tables with the gateway, and no line that matches.
2. A condition says "yes", "no" or "?"; every rule is written out where it is used, from consent-semantics.md.
3. Slow is fine; clever is not. Who is who is in oracle_parties.py, codes are in oracle_codes.py, dates in
   oracle_dates.py.
"""

import json
from typing import NamedTuple

from consent_store.model import Consent, Dialect, Effect, Meaning, Provision, Status, Unreadable
from tests.laws import oracle_codes as codes
from tests.laws import oracle_dates as dates
from tests.laws.cases import Case
from tests.laws.oracle_parties import People, either

HOLDERS = ("custodian", "discloser")
BASE_DECISIONS = {"OPTIN", "OPTINR", "OPTOUT", "OPTOUTE"}
REGULAR = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular"
DEEPEST = 60


class Said(NamedTuple):
    """The answer, and which consents speak for it; `permitting` are all whose permit stands. `evaluable` False: a deny
    to which no readable provision leads."""

    answer: str
    by: frozenset[str]
    permitting: frozenset[str]
    evaluable: bool


class Speech(NamedTuple):
    """What one consent says where it applies."""

    consent: Consent | Unreadable
    effect: str
    readable: bool


def answer(case: Case) -> Said:
    """What the consents say together: a deny of any group denies, else a permit of any permits."""
    people = People(case)
    denies, permits, standing = [], [], []
    for group in groups_of(case, people):
        applying = [said for one in group if (said := says(one, case, people)) is not None]
        kin = [one.consent for one in applying]
        speaking = [one for one in applying if not any(newer(other, one.consent, group, case) for other in kin)]
        refusals = [one for one in applying if one.effect == "deny"]
        if any(one.effect == "deny" for one in speaking):
            denies += [one for one in speaking if one.effect == "deny"]
            continue
        permits += speaking
        older = [one for one in applying if one.effect == "permit" and one not in speaking]
        standing += speaking
        standing += [one for one in older if all(newer(one.consent, no.consent, group, case) for no in refusals)]
    told = denies or permits
    return Said(
        "deny" if denies else "permit" if permits else "not_applicable",
        frozenset(one.consent.id for one in told),
        frozenset(one.consent.id for one in standing),
        not denies or any(one.readable for one in denies),
    )


def groups_of(case: Case, people: People) -> list[list]:
    """Active consents by custodians and policies; codes that only carry the base decision are no policy."""
    groups: list[tuple[object, list]] = []
    for consent in case.whole:
        if isinstance(consent, Consent) and consent.status is not Status.ACTIVE:
            continue
        custodians = {people.who(one) for one in consent.custodians}
        rules = {codes.spelled(one) for one in consent.policy_rules if codes.spelled(one)[1] not in BASE_DECISIONS}
        key = (custodians, rules, set(consent.policies))
        for known, members in groups:
            if known == key:
                members.append(consent)
                break
        else:
            groups.append((key, [consent]))
    return [members for _, members in groups]


def newer(one, other, group: list, case: Case) -> bool:
    """Whether the date of one surely lies after the other's; none is the oldest. Where no zone is known, dates without
    offset compare among themselves, and may be anywhere in their day beside others."""
    alone = case.zone is None and not any(member.date and member.date.zoned for member in group)
    zone = dates.UTC if alone else case.read_in
    first, _ = dates.widest(one.date, zone)
    begun, ended = dates.widest(other.date, zone)
    return ended <= first and begun < first


def says(consent, case: Case, people: People) -> Speech | None:
    """What one consent says, or None where it does not apply."""
    if isinstance(consent, Unreadable):
        return Speech(consent, "deny", readable=False)
    scope = scope_of(consent, case)
    if scope == "no" or states_nothing(consent):
        return None
    about = About(consent, case, people, scope == "yes" and consent.verified is not False)
    root, base = root_of(about)
    if base is None:
        return Speech(consent, "deny", readable=False)
    found = branch(root, base, [], about)
    return None if found is None else Speech(consent, found[0], found[1])


class About(NamedTuple):
    """One consent in one question; `permits`: it may permit at all."""

    consent: Consent
    case: Case
    people: People
    permits: bool


def states_nothing(consent: Consent) -> bool:
    """A signed general authorisation without provisions (SDOHCC) says nothing."""
    authorises = any(codes.spelled(one) == codes.AUTHORISATION for one in consent.policy_rules)
    return authorises and not consent.provisions and consent.base is None


def scope_of(consent: Consent, case: Case) -> str:
    """Only privacy consents speak, and research ones of research; the code may stand in category."""
    found = []
    listed = [codes.spelled(one) for one in consent.scopes]
    in_category = [one for one in map(codes.spelled, consent.categories) if one[0] == codes.SCOPES]
    for system, code in listed or in_category:
        if system != codes.SCOPES:
            found.append("?")
        elif code == "patient-privacy":
            found.append("yes")
        elif code == "research":
            found.append("yes" if codes.purpose_under(codes.spelled(case.purpose), codes.RESEARCH) else "no")
        else:
            found.append("no" if code in ("adr", "treatment") else "?")
    return either(found) if found else "yes"


def root_of(about: About):
    """The root provision and base decision; base None where it cannot be evaluated."""
    consent = about.consent
    if depth(consent.provisions) > DEEPEST:
        return Provision(), None
    if consent.dialect is Dialect.R5:
        return Provision(nested=consent.provisions), consent.base
    if len(consent.provisions) > 1:
        return Provision(), None
    root = consent.provisions[0] if consent.provisions else Provision()
    if consent.dialect is Dialect.TYPED:
        return root, root.type or consent.base
    custodian_only = len(of_kind(root, about, "custodian")) == len(root.actors)
    limited = root.unreadable or root.actions or root.labels or root.purposes or root.classes or root.codes
    if limited or root.data_period or root.data or not custodian_only:
        return root, None
    return root, consent.base


def depth(provisions) -> int:
    """How many levels of provisions there are."""
    level, deep = list(provisions), 0
    while level:
        level, deep = [inner for one in level for inner in one.nested], deep + 1
    return deep


def branch(rule: Provision, effect: Effect, above: list, about: About) -> tuple[str, bool] | None:
    """The deepest match of a branch; among branches a deny wins. `above` are (provision, effect) down to here. The flag
    says whether a provision that can be read leads to it."""
    here = [*above, (rule, effect)]
    matched = matches(here, about)
    found = []
    for inner in rule.nested:
        flipped = Effect.DENY if effect is Effect.PERMIT else Effect.PERMIT
        alternates = about.consent.dialect is Dialect.R5
        own = flipped if alternates or inner.type is None else inner.type
        level = len(here)  # 1: the provisions directly inside the root
        exception = alternates or (effect is Effect.DENY and own is Effect.PERMIT)
        if level > 1 and exception and not matched:
            continue
        said = branch(inner, own, here, about)
        if said is not None:
            found.append(said)
    if found:
        refusals = [said for said in found if said[0] == "deny"]
        return ("deny", any(readable for _, readable in refusals)) if refusals else ("permit", True)
    return (effect.value, not rule.unreadable) if matched else None


def matches(path: list, about: About) -> bool:
    """Whether a provision matches: a permit needs every condition, a deny that none is ruled out."""
    rule, effect = path[-1]
    permit = effect is Effect.PERMIT
    if rule.unreadable:
        return not permit
    if permit and any(one.unreadable for one, _ in path):
        return False
    conditions = [*exchange_conditions(path, about), *data_conditions(rule, effect, about)]
    if permit:
        return about.permits and counts(path, about) and all(said == "yes" for said in conditions)
    return all(said != "no" for said in conditions)


def counts(path: list, about: About) -> bool:
    """A permit counts here if none is named custodian, one of them is the discloser or one it acts under, or the
    provision names who discloses."""
    custodians = about.consent.custodians
    if not custodians or any(about.people.is_custodian(one) == "yes" for one in custodians):
        return True
    return bool(nearest(path, lambda one: of_kind(one, about, *HOLDERS)))


def nearest(path: list, of) -> list:
    """What the provision, or the nearest one above it that states it, says."""
    for rule, _ in reversed(path):
        if of(rule):
            return of(rule)
    return []


def kind(actor, about: About) -> str:
    """What an actor is by its role: one kind, or unknown; an R5 actor without role is a recipient."""
    if not actor.role:
        return "recipient" if about.consent.dialect is Dialect.R5 else "unknown"
    kinds = {codes.ROLES.get((one.system, one.code)) for one in actor.role} - {None}
    return kinds.pop() if len(kinds) == 1 else "unknown"


def of_kind(rule: Provision, about: About, *kinds: str) -> list:
    """The actors of a provision that are of these kinds."""
    return [actor for actor in rule.actors if kind(actor, about) in kinds]


def exchange_conditions(path: list, about: About) -> list[str]:
    """Purpose, action, recipients, disclosers, periods."""
    consent, case, people = about.consent, about.case, about.people
    rule, effect = path[-1]
    said = []
    purposes = nearest(path, lambda one: list(one.purposes))
    if purposes:
        said.append(either([codes.purpose(case.purpose, one) for one in purposes]))
    if rule.actions:
        said.append(either([codes.action(case.action, one) for one in rule.actions]))
    recipients = nearest(path, lambda one: of_kind(one, about, "recipient"))
    if recipients:
        said.append(either([people.is_recipient(actor.reference) for actor in recipients]))
    named_here = bool(of_kind(rule, about, "recipient"))
    if consent.grantees and (not recipients or (effect is Effect.PERMIT and named_here)):
        said.append(either([people.is_recipient(one) for one in consent.grantees]))
    disclosers = nearest(path, lambda one: of_kind(one, about, *HOLDERS))
    if disclosers:
        as_custodian = [(actor.reference, kind(actor, about) == "custodian") for actor in disclosers]
        said.append(either([people.discloses(*one) for one in as_custodian]))
    if odd_role(path, about):
        said.append("?")
    if any(one.unreadable for one, _ in path[:-1]):
        said.append("?")
    periods = [one.period for one, _ in path if one.period] + ([consent.period] if consent.period else [])
    said += [dates.runs(one, case.at, case.read_in) for one in periods]
    return said


def odd_role(path: list, about: About) -> bool:
    """Whether an actor of unknown role limits the provision: its own, or one above it while it names no recipient."""
    for rule, _ in reversed(path):
        if of_kind(rule, about, "unknown"):
            return True
        if of_kind(rule, about, "recipient"):
            return False
    return False


def data_conditions(rule: Provision, effect: Effect, about: About) -> list[str]:
    """Labels, class, code, dataPeriod, data, author."""
    case, said = about.case, []
    permit = effect is Effect.PERMIT
    if rule.labels:
        said.append(codes.permits(rule.labels, case.labels) if permit else codes.denies(rule.labels, case.labels))
    if permit and REGULAR in about.consent.policies:
        said.append(codes.ordinary(case.labels))
    if rule.classes:
        said.append(either([codes.of_class(one, case.resource) for one in rule.classes]))
    if rule.codes:
        said.append(codes.coded(rule.codes, case.resource))
    if rule.data_period:
        said.append(dates.within(period_of(case), rule.data_period, case.read_in))
    if rule.data:
        said.append(either([data(one, effect, about) for one in rule.data]))
    writers = of_kind(rule, about, "author")
    if writers:
        said.append(either([about.people.wrote(actor.reference) for actor in writers]))
    return said


def period_of(case: Case):
    """The clinical dates; those of what contains the resource where it has none."""
    if case.period is not None or case.container is None:
        return case.period
    return dates.moment(case.container.get("effectiveDateTime"))


def data(one, effect: Effect, about: About) -> str:
    """One provision.data."""
    people, case = about.people, about.case
    if one.meaning is Meaning.AUTHORED_BY:
        return people.wrote(one.reference)
    itself = instance(one.reference, about)
    if one.meaning is Meaning.INSTANCE or itself == "yes":
        return itself
    places = people.places(one.reference)
    if not places:
        return "?"
    permit, pcf = effect is Effect.PERMIT, claims_pcf(about.consent)
    found = [itself]
    if one.meaning is Meaning.DEPENDENTS or not permit or pcf:
        pointing = people.links(case.resource) | (people.links(case.container) if case.container else set())
        found.append("yes" if places & pointing else "no")
    if one.meaning is Meaning.RELATED and (not permit or not pcf):
        for place in places:
            links = people.links_from(place)
            found.append("?" if links is None else "yes" if people.asked_about() in links else "no")
    return either(found)


def instance(reference, about: About) -> str:  # noqa: PLR0911  as the rule is written
    """Whether a reference is the resource, or what contains it."""
    people, case = about.people, about.case
    place, itself = people.place(reference.reference), people.asked_about()
    if place is not None and place == itself:
        return "yes"
    who = reference.identifier
    if who is not None:
        if not who.system:
            return "?"
        if reference.type is not None and reference.type != case.resource["resourceType"]:
            return "no"
        own = people.identifiers(case.resource)
        if (who.system, who.value) in own:
            return "yes"
        known = people.holders_of((who.system, who.value)) or any(system == who.system for system, _ in own)
        return "no" if known else "?"
    if place is None:
        return "?"
    return "?" if itself is not None and place.endswith("/" + itself) else "no"


def claims_pcf(consent: Consent) -> bool:
    """Whether the Consent's text claims a profile of IHE PCF."""
    profiles = json.loads(consent.raw or b"{}").get("meta", {}).get("profile", [])
    return any(one.startswith("https://profiles.ihe.net/ITI/PCF/StructureDefinition/") for one in profiles)
