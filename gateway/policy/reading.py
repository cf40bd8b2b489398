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
from functools import lru_cache

import msgspec

from gateway.errors import ProfileError
from gateway.policy.draft import Draft
from gateway.policy.model import DefaultDeny, Policy, Strip, Switch
from gateway.policy.reading_data import (
    category_of,
    identifiers_of,
    labelling_of,
    necessary_of,
    parts_of,
    unlabelled_of,
    vocabulary_of,
)
from gateway.policy.reading_rules import REASONS, read_flow
from gateway.strict_yaml import Node, Scanned, scan, tree_of


class ProfileText(msgspec.Struct, frozen=True):
    """The two files of one profile, as text, with the names messages use."""

    profile: str
    flows: str
    profile_name: str
    flows_name: str


def read_policy(
    name: str,
    texts: Mapping[str, ProfileText],
    zones: Callable[[str], tzinfo],
    switches: Mapping[str, bool] | None = None,
) -> Policy:
    """Compile profile `name` with all it extends. `texts` holds the texts by profile name, `zones` gives the zone of
    an IANA name, `switches` the operator's choices. Raises ProfileError naming file, line and key."""
    draft = Draft([], [], set(), {}, frozenset(), {}, {}, {})
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


@lru_cache(maxsize=64)
def _scanned(text: str, name: str) -> Scanned:
    """A profile's text is taken apart once for all that rest on it."""
    return scan(text, name)


def _add(name: str, texts: Mapping[str, ProfileText], draft: Draft, path: tuple[str, ...]) -> Node:
    if name not in texts:
        raise ProfileError(f"no profile `{name}`; there are {', '.join(sorted(texts))}")
    if name in path:
        raise ProfileError(f"profile `{name}` extends itself through {' > '.join(path)}")
    text = texts[name]
    profile = tree_of(_scanned(text.profile, text.profile_name))
    flows = tree_of(_scanned(text.flows, text.flows_name))
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


def read_profile(node: Node, draft: Draft) -> None:
    """Add what one `profile.yaml` says to a draft. Raises ProfileError."""
    for key in ("version", "title", "says"):
        node.at(key).text()
    draft.zone = node.at("zone").text("") or draft.zone
    draft.types.update(node.at("types").texts())
    for kind, members in node.at("kinds").entries():
        draft.kinds[kind] = draft.kinds.get(kind, frozenset()) | {m.one_of(draft.types) for m in members.items()}
    draft.vocabularies |= {key: vocabulary_of(words) for key, words in node.at("vocabularies").entries()}
    _read_defaults(node, draft)
    for key, category in node.at("categories").entries():
        draft.categories[key] = category_of(key, category, draft)
    for key, held in node.at("files").entries():
        draft.files[key] = frozenset(item.one_of(draft.categories) for item in held.items())
    for key, switch in node.at("switches").entries():
        draft.switches[key] = Switch(key, switch.at("says").text(), switch.at("default").flag())
    for key, strip in node.at("strips").entries():
        says, cite = strip.at("says").text(), strip.at("cite").text()
        words = strip.at("obligations").texts()
        draft.strips[key] = Strip(key, says, cite, identifiers_of(strip.at("identifiers")), words)
    for key, needed in node.at("minimum_necessary").entries():
        draft.necessary[key] = necessary_of(key, needed, draft)
    for dropped in node.at("drops").items():
        if draft.rules.pop(dropped.text(), None) is None:
            raise dropped.wrong(f"no rule `{dropped.text()}` to drop")


def _read_defaults(node: Node, draft: Draft) -> None:
    if node.at("no_patient").present:
        node.at("no_patient").at("says").text()
        draft.no_patient_types |= set(node.at("no_patient").at("types").texts())
    if node.at("parts").present:
        draft.parts = parts_of(node.at("parts"), draft)
    if node.at("unlabelled").present:
        draft.unlabelled = unlabelled_of(node.at("unlabelled"))
    if node.at("labelling").present:
        draft.labelling = labelling_of(node.at("labelling"))
    if node.at("default_deny").present:
        deny = node.at("default_deny")
        draft.default_deny = DefaultDeny(
            deny.at("reason").one_of(REASONS), deny.at("says").text(), deny.at("cite").text()
        )
