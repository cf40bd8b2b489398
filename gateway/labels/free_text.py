"""Whether a resource holds prose or an attachment: what no code stands for, and only a reader can judge (L003, L006).

Rules of this file
1. Prose is what people write: notes, comments, conclusions, string answers, CodeableConcept.text without a coding,
   narrative that is not generated. An attachment counts, whatever is in it.
2. Displays, names, addresses and generated narrative restate structured data and do not count.
3. A long text under any other name counts.
"""

from typing import Final

from gateway.fhir.view import ResourceView
from gateway.fhir.walk import TextAt

_PROSE: Final = frozenset(
    {
        "comment",
        "comments",
        "conclusion",
        "summary",
        "description",
        "note",
        "patientInstruction",
        "instructions",
        "reason",
        "statusReason",
        "clinicalNotes",
        "carePlan",
        "purpose",
        "usage",
        "copyright",
    }
)
# Beside displays, names and addresses: what R4 codes, numbers and identifies by, under its commonest names.
_NOT_PROSE: Final = frozenset(
    {"city", "code", "country", "display", "div", "family", "gender", "given", "intent", "line", "name", "postalCode"}
    | {
        "outcome",
        "prefix",
        "priority",
        "reference",
        "start",
        "state",
        "status",
        "system",
        "title",
        "type",
        "unit",
        "url",
        "use",
        "value",
    }
)
_GENERATED: Final = frozenset({"generated", "extensions", "empty"})
_NAMES: Final = frozenset({"name", "address", "contact"})
_LONG: Final = 80


def has_free_text(view: ResourceView) -> bool:
    """Whether the resource, without those inside it, holds free text or an attachment."""
    if view.attachments or _written_narrative(view):
        return True
    coded: frozenset[str] | None = None
    for one in view.texts:
        at = one.at
        name = at[at.rfind("/") + 1 :]
        if name in _NOT_PROSE:
            continue
        if name == "text":
            coded = _coded_concepts(view) if coded is None else coded
            if at[:-5] not in coded and not _is_name(at):
                return True
        elif _is_prose(name, one):
            return True
    return False


def _is_prose(name: str, one: TextAt) -> bool:
    """Whether a text under some other name is prose."""
    if name.isdigit():
        name = one.at.split("/")[-2]
    return name in _PROSE or name.endswith(("String", "Markdown")) or (len(one.text) > _LONG and " " in one.text)


def _written_narrative(view: ResourceView) -> bool:
    """Whether there is narrative that nobody says was generated from the structured data."""
    text = view.tree.get("text")
    if not isinstance(text, dict) or "div" not in text:
        return False
    status = text.get("status")
    return not isinstance(status, str) or status not in _GENERATED


def _coded_concepts(view: ResourceView) -> frozenset[str]:
    """The pointers of the CodeableConcepts that have a coding."""
    return frozenset([one.at[: one.at.rfind("/coding/")] for one in view.codings])


def _is_name(at: str) -> bool:
    """Whether a `text` is a name or an address written out."""
    return not _NAMES.isdisjoint(at.split("/"))
