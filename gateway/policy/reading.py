"""Profile text → a compiled Policy. Text in, values out; bootstrap reads the files.

Rules of this file
1. A profile extends others: types, kinds, categories, switches and rules add up, the later one wins by id.
2. `drops` takes away rules of the profiles below, by id; a name that is not there is an error.
3. Every id a rule uses (type, category, condition, purpose, deny class) must exist: a typing error never passes (L089).
4. An empty rule set is invalid (L100).
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Final

import msgspec

from consent_store.model import Coding
from gateway.directory.reading import AGREEMENT_TYPES
from gateway.directory.vocabulary import ATTRIBUTES
from gateway.errors import ProfileError
from gateway.fhir.confidentiality import Confidentiality
from gateway.fhir.terminology import purpose_of
from gateway.policy.model import (
    Category,
    CategoryMatch,
    Codes,
    Condition,
    DefaultDeny,
    DenyClass,
    IdentifierMatch,
    Labelling,
    Layer,
    MinimumNecessary,
    PartRule,
    Parts,
    PartyMatch,
    Policy,
    Rule,
    RuleEffect,
    Strip,
    Switch,
    Unlabelled,
)
from gateway.strict_yaml import Node, load

# Conditions of a party that are true or false.
_FLAGS: Final = frozenset(name for name, kind in ATTRIBUTES.items() if kind is bool)


class ProfileText(msgspec.Struct, frozen=True):
    """The two files of one profile, as text, with the names messages use."""

    profile: str
    flows: str
    profile_name: str
    flows_name: str


class _Draft(msgspec.Struct):
    """A profile while its chain is being added up."""

    chain: list[str]
    texts: list[str]
    types: set[str]
    kinds: dict[str, frozenset[str]]
    no_patient_types: frozenset[str]
    categories: dict[str, Category]
    switches: dict[str, Switch]
    rules: dict[str, Rule]
    files: dict[str, frozenset[str]] = {}
    zone: str | None = None
    parts: Parts | None = None
    strips: dict[str, Strip] = {}
    necessary: dict[str, MinimumNecessary] = {}
    unlabelled: Unlabelled | None = None
    labelling: Labelling = Labelling()
    default_deny: DefaultDeny | None = None


def read_policy(
    name: str,
    texts: Mapping[str, ProfileText],
    zones: Callable[[str], tzinfo],
    switches: Mapping[str, bool] | None = None,
) -> Policy:
    """Compile profile `name` with all it extends. `texts` holds the texts by profile name, `zones` gives the zone of
    an IANA name, `switches` the operator's choices. Raises ProfileError naming file, line and key."""
    draft = _Draft([], [], set(), {}, frozenset(), {}, {}, {})
    head = _add(name, texts, draft, ())
    chosen = dict(switches or {})
    for switch in chosen:
        if switch not in draft.switches:
            raise ProfileError(f"profile `{name}`: no switch `{switch}`")
    if not draft.rules:
        raise ProfileError(f"profile `{name}`: no rules")
    if draft.parts is None or draft.unlabelled is None or draft.default_deny is None:
        raise ProfileError(
            f"profile `{name}`: parts, unlabelled and default_deny must be stated somewhere in its chain"
        )
    for key, needed in draft.necessary.items():
        if unknown := needed.rules - draft.rules.keys():
            raise ProfileError(f"profile `{name}`: minimum_necessary `{key}`: no rule `{min(unknown)}`")
    text = "\0".join([*draft.texts, *(f"{key}={chosen[key]}" for key in sorted(chosen))])
    return Policy(
        name=name,
        version=head.at("version").text(),
        title=head.at("title").text(),
        says=head.at("says").text(),
        chain=tuple(draft.chain),
        zone=_zone(head, draft.zone, zones),
        types=frozenset(draft.types),
        kinds=draft.kinds,
        no_patient_types=draft.no_patient_types,
        categories=draft.categories,
        files=draft.files,
        rules=tuple(draft.rules.values()),
        parts=draft.parts,
        strips=tuple(draft.strips.values()),
        minimum_necessary=tuple(draft.necessary.values()),
        unlabelled=draft.unlabelled,
        labelling=draft.labelling,
        switches={key: msgspec.structs.replace(s, value=chosen.get(key, s.value)) for key, s in draft.switches.items()},
        default_deny=draft.default_deny,
        digest="sha256:" + hashlib.sha256(text.encode()).hexdigest(),
    )


