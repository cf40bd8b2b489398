"""The label conditions of one program, asked of a resource all together.

Rules of this file
1. It says of every condition what its own test says (`label_tests`), worked out label by label instead of one condition
   after another. A test of another form, or one that looks for a label as it is, is asked by itself.
2. A mask is a number with one byte a condition, in which `Match.YES` is 2 and `Match.UNSURE` 1.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import and_, or_
from typing import Final

from gateway.decision.consents.label_tests import DenyLabels, LabelTest, PermitLabels
from gateway.decision.consents.remembered import kept
from gateway.decision.consents.truth import Match
from gateway.labels.model import Labels

Mask = int
_Key = tuple[str, str | int, str]
_ASKED_ALONE: Final = 3
"""Fewer conditions are asked one by one."""


class LabelIndex:
    """Says of label conditions, by number, what they say of a resource's labels."""

    def __init__(self, tests: Sequence[tuple[int, LabelTest]]) -> None:
        self._size = 1 + max(number for number, _ in tests)
        few = len(tests) <= _ASKED_ALONE
        self._permits: list[tuple[Mask, PermitLabels]] = []
        self._denies: list[tuple[Mask, DenyLabels]] = []
        self._alone: list[tuple[int, LabelTest]] = []
        for number, test in tests:
            if isinstance(test, PermitLabels) and not test.others and not few:
                self._permits.append((Match.YES << 8 * number, test))
            elif isinstance(test, DenyLabels) and not test.others and not few:
                self._denies.append((Match.YES << 8 * number, test))
            else:
                self._alone.append((number, test))
        self._all_permits = _united(bit for bit, _ in self._permits)
        self._all_denies = _united(bit for bit, _ in self._denies)
        self._masks: dict[_Key, Mask] = {}

    def say(self, labels: Labels) -> bytes:
        """Give what each condition says, by number."""
        said = bytearray((self._permitted(labels) | self._denied(labels)).to_bytes(self._size, "little"))
        for number, test in self._alone:
            said[number] = test(labels)
        return bytes(said)

    def _permitted(self, labels: Labels) -> Mask:
        """Permits: all sensitivities and tags are covered, or without any the confidentiality is."""
        if not self._permits:
            return 0
        if labels.unknown:
            return self._all_permits >> 1
        if not labels.sensitivities and not labels.policies:
            level = labels.confidentiality
            return self._permits_where("level", level, "", lambda one: one.highest is not None and level <= one.highest)
        covers = [self._tagged(tag) for tag in labels.policies]
        covers += [self._covering(code, labels.policies) for code in labels.sensitivities]
        return reduce(and_, covers)

    def _denied(self, labels: Labels) -> Mask:
        """Denies: one sensitivity or tag is denied, or the confidentiality is; what is unknown stops none."""
        if not self._denies:
            return 0
        level = labels.confidentiality
        found = self._denies_where("level", level, lambda one: one.lowest is not None and level >= one.lowest)
        found |= _united([self._denying(code) for code in labels.sensitivities])
        found |= _united([self._denying_tag(tag) for tag in labels.policies])
        return found | (self._all_denies & ~found) >> 1 if labels.unknown else found

    def _denying(self, code: str) -> Mask:
        return self._denies_where("code", code, lambda one: code in one.codes)

    def _denying_tag(self, tag: str) -> Mask:
        return self._denies_where("tag", tag, lambda one: tag in one.tags)

    def _tagged(self, tag: str) -> Mask:
        return self._permits_where("tag", tag, "", lambda one: tag in one.tags)

    def _covering(self, code: str, carried: Iterable[str]) -> Mask:
        """Give the permits that cover a sensitivity, by itself or by one of the tags that the resource carries."""
        found = self._permits_where("code", code, "", lambda one: code in one.covered)
        return found | _united([self._covering_by(code, tag) for tag in carried])

    def _covering_by(self, code: str, tag: str) -> Mask:
        return self._permits_where("code", code, tag, lambda one: code in one.by_tag.get(tag, ()))

    def _permits_where(self, kind: str, what: str | int, tag: str, holds: Callable[[PermitLabels], bool]) -> Mask:
        key = (f"permit {kind}", what, tag)
        found = self._masks.get(key)
        return (
            kept(self._masks, key, _united(bit for bit, one in self._permits if holds(one))) if found is None else found
        )

    def _denies_where(self, kind: str, what: str | int, holds: Callable[[DenyLabels], bool]) -> Mask:
        key = (f"deny {kind}", what, "")
        found = self._masks.get(key)
        return (
            kept(self._masks, key, _united(bit for bit, one in self._denies if holds(one))) if found is None else found
        )


def _united(masks: Iterable[Mask]) -> Mask:
    return reduce(or_, masks, 0)
