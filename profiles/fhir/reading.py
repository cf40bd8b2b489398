"""Writes reading.json of this folder from the published definitions of FHIR R4: what a reader may ask to see of a
record, and what belongs to a patient or an encounter. Run by developers.

Rules of this file
1. Facts only: names of elements and search parameters; no text of the standard.
2. The file written names its source, version and licence. The same input gives the same bytes.

Usage: python -m profiles.fhir.reading FOLDER, where FOLDER is the unpacked npm package hl7.fhir.r4.examples@4.0.1
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.fhir.generate import SOURCE, definitions

COMPARTMENTS = ("Encounter", "Patient")


def marked(structures: Iterable[Mapping[str, Any]], mark: str, depth: int) -> dict[str, list[str]]:
    """Give the elements of each resource type that carry a mark (`isSummary`, `isModifier`), down to a depth of path;
    of those inside a structure only where the structure itself carries it."""
    found: dict[str, list[str]] = {}
    for structure in structures:
        if structure.get("derivation") == "constraint" or structure["kind"] != "resource" or structure["abstract"]:
            continue
        paths: list[str] = []
        for element in structure["snapshot"]["element"][1:]:
            path = element["path"].partition(".")[2]
            outer, _, _ = path.rpartition(".")
            if element.get(mark) and path.count(".") < depth and (not outer or outer in paths):
                paths.append(path)
        found[structure["type"]] = sorted(paths)
    return dict(sorted(found.items()))


def compartment(
    definition: Mapping[str, Any], expressions: Mapping[tuple[str, str], str]
) -> dict[str, dict[str, list[str]]]:
    """Give the search parameters by which records of each type belong to a compartment, with the elements they read."""
    listed = {one["code"]: one["param"] for one in definition["resource"] if "param" in one}
    return {
        name: {param: paths(expressions[name, param], name) for param in sorted(params)}
        for name, params in sorted(listed.items())
        if params != ["{def}"]
    }


def paths(expression: str, base: str) -> list[str]:
    """Give the element paths below `base` that a FHIRPath expression of the standard's simple forms reads."""
    found = (re.search(rf"\b{base}\.([a-z]\w*(?:\.[a-z]\w*(?!\w*\())*)", part) for part in expression.split("|"))
    return sorted({one[1] for one in found if one})


def expressions_of(parameters: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Give the expression of each search parameter by type and name."""
    return {(base, one["code"]): one["expression"] for one in parameters if "expression" in one for base in one["base"]}


def main(folder: Path) -> None:
    """Write reading.json beside this file."""
    structures = definitions(folder, "StructureDefinition")
    named = {one["code"]: one for one in definitions(folder, "CompartmentDefinition")}
    expressions = expressions_of(definitions(folder, "SearchParameter"))
    facts = {
        "source": SOURCE,
        "compartments": {owner: compartment(named[owner], expressions) for owner in COMPARTMENTS},
        "modifiers": marked(structures, "isModifier", 1),
        "summary": marked(structures, "isSummary", 4),
    }
    text = json.dumps(facts, ensure_ascii=True, separators=(",", ":"))
    lines = re.sub(r'("(?:[A-Z]\w*|compartments|modifiers|summary)":[\[{])', r"\n\1", text)
    (Path(__file__).parent / "reading.json").write_text(lines + "\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
