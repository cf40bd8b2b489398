"""The label conditions of one program, asked of a resource all together.

Rules of this file
1. It says of every condition what its own test says (`label_tests`), worked out label by label instead of one condition
   after another. A test of another form, or one that looks for a label as it is, is asked by itself.
2. A mask is a number with one byte a condition, in which `Match.YES` is 2 and `Match.UNSURE` 1.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property, reduce
from operator import and_, or_
from typing import Final

from gateway.decision.consents.label_tests import DenyLabels, LabelTest, PermitLabels
from gateway.decision.consents.remembered import kept
from gateway.decision.consents.truth import YES
from gateway.labels.model import Confidentiality, Labels

Mask = int
_Key = tuple[str, str, str]
_ASKED_ALONE: Final = 3
"""Fewer conditions are asked one by one."""


class LabelIndex:
    """Says of label conditions, by number, what they say of a resource's labels."""

    def __init__(self, tests: Sequence[tuple[int, LabelTest]]) -> None:
        self._size = 1 + max(number for number, _ in tests)
        self._permits: list[tuple[int, PermitLabels]] = []
        self._denies: list[tuple[int, DenyLabels]] = []
        self._alone: list[tuple[int, LabelTest]] = []
        for number, test in tests:
            if len(tests) <= _ASKED_ALONE or not isinstance(test, PermitLabels | DenyLabels) or test.others:
                self._alone.append((number, test))
            elif isinstance(test, PermitLabels):
                self._permits.append((number, test))
            else:
                self._denies.append((number, test))
        self._all_permits = self._mask(number for number, _ in self._permits)
        self._all_denies = self._mask(number for number, _ in self._denies)
        self._masks: dict[_Key, Mask] = {}
        self._levels: dict[tuple[str, Confidentiality], Mask] = {}

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
            reach = (n for n, one in self._permits if one.highest is not None and level <= one.highest)
            return self._at_level("permit", level, reach)
        covers = [self._naming("permit tag", tag) for tag in labels.policies]
        covers += [self._covering(code, labels.policies) for code in labels.sensitivities]
        return reduce(and_, covers)

    def _denied(self, labels: Labels) -> Mask:
        """Denies: one sensitivity or tag is denied, or the confidentiality is; what is unknown stops none."""
        if not self._denies:
            return 0
        level = labels.confidentiality
        reach = (n for n, one in self._denies if one.lowest is not None and level >= one.lowest)
        found = self._at_level("deny", level, reach)
        found |= _united([self._naming("deny code", code) for code in labels.sensitivities])
        found |= _united([self._naming("deny tag", tag) for tag in labels.policies])
        return found | (self._all_denies & ~found) >> 1 if labels.unknown else found

    def _covering(self, code: str, carried: Iterable[str]) -> Mask:
        """Give the permits that cover a sensitivity, by itself or by one of the tags that the resource carries."""
        found = self._naming("permit code", code)
        return found | _united([self._naming("permit code", code, tag) for tag in carried])

    def _naming(self, kind: str, what: str, tag: str = "") -> Mask:
        """Give the conditions that name a code or tag, `tag`: where that is carried."""
        key = (kind, what, tag)
        found = self._masks.get(key)
        return kept(self._masks, key, self._mask(self._named.get(key, ()))) if found is None else found

    def _at_level(self, kind: str, level: Confidentiality, reach: Iterable[int]) -> Mask:
        found = self._levels.get((kind, level))
        return kept(self._levels, (kind, level), self._mask(reach)) if found is None else found

    @cached_property
    def _named(self) -> dict[_Key, list[int]]:
        """By code and tag which conditions name it."""
        found = defaultdict[_Key, list[int]](list)
        for number, permit in self._permits:
            for tag in permit.tags:
                found["permit tag", tag, ""].append(number)
            for code in permit.covered:
                found["permit code", code, ""].append(number)
            for tag, codes in permit.by_tag.items():
                for code in codes:
                    found["permit code", code, tag].append(number)
        for number, deny in self._denies:
            for tag in deny.tags:
                found["deny tag", tag, ""].append(number)
            for code in deny.codes:
                found["deny code", code, ""].append(number)
        return found

    def _mask(self, numbers: Iterable[int]) -> Mask:
        made = bytearray(self._size)
        for number in numbers:
            made[number] = YES
        return int.from_bytes(made, "little")


def _united(masks: Iterable[Mask]) -> Mask:
    return reduce(or_, masks, 0)
