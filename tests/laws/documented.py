"""What docs/release.md says of a made record, without asking the gateway: what every copy loses, what may go, what must
arrive. Written from the page's table and the standard, not from the code that makes the edits.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from tests.laws.made_bundles import Made

WORD = re.compile(rb"mk[0-9a-f]{10}")
_ESCAPE = re.compile(rb"\\u00([0-9a-fA-F]{2})")
_RUN = re.compile(rb"[A-Za-z0-9+/]{12,}={0,2}")
# "extensions: only those of published vocabularies stay" (parts.extensions of the profile `base`).
PUBLISHED = ("http://hl7.org/fhir/", "http://terminology.hl7.org/", "http://fhir.org/guides/", "http://nema.org/fhir/")
# "claims: … sums go from every copy".
CLAIM_SUMS = {
    "Claim": {"total"},
    "ExplanationOfBenefit": {"total", "payment", "benefitBalance", "adjudication", "processNote"},
}
# Types that a profile never withholds and that tell of no place of work: references to them stay.
NEVER_WITHHELD = {
    "Endpoint",
    "HealthcareService",
    "InsurancePlan",
    "Location",
    "Medication",
    "Practitioner",
    "Substance",
}
NEVER_WITHHELD |= {"Patient", "PlanDefinition", "Questionnaire", "Measure", "Library"}
# "what says it again": elements that sum up or stand beside what a reference leads to.
AGAIN = {"component", "conclusion", "conclusionCode", "description", "detail", "group", "interpretation", "media"}
AGAIN |= {"mitigation", "note", "payload", "prediction", "presentedForm", "prognosisCodeableConcept", "reasonCode"}
AGAIN |= {
    "admitSource",
    "comment",
    "complication",
    "dischargeDisposition",
    "disposition",
    "dosage",
    "dosageInstruction",
}
AGAIN |= {"excludeFoodModifier", "followUp", "outcome", "outcomeCode", "patientInstruction", "paymentAmount"}
AGAIN |= {"procedureCode", "processNote", "severity", "seriousness", "usedCode"}
AGAIN |= {"signature", "summary", "title", "topic", "total", "totalGross", "totalNet", "totalPriceComponent", "value"}
CLAIM_LISTS = {"diagnosis", "procedure", "supportingInfo", "careTeam", "item", "addItem"}


def words_in(text: bytes) -> set[bytes]:
    """Every marker in bytes: in plain letters, in escapes of JSON, percent-encoded, in base64 at any place."""
    unescaped = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text)
    found = set(WORD.findall(unescaped)) | set(WORD.findall(unquote_to_bytes(unescaped)))
    for run in _RUN.findall(unescaped):
        for skipped in range(4):
            part = run[skipped:].rstrip(b"=")
            part = part[:-1] if len(part) % 4 == 1 else part
            found |= set(WORD.findall(base64.b64decode(part + b"=" * (-len(part) % 4))))
    return found


def sure_to_go(made: Made, name: str) -> set[str]:
    """The pointers of markers that no recipient but the patient may get of a record, whatever else is decided."""
    if name in made.sensitive or _holder(made, name) in made.sensitive:
        return set(made.markers[name])
    tree = made.trees.get(name, {})
    return {at for at in made.markers[name] if _always(tree, at) or _names_withheld(made, tree, at)}


def must_arrive(made: Made, name: str, withheld: set[str] | None) -> set[str]:
    """The pointers of markers that the page lets the recipient have of a record, given which records are withheld.

    None: of a record that nothing could hold back, whatever was decided: it is not sensitive, is the patient's, and
    leads, by however many steps, to nothing that could be withheld."""
    held = could_go(made) if withheld is None else withheld
    if name in held or _holder(made, name) in held or made.owners.get(name) in held:
        return set()
    tree = made.trees[name]
    around = {at for at, _ in lost_references(made, tree, held)}
    gone = sure_to_go(made, name)
    outer = any(lost_references(made, made.trees[_holder(made, name)], held))
    return {at for at in made.markers[name] if at not in gone and not _may_go(tree, at, around, bool(around) or outer)}


def lost_references(made: Made, tree: dict[str, Any], held: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The references and addresses in a record to what is held back, or could be and is not known."""
    for at, node in nodes(tree):
        if str(node.get("url", "")) in held:
            yield at, node
        if "reference" not in node and not ("type" in node and "display" in node and len(node) == 2):
            continue
        target = node.get("reference", "")
        if not isinstance(target, str):
            continue
        if target.startswith("#"):
            target = next(one for one in made.within if one.endswith(f"/{target[1:]}"))
        if target == made.patient or (target in made.trees and target not in held):
            continue
        if target or node.get("type") not in NEVER_WITHHELD:
            yield at, node