def _zone(head: Node, zone: str | None, zones: Callable[[str], tzinfo]) -> tzinfo | None:
    if zone is None:
        return None
    try:
        return zones(zone)
    except (LookupError, ValueError):
        raise head.wrong(f"no zone `{zone}`") from None


def _add(name: str, texts: Mapping[str, ProfileText], draft: _Draft, path: tuple[str, ...]) -> Node:
    if name not in texts:
        raise ProfileError(f"no profile `{name}`; there are {', '.join(sorted(texts))}")
    if name in path:
        raise ProfileError(f"profile `{name}` extends itself through {' > '.join(path)}")
    text = texts[name]
    profile, flows = load(text.profile, text.profile_name), load(text.flows, text.flows_name)
    profile.at("profile").one_of({name})
    for below in profile.at("extends").texts():
        if below not in draft.chain:
            _add(below, texts, draft, (*path, name))
    draft.chain.append(name)
    draft.texts += [text.profile, text.flows]
    read_profile(profile, draft)
    for rule in flows.at("rules").items():
        read = read_flow(rule, draft)
        if read.id in draft.rules:
            raise rule.wrong(f"rule `{read.id}` stands twice; drop the one below first")
        draft.rules[read.id] = read
    flows.finish()
    profile.finish()
    return profile


def draft_of(name: str) -> _Draft:
    """Give a draft in which one name stands for a type, kind, category, switch and rule: what a reader needs to run."""
    draft = _Draft([], [], {name}, {name: frozenset()}, frozenset(), {}, {}, {})
    draft.categories[name] = Category(name, "", ())
    draft.switches[name] = Switch(name, "", value=False)
    draft.rules[name] = Rule(id=name, layer=Layer.LAW, effect=RuleEffect.OBLIGE, says="", cite="")
    return draft


def read_profile(node: Node, draft: _Draft) -> None:
    """Add what one `profile.yaml` says to a draft. Raises ProfileError."""
    for key in ("version", "title", "says"):
        node.at(key).text()
    draft.zone = node.at("zone").text("") or draft.zone
    draft.types.update(node.at("types").texts())
    for kind, members in node.at("kinds").entries():
        draft.kinds[kind] = draft.kinds.get(kind, frozenset()) | {m.one_of(draft.types) for m in members.items()}
    _read_defaults(node, draft)
    for key, category in node.at("categories").entries():
        draft.categories[key] = _category(key, category, draft)
    for key, held in node.at("files").entries():
        draft.files[key] = frozenset(item.one_of(draft.categories) for item in held.items())
    for key, switch in node.at("switches").entries():
        draft.switches[key] = Switch(key, switch.at("says").text(), switch.at("default").flag())
    for key, strip in node.at("strips").entries():
        says, cite = strip.at("says").text(), strip.at("cite").text()
        words = strip.at("obligations").texts()
        draft.strips[key] = Strip(key, says, cite, _identifiers(strip.at("identifiers")), words)
    for key, needed in node.at("minimum_necessary").entries():
        draft.necessary[key] = _necessary(key, needed, draft)
    for dropped in node.at("drops").items():
        if draft.rules.pop(dropped.text(), None) is None:
            raise dropped.wrong(f"no rule `{dropped.text()}` to drop")


def _read_defaults(node: Node, draft: _Draft) -> None:
    if node.at("no_patient").present:
        node.at("no_patient").at("says").text()
        draft.no_patient_types |= set(node.at("no_patient").at("types").texts())
    if node.at("parts").present:
        draft.parts = _parts(node.at("parts"), draft)
    if node.at("unlabelled").present:
        draft.unlabelled = _unlabelled(node.at("unlabelled"))
    if node.at("labelling").present:
        draft.labelling = _labelling(node.at("labelling"))
    if node.at("default_deny").present:
        deny = node.at("default_deny")
        draft.default_deny = DefaultDeny(
            deny.at("reason").one_of(REASONS), deny.at("says").text(), deny.at("cite").text()
        )


