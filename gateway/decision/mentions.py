"""What a record says of others in naming them: the words beside a reference go with the reference (leaks.md L032).

Rules of this file
1. A word rule that speaks of a reference's own text (display, identifier) speaks of what is referred to. Where that is
   all that keeps a record back, the reference goes and the record stays, as if the other had never been.
2. Codes and received labels are never escaped so; nor what is said of the patient, of the source, or of the visit the
   record belongs to: that is said of the record. A reference that a record cannot be without takes it along.
"""

from collections.abc import Callable

from gateway.decision.combine import Ruling
from gateway.decision.model import Cause
from gateway.fhir.origins import source_references
from gateway.fhir.view import ReferenceAt, ResourceView
from gateway.labels.assign import summarise
from gateway.labels.model import Basis, Label, Labels
from gateway.labels.propagation import carrying


def without_mentions(
    view: ResourceView, labels: Labels, rule_on: Callable[[Labels], Ruling]
) -> tuple[Ruling, Labels, dict[str, Cause]] | None:
    """Give the ruling on a record without the references whose words are denied, its labels then, and those references
    with the deny behind each. None: it is denied for more than such words."""
    beside, rest = _split(view, labels)
    if not beside or not rule_on(summarise(rest, labels.unknown)).permitted:
        return None
    hidden: dict[str, Cause] = {}
    kept = list(rest)
    for at, words in beside.items():
        ruling = rule_on(summarise([*rest, *words], labels.unknown))
        if ruling.permitted:
            kept += words
        else:
            hidden[at] = ruling.causes[0]
    freed = summarise(kept, labels.unknown)
    ruling = rule_on(freed)
    return (ruling, freed, hidden) if ruling.permitted else None


def _a_person(found: ReferenceAt) -> bool:
    return found.type == "Patient" or (found.reference or "").startswith("Patient/")


def _split(view: ResourceView, labels: Labels) -> tuple[dict[str, list[Label]], list[Label]]:
    """Part the labels that stand in the words of a reference, by its pointer, from all others."""
    own = {found.at for found in (*source_references(view), *carrying(view))}
    places = [found.at for found in view.references if found.at not in own and not _a_person(found)]
    beside: dict[str, list[Label]] = {}
    rest: list[Label] = []
    for label in labels.labels:
        inside = [at for at in places if label.basis is Basis.TEXT and label.at.startswith(f"{at}/")]
        if inside:
            beside.setdefault(max(inside, key=len), []).append(label)
        else:
            rest.append(label)
    return beside, rest
