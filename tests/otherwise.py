"""A question as an explanation says it could be: `given` put into its JSON, without the gateway's own code."""

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

Tree = dict[str, Any]


def otherwise(question: Tree, together: Iterable[Mapping[str, Any]]) -> Tree:
    """The question with everything that one way asks for."""
    asked = copy.deepcopy(question)
    for one in together:
        _put(asked, one["given"])
    return asked


def _put(asked: Tree, given: Mapping[str, Any]) -> None:
    if "add_consent" in given:
        asked["consents"] = [*asked.get("consents", ()), given["add_consent"]]
    elif "consent" in given:
        asked["consents"] = [new for one in asked["consents"] for new in _consents(one, given)]
    elif "facts" in given:
        _state(asked.setdefault("facts", {}), given["facts"])
    elif "participant" in given:
        for one in asked["participants"]:
            if one["id"] == given["participant"]:
                one["attributes"] = {**one.get("attributes", {}), **given["attributes"]}
    elif "add_agreement" in given:
        asked["agreements"] = [*asked.get("agreements", ()), given["add_agreement"]]
    elif "end_agreement" in given:
        del asked["agreements"][given["end_agreement"]]
    else:
        assert given.keys() <= {"purpose", "at"}
        asked.update(given)


def _consents(one: Tree, given: Mapping[str, Any]) -> list[Tree]:
    wrapped = set(one) == {"fhirVersion", "resource"}
    consent = one["resource"] if wrapped else one
    if given["consent"] != f"Consent/{consent.get('id', '')}":
        return [one]
    if given.get("remove"):
        return []
    for operation in given["patch"]:
        _patch(consent, operation)
    return [one]


def _patch(tree: Any, operation: Mapping[str, Any]) -> None:
    *path, last = (step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:])
    for step in path:
        tree = tree[int(step)] if isinstance(tree, list) else tree[step]
    if operation["op"] == "remove":
        del tree[last]
    elif isinstance(tree, list):
        assert "-" == last
        tree.append(operation["value"])
    else:
        tree[last] = operation["value"]


def _state(known: Tree, told: Mapping[str, Any]) -> None:
    for name, value in told.items():
        if isinstance(value, Mapping):
            _state(known.setdefault(name, {}), value)
        elif value is None:
            known.pop(name, None)
        else:
            known[name] = value


def text(question: Tree) -> bytes:
    """The question's JSON."""
    return json.dumps(question).encode()