def could_go(made: Made) -> set[str]:
    """Every record that is sensitive, that stands or falls with one, or of which it is not known whose it is."""
    held = made.sensitive | {name for name, tree in made.trees.items() if not _of_the_patient(made, name, tree)}
    held |= {name for name, tree in made.trees.items() if tree["id"] in made.bundled}
    while True:
        more = {name for name, tree in made.trees.items() if any(lost_references(made, tree, held))}
        more |= {name for name, owner in (made.owners | made.within).items() if owner in held}
        if more <= held:
            return held
        held |= more


def nodes(node: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in a resource with its pointer; what is contained not."""
    if isinstance(node, dict):
        yield at, node
        for name, value in node.items():
            if name != "contained":
                yield from nodes(value, f"{at}/{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from nodes(value, f"{at}/{number}")


def _holder(made: Made, name: str) -> str:
    return made.within.get(name, name)


def _of_the_patient(made: Made, name: str, tree: dict[str, Any]) -> bool:
    outer = name in made.within or name in made.owners
    return outer or any(node.get("reference") == made.patient for _, node in nodes(tree))


def _always(tree: dict[str, Any], at: str) -> bool:
    steps = at.split("/")[1:]
    names = [step for step in steps if not step.isdigit()]
    if names[0] in {"text", "link"} or names[:2] in (["meta", "source"], ["meta", "tag"]):
        return True
    if (names[0] == "section" and names[-2:] == ["text", "div"]) or names[0] in CLAIM_SUMS.get(
        tree.get("resourceType", ""), ()
    ):
        return True
    node: Any = tree
    listed = ""
    if names[0] == "section" and _only_prose(tree, steps):
        return True
    for step in steps:
        if listed in {"extension", "modifierExtension"} and not str(node[int(step)]["url"]).startswith(PUBLISHED):
            return True
        listed, node = step, node[int(step)] if isinstance(node, list) else node.get(step, {})
    return False


def _only_prose(node: Any, steps: list[str]) -> bool:
    """Whether a section around a pointer holds narrative and nothing else: it goes."""
    while steps[:1] == ["section"]:
        node, steps = node["section"][int(steps[1])], steps[2:]
        if "text" in node and "entry" not in node and "section" not in node:
            return True
    return False


def _names_withheld(made: Made, tree: dict[str, Any], at: str) -> bool:
    literal = ((ref, node.get("reference")) for ref, node in nodes(tree))
    return any(at.startswith(f"{ref}/") and isinstance(to, str) and to in made.sensitive for ref, to in literal)


def _may_go(tree: dict[str, Any], at: str, around: Iterable[str], lost: bool) -> bool:
    """Whether an element may go with a reference: in it, in the structure it points from, or summing it up."""
    if not lost:
        return False
    first = at.split("/")[1].removeprefix("_")
    if any(first == name or (name == "value" and first.startswith("value")) for name in AGAIN):
        return True
    if tree.get("resourceType") in CLAIM_SUMS and first in CLAIM_LISTS:
        return True
    return any(at.startswith(f"{_structure(ref)}/") for ref in around)


def _structure(at: str) -> str:
    """The outermost member of a list that a reference stands in; the reference itself at the root."""
    steps = at.split("/")[1:]
    return "/" + "/".join(steps[:2] if len(steps) > 1 and steps[1].isdigit() else steps[:1])
