"""What speaks of an element alone: the words beside a reference, and what the source labelled inline (leaks.md L032).

Rules of this file
1. A word rule that speaks of a reference's own text (display, identifier) speaks of what is referred to. Where that is
   all that keeps a record back, the reference goes and the record stays, as if the other had never been.
2. A label that the source put on one element (DS4P inline) speaks of that element and what is in it: denied, the
   element goes (labels.md section 6). One that cannot be read, or of an attachment, speaks of the record.
3. What the title or the code of a document's section says speaks of the section, which is nothing but the entries it
   names: denied, the section goes, and the entries by what they carry of it (labels.propagation).
4. Other codes and labels are never escaped so; nor what is said of the patient, of the source, or of the visit the
   record belongs to: that is said of the record. A reference that a record cannot be without takes it along.
"""

from collections.abc import Callable

from gateway.decision.combine import Ruling
from gateway.decision.model import Cause
from gateway.fhir.origins import source_references
from gateway.fhir.view import ResourceView
from gateway.fhir.walk import ReferenceAt
from gateway.labels.assign import summarise
from gateway.labels.model import Basis, Kind, Label, Labels
from gateway.labels.propagation import carrying, section_of


def without_mentions(
    view: ResourceView, labels: Labels, rule_on: Callable[[Labels], Ruling]
) -> tuple[Ruling, Labels, dict[str, Cause]] | None:
    """Give the ruling on a record without the references and elements that are denied by themselves, its labels then,
    and the pointers of what goes with the deny behind each. None: the record is denied for more than them."""
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


def _inline(view: ResourceView, labels: Labels) -> set[str]:
    """Give the elements that the source labelled, where every label of theirs can be read."""
    received = [label for label in labels.labels if label.basis is Basis.RECEIVED and label.at]
    unclear = {label.at for label in received if label.kind is Kind.UNKNOWN}
    return {label.at for label in received} - unclear - set(view.attachments)


def _of_section(label: Label) -> list[str]:
    """Give the section of which a label speaks that stands in its code, its title or its words."""
    section, name = section_of(label.at), label.at.removeprefix(section_of(label.at)).split("/")[1:2]
    said = label.basis in (Basis.CODE, Basis.TEXT) and label.kind is not Kind.UNKNOWN
    return [section] if section and said and name in (["code"], ["title"], ["text"]) else []


def _split(view: ResourceView, labels: Labels) -> tuple[dict[str, list[Label]], list[Label]]:
    """Part the labels that stand in the words of a reference or in an element labelled inline, by its pointer, from all
    others."""
    own = {found.at for found in (*source_references(view), *carrying(view))}
    places = [found.at for found in view.references if found.at not in own and not _a_person(found)]
    inline = _inline(view, labels)
    beside: dict[str, list[Label]] = {}
    rest: list[Label] = []
    for label in labels.labels:
        within = f"{label.at}/".replace("/_", "/")  # `_birthDate` speaks of birthDate
        inside = [at for at in inline if within.startswith(f"{at}/")]
        if not inside and view.type == "Composition":
            inside = _of_section(label)
        if not inside and label.basis is Basis.TEXT:
            inside = [at for at in places if within.startswith(f"{at}/")]
        if inside:
            beside.setdefault(min(inside, key=len), []).append(label)
        else:
            rest.append(label)
    return beside, rest
