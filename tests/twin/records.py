"""Whose records the twin runs on: the story's or a folder's, with security labels sprinkled on them by a seed.

Rules of this file
1. Nothing but `meta.security` is added, so that any data will do; the seed alone says what is labelled.
2. Same source, same seed: same records, in the same order.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.demo.folder import load_folder
from gateway.demo.story import story_resources

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LABELS = tuple((ACT_CODE, code) for code in ("42CFRPart2", "SUD", "OPIOIDUD", "HIV", "PSY", "SDV"))
LABELS += tuple((CONFIDENTIALITY, code) for code in "RV")
# Who belongs to whom is policy input, and the same in both worlds.
UNLABELLED = frozenset({"Patient", "Organization", "Practitioner", "PractitionerRole", "Location", "Group"})
SHARE = 0.3
MOST = 1500
"""Resources of one run: a larger folder is cut, so that a world is made in seconds."""


def records(folder: Path | None, seed: int) -> list[bytes]:
    """Give the resources of a run. Raises ValueError and OSError for a folder that cannot be read."""
    texts = load_folder(folder) if folder else story_resources()
    kept = _whole_patients(list(texts), MOST)
    dice = random.Random(f"labels {seed}")  # noqa: S311  chance that can be repeated
    return [_labelled(text, dice) for text in kept]


def _labelled(text: bytes, dice: random.Random) -> bytes:
    tree: dict[str, Any] = json.loads(text)
    chosen = dice.random() < SHARE
    label = dice.choice(LABELS)
    if tree["resourceType"] in UNLABELLED or not chosen:
        return text
    meta = tree.setdefault("meta", {})
    meta["security"] = [*meta.get("security", ()), {"system": label[0], "code": label[1]}]
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()


def _whole_patients(texts: Sequence[bytes], most: int) -> list[bytes]:
    """Keep records of as many patients as fit, the smallest first, with everything that is about nobody."""
    whose = [_patients(text) for text in texts]
    size: dict[str, int] = {}
    for named in whose:
        for one in named:
            size[one] = size.get(one, 0) + 1
    kept, total = set[str](), sum(not named for named in whose)
    for patient in sorted(size, key=lambda one: (size[one], one)):
        if total + size[patient] <= most or not kept:
            kept.add(patient)
            total += size[patient]
    return [text for text, named in zip(texts, whose, strict=True) if named <= kept]


def _patients(text: bytes) -> set[str]:
    tree = json.loads(text)
    own = {f"Patient/{tree['id']}"} if tree["resourceType"] == "Patient" else set()
    return own | {one for one in _references(tree) if one.startswith("Patient/")}


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        here = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return here + [one for value in node.values() for one in _references(value)]
    return [one for value in node for one in _references(value)] if isinstance(node, list) else []
