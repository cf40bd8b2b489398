"""Writes elements.json and search.json of this folder from the published definitions of FHIR R4. Run by developers.

Rules of this file
1. Facts only: names, cardinalities, types, reference targets, search parameters; no text of the standard.
2. The files written name their source, version and licence. The same input gives the same bytes.
3. Inherited elements stand once, with the type that defines them; search parameters with the base they are defined for.
4. A search parameter's FHIRPath becomes paths of JSON names: `valueQuantity`, `telecom[system=phone].value`. Where one
   part of it is of no form that is read here, it has no paths at all.

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


def parameters_of(found: Iterable[Mapping[str, Any]], types: Mapping[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """Give the search parameters of each base as name: [kind, paths, targets (none: any)]."""
    table: dict[str, dict[str, list[Any]]] = {}
    for parameter in found:
        if not parameter["url"].startswith("http://hl7.org/fhir/SearchParameter/") or "base" not in parameter:
            continue
        pointed = [] if len(parameter.get("target", [])) > MANY_TARGETS else sorted(parameter.get("target", []))
        for base in parameter["base"]:
            paths, only = paths_of(parameter.get("expression", ""), base, types)
            table.setdefault(base, {})[parameter["code"]] = [parameter["type"], paths, only or pointed]
    return {base: dict(sorted(names.items())) for base, names in sorted(table.items())}


PART = re.compile(
    r"\(?(?P<base>[A-Z][A-Za-z]+)\.(?P<path>[a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*(?!\w*\())*)"
    r"(?: as (?P<as>\w+)\)|\.(?:as|ofType)\((?P<of>\w+)\)|\)(?=$))?"
    r"(?:\.where\(resolve\(\) is (?P<only>[A-Z][A-Za-z]+)\)|\.where\((?P<key>[a-z]+)='(?P<value>[a-z-]+)'\))?"
    r"(?:\.(?P<rest>[a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)*))?"
)


def paths_of(expression: str, base: str, types: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Give the paths below `base` that a FHIRPath expression reads, and the types it limits their targets to."""
    paths: set[str] = set()
    only: set[str] = set()
    for stated in (part.strip() for part in expression.split("|")):
        bare = stated == "id" or (base == "InsurancePlan" and stated.isalpha())
        text = f"{base}.{stated}" if bare else stated
        named = re.match(r"\(*([A-Z][A-Za-z]+)\b", text)
        if named is None or named[1] != base:
            if named is None:
                return [], []
            continue
        part = PART.fullmatch(text)
        if part is None:
            return [], []
        only |= {part["only"]} if part["only"] else set()
        found = spelled(base, part["path"].split("."), types, part["as"] or part["of"])
        if part["key"]:
            found = [f"{path}[{part['key']}={part['value']}]" for path in found]
        if part["rest"]:
            found = [f"{path}.{part['rest']}" for path in found]
        if not found:
            return [], []
        paths |= set(found)
    return sorted(paths), sorted(only)


def spelled(kind: str, steps: list[str], types: Mapping[str, Any], of: str | None) -> list[str]:
    """Give the JSON paths of element names below a type: a choice by each of its JSON names, or by that of `of`."""
    if not steps:
        return [""]
    name, *rest = steps
    here: str | None = kind
    while here and here in types and not {name, f"{name}[x]"} & set(types[here][1]):
        here = types[here][0]
    if not here or here not in types:
        return []
    elements = types[here][1]
    if name in elements:
        ways = [(name, elements[name][2][0])]
    else:
        kinds = [one for one in elements[f"{name}[x]"][2] if rest or of is None or one == of]
        ways = [(f"{name}{one[0].upper()}{one[1:]}", one) for one in kinds]
    found = []
    for step, below in ways:
        found += [f"{step}.{path}" if path else step for path in spelled(below, rest, types, of)]
    return found


def write(name: str, facts: Mapping[str, Any]) -> None:
    """Write one file beside this one, one type a line."""
    text = json.dumps(facts, ensure_ascii=True, separators=(",", ":"))
    lines = re.sub(r'("(?:[A-Z]\w*(?:\.\w+)*|types|parameters)":[\[{])', r"\n\1", text)
    (Path(__file__).parent / name).write_text(lines + "\n", encoding="ascii")


def main(folder: Path) -> None:
    """Write elements.json and search.json."""
    types, resources, primitives = types_of(definitions(folder, "StructureDefinition"))
    elements = {"resources": resources, "primitives": primitives, "types": dict(sorted(types.items()))}
    write("elements.json", {"source": SOURCE, **elements})
    parameters = parameters_of(definitions(folder, "SearchParameter"), types)
    write("search.json", {"source": SOURCE, "parameters": parameters})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
