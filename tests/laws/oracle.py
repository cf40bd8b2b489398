"""The evaluation of consents again, as naively as the written rules allow: no compiling, no shared matching.

Rules of this file
1. It shares the values (Consent, Labels …) and the published code tables with the gateway, and no line that matches.
2. A condition says "yes", "no" or "?"; every rule is written out where it is used, from consent-semantics.md.
3. Slow is fine; clever is not.
"""

from datetime import UTC, datetime

from consent_store.dates import FhirDate, Period
from consent_store.model import Consent, Dialect, Effect, Meaning, Provision, Reference, Status, Unreadable
from gateway.decision.consents import Target
from gateway.decision.model import Exchange
from gateway.fhir import v3_tables

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
CLASS = "urn:consent-gateway:participant-type"
CLUSTERS = [{"ETH", "SUD", "ETHUD", "OPIOIDUD"}, {"PSY", "MH", "BH", "EMOTDIS"}, {"SDV", "VIO", "MST"}]
ORDER = "ULMNRV"


class Question:
    """What is asked: consents, exchange, resource, and the Groups and registered parties of the context."""

    def __init__(self, consents, exchange: Exchange, target: Target, groups: dict[str, list[dict]], others: set[str]):
        self.consents = list(consents)
        self.exchange = exchange
        self.target = target
        self.groups = groups  # "Group/g" -> its members as parsed JSON
        self.others = others  # references of registered parties that are neither side


def answer(question: Question) -> str:
    """permit, deny or not_applicable."""
    spoken = []
    for group in groups_of(question):
        spoken += speakers(group, question)
    if "deny" in spoken:
        return "deny"
    return "permit" if "permit" in spoken else "not_applicable"


def groups_of(question: Question) -> list[list]:
    """Active consents by custodians and policies; codes that only carry the base decision are no policy."""
    groups: list[tuple[object, list]] = []
    for consent in question.consents:
        if isinstance(consent, Consent) and consent.status is not Status.ACTIVE:
            continue
        custodians = {one.reference for one in consent.custodians}
        rules = {one.code for one in consent.policy_rules} - {"OPTIN", "OPTINR", "OPTOUT", "OPTOUTE"}
        key = (custodians, rules, set(consent.policies))
        for known, members in groups:
            if known == key:
                members.append(consent)
                break
        else:
            groups.append((key, [consent]))
    return [members for _, members in groups]


def speakers(group: list, question: Question) -> list[str]:
    """What those consents of a group say that apply, and that no consent that applies is surely newer than."""
    applying = [(one, said) for one in group if (said := says(one, question)) is not None]
    return [said for one, said in applying if not any(newer(other, one) for other, _ in applying)]


def newer(one, other) -> bool:
    """Whether the date of one surely lies after the other's; none is the oldest."""
    if one.date is None:
        return False
    if other.date is None:
        return True
    return instant(one.date, last=False) >= instant(other.date, last=True)


def says(consent, question: Question) -> str | None:
    """What one consent says: permit, deny, or None where it does not apply."""
    if isinstance(consent, Unreadable):
        return "deny"
    scope = scope_of(consent, question)
    if scope == "no":
        return None
    root, base = root_of(consent)
    if base is None:
        return "deny"
    permits = scope == "yes" and consent.verified is not False
    context = Context(consent, question, permits)
    return branch(root, base, [], context)


class Context:
    """One consent in one question."""

    def __init__(self, consent: Consent, question: Question, permits: bool):
        self.consent = consent
        self.question = question
        self.permits = permits


def scope_of(consent: Consent, question: Question) -> str:
    """Only privacy consents speak, and research ones of research."""
    found = []
    for one in consent.scopes:
        if one.code == "patient-privacy":
            found.append("yes")
        elif one.code == "research":
            found.append("yes" if under(question.exchange.purpose.code, "HRESCH") else "no")
        elif one.code in ("adr", "treatment"):
            found.append("no")
        else:
            found.append("?")
    return either(found) if found else "yes"


