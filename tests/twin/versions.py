"""Earlier versions of records: what one of a record said before, by a seed, and which of them the world without W has.

Rules of this file
1. Only of records that no other names, of types with a history: what an earlier version says then changes nothing else.
2. One that is withheld by itself, or whose present one is, is not in the world without W.
3. Where either is masked for a pair, both worlds go without it: which parts of it would go is for the two together.
"""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.demo.references import reference_texts
from tests.twin.absent import Oracle, Without, name_of
from tests.twin.asking import Pair
from tests.twin.records import LABELS

VERSIONED = ("Condition", "Encounter", "MedicationRequest", "Observation")
"""The types whose history the routes of a run open."""

_SHARE = 0.6


class Versions:
    """The earlier versions of a run. `oracle` is asked about them in place of the present ones."""

    def __init__(self, records: Sequence[bytes], seed: int, oracle_of: Any) -> None:
        self.earlier = _earlier(records, seed)
        replaced = [self.earlier.get(name_of(one), one) for one in records]
        self._oracle: Oracle = oracle_of(replaced)

    def of(self, pair: Pair, present: Without) -> tuple[list[bytes], list[bytes]]:
        """Give the earlier versions in the whole world and in the one without W. Raises QuestionError."""
        before = self._oracle.without(pair)
        masked = before.masked | present.masked
        whole = {name: text for name, text in self.earlier.items() if name not in masked}
        gone = before.withheld | present.withheld
        return list(whole.values()), [text for name, text in whole.items() if name not in gone]


def _earlier(records: Sequence[bytes], seed: int) -> Mapping[str, bytes]:
    dice = random.Random(f"versions {seed}")  # noqa: S311  chance that can be repeated
    named = {text for one in records for text in reference_texts(one)}
    found: dict[str, bytes] = {}
    for one in records:
        name = name_of(one)
        if name.partition("/")[0] not in VERSIONED or name in named or dice.random() > _SHARE:
            continue
        tree: dict[str, Any] = msgspec.json.decode(one)
        meta = {key: value for key, value in tree.get("meta", {}).items() if key != "security"}
        label = dice.choice((None, None, *LABELS))
        security = [{"system": label[0], "code": label[1]}] if label is not None else []
        tree |= {"meta": meta | ({"security": security} if security else {}), "language": "en"}
        found[name] = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    return found
