"""Every way in which what came of a line can differ from the story is noticed."""

import msgspec
import pytest

from gateway.demo.asking import Reason, Seen, Told
from gateway.demo.checks import differences
from gateway.demo.lines import Line, Outcome, Said

OUTCOME = Outcome(
    through=frozenset({"Condition/a"}),
    masked={"Claim/b": frozenset({"item/0"})},
    withheld=frozenset({"Condition/c"}),
    lacks=("secret",),
    holds=("1.10",),
)
SAID = Said(
    outcome=OUTCOME,
    permits=frozenset({"may"}),
    denies=frozenset({"must-not"}),
    relies=frozenset({"signed"}),
    obliges=frozenset({"notice"}),
)
LINE = Line(
    id="l", who="w", client="c", purpose="TREAT", route="r", patients=("p",), types=("Condition",), said={"act": SAID}
)
CITES = {"may": "45 CFR 1", "must-not": "42 CFR 2"}
NAMES = {"Consent/17": "signed"}
MAY = Reason("permit", "may", "45 CFR 1", "Consent/17", "")
MUST_NOT = Reason("deny", "must-not", "42 CFR 2", "", "")
SEEN = Seen(
    status=200,
    resources={"Condition/a": b"", "Claim/b": b""},
    bodies=(b'{"value":1.10}',),
    told=(
        Told("Condition/a", "disclosed", frozenset(), (MAY,), ("notice",)),
        Told("Claim/b", "masked", frozenset({"item/0"}), (MUST_NOT,)),
        Told("Condition/c", "withheld", frozenset(), (MUST_NOT,)),
    ),
)


def found(**changed: object) -> list[str]:
    """The differences when some of what was seen is otherwise."""
    return differences(LINE, "act", msgspec.structs.replace(SEEN, **changed), CITES, NAMES)


def with_told(index: int, **changed: object) -> tuple[Told, ...]:
    """What was told, with one record told otherwise."""
    told = list(SEEN.told)
    told[index] = msgspec.structs.replace(told[index], **changed)
    return tuple(told)


def test_what_the_story_says_is_no_difference():
    """Nothing is told where everything is as the story says."""
    assert [] == found()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"resources": {"Condition/a": b"", "Claim/b": b"", "Condition/c": b""}}, "Condition/c came through"),
        ({"resources": {"Condition/a": b""}}, "Claim/b: the story says it came through"),
        ({"told": with_told(0, verdict="withheld")}, "Condition/a was explained as withheld"),
        ({"told": with_told(1, verdict="disclosed")}, "Claim/b was explained as disclosed"),
        ({"told": with_told(1, lost=frozenset({"item/1"}))}, "item/1 was cut from Claim/b"),
        ({"told": SEEN.told[:2]}, "Condition/c: the story says it was explained as withheld"),
        ({"bodies": (b'{"value":1.10,"note":"secret"}',)}, "`secret` stands in the answer"),
        ({"bodies": (b'{"value":1.1}',)}, "`1.10` does not stand in the answer"),
        ({"miscounted": ("total 3, 2 came",)}, "wrong count"),
        ({"told": with_told(0, reasons=())}, "may: the story says it permits"),
        ({"told": with_told(2, reasons=(MUST_NOT, Reason("deny", "other", "", "", "")))}, "other denies"),
        (
            {"told": with_told(0, reasons=(msgspec.structs.replace(MAY, consent="Consent/9"),))},
            "signed: the story says",
        ),
        ({"told": with_told(0, reasons=(msgspec.structs.replace(MAY, cite="45 CFR 9"),))}, "may cites 45 CFR 9"),
        ({"told": with_told(0, obligations=())}, "notice: the story says it obliges"),
        ({"status": 503}, "the answer is 503"),
    ],
)
def test_every_difference_is_told(changed, told):
    """A record too many or too few, another verdict, element, text, count, rule, consent or citation is told."""
    assert told in "\n".join(found(**changed))


def test_a_refusal_is_checked_by_status_and_emptiness():
    """Where the story says refused, another status is a difference, and so is a record."""
    line = msgspec.structs.replace(LINE, said={"act": Said(refused=403)})
    assert [] == differences(line, "act", Seen(status=403), {}, {})
    assert [] != differences(line, "act", Seen(status=200), {}, {})
    assert [] != differences(line, "act", msgspec.structs.replace(SEEN, status=403), {}, {})