def root_of(consent: Consent):
    """The root provision and base decision; base None where it cannot be evaluated."""
    if consent.dialect is Dialect.R5:
        return Provision(nested=consent.provisions), consent.base
    root = consent.provisions[0] if consent.provisions else Provision()
    if consent.dialect is Dialect.TYPED:
        return root, root.type or consent.base
    custodian_only = all(any(c.code == "CST" for c in one.role) for one in root.actors)
    limited = root.unreadable or root.actions or root.labels or root.purposes or root.classes or root.codes
    if limited or root.data_period or root.data or not custodian_only:
        return root, None
    return root, consent.base


def branch(rule: Provision, effect: Effect, above: list, context: Context) -> str | None:
    """The deepest match of a branch; among branches a deny wins. `above` are (provision, effect) down to here."""
    here = [*above, (rule, effect)]
    matched = matches(here, context)
    found = []
    for inner in rule.nested:
        flipped = Effect.DENY if effect is Effect.PERMIT else Effect.PERMIT
        alternates = context.consent.dialect is Dialect.R5
        own = flipped if alternates or inner.type is None else inner.type
        level = len(here)  # 1: the provisions directly inside the root
        exception = alternates or (effect is Effect.DENY and own is Effect.PERMIT)
        if level > 1 and exception and not matched:
            continue
        said = branch(inner, own, here, context)
        if said is not None:
            found.append(said)
    if found:
        return "deny" if "deny" in found else "permit"
    return effect.value if matched else None


def matches(path: list, context: Context) -> bool:
    """Whether a provision matches: a permit needs every condition, a deny that none is ruled out."""
    rule, effect = path[-1]
    permit = effect is Effect.PERMIT
    if rule.unreadable:
        return not permit
    if permit and any(one.unreadable for one, _ in path):
        return False
    conditions = [*exchange_conditions(path, context), *data_conditions(rule, effect, context)]
    if permit:
        return context.permits and counts(path, context) and all(said == "yes" for said in conditions)
    return all(said != "no" for said in conditions)


def counts(path: list, context: Context) -> bool:
    """A permit counts here if a custodian is the discloser, none is named, or the provision names the discloser."""
    consent, exchange = context.consent, context.question.exchange
    if not consent.custodians or any(is_discloser(one, exchange) == "yes" for one in consent.custodians):
        return True
    return bool(nearest(path, lambda one: [a for a in one.actors if roles(a) & {"CST", "performer"}]))


def nearest(path: list, of) -> list:
    """What the provision, or the nearest one above it that states it, says."""
    for rule, _ in reversed(path):
        if of(rule):
            return of(rule)
    return []


def roles(actor) -> set:
    """The codes of an actor's role."""
    return {one.code for one in actor.role}


def exchange_conditions(path: list, context: Context) -> list[str]:
    """Purpose, action, recipients, disclosers, periods."""
    consent, question = context.consent, context.question
    exchange = question.exchange
    rule, effect = path[-1]
    said = []
    purposes = nearest(path, lambda one: list(one.purposes))
    if purposes:
        said.append(either([same_purpose(exchange.purpose, one) for one in purposes]))
    if rule.actions:
        said.append(either([action(one) for one in rule.actions]))
    recipient = {"IRCP", "PRCP", "GRANTEE"}
    recipients = [a.reference for a in nearest(path, lambda one: [a for a in one.actors if roles(a) & recipient])]
    own = any(roles(a) & recipient for one, _ in path for a in one.actors)
    if recipients:
        said.append(either([is_recipient(one, question) for one in recipients]))
    if consent.grantees and (not own or (effect is Effect.PERMIT and any(roles(a) & recipient for a in rule.actors))):
        said.append(either([is_recipient(one, question) for one in consent.grantees]))
    disclosers = nearest(path, lambda one: [a for a in one.actors if roles(a) & {"CST", "performer"}])
    if disclosers:
        said.append(either([is_discloser(a.reference, exchange) for a in disclosers]))
    if odd_role(path, recipient):
        said.append("?")
    periods = [one.period for one, _ in path if one.period] + ([consent.period] if consent.period else [])
    said += [runs(one, exchange.at) for one in periods]
    return said


