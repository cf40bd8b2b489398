"""Writes elements.json of this folder from the published definitions of FHIR R4. Run by developers.

Rules of this file
1. Facts only: names, cardinalities, types, reference targets, search parameters; no text of the standard.
2. The file written names its source, version and licence. The same input gives the same bytes.
3. Inherited elements stand once, with the type that defines them.

Usage: python -m profiles.fhir.generate FOLDER, where FOLDER is the unpacked npm package hl7.fhir.r4.examples@4.0.1
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SOURCE = {"package": "hl7.fhir.r4.examples", "version": "4.0.1", "licence": "CC0-1.0", "url": "http://hl7.org/fhir/R4"}
CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
# A parameter or element that may point at more types than this may point at any.
MANY_TARGETS = 60


def definitions(folder: Path, kind: str) -> list[Mapping[str, Any]]:
    """Give the parsed definitions of one kind of conformance resource, in the order of their file names."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob(f"{kind}-*.json"))]


def last(url: str) -> str:
    """Give the last segment of a canonical url."""
    return url.rsplit("/", 1)[-1]


def targets(types: Iterable[Mapping[str, Any]]) -> list[str]:
    """Give the resource types that a Reference may point at, nothing where it may point at any."""
    profiles = {last(url) for kind in types if kind["code"] == "Reference" for url in kind.get("targetProfile", [])}
    return [] if "Resource" in profiles or len(profiles) > MANY_TARGETS else sorted(profiles)


def element(definition: Mapping[str, Any]) -> list[Any]:
    """Give one element as [min, max (0: no limit), types, targets]; a backbone's type is its own path."""
    kinds = definition.get("type", [])
    if "contentReference" in definition:
        names = [definition["contentReference"].removeprefix("#")]
    else:
        backbone = {"BackboneElement", "Element"}
        names = [definition["path"] if kind["code"] in backbone else kind["code"] for kind in kinds]
    names = ["string" if name.startswith("http://hl7.org/fhirpath/") else name for name in names]
    top = 0 if definition["max"] == "*" else int(definition["max"])
    fact = [definition["min"], top, names]
    return [*fact, found] if (found := targets(kinds)) else fact


def types_of(structures: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str], list[str]]:
    """Give every type and backbone as [base, {element: fact}], the resource types, and the primitive types."""
    types: dict[str, Any] = {}
    resources, primitives = [], []
    for structure in structures:
        if structure.get("derivation") == "constraint" or structure["kind"] == "logical":
            continue
        name = structure["type"]
        if structure["kind"] == "primitive-type":
            primitives.append(name)
            continue
        if structure["kind"] == "resource" and not structure["abstract"]:
            resources.append(name)
        types[name] = [last(structure.get("baseDefinition", "")), {}]
        for definition in structure["snapshot"]["element"][1:]:
            parent, _, child = definition["path"].rpartition(".")
            defining = definition["base"]["path"].rpartition(".")[0]
            if defining == parent:
                types.setdefault(parent, ["BackboneElement", {}])[1][child] = element(definition)
    return types, sorted(resources), sorted(primitives)


def parameters_of(found: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, list[Any]]]:
    """Give the search parameters of each resource type as name: [kind, elements, targets (none: any)]."""
    table: dict[str, dict[str, list[Any]]] = {}
    for parameter in found:
        if not parameter["url"].startswith("http://hl7.org/fhir/SearchParameter/") or "expression" not in parameter:
            continue
        pointed = [] if len(parameter.get("target", [])) > MANY_TARGETS else sorted(parameter.get("target", []))
        for base in parameter["base"]:
            paths = sorted(set(paths_of(parameter["expression"], base)))
            table.setdefault(base, {})[parameter["code"]] = [parameter["type"], paths, pointed]
    return {base: dict(sorted(names.items())) for base, names in sorted(table.items())}


def paths_of(expression: str, base: str) -> Iterable[str]:
    """Give the element paths below `base` that a FHIRPath expression of the standard's simple forms reads."""
    for part in expression.split("|"):
        if found := re.match(rf"\(*{base}\.((?:[A-Za-z]+)(?:\.[A-Za-z]+(?!\())*)(?![A-Za-z]*\()", part.strip()):
            yield found.group(1)


def main(folder: Path) -> None:
    """Write elements.json beside this file."""
    types, resources, primitives = types_of(definitions(folder, "StructureDefinition"))
    facts = {
        "source": SOURCE,
        "resources": resources,
        "primitives": primitives,
        "types": dict(sorted(types.items())),
        "parameters": parameters_of(definitions(folder, "SearchParameter")),
    }
    text = json.dumps(facts, ensure_ascii=True, separators=(",", ":"))
    # One type a line keeps changes readable.
    lines = re.sub(r'("(?:[A-Z]\w*(?:\.\w+)*|types|parameters)":[\[{])', r"\n\1", text)
    (Path(__file__).parent / "elements.json").write_text(lines + "\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
