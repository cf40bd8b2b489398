"""Whatever is asked is answered, or is told to be no question: wrong types anywhere, any FHIR shape, never an error."""

import copy
import json
import os
import random
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.demo.story import StoryConsent, story_consent, story_resources
from gateway.errors import QuestionError
from gateway.facts.answer import answer
from tests.conftest import EXAMPLES
from tests.questions import SHELF, bundle, consent, hidden, observation, question, recipient, searchset

JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1.5,
        10**30,
        "",
        "x",
        "é\u0000",
        "Patient/rosa",
        "#",
        "#a",
        "urn:uuid:x",
        "http://",
        "2026-13-01",
    ),
    *([], {}, [[]], [{}], [None], ["x"], {"reference": 5}, {"reference": "#"}, {"reference": "Encounter/hidden"}),
    *(
        {"coding": "x"},
        {"a": {"b": [1, {"c": 2}]}},
        {"resourceType": 5},
        {"resourceType": "Bundle"},
        {"extension": [{}]},
    ),
    *({"resourceType": "Observation"}, {"status": {}, "div": 1}, {"system": [], "code": {}}, "Patient?x=y", "a|b"),
)
NAMES = (
    *("contained", "extension", "modifierExtension", "meta", "text", "code", "reference", "identifier", "resource"),
    *("entry", "_status", "security", "item", "diagnosis", "link", "member", "quantity", "section", "~x/y", "", "type"),
)


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in parsed JSON."""
    if at:
        yield at
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in inner:
        yield from places(value, (*at, name))


def spoil(whole: Any, dice: random.Random) -> None:
    """Change one place: other value, gone, wrapped, doubled, or with a strange member."""
    *way, last = dice.choice(list(places(whole)))
    holder = whole
    for step in way:
        holder = holder[step]
    match dice.randrange(5):
        case 0 | 1:
            holder[last] = copy.deepcopy(dice.choice(JUNK))
        case 2:
            holder.pop(last)
        case 3:
            holder[last] = [holder[last]]
        case _ if isinstance(holder, dict):
            holder[dice.choice(NAMES)] = copy.deepcopy(dice.choice([*JUNK, holder[last]]))
        case _:
            holder.append(copy.deepcopy(holder[last]))


def asked(records: list[Any], consents: list[Any], dice: random.Random) -> dict[str, Any]:
    """A question about some records, spoilt in some places."""
    some = copy.deepcopy(dice.sample(records, dice.randint(1, 4)))
    kind = dice.choice(["searchset", "collection", "transaction", "document", "batch", "history"])
    asking = question(
        dice.choice([some[0], searchset(*some), bundle(*some, type=kind), bundle(searchset(*some), *some)]),
        profile=dice.choice(["base", "us-hipaa", "us-part2"]),
        recipient=dice.choice(["valley", "plan", "rosa"]),
        purpose=dice.choice(["TREAT", "HPAYMT", "PATRQT"]),
        consents=copy.deepcopy(dice.sample(consents, dice.randint(0, 2))),
        context=copy.deepcopy(dice.sample(records, dice.randint(0, 2))),
    )
    where = dice.choice(["resource", "resource", "resource", "consents", "context", "participants", None])
    target = asking if where is None or not asking[where] else asking[where]
    for _ in range(dice.randint(0, 4)):
        if not target:
            break
        spoil(target, dice)
    return asking


def test_whatever_is_asked_is_answered_or_refused():
    """Nothing but an answer or a QuestionError comes of any JSON, and what is released is JSON."""
    dice = random.Random(7)  # noqa: S311  not a secret
    records = [json.loads(text) for text in story_resources()] + [hidden(), observation()]
    consents = [json.loads(story_consent(one)) for one in StoryConsent]
    consents += [consent("deny"), consent(actor=[recipient({"reference": "Group/g"})])]
    effects = set()
    for _ in range(3 * int(os.environ.get(EXAMPLES, "100"))):
        raw = json.dumps(asked(records, consents, dice)).encode()
        try:
            found = json.loads(msgspec.json.encode(answer(raw, SHELF)))
        except QuestionError:
            effects.add("refused")
            continue
        effects.add(found["effect"])
        assert (found["effect"] == "deny") is (found["released"] is None)
        assert (found["effect"] == "deny") is (found["refusal"] is not None)

    assert {"permit", "permit_redacted", "deny", "refused"} == effects