def odd_role(path: list, recipient: set) -> bool:
    """Whether an actor of unknown role limits the provision: its own, or one above it while it names no recipient."""
    known = recipient | {"CST", "performer", "AUT"}
    for rule, _ in reversed(path):
        if any(not roles(a) & known for a in rule.actors):
            return True
        if any(roles(a) & recipient for a in rule.actors):
            return False
    return False


def same_purpose(asked, rule) -> str:
    """A purpose of v3-ActReason covers what is under it, any other only itself."""
    if asked.system != rule.system:
        return "no"
    return "yes" if asked.code == rule.code or (asked.system == ACT_REASON and under(asked.code, rule.code)) else "no"


def under(code: str, ancestor: str) -> bool:
    """Whether a purpose is another or stands under it, by walking up the published tree."""
    return code == ancestor or any(under(parent, ancestor) for parent in v3_tables.PURPOSES.get(code, ()))


def action(concept) -> str:
    """A read by another is a disclosure and an access; use and unknown actions cannot be told."""
    found = []
    for one in concept:
        if one.code in ("disclose", "access"):
            found.append("yes")
        else:
            found.append("no" if one.code in ("collect", "correct") else "?")
    return either(found)


def is_recipient(reference: Reference, question: Question) -> str:
    """By reference, identifier, class, or membership in a Group of the context."""
    party = question.exchange.recipient
    found = []
    who = reference.identifier
    if who is not None:
        if who.system == CLASS:
            found.append("yes" if who.value == party.type else "no")
        elif who in party.identifiers:
            found.append("yes")
        else:
            found.append("no" if any(one.system == who.system for one in party.identifiers) else "?")
    text = reference.reference
    if text is not None:
        if text in party.references:
            found.append("yes")
        elif text in question.groups:
            members = [member_is(one, question) for one in question.groups[text]]
            found.append(either(members) if members else "?")
        elif text.startswith(("Organization/", "Practitioner/")) or text in question.others:
            found.append("no")
        else:
            found.append("?")
    return either(found) if found else "?"


def member_is(member: dict, question: Question) -> str:
    """An inactive member is no member."""
    if member.get("inactive"):
        return "no"
    return is_recipient(Reference(member["entity"]["reference"]), question)


def is_discloser(reference: Reference, exchange: Exchange) -> str:
    """By reference alone, in these questions."""
    text = reference.reference
    if text is None:
        return "?"
    if text in exchange.discloser.references:
        return "yes"
    return "no" if text.startswith(("Organization/", "Practitioner/")) else "?"


def data_conditions(rule: Provision, effect: Effect, context: Context) -> list[str]:
    """Labels, class, code, dataPeriod, data, author."""
    target, said = context.question.target, []
    if rule.labels:
        said.append(permitted_labels(rule, target) if effect is Effect.PERMIT else denied_labels(rule, target))
    if rule.classes:
        said.append("yes" if any(one.code == target.view.type for one in rule.classes) else "no")
    if rule.codes:
        codings = [one.coding for one in target.view.codings]
        said.append("yes" if any(one in codings for concept in rule.codes for one in concept) else "no")
    if rule.data_period:
        said.append(within(target.period, rule.data_period))
    if rule.data:
        said.append(either([data(one, target, effect) for one in rule.data]))
    writers = [one.reference for one in rule.actors if "AUT" in roles(one)]
    if writers:
        said.append(either([authored(one, target) for one in writers]))
    return said


def permitted_labels(rule: Provision, target: Target) -> str:
    """Every sensitivity and tag covered; without any, confidentiality at or below the highest listed."""
    labels = target.labels
    if labels.unknown:
        return "?"
    codes = [one.code for one in rule.labels if one.system == ACT_CODE]
    levels = [ORDER.index(one.code) for one in rule.labels if one.system == CONFIDENTIALITY]
    if labels.sensitivities or labels.policies:
        for one in labels.sensitivities:
            by_tag = "42CFRPart2" in codes and "42CFRPart2" in labels.policies and one in CLUSTERS[0]
            if not by_tag and not any(sensitive_under(one, code) for code in codes):
                return "no"
        for tag in labels.policies:
            described = tag == "42CFRPart2" and any(sensitive_under("SUD", code) for code in codes)
            if tag not in codes and not described:
                return "no"
        return "yes"
    return "yes" if any(labels.confidentiality <= level for level in levels) else "no"


