"""The lines of a demonstration: who asks what and, for the story, what each should bring, read from a written file.

Rules of this file
1. What should come is data written by hand (`story/lines.yaml`); nothing here or elsewhere computes it.
2. A record that no outcome names must not appear; an outcome that names a record twice is a mistake in the file.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.strict_yaml import Node, load

TREATED: Final = ("through", "masked", "withheld")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the records asked for, by `Type/id`. `masked` names the elements each loses; `lacks` and `holds`
    are texts that must not, and must, stand in the answer's bytes."""

    through: frozenset[str] = frozenset()
    masked: Mapping[str, frozenset[str]] = {}
    withheld: frozenset[str] = frozenset()
    lacks: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the story says of one line in one act: an outcome with its reasons, or the status of a refusal."""

    outcome: Outcome | None = None
    refused: int = 0
    permits: frozenset[str] = frozenset()
    denies: frozenset[str] = frozenset()
    relies: frozenset[str] = frozenset()
    obliges: frozenset[str] = frozenset()


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One question: who asks with which client, for which purpose ("" = none), at which route, about whom, for what."""

    id: str
    who: str
    client: str
    purpose: str
    route: str
    patients: tuple[str, ...]
    types: tuple[str, ...]
    said: Mapping[str, Said] = {}  # by act; empty where nobody wrote down what should come


class Story(msgspec.Struct, frozen=True):
    """The acts in order with what happens in each, the citation each rule must carry, and the lines."""

    acts: Mapping[str, str]
    cites: Mapping[str, str]
    lines: tuple[Line, ...]


def read_story(text: str, name: str) -> Story:
    """Read a story's lines. Raises ProfileError that names file, line and key of what is wrong."""
    top = load(text, name)
    acts = {key: node.text() for key, node in top.at("acts").entries()}
    outcomes: dict[str, Outcome] = {}
    for key, node in top.at("outcomes").entries():
        outcomes[key] = _outcome(node, outcomes)
    story = Story(
        acts=acts,
        cites={key: node.text() for key, node in top.at("rules").entries()},
        lines=tuple(_line(node, acts, outcomes) for node in top.at("lines").items()),
    )
    top.finish()
    for line, node in zip(story.lines, top.at("lines").items(), strict=True):
        unknown = {rule for said in line.said.values() for rule in said.permits | said.denies} - story.cites.keys()
        if unknown:
            raise node.wrong(f"no citation is written for {', '.join(sorted(unknown))}")
    return story


def _outcome(node: Node, known: Mapping[str, Outcome]) -> Outcome:
    same = node.at("same_records_as")
    if same.present:
        like = known[same.one_of(known)]
        return Outcome(
            through=like.through,
            masked=like.masked,
            withheld=like.withheld,
            lacks=node.at("lacks").texts(),
            holds=node.at("holds").texts(),
        )
    through, withheld = node.at("through").texts(), node.at("withheld").texts()
    masked = {key: frozenset(lost.texts()) for key, lost in node.at("masked").entries()}
    named = [*through, *withheld, *masked]
    if len(set(named)) < len(named):
        raise node.wrong("a record stands twice")
    return Outcome(
        through=frozenset(through),
        masked=masked,
        withheld=frozenset(withheld),
        lacks=node.at("lacks").texts(),
        holds=node.at("holds").texts(),
    )


def _line(node: Node, acts: Mapping[str, str], outcomes: Mapping[str, Outcome]) -> Line:
    said = {key: _said(one, outcomes) for key, one in node.at("acts").entries()}
    if said.keys() != acts.keys():
        raise node.at("acts").wrong("every act of the story needs its outcome")
    return Line(
        id=node.at("id").text(),
        who=node.at("who").text(),
        client=node.at("client").text(),
        purpose=node.at("purpose").text(""),
        route=node.at("route").text(),
        patients=(node.at("patient").text(),),
        types=node.at("types").texts(),
        said=said,
    )


def _said(node: Node, outcomes: Mapping[str, Outcome]) -> Said:
    refused = node.at("refused")
    if refused.present:
        return Said(refused=refused.integer(least=400, most=499))
    return Said(
        outcome=outcomes[node.at("outcome").one_of(outcomes)],
        permits=frozenset(node.at("permits").texts()),
        denies=frozenset(node.at("denies").texts()),
        relies=frozenset(node.at("relies").texts()),
        obliges=frozenset(node.at("obliges").texts()),
    )
