"""Cases beside the profiles (`*_test.yaml`): sentences a privacy officer can read, asked as questions and compared.

Rules of this file
1. A case lists what is disclosed and what is masked; every other record it sends must be withheld.
2. `from`, `to` and `purpose` may be lists, and `each` stands for a list of records sent one by one: a case for every
   combination, all with the same expectation.
3. Cases are asked through the same door as any question; nothing of what is expected is in the question.
4. `switches` are a case's own choices, as an operator's would be. `against` adds a deny of that class on everything,
   as another pack's rule would be: what a flow suspends does not stop it.
5. `not_pinned` names changes of rules that no case can notice, each with the reason (facts/pinning.py).
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

import msgspec

from gateway.facts.answer import Shelf, answer
from gateway.labels.rules import label_rules
from gateway.policy.model import DenyClass, Layer, Rule, RuleEffect
from gateway.strict_yaml import Node, load


class ProfileCase(msgspec.Struct, frozen=True, kw_only=True):
    """One case: its sentence, the question it asks, and what must come out. None: not compared."""

    where: str
    says: str
    question: Mapping[str, Any]
    effect: str
    disclosed: frozenset[str]
    masked: frozenset[str]
    rules: frozenset[str] | None
    reason: str | None
    obligations: frozenset[str] | None
    refrains: frozenset[str] | None = None
    switches: Mapping[str, bool] = {}
    against: DenyClass | None = None


class CaseFile(msgspec.Struct, frozen=True, kw_only=True):
    """One `*_test.yaml`: its profile, its cases, and the changes of rules that no case can notice, with the reason."""

    profile: str
    cases: tuple[ProfileCase, ...]
    not_pinned: Mapping[str, str]


def read_cases(text: str, name: str) -> tuple[ProfileCase, ...]:
    """Read the cases of one `*_test.yaml`. Raises ProfileError naming file, line and key."""
    return read_case_file(text, name).cases


def read_case_file(text: str, name: str) -> CaseFile:
    """Read one `*_test.yaml`. Raises ProfileError naming file, line and key."""
    top = load(text, name)
    profile = top.at("profile").text()
    at = top.at("at").text()
    known = {key: _named(top.at(key)) for key in ("participants", "records", "consents", "agreements", "context")}
    cases = tuple(case for node in top.at("cases").items() for case in _cases(node, profile, at, known))
    not_pinned = {key: reason.text() for key, reason in top.at("not_pinned").entries()}
    top.finish()
    if not cases:
        raise top.wrong("has no cases")
    return CaseFile(profile=profile, cases=cases, not_pinned=not_pinned)


def _named(node: Node) -> dict[str, Any]:
    return {key: value.plain() for key, value in node.entries()}


def _cases(node: Node, profile: str, at: str, known: Mapping[str, Mapping[str, Any]]) -> Iterator[ProfileCase]:
    """Give a case for every combination of the lists in one."""
    sides = [[item.one_of(known["participants"]) for item in _one_or_more(node.at(side))] for side in ("from", "to")]
    purposes = [item.text() for item in _one_or_more(node.at("purpose"))]
    together = [_pick(item, known["records"]) for item in node.at("records").items()]
    singly = [[_pick(item, known["records"])] for item in node.at("each").items()]
    if bool(together) is bool(singly):
        raise node.wrong("has either `records` or `each`")
    base = {
        "v": 1,
        "id": node.at("says").text(),
        "at": node.at("at").text(at),
        "profile": profile,
        "interaction": {"type": "search", "direction": node.at("direction").text("read")},
        "participants": [{"id": key, **value} for key, value in known["participants"].items()],
        "agreements": [_pick(item, known["agreements"]) for item in node.at("agreements").items()],
        "facts": node.at("facts").plain() if node.at("facts").present else {},
        "consents": [_pick(item, known["consents"]) for item in node.at("consents").items()],
        "context": list(known["context"].values()),
    }
    expected = _expected(node)
    for discloser, recipient, purpose, records in product(*sides, purposes, singly or [together]):
        entries = [{"resource": record, "search": {"mode": "match"}} for record in records]
        told = f"{discloser} > {recipient} for {purpose}" + (f", {_name(records[0])}" if singly else "")
        yield msgspec.structs.replace(
            expected,
            where=f"{expected.where} ({told})",
            question={
                **base,
                "discloser": discloser,
                "recipient": recipient,
                "purpose": purpose,
                "resource": {"resourceType": "Bundle", "type": "searchset", "entry": entries},
            },
            **(_of_one(records[0], expected.effect) if singly else {}),
        )


def _expected(node: Node) -> ProfileCase:
    """Give what a case expects, with no question yet."""
    expect = node.at("expect")
    return ProfileCase(
        where=f"{node.name}:{node.line}",
        says=node.at("says").text(),
        question={},
        switches={key: value.flag() for key, value in node.at("switches").entries()},
        against=DenyClass(node.at("against").one_of([c.value for c in DenyClass]))
        if node.at("against").present
        else None,
        effect=expect.at("effect").one_of({"permit", "permit_redacted", "deny"}),
        disclosed=frozenset(expect.at("disclosed").texts()),
        masked=frozenset(expect.at("masked").texts()),
        rules=frozenset(expect.at("rules").texts()) if expect.at("rules").present else None,
        reason=expect.at("reason").text() if expect.at("reason").present else None,
        obligations=frozenset(expect.at("obligations").texts()) if expect.at("obligations").present else None,
        refrains=frozenset(expect.at("refrains").texts()) if expect.at("refrains").present else None,
    )


_OF_ONE: Final = {"permit": "disclosed", "permit_redacted": "masked"}


def _of_one(record: Mapping[str, Any], effect: str) -> dict[str, frozenset[str]]:
    """Give what becomes of a record that is sent alone."""
    return {_OF_ONE[effect]: frozenset({_name(record)})} if effect in _OF_ONE else {}


def _name(record: Mapping[str, Any]) -> str:
    return f"{record['resourceType']}/{record['id']}"


def _one_or_more(node: Node) -> tuple[Node, ...]:
    return node.items() if node.kind == "list" else (node,)


def _pick(item: Node, known: Mapping[str, Any]) -> Any:  # noqa: ANN401  JSON
    return known[item.one_of(known)]


def failures(case: ProfileCase, shelf: Shelf) -> Iterator[str]:
    """Ask one case and say, in words, each thing that did not come out as it must. Nothing: it passes."""
    found = answer(msgspec.json.encode(case.question), shelf_of(case, shelf))
    by_verdict: dict[str, set[str]] = {"disclosed": set(), "masked": set(), "withheld": set()}
    for decision in found["decisions"]:
        by_verdict[decision["verdict"]].add(decision["resource"])
    yield from _differ("effect", case.effect, found["effect"])
    yield from _differ("disclosed", set(case.disclosed), by_verdict["disclosed"])
    yield from _differ("masked", set(case.masked), by_verdict["masked"])
    if case.rules is not None:
        told = {cause["rule"] for decision in found["decisions"] for cause in decision["because"]}
        yield from _differ("rules", set(case.rules), told)
    if case.reason is not None:
        yield from _differ("reason", case.reason, (found["refusal"] or {}).get("reason"))
    if case.obligations is not None:
        yield from _differ("obligations", set(case.obligations), set(found["obligations"]))
    if case.refrains is not None:
        told = {code for decision in found["decisions"] for code in decision["refrains"]}
        yield from _differ("refrains", set(case.refrains), told)


def shelf_of(case: ProfileCase, shelf: Shelf) -> Shelf:
    """Give the shelf a case is asked under: with its choices at switches, and the rule that stands against it."""
    name = case.question["profile"]
    chosen = switched(shelf, name, case.switches)
    if case.against is None or name not in chosen.policies:
        return chosen
    policy = chosen.policies[name]
    rule = Rule(
        id="of-another-pack",
        layer=Layer.LAW,
        effect=RuleEffect.DENY,
        deny_class=case.against,
        reason="law_other",
        says="Another pack forbids it.",
        cite=case.where,
    )
    stricter = msgspec.structs.replace(policy, rules=(*policy.rules, rule))
    return Shelf({name: stricter}, {name: chosen.tools[name]})


def switched(shelf: Shelf, name: str, choices: Mapping[str, bool]) -> Shelf:
    """Give the shelf with other choices at the switches of one of its profiles."""
    if not choices or name not in shelf.policies:
        return shelf
    policy, tools = shelf.policies[name].switched(choices), shelf.tools[name]
    rules = label_rules(policy, tools.label_rules.codes, tools.label_rules.terms)
    return Shelf({name: policy}, {name: msgspec.structs.replace(tools, label_rules=rules)})


def _differ(what: str, expected: object, found: object) -> Iterator[str]:
    if expected != found:
        yield f"{what}: expected {_told(expected)}, found {_told(found)}"


def _told(value: object) -> str:
    return ", ".join(sorted(value)) or "nothing" if isinstance(value, set) else str(value)