def _necessary(key: str, node: Node, draft: _Draft) -> MinimumNecessary:
    elements = {kind: frozenset(paths.texts()) for kind, paths in node.at("elements").entries()}
    if not elements or not all(elements.values()):
        raise node.wrong("names no elements")
    return MinimumNecessary(
        key,
        node.at("says").text(),
        node.at("cite").text(),
        _party(node.at("to"), draft),
        tuple(_purpose(item) for item in node.at("purposes").items()),
        elements,
        frozenset(node.at("rules").texts()),
    )


def _category(key: str, node: Node, draft: _Draft) -> Category:
    matches = tuple(_match(match, draft) for match in node.at("any").items())
    if not matches:
        raise node.wrong("has no way of being recognised")
    return Category(key, node.at("says").text(), matches)


def _match(node: Node, draft: _Draft) -> CategoryMatch:
    unknown, own, level = node.at("unknown"), node.at("own"), node.at("at_least")
    unread = node.at("unread_label")
    match = CategoryMatch(
        types=_set(node.at("types")),
        sensitivities=_set(node.at("sensitivities")),
        policies=_set(node.at("policies")),
        at_least=Confidentiality[level.one_of(Confidentiality.__members__)] if level.present else None,
        unknown=unknown.flag() if unknown.present else None,
        unread_label=unread.flag() if unread.present else None,
        codes=_codes(node.at("codes")) if node.at("codes").present else None,
        source=_party(node.at("source"), draft) if node.at("source").present else None,
        identifiers=_identifiers(node.at("identifiers")) if node.at("identifiers").present else None,
        own=own.flag() if own.present else None,
        without=tuple(_match(one, draft) for one in node.at("without").items()),
    )
    if msgspec.structs.replace(match, without=()) == CategoryMatch():
        raise node.wrong("recognises nothing")
    return match


def _codes(node: Node) -> Codes:
    exact, beginnings = set(), []
    for item in node.items():
        system, bar, code = item.text().partition("|")
        if not bar or not system or not code:
            raise item.wrong("a code is `system|code`, `system|beginning*` or `system|*`")
        if code.endswith("*"):
            beginnings.append((system, code[:-1]))
        else:
            exact.add((system, code))
    return Codes(frozenset(exact), tuple(beginnings))


def _identifiers(node: Node) -> IdentifierMatch:
    words = frozenset(word.lower() for word in node.at("words").texts())
    match = IdentifierMatch(frozenset(node.at("systems").texts()), frozenset(node.at("types").texts()), words)
    if match == IdentifierMatch():
        raise node.wrong("recognises nothing")
    return match


def _parts(node: Node, draft: _Draft) -> Parts:
    types = {
        key: PartRule(frozenset(rule.at("remove").texts()), rule.at("always").texts())
        for key, rule in node.at("types").entries()
    }
    whole = frozenset(item.one_of(draft.types | set(draft.kinds)) for item in node.at("whole_for").items())
    extensions = tuple(node.at("extensions").texts()) if node.at("extensions").present else None
    return Parts(whole, node.at("narrative").one_of({"cut", "keep"}) == "cut", types, extensions)


def _unlabelled(node: Node) -> Unlabelled:
    level = Confidentiality.__members__
    return Unlabelled(
        default=Confidentiality[node.at("default").one_of(level)],
        free_text=Confidentiality[node.at("free_text").one_of(level)],
        types={key: Confidentiality[value.one_of(level)] for key, value in node.at("types").entries()},
    )


def _labelling(node: Node) -> Labelling:
    return Labelling(
        threshold=_share(node.at("threshold")),
        lists={key: _share(value) for key, value in node.at("lists").entries()},
        unclassified=Confidentiality[node.at("unclassified").one_of(Confidentiality.__members__)],
    )


def _share(node: Node) -> float:
    try:
        share = float(node.text())
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise node.wrong("a number from 0 to 1 is meant")
    return share


