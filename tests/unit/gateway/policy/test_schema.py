"""The JSON Schema of the profile format is told by the reader, is current, and fits the profiles there are."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.schema import profile_schema
from gateway.strict_yaml import load

PROFILES = Path(__file__).parents[4] / "profiles"
FILES = sorted(PROFILES.glob("*/profile.yaml")) + sorted(PROFILES.glob("*/flows.yaml"))


def misfits(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """Give what of a value does not fit, for the words of JSON Schema that are used."""
    if "const" in schema or "enum" in schema:
        return [] if value in schema.get("enum", [schema.get("const")]) else [f"{at}: {value}"]
    if "oneOf" in schema:
        fitting = [one for one in schema["oneOf"] if not misfits(value, one)]
        return [] if len(fitting) == 1 else [f"{at}: fits {len(fitting)}"]
    if schema.get("type") == "array":
        return [wrong for n, one in enumerate(value) for wrong in misfits(one, schema["items"], f"{at}[{n}]")]
    if schema.get("type") != "object":
        fits = isinstance(value, bool) if schema["type"] == "boolean" else isinstance(value, str | int | float)
        return [] if fits else [f"{at}: {value}"]
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    wrong = [f"{at}: {key} is missing" for key in schema.get("required", ()) if key not in value]
    for key, member in value.items():
        inner = known.get(key, more)
        if inner is False:
            wrong.append(f"{at}: {key}")
        elif isinstance(inner, dict):
            wrong += misfits(member, inner, f"{at}.{key}")
    return wrong


def test_the_schema_in_the_repository_is_what_the_reader_asks_for_today():
    """`consent-gateway profiles schema > profiles/schema.json` was run after the reader last changed."""
    assert profile_schema() == json.loads((PROFILES / "schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_profiles_fit_it(file):
    """An editor that goes by the schema accepts every profile that comes with the gateway."""
    assert [] == misfits(load(file.read_text(), file.name).plain(), profile_schema()["$defs"][file.name])


@pytest.mark.parametrize("key", ["unless_false", "when_false", "suspends"])
def test_a_key_that_an_effect_does_not_have_is_not_in_it(key):
    """A permit has no `when_false`, an obligation no `suspends` that would be passed over."""
    rules = profile_schema()["$defs"]["flows.yaml"]["properties"]["rules"]["items"]["oneOf"]
    having = {rule["properties"]["effect"]["const"] for rule in rules if key in rule["properties"]}

    assert {"unless_false": {"permit"}, "when_false": {"deny"}, "suspends": {"permit"}}[key] == having


def test_what_does_not_fit_is_told():
    """The comparison can fail."""
    schema = profile_schema()["$defs"]["flows.yaml"]

    assert misfits({"rules": [{"id": "a", "effect": "permit"}]}, schema)
    assert misfits({"rulez": []}, schema)
