"""What is thought of one resource while a document is judged: a verdict that only ever gets stricter, and its edits.

Rules of this file
1. Who is withheld stays withheld; what is cut stays cut.
2. Every edit names the deny behind it, or none: then every record of the type and caller class gets it.
3. The numbered lists of a claim are edited together: what goes, what hangs on it, and the numbers of what stays.
"""

from collections.abc import Iterable, Mapping

import msgspec

from consent_store.model import Coding, PatientKey
from gateway.decision.claims import removal_edits
from gateway.decision.combine import Ruling
from gateway.decision.model import Cause, Edit, Op, Verdict
from gateway.fhir.view import ResourceView
from gateway.labels.model import Labels


class Opinion(msgspec.Struct, kw_only=True):
    """See the module. `hidden` names the references and numbers that must not be shown, each with the deny behind it;
    `removed` the members of a claim's numbered lists that go, with the index of the cause (`renumbered`: this record is
    edited that way)."""

    view: ResourceView
    subjects: tuple[PatientKey, ...]
    patient_bearing: bool
    categories: tuple[str, ...]
    verdict: Verdict
    labels: Labels
    labels_in: tuple[Coding, ...]
    ruling: Ruling
    causes: list[Cause]
    edits: list[Edit] = []
    places: dict[tuple[Op, str], int] = {}  # where in `edits` each one is
    hidden: Mapping[str, Cause] = {}
    removed: dict[str, int] = {}
    renumbered: bool = False
    labels_out: tuple[Coding, ...] = ()
    numbered: tuple[dict[str, int], tuple[Edit, ...] | None] | None = None  # their edits, for which `removed`

    @property
    def released(self) -> bool:
        """Say whether anything of the resource is released."""
        return self.verdict is not Verdict.WITHHELD

    @property
    def all_edits(self) -> tuple[Edit, ...]:
        """Give the edits in the order they were found, those of numbered lists last."""
        if not self.renumbered:
            return tuple(self.edits)
        paths = {edit.path for edit in self.edits}
        numbered = self._numbered_edits() or ()
        return (*self.edits, *(edit for edit in numbered if edit.path not in paths))

    @property
    def cut(self) -> frozenset[str]:
        """Give the pointers of everything that goes."""
        return frozenset(edit.path for edit in self.all_edits if edit.op is Op.CUT)

    def withhold(self, cause: Cause) -> bool:
        """Withhold the resource for one more reason; say whether it was released before."""
        before = self.released
        self.because(cause)
        self.verdict = Verdict.WITHHELD
        self.edits, self.places, self.removed, self.renumbered = [], {}, {}, False
        return before

    def because(self, cause: Cause) -> int:
        """Give the index of a cause, which is added where it is new."""
        if cause not in self.causes:
            self.causes.append(cause)
        return self.causes.index(cause)

    def take(self, edits: Iterable[Edit], cause: Cause | None) -> None:
        """Add edits behind which `cause` stands (None: every record gets them). One that is there already counts once,
        and a new value for a place replaces the older one."""
        fresh = list(edits)
        if cause is not None and fresh:
            self.verdict = Verdict.MASKED
            index = self.because(cause)
            fresh = [msgspec.structs.replace(edit, because=index) for edit in fresh]
        for edit in fresh:
            at = self.places.setdefault((edit.op, edit.path), len(self.edits))
            if at == len(self.edits):
                self.edits.append(edit)
            elif self.edits[at].value != edit.value:
                self.edits[at] = edit

    def remove(self, pointers: Iterable[str], cause: Cause) -> bool:
        """Remove members of the numbered lists of a claim. False: no line would be left."""
        for pointer in pointers:
            self.removed.setdefault(pointer, self.because(cause))
            self.verdict = Verdict.MASKED
        self.renumbered = True
        return self._numbered_edits() is not None

    def _numbered_edits(self) -> tuple[Edit, ...] | None:
        """Give the edits of a claim's numbered lists, worked out anew only where more is removed than last time."""
        if self.numbered is None or self.numbered[0] != self.removed:
            self.numbered = (dict(self.removed), removal_edits(self.view.tree, self.removed))
        return self.numbered[1]