def read_flow(node: Node, draft: _Draft) -> Rule:
    """Read one rule of a `flows.yaml`. Raises ProfileError."""
    effect = RuleEffect(node.at("effect").one_of([e.value for e in RuleEffect]))
    return Rule(
        id=node.at("id").text(),
        layer=Layer(node.at("layer").one_of([layer.value for layer in Layer])),
        effect=effect,
        deny_class=_deny_class(node.at("class")) if effect is RuleEffect.DENY else None,
        reason=node.at("reason").one_of(REASONS) if effect is RuleEffect.DENY else "",
        says=node.at("says").text(),
        cite=node.at("cite").text(),
        discloser=_party(node.at("from"), draft),
        recipient=_party(node.at("to"), draft),
        purposes=tuple(_purpose(item) for item in node.at("purposes").items()),
        data=_known(node.at("data"), draft.categories),
        agreements=_among(node.at("agreements"), AGREEMENT_TYPES),
        needs=_conditions(node.at("needs")),
        unless=_conditions(node.at("unless")) if effect is RuleEffect.DENY else (),
        when_false=_conditions(node.at("when_false")) if effect is RuleEffect.DENY else (),
        unless_false=_conditions(node.at("unless_false")) if effect is RuleEffect.PERMIT else (),
        switch=node.at("switch").one_of(draft.switches) if node.at("switch").present else "",
        suspends=_suspended(node) if effect is RuleEffect.PERMIT else frozenset(),
        obligations=node.at("obligations").texts(),
        refrains=node.at("refrains").texts(),
        no_patient=node.at("no_patient").flag(default=False),
    )


def _suspended(node: Node) -> frozenset[DenyClass]:
    classes = frozenset(_deny_class(item) for item in node.at("suspends").items())
    if DenyClass.FEDERAL_LAW in classes:
        raise node.at("suspends").wrong("federal_law is never suspended")
    return classes


# Reason classes of a refusal and the information-blocking exception each may meet (law.md section (d)).
REASONS: Mapping[str, str | None] = {
    "law_part2": "171.202(b)",
    "law_other": "171.202(b)",
    "patient_request": "171.202(e)",
    "agreement_missing_required_by_law": "171.202(b)",
    "agreement_missing_by_policy": None,
    "identity": "171.202(b)",
    "security": "171.203",
    "infeasible_segmentation": "171.204(a)(2)",
    "local_policy": None,
}


def _deny_class(node: Node) -> DenyClass:
    return DenyClass(node.one_of([c.value for c in DenyClass]))


def _party(node: Node, draft: _Draft) -> PartyMatch:
    if not node.present:
        return PartyMatch()
    covered, program = node.at("hipaa_covered"), node.at("part2_program")
    types = _known(node.at("types"), draft.types)
    kinds = _known(node.at("kinds"), draft.kinds)
    return PartyMatch(
        types=None if types is None and kinds is None else (types or frozenset()) | (kinds or frozenset()),
        hipaa_covered=covered.flag() if covered.present else None,
        part2_program=program.flag() if program.present else None,
        any=tuple(_party(one, draft) for one in node.at("any").items()),
        attributes=tuple((_attribute(key, value), value.flag()) for key, value in node.at("attributes").entries()),
    )


def _attribute(key: str, node: Node) -> str:
    if key not in _FLAGS:
        raise node.wrong(f"`{key}` is not one of {', '.join(sorted(_FLAGS))}")
    return key


def _among(node: Node, known: frozenset[str]) -> frozenset[str] | None:
    return frozenset(item.one_of(known) for item in node.items()) if node.present else None


def _purpose(node: Node) -> Coding:
    try:
        return purpose_of(node.text())
    except ValueError:
        raise node.wrong(f"`{node.text()}` is no purpose of use") from None


def _conditions(node: Node) -> tuple[Condition, ...]:
    return tuple(Condition(item.one_of([c.value for c in Condition])) for item in node.items())


def _known(node: Node, known: "set[str] | Mapping[str, object]") -> frozenset[str] | None:
    return frozenset(item.one_of(list(known)) for item in node.items()) if node.present else None


def _set(node: Node) -> frozenset[str] | None:
    return frozenset(node.texts()) if node.present else None
