"""Every word for data has a record in docs/categories.md, and that record is recognised as what it is."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import bootstrap
from gateway.facts.answer import answer
from gateway.policy.matching import CategoryMatch
from gateway.policy.reading_data import vocabulary_of
from gateway.strict_yaml import load

SHELF = bootstrap.read_shelf()
DOCS = Path(__file__).parents[2] / "docs"
PROFILES = Path(__file__).parents[2] / "profiles"
PAGE = (DOCS / "categories.md").read_text(encoding="utf-8")
SECTION = re.compile(
    r"^## `(?P<word>\w+)`\n\n(?P<says>.*) Disclosed here by an? `(?P<by>\w+)`\.\n\n```json\n(?P<record>.*)\n```$",
    re.MULTILINE,
)
WRITTEN = load((PROFILES / "us-programs" / "profile.yaml").read_text(encoding="utf-8"), "us-programs")
SHELF_WORDS = {vocabulary_of(node): name for name, node in WRITTEN.at("vocabularies").entries()}
FOUND = {found["word"]: found for found in SECTION.finditer(PAGE)}


def categories(found: re.Match[str], profile: str = "us-programs", *, record: dict[str, Any] | None = None) -> set[str]:
    """Ask about a section's record, or another, as its discloser would; give the categories of all that is in it."""
    record = record or json.loads(found["record"])
    parties = {"source": found["by"], "hospital": "provider_general", "program": "provider_part2", "plan": "mcp"}
    inside = record.get("id") == "p1" or "Patient" in {
        entry["resource"]["resourceType"] for entry in record.get("entry", ())
    }
    question: dict[str, Any] = {
        "v": 1,
        "at": "2025-03-01T12:00:00-08:00",
        "profile": profile,
        "participants": [
            {"id": name, "type": kind, "hipaa_covered": True, "references": [f"Organization/{name}"]}
            for name, kind in parties.items()
        ],
        "discloser": "source",
        "recipient": "plan",
        "purpose": "CAREMGT",
        "context": [
            *({"resourceType": "Organization", "id": name} for name in parties),
            *([] if inside else [{"resourceType": "Patient", "id": "p1", "birthDate": "1980-03-01"}]),
        ],
        "resource": record,
    }
    answered = json.loads(msgspec.json.encode(answer(json.dumps(question).encode(), SHELF)))
    return {category for decision in answered["decisions"] for category in decision["categories"]}


def test_every_word_has_a_section(shared):
    """An outside builder finds each word of the vocabulary, and nothing else."""
    assert set(json.loads((shared / "cases/vocabulary.json").read_text())["data_category"]) == set(FOUND)
    assert len(FOUND) == PAGE.count("\n## ")


@pytest.mark.parametrize("word", sorted(FOUND))
def test_the_record_of_a_word_is_recognised_as_it(word):
    """The example is recognised as its word; a file as each of the kinds that its sentence names."""
    found = categories(FOUND[word]) | categories(FOUND[word], "us-ny-health-home")
    kinds = set(re.findall(r"`(\w+)`", FOUND[word]["says"])) & set(SHELF.policies["us-programs"].categories)
    wanted = {word} if word in SHELF.policies["us-programs"].categories else kinds - {"contact_info"}
    if word == "full_record_dump":
        wanted |= {"contact_info"}

    assert wanted
    assert wanted <= found


ALSO = [
    (found, json.loads(also))
    for found, rest in zip(FOUND.values(), re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:], strict=True)
    for also in re.findall(r"^Also:\n\n```json\n(.*)\n```$", rest, re.MULTILINE)
]


@pytest.mark.parametrize(("found", "record"), ALSO, ids=lambda one: one["word"] if isinstance(one, re.Match) else "")
def test_other_forms_of_a_word_are_recognised_as_it(found, record):
    """What stands under "Also" is of the same category; and it is about somebody who is known."""
    assert found["word"] in categories(found, record=record)


def test_a_record_of_something_else_is_not_recognised_as_it():
    """The comparison can fail: a goal is no claim, a hospital's visit none of a program."""
    assert "claims" not in categories(FOUND["goals"])
    assert "part2_record" not in categories(FOUND["encounter"])


# The table of docs/profiles.md ---------------------------------------------------------------------------------------
def row(name: str) -> str:
    """Tell every way a category is recognised, as the table of docs/profiles.md does."""
    ways = "<br>".join(told(way) for way in SHELF.policies["us-programs"].categories[name].any)
    return f"| `{name}` | {ways} |"


def told(way: CategoryMatch) -> str:  # noqa: C901, PLR0912  one line for each part
    """Tell one way: types, labels, codes, who discloses, identifiers, and what must not hold."""
    parts = []
    if way.types:
        parts.append(
            ", ".join(sorted(way.types)) if len(way.types) < 30 else f"records of care ({len(way.types)} types)"
        )
    if way.unknown:
        parts.append("with something about its sensitivity unknown")
    if way.unread_label:
        parts.append("with a label that cannot be read")
    if way.at_least:
        parts.append(f"at least {way.at_least.name}")
    if way.sensitivities:
        parts.append("labelled " + " or ".join(sorted(way.sensitivities)))
    if way.policies:
        parts.append("policy " + " or ".join(sorted(way.policies)))
    if way.codes:
        codes = [f"{system.rsplit('/', 1)[-1]} {code}" for system, code in sorted(way.codes.exact)]
        codes += [f"{system.rsplit('/', 1)[-1]} {code}*" for system, code in sorted(way.codes.beginnings)]
        parts.append("coded " + ", ".join(codes))
    if way.source:
        parts.append("from " + ", ".join(sorted(way.source.types or ())))
    if way.identifiers:
        parts.append("an identifier " + ", ".join(sorted(way.identifiers.systems | way.identifiers.types)))
        parts.append("or with the word " + ", ".join(sorted(way.identifiers.words)))
    if way.named:
        parts.append("its `code` says nothing but " + ", ".join(sorted(way.named)))
    for matter, words in (("", way.words), (" in a code", way.code_words)):
        if words:
            lists = SHELF_WORDS[words]
            parts.append(f"with a word of `{lists}`{matter}")
    if way.own:
        parts.append("the discloser is its only registered source")
    if way.without:
        parts.append("not: " + " / ".join(told(one) for one in way.without))
    return "; ".join(parts).replace("identifier ; or with", "identifier with")


@pytest.mark.parametrize("name", sorted(SHELF.policies["us-programs"].categories))
def test_the_table_of_the_documentation_is_current(name):
    """Who makes records by docs/profiles.md makes them by what the profile says today."""
    assert row(name) in (DOCS / "profiles.md").read_text(encoding="utf-8")
