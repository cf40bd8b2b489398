"""Ways to switch one matcher of the engine off, by name: each must be noticed by the oracle (a test of the test).

Most take an element away before the engine sees it; the others put something simple in the place of one function.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC

import msgspec
import pytest

from consent_store.dates import FhirDate
from consent_store.model import Actor, Consent, Dialect, Effect, Meaning, Provision, Status, Unreadable
from gateway.decision.consents import compile as compiling
from gateway.decision.consents import (
    doubts,
    groups,
    label_tests,
    matching,
    membership,
    parties,
    program,
    relations,
    roles,
    rules,
    settling,
    spans,
    speaking,
)
from gateway.decision.consents.roles import Kind
from gateway.decision.consents.speaking import Spoken
from gateway.decision.consents.truth import Match
from gateway.decision.model import Answer
from gateway.fhir import terminology
from tests.laws import cases

Patch = pytest.MonkeyPatch
Strip = Callable[[Consent], Consent]
replace = msgspec.structs.replace


@contextmanager
def switched_off(name: str) -> Iterator[None]:
    """The engine without the matcher of that name, and as it was afterwards."""
    with Patch.context() as patch:
        SWITCHES[name](patch)
        _forget()
        yield
    _forget()


def _forget() -> None:
    """Empty what the engine and the cases keep between questions."""
    for kept in (cases.shown, matching._canonical, label_tests._all_under, label_tests._all_over):
        kept.cache_clear()
    terminology.deny_cluster.cache_clear()


# --- elements that the engine does not see


def _unseen(strip: Strip) -> Callable[[Patch], None]:
    """Take something out of every Consent."""
    seen = cases.compile_consents

    def switch(patch: Patch) -> None:
        def compiled(consents, zone):
            return seen([one if isinstance(one, Unreadable) else strip(one) for one in consents], zone)

        patch.setattr(cases, "compile_consents", compiled)

    return switch


def _in_provisions(change: Callable[[Provision], Provision]) -> Strip:
    def strip_one(one: Provision) -> Provision:
        return change(replace(one, nested=tuple(map(strip_one, one.nested))))

    def strip(consent: Consent) -> Consent:
        return replace(consent, provisions=tuple(map(strip_one, consent.provisions)))

    return strip


def _element(**blank) -> Callable[[Patch], None]:
    """An element of provisions."""
    return _unseen(_in_provisions(lambda one: replace(one, **blank)))


def _root_element(**blank) -> Callable[[Patch], None]:
    """An element of the Consent."""
    return _unseen(lambda consent: replace(consent, **blank))


def _actors(*kinds: Kind) -> Callable[[Patch], None]:
    """Actors of some kinds."""

    def strip(consent: Consent) -> Consent:
        def keeps(actor: Actor) -> bool:
            return roles.kind_of(actor, consent.dialect) not in kinds

        return _in_provisions(lambda one: replace(one, actors=tuple(filter(keeps, one.actors))))(consent)

    return _unseen(strip)


def _data(*meanings: Meaning) -> Callable[[Patch], None]:
    """Data of some meanings; what is left of them asks for nothing in particular."""
    return _unseen(
        _in_provisions(lambda one: replace(one, data=tuple(item for item in one.data if item.meaning not in meanings)))
    )


def _without_nested(consent: Consent) -> Consent:
    return replace(consent, provisions=tuple(replace(one, nested=()) for one in consent.provisions))


# --- functions in whose place something simple stands


def _stands_in(place: object, name: str, stand_in: object) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(place, name, stand_in)


def _says(match: Match) -> Callable[..., Match]:
    return lambda *_, **__: match


def _members(kind: str) -> Callable[[Patch], None]:
    """Membership in resources of one type."""
    return lambda patch: patch.setattr(membership, "_MEMBERS", {**membership._MEMBERS, kind: _says(Match.UNSURE)})


def _aliases(patch: Patch) -> None:
    for module in (terminology, compiling, settling):
        patch.setattr(module, "canonical_system", lambda system: system)


def _no_base(patch: Patch) -> None:
    resolve = relations.resolve

    def without_base(text, own, context=None):
        return resolve(text and text.removeprefix(f"{cases.ELSEWHERE}/").removeprefix(f"{cases.OURS}/"), own)

    patch.setattr(relations, "resolve", without_base)


def _no_zone(patch: Patch) -> None:
    compiled, specialised = cases.compile_consents, cases.specialise
    patch.setattr(cases, "compile_consents", lambda consents, _: compiled(consents, UTC))
    patch.setattr(cases, "specialise", lambda one, exchange, shown, _: specialised(one, exchange, shown, UTC))


def _levels(effect: Effect) -> Callable[[Patch], None]:
    """Confidentiality in the labels of one effect: of normal data alone for permits, of none for denies."""
    name = "permit_labels" if effect is Effect.PERMIT else "deny_labels"
    real = getattr(doubts, name)

    def limited(listed):
        test = real(listed)

        def said(labels):
            if effect is Effect.DENY:
                return test(replace(labels, confidentiality=0))
            return test(replace(labels, confidentiality=0)) if not labels.sensitivities else test(labels)

        return said

    return _stands_in(doubts, name, limited)


def _any_covered(patch: Patch) -> None:
    """Every sensitivity has to be covered."""
    real = doubts.permit_labels

    def limited(listed):
        test = real(listed)
        return lambda labels: max(
            [test(replace(labels, sensitivities=frozenset({one}))) for one in labels.sensitivities] or [test(labels)]
        )

    patch.setattr(doubts, "permit_labels", limited)


def _known_labels(patch: Patch) -> None:
    real = doubts._on_labels
    patch.setattr(doubts, "_on_labels", lambda test: real(lambda labels: test(replace(labels, unknown=False))))


def _no_person(patch: Patch) -> None:
    real = settling.recipient_of
    patch.setattr(settling, "recipient_of", lambda exchange, shown: real(replace(exchange, initiator=None), shown))


def _not_acting(patch: Patch) -> None:
    real = settling.discloser_of
    patch.setattr(
        settling, "discloser_of", lambda exchange, shown, acting_under: real(exchange, shown, acting_under=False)
    )


def _known_roles(patch: Patch) -> None:
    real = rules.kind_of

    def known(actor, dialect):
        kind = real(actor, dialect)
        return Kind.RECIPIENT if kind is Kind.UNKNOWN else kind

    patch.setattr(rules, "kind_of", known)


def _by_text(patch: Patch) -> None:
    patch.setattr(groups, "identity", lambda reference, _: str(reference))


def _first_matching(patch: Patch) -> None:
    """The deepest match of a branch speaks."""
    real = speaking._outcome

    def outcome(rule, said, erring):
        if rule.live and speaking._holds(rule, said, erring):
            return rule
        return real(rule, said, erring)

    patch.setattr(speaking, "_outcome", outcome)


def _no_container(patch: Patch) -> None:
    real = cases.target_of
    patch.setattr(cases, "target_of", lambda case: replace(real(case), container=None))


def _no_identity(patch: Patch) -> None:
    real = cases.target_of
    patch.setattr(cases, "target_of", lambda case: replace(real(case), identity=None))


def _nothing_lasts(patch: Patch) -> None:
    patch.setattr(membership._Search, "in_force", _says(Match.YES))


def _no_exceptions(patch: Patch) -> None:
    real = rules._Builder.node
    patch.setattr(rules._Builder, "node", lambda *given, within=False: real(*given, within=False))


def _use_apart(patch: Patch) -> None:
    """Who may not use what it would receive is refused it."""
    real = settling._Settling._acted

    def acted(self, coding):
        alone = coding.code == "use" and self.exchange.action != "use"
        return Match.NO if alone else real(self, coding)

    patch.setattr(settling._Settling, "_acted", acted)


def _research(patch: Patch) -> None:
    real = compiling._in_scope
    patch.setattr(compiling, "_in_scope", lambda consent, research: real(consent, research=True))


def _read_alone(patch: Patch) -> None:
    """A Consent that cannot be read denies."""
    seen = cases.compile_consents

    def compiled(consents, zone):
        return seen([one for one in consents if not isinstance(one, Unreadable)], zone)

    patch.setattr(cases, "compile_consents", compiled)


def _nothing_handed_down(patch: Patch) -> None:
    real = rules._Builder.handed_down
    patch.setattr(rules._Builder, "handed_down", lambda self, one, _, who: real(self, one, rules._Inherited(), who))


def _not_doubtful(patch: Patch) -> None:
    """What stands in a provision that cannot be read permits nothing."""
    real = rules._Builder.handed_down
    patch.setattr(rules._Builder, "handed_down", lambda *given: replace(real(*given), doubtful=False))


def _one_text(patch: Patch) -> None:
    """Two texts of one resource are no evidence."""
    real = relations._by_key

    def by_key(views):
        return {f"{one.type}/{one.id}": one for one in views} | real(views)[0], frozenset()

    patch.setattr(relations, "_by_key", by_key)


def _first_of_siblings(patch: Patch) -> None:
    """Among sibling branches a deny wins."""
    real = speaking._outcome

    def outcome(rule, said, erring):
        children = tuple(one for one in rule.children if real(one, said, erring) is not None)[:1]
        return real(replace(rule, children=children), said, erring)

    patch.setattr(speaking, "_outcome", outcome)


def _permits_first(patch: Patch) -> None:
    """Across groups a deny wins."""
    real = program.Settled._answer

    def answer(self, told):
        found = real(self, told)
        spoken = Spoken()
        for group in {id(one): one for one in self._groups}.values():
            group.speak(range(group.first, group.end), lambda number: self._rule(number, told)[0], spoken)
        return replace(found, answer=Answer.PERMIT) if spoken.permits else found

    patch.setattr(program.Settled, "_answer", answer)


def _roles_needed(patch: Patch) -> None:
    """An R5 actor may go without a role."""
    real = rules.kind_of
    patch.setattr(rules, "kind_of", lambda actor, _: real(actor, Dialect.TYPED))


def _grantee_or_recipient(patch: Patch) -> None:
    """A permit needs the grantee beside its own recipient."""
    real = rules._Builder.terms
    patch.setattr(
        rules._Builder,
        "terms",
        lambda self, one, effect, stated, *, whose, doubtful: real(
            self, one, effect, stated, whose=(), doubtful=doubtful
        ),
    )


def _no_copies(patch: Patch) -> None:
    """A resource of the same type and id elsewhere may be the original."""
    real = matching._instance

    def instance(reference, seen):
        key = seen.relations.key(reference.reference)
        elsewhere = key is not None and key != seen.key and reference.identifier is None
        return Match.NO if elsewhere else real(reference, seen)

    patch.setattr(matching, "_instance", instance)


def _all_members(patch: Patch) -> None:
    """Inactive members are none."""
    real = membership._MEMBERS["Group"]

    def member(view, search):
        tree = {**view.tree, "member": [{**one, "inactive": False} for one in view.tree.get("member", [])]}
        return real(replace(view, tree=tree), search)

    patch.setattr(membership, "_MEMBERS", {**membership._MEMBERS, "Group": member})


def _with_system(real: Callable[..., Match]) -> Callable[..., Match]:
    """Codes without a system cannot be told."""
    return lambda *given: Match.NO if any(getattr(one, "system", "") is None for one in given) else real(*given)


SWITCHES: dict[str, Callable[[Patch], None]] = {
    "type": _element(type=None),
    "period of a provision": _element(period=None),
    "actor: recipient": _actors(Kind.RECIPIENT),
    "actor: custodian, discloser": _actors(Kind.CUSTODIAN, Kind.DISCLOSER),
    "actor: author": _actors(Kind.AUTHOR),
    "actor: unknown role": _known_roles,
    "action": _element(actions=()),
    "securityLabel": _element(labels=()),
    "purpose": _element(purposes=()),
    "class": _element(classes=()),
    "code": _element(codes=()),
    "dataPeriod": _element(data_period=None),
    "data": _element(data=()),
    "data: instance": _data(Meaning.INSTANCE),
    "data: related": _data(Meaning.RELATED),
    "data: dependents": _data(Meaning.DEPENDENTS),
    "data: authoredby": _data(Meaning.AUTHORED_BY),
    "nested provisions": _unseen(_without_nested),
    "unreadable provisions": _element(unreadable=()),
    "status": _root_element(status=Status.ACTIVE),
    "scope": _root_element(scopes=(), categories=()),
    "date": _root_element(date=None),
    "period of the Consent": _root_element(period=None),
    "custodian": _root_element(custodians=()),
    "grantee": _root_element(grantees=()),
    "policy": _root_element(policies=()),
    "policyRule": _root_element(policy_rules=()),
    "verification": _root_element(verified=None),
    "base decision": _root_element(base=Effect.PERMIT),
    "IHE PCF declared": _root_element(raw=b""),
    "purposes under a purpose": _stands_in(settling, "purpose_is_a", lambda one, other: one == other),
    "actions alike": _stands_in(settling, "_DISCLOSING", frozenset()),
    "forbidden use": _use_apart,
    "unknown actions": _stands_in(
        settling, "_ACTIONS", frozenset(["collect", "access", "use", "disclose", "correct", "peruse"])
    ),
    "by reference": _stands_in(membership._Search, "by_key", _says(Match.UNSURE)),
    "by identifier": _stands_in(membership._Search, "by_identifier", _says(Match.UNSURE)),
    "by a kind of participant": _stands_in(
        relations.Relations, "kinds_of", lambda _, participant_type: frozenset({participant_type})
    ),
    "Group": _members("Group"),
    "CareTeam": _members("CareTeam"),
    "PractitionerRole": _members("PractitionerRole"),
    "periods of membership": _nothing_lasts,
    "parts of an organisation": _stands_in(membership, "_is_whole_of", lambda *_: False),
    "the person who asks": _no_person,
    "who stands behind a role": _stands_in(parties, "_behind_role", lambda *_, **__: set()),
    "custodians acted under": _not_acting,
    "base of a reference": _no_base,
    "zone": _no_zone,
    "levels of a permit": _levels(Effect.PERMIT),
    "levels of a deny": _levels(Effect.DENY),
    "every sensitivity covered": _any_covered,
    "sensitivities under one": _stands_in(label_tests, "sensitivity_is_a", lambda one, other: one == other),
    "clusters": _stands_in(label_tests, "deny_cluster", lambda code: frozenset({code})),
    "tags described by a sensitivity": _stands_in(label_tests, "_DESCRIBED_BY", {}),
    "sensitivities covered by a tag": _stands_in(label_tests, "_COVERED_BY_TAG", {}),
    "psychotherapy notes": _stands_in(
        label_tests, "_DESCRIBED_BY", {label_tests.PART2: label_tests._DESCRIBED_BY[label_tests.PART2]}
    ),
    "labels not all known": _known_labels,
    "other labels": _stands_in(label_tests, "_carries", lambda *_: False),
    "HRex regular": _stands_in(rules, "HREX_REGULAR", "urn:none"),
    "spellings of systems": _aliases,
    "profiles": _stands_in(matching.Seen, "profiles", frozenset()),
    "document types": _stands_in(matching.Seen, "document_types", frozenset()),
    "codes without system": _stands_in(matching.Seen, "systemless", frozenset()),
    "what the resource refers to": _stands_in(matching.Seen, "links", frozenset()),
    "what refers to the resource": _stands_in(relations.Relations, "pointing_from", lambda *_: frozenset()),
    "data by identifier": _stands_in(matching, "_identified", _says(Match.UNSURE)),
    "container": _no_container,
    "resource of another server": _no_identity,
    "newest consent": _stands_in(speaking.Line, "older_than", lambda *_: False),
    "dates that overlap": _stands_in(speaking.Line, "older_than", lambda self, first: self.first < first),
    "one custodian by two names": _by_text,
    "exceptions to exceptions": _no_exceptions,
    "deepest match": _first_matching,
    "research": _research,
    "consents that cannot be read": _read_alone,
    "what a provision inherits": _nothing_handed_down,
    "inside what cannot be read": _not_doubtful,
    "two texts of one resource": _one_text,
    "surely somebody else": _stands_in(membership._Search, "somebody_else", lambda *_: False),
    "untyped roots with conditions": _stands_in(compiling, "_limit_of_untyped", lambda _: ""),
    "an authorisation that says nothing": _stands_in(compiling, "_AUTHORISATION", None),
    "a deny among siblings": _first_of_siblings,
    "a deny across groups": _permits_first,
    "R5 actors without a role": _roles_needed,
    "grantee beside a recipient": _grantee_or_recipient,
    "copies of another server": _no_copies,
    "members that are inactive": _all_members,
    "purposes without system": _stands_in(settling._Settling, "purposed", _with_system(settling._Settling.purposed)),
    "classes without system": _stands_in(matching, "_class", _with_system(matching._class)),
    "partial dates": _stands_in(FhirDate, "after", FhirDate.first),
    "periods that end before they start": _stands_in(spans, "_backwards", lambda *_: False),
}
