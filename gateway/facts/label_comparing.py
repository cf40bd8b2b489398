"""Labels found, counted and held against labels given by hand: precision and recall by category. Pure.

Rules of this file (docs/labels.md)
1. Codes are compared by category: what a deny of one code denies is one (labels.md section 3, clusters), and sexual
   and reproductive health, of which hands use one code or another.
2. What came with the records is no finding, and neither is what is only assumed: the profile's default, and the level
   of a source that nobody knows.
3. A record is known by type and id; one that is on one side only is counted and not compared.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from consent_store.model import ACT_CODE, CONFIDENTIALITY
from gateway.facts.labelling import Labelled
from gateway.fhir.terminology import canonical, deny_cluster
from gateway.fhir.v3_tables import POLICIES, SENSITIVITIES
from gateway.fhir.view import ResourceView
from gateway.labels.assign import UNCLASSIFIED
from gateway.labels.model import Basis, Confidentiality, Kind
from gateway.labels.rules import UNKNOWN_SOURCE

# One name for the codes that a deny takes together, or that people choose among.
_CLUSTERS: Final = (
    ("SUD", deny_cluster("SUD")),
    ("MH", deny_cluster("MH")),
    ("SDV", deny_cluster("SDV")),
    ("SEX", frozenset({"SEX", "PREGNANT", "GENDER"})),
)
RESTRICTED: Final = "restricted (R, V)"


class Disagreement(msgspec.Struct, frozen=True, order=True):
    """One record and category on which the two sides differ; `why` is what the gateway goes by, "" where it missed."""

    category: str
    record: str
    missed: bool
    why: str = ""


class Score(msgspec.Struct):
    """One category's counts."""

    both: int = 0
    missed: int = 0
    extra: int = 0

    @property
    def precision(self) -> float | None:
        """Of what the gateway says, the share that the hand says too; None where it says nothing."""
        said = self.both + self.extra
        return self.both / said if said else None

    @property
    def recall(self) -> float | None:
        """Of what the hand says, the share that the gateway says too; None where it says nothing."""
        meant = self.both + self.missed
        return self.both / meant if meant else None


def category(code: str) -> str:
    """Give the category of a sensitivity or policy code."""
    return next((name for name, cluster in _CLUSTERS if code in cluster), code)


def by_hand(views: Iterable[ResourceView]) -> dict[str, frozenset[str]]:
    """Give the categories that the records' own labels say, by `Type/id`: none for a record without a label, which the
    hand passed over as harmless. Records without id are left out."""
    return {f"{view.type}/{view.id}": frozenset(_stated(view)) for view in views if view.id}


def _stated(view: ResourceView) -> Iterator[str]:
    for coding in map(canonical, view.security):
        code = coding.code or ""
        if coding.system == CONFIDENTIALITY and code in Confidentiality.__members__:
            yield from [RESTRICTED] if Confidentiality[code] >= Confidentiality.R else []
        elif coding.system == ACT_CODE and (code in SENSITIVITIES or code in POLICIES):
            yield category(code)


class Comparison:
    """Takes what was found record by record, and keeps counts and disagreements alone."""

    def __init__(self, hand: Mapping[str, frozenset[str]]) -> None:
        self._hand, self._seen = hand, set[str]()
        self.scores: dict[str, Score] = {}
        self.disagreements: list[Disagreement] = []
        self.not_by_hand = 0

    @property
    def not_found(self) -> int:
        """How many records the hand's file holds and this one does not."""
        return len(self._hand.keys() - self._seen)

    def add(self, one: Labelled) -> None:
        """Take what was found of one record, labelled as if no label had come with it."""
        meant = self._hand.get(one.name)
        if meant is None:
            self.not_by_hand += 1
            return
        self._seen.add(one.name)
        grounds = _grounds(one)
        for name in sorted(meant | grounds.keys()):
            score = self.scores.setdefault(name, Score())
            if name in meant and name in grounds:
                score.both += 1
                continue
            missed = name in meant
            score.missed += missed
            score.extra += not missed
            self.disagreements.append(Disagreement(name, one.name, missed, grounds.get(name, "")))


def _grounds(one: Labelled) -> dict[str, str]:
    """Give the categories the gateway says of a record, each with its first ground."""
    found: dict[str, str] = {}
    for label in one.labels.labels:
        if label.basis is Basis.DEFAULT or label.source in (UNKNOWN_SOURCE, UNCLASSIFIED):
            continue
        if label.kind in (Kind.SENSITIVITY, Kind.POLICY):
            name = category(label.code)
        elif label.kind is Kind.CONFIDENTIALITY and Confidentiality[label.code] >= Confidentiality.R:
            name = RESTRICTED
        else:
            continue
        ground = f"{label.basis.value} {label.at or '(whole)'} {label.source}".strip()
        found.setdefault(name, ground)
    return found


class Tally:
    """Counts of what was labelled: resources by type, level and code, and codes by how they were found."""

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.resources: Counter[str] = Counter()
        self.codes: dict[str, Counter[Basis]] = {}

    def add(self, one: Labelled) -> None:
        """Take one resource."""
        self.types[one.view.type] += 1
        self.levels[one.labels.confidentiality.name] += 1
        said = {
            (label.code, label.basis) for label in one.labels.labels if label.kind in (Kind.SENSITIVITY, Kind.POLICY)
        }
        self.resources.update({code for code, _ in said})
        for code, basis in said:
            self.codes.setdefault(code, Counter())[basis] += 1

    def merge(self, other: "Tally") -> None:
        """Take what another counted."""
        self.types.update(other.types)
        self.levels.update(other.levels)
        self.resources.update(other.resources)
        for code, bases in other.codes.items():
            self.codes.setdefault(code, Counter()).update(bases)
