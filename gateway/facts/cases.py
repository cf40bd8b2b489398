"""Cases beside the profiles (`*_test.yaml`): sentences a privacy officer can read, asked as questions and compared.

Rules of this file
1. A case lists what is disclosed and what is masked; every other record it sends must be withheld.
2. Cases are asked through the same door as any question; nothing of what is expected is in the question.
3. Text in, values out; bootstrap reads the files.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.facts.answer import Shelf, answer
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


def read_cases(text: str, name: str) -> tuple[ProfileCase, ...]:
    """Read one `*_test.yaml`. Raises ProfileError naming file, line and key."""
    top = load(text, name)
    profile = top.at("profile").text()
    at = top.at("at").text()
    known = {key: _named(top.at(key)) for key in ("participants", "records", "consents", "agreements", "context")}
    cases = tuple(_case(node, profile, at, known) for node in top.at("cases").items())
    top.finish()
    if not cases:
        raise top.wrong("has no cases")
    return cases


def _named(node: Node) -> dict[str, Any]:
    return {key: value.plain() for key, value in node.entries()}


def _case(node: Node, profile: str, at: str, known: Mapping[str, Mapping[str, Any]]) -> ProfileCase:
    records = [_pick(item, known["records"]) for item in node.at("records").items()]
    question = {
        "v": 1,
        "id": node.at("says").text(),
        "at": node.at("at").text(at),
        "profile": profile,
        "interaction": {"type": "search", "direction": node.at("direction").text("read")},
        "participants": [{"id": key, **value} for key, value in known["participants"].items()],
        "discloser": node.at("from").one_of(known["participants"]),
        "recipient": node.at("to").one_of(known["participants"]),
        "agreements": [_pick(item, known["agreements"]) for item in node.at("agreements").items()],
        "purpose": node.at("purpose").text(),
        "facts": node.at("facts").plain() if node.at("facts").present else {},
        "consents": [_pick(item, known["consents"]) for item in node.at("consents").items()],
        "context": list(known["context"].values()),
        "resource": {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": record, "search": {"mode": "match"}} for record in records],
        },
    }
    expect = node.at("expect")
    return ProfileCase(
        where=f"{node.name}:{node.line}",
        says=node.at("says").text(),
        question=question,
        effect=expect.at("effect").one_of({"permit", "permit_redacted", "deny"}),
        disclosed=frozenset(expect.at("disclosed").texts()),
        masked=frozenset(expect.at("masked").texts()),
        rules=frozenset(expect.at("rules").texts()) if expect.at("rules").present else None,
        reason=expect.at("reason").text() if expect.at("reason").present else None,
        obligations=frozenset(expect.at("obligations").texts()) if expect.at("obligations").present else None,
    )


def _pick(item: Node, known: Mapping[str, Any]) -> Any:  # noqa: ANN401  JSON
    return known[item.one_of(known)]


def failures(case: ProfileCase, shelf: Shelf) -> Iterator[str]:
    """Ask one case and say, in words, each thing that did not come out as it must. Nothing: it passes."""
    found = answer(msgspec.json.encode(case.question), shelf)
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


def _differ(what: str, expected: object, found: object) -> Iterator[str]:
    if expected != found:
        yield f"{what}: expected {_told(expected)}, found {_told(found)}"


def _told(value: object) -> str:
    return ", ".join(sorted(value)) or "nothing" if isinstance(value, set) else str(value)