def denied_labels(rule: Provision, target: Target) -> str:
    """Any label: confidentiality at or above, a sensitivity under, over or beside a listed one, a tag."""
    labels = target.labels
    for one in rule.labels:
        if one.system == CONFIDENTIALITY:
            if labels.confidentiality >= ORDER.index(one.code):
                return "yes"
        elif one.code in labels.policies:
            return "yes"
        elif one.code in v3_tables.SENSITIVITIES:
            if any(sensitive_alike(carried, one.code) for carried in labels.sensitivities):
                return "yes"
            if "42CFRPart2" in labels.policies and sensitive_alike("SUD", one.code):
                return "yes"
    return "?" if labels.unknown else "no"


def sensitive_under(code: str, ancestor: str) -> bool:
    """Whether a sensitivity is another or stands under it, by walking up the published tree."""
    return code == ancestor or any(sensitive_under(one, ancestor) for one in v3_tables.SENSITIVITIES.get(code, ()))


def sensitive_alike(carried: str, denied: str) -> bool:
    """Whether a deny of one sensitivity reaches another: under it, over it, or in the cluster of what is under it."""
    if sensitive_under(carried, denied) or sensitive_under(denied, carried):
        return True
    beneath = [code for code in v3_tables.SENSITIVITIES if sensitive_under(code, denied)]
    return any(carried in cluster and not cluster.isdisjoint(beneath) for cluster in CLUSTERS)


def data(one, target: Target, effect: Effect) -> str:
    """One provision.data; these questions show no other resource."""
    itself = f"{target.view.type}/{target.view.id}"
    if one.meaning is Meaning.AUTHORED_BY:
        return authored(one.reference, target)
    named = one.reference.reference
    if named == itself:
        return "yes"
    points = any(link.reference == named for link in target.view.references)
    if one.meaning is Meaning.INSTANCE:
        return "no"
    if one.meaning is Meaning.DEPENDENTS:
        return "yes" if points else "no"
    # related: what the named resource refers to is not shown in these questions, so it cannot be told
    return "yes" if points and effect is Effect.DENY else "?"


def authored(reference: Reference, target: Target) -> str:
    """Whether one of the authors is the one named; nobody known cannot be told."""
    if not target.authors:
        return "?"
    return "yes" if any(one.reference == reference.reference for one in target.authors) else "no"


def within(period: Period | None, limit: Period) -> str:
    """yes: whole inside; ?: overlapping, or no date; no: outside."""
    if period is None or (period.start is None and period.end is None) or backwards(period) or backwards(limit):
        return "?"
    begin, end = bounds(period)
    first, last = bounds(limit)
    if first <= begin and end <= last:
        return "yes"
    return "no" if end <= first or last <= begin else "?"


def runs(period: Period, at: datetime) -> str:
    """Whether a period runs; one that ends before it starts cannot be told."""
    if backwards(period):
        return "?"
    first, last = bounds(period)
    return "yes" if first <= at < last else "no"


def backwards(period: Period) -> bool:
    """Whether a period ends before it starts."""
    if period.start is None or period.end is None:
        return False
    return instant(period.end, last=True) <= instant(period.start, last=False)


def bounds(period: Period) -> tuple[datetime, datetime]:
    """The instants a period covers, half-open."""
    first = instant(period.start, last=False) if period.start else datetime.min.replace(tzinfo=UTC)
    last = instant(period.end, last=True) if period.end else datetime.max.replace(tzinfo=UTC)
    return first, last


def instant(date: FhirDate, *, last: bool) -> datetime:
    """The first instant of a date, or the first after it, in UTC: the zone of these questions."""
    moment = date.end if last else date.start
    return moment if date.zoned else moment.replace(tzinfo=UTC)


def either(said: list[str]) -> str:
    """Alternatives: one yes is enough, one ? leaves it open."""
    if "yes" in said:
        return "yes"
    return "?" if "?" in said else "no"
