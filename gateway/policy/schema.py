"""The JSON Schema of the profile format, told by the reader itself: what it asks for is what may be written.

Rules of this file
1. The reader of profiles runs over a page that has every key; what it asks of each, and how, becomes the schema.
2. What only a profile can tell (its types, kinds, categories, switches) is text here; what the gateway fixes is listed.
3. Nothing is written down twice: a key that the reader learns stands in the schema at once.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, cast

from gateway.errors import ProfileError
from gateway.policy.draft import draft_of
from gateway.policy.reading import read_profile
from gateway.policy.reading_rules import read_flow
from gateway.strict_yaml import Node

_FREE: Final = "*"  # stands for a name that the profile itself chooses
# What a text must look like to be read on, by the key it stands at.
_SAMPLES: Final[Mapping[str, str]] = {
    "purposes": "TREAT",
    "codes": "http://loinc.org|1-8",
    "extends": "base",
    "threshold": "0.5",
    "lists": "0.5",
    "forms": "n",
    "words": "x",
    "set_aside": "x",
    "named": "x",
}
_ENTRIES: Final = {"attributes": "usda_funding"}
# Lists whose members may hold such a list again.
_RECURSIVE: Final = frozenset({"without", "any"})


class _Asked:
    """A value of any kind: it says yes to every reader and remembers what was asked."""

    def __init__(self, path: str, effect: str) -> None:
        self.path, self.effect = path, effect
        self._keys: dict[str, _Asked] = {}
        self._member: _Asked | None = None
        self._entry: _Asked | None = None
        self.kinds: set[str] = set()
        self.optional = False
        self.values: set[str] = set()

    @property
    def present(self) -> bool:
        """Say that everything is written, and remember that it need not be."""
        self.optional = True
        return True

    @property
    def _parts(self) -> list[str]:
        return [part.partition("[")[0] for part in self.path.split(".")]

    @property
    def _name(self) -> str:
        return self._parts[-1]

    def at(self, key: str) -> "_Asked":
        """Give a key's value; every key is there."""
        self.kinds.add("object")
        return self._keys.setdefault(key, _Asked(f"{self.path}.{key}" if self.path else key, self.effect))

    def entries(self) -> tuple[tuple[str, "_Asked"], ...]:
        """Give one entry of a name that the author chose."""
        self.kinds.add("map")
        self.optional = True
        self._entry = self._entry or _Asked(f"{self.path}.{_FREE}", self.effect)
        return ((_ENTRIES.get(self._name, _FREE), self._entry),)

    def items(self) -> tuple["_Asked", ...]:
        """Give one member, but where a list stands within a list of its own kind."""
        self.kinds.add("array")
        self.optional = True
        if self._name in _RECURSIVE and self._parts.count(self._name) > 1:
            return ()
        self._member = self._member or _Asked(f"{self.path}[0]", self.effect)
        return (self._member,)

    def texts(self) -> tuple[str, ...]:
        """Give a list of one text."""
        return tuple(item.text() for item in self.items())

    def text(self, default: object = None) -> str:
        """Give a text that is read on without complaint."""
        self.kinds.add("string")
        self.optional = self.optional or default is not None
        if self._name == "effect":
            return self.effect
        return next((_SAMPLES[part] for part in self._parts if part in _SAMPLES), _FREE)

    def wrong(self, message: str) -> ProfileError:
        """Give the error of a sample that the reader does not take: the samples above need another line."""
        return ProfileError(f"the schema cannot be told: {self.path}: {message}")

    def one_of(self, allowed: Collection[str], default: object = None) -> str:
        """Give one of a closed set, and remember the set where the gateway fixes it."""
        text = self.text(default)
        if _FREE in allowed or self._name == "profile":
            return _FREE
        self.values |= set(allowed)
        return text if text in allowed else min(allowed)

    def flag(self, default: object = None) -> bool:
        """Give true."""
        self.kinds.add("boolean")
        self.optional = self.optional or default is not None
        return True

    def finish(self) -> None:
        """Everything was asked for."""

    def schema(self) -> dict[str, Any]:
        """Give what was asked, as a JSON Schema."""
        if "string" in self.kinds:
            # A scalar means what the reader asks for: 2026.11 is text as written (strict_yaml).
            return {"enum": sorted(self.values)} if self.values else {"type": ["string", "number"]}
        if "boolean" in self.kinds:
            return {"type": "boolean"}
        if "array" in self.kinds:
            members = self._member.schema() if self._member else {"type": "object"}
            return {"type": "array", "items": members}
        if "map" in self.kinds and self._entry is not None:
            return {"type": "object", "additionalProperties": self._entry.schema()}
        needed = sorted(key for key, child in self._keys.items() if not child.optional)
        return {
            "type": "object",
            "properties": {key: self._keys[key].schema() for key in sorted(self._keys)},
            "additionalProperties": False,
            **({"required": needed} if needed else {}),
        }


def profile_schema() -> dict[str, Any]:
    """Give the schema of `profile.yaml` and `flows.yaml`, with one definition for each; a rule by its effect."""
    profile = _Asked("", "permit")
    draft = draft_of(_FREE)
    profile.at("profile").one_of(())
    profile.at("extends").texts()
    read_profile(cast("Node", profile), draft)
    rules = []
    for effect in ("permit", "deny", "oblige"):
        rule = _Asked(f"rule_{effect}", effect)
        read_flow(cast("Node", rule), draft_of(_FREE))
        rules.append({**rule.schema(), "title": f"a rule that says {effect}"})
    for one, effect in zip(rules, ("permit", "deny", "oblige"), strict=True):
        one["properties"]["effect"] = {"const": effect}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A profile of the consent gateway",
        "$defs": {
            "profile.yaml": profile.schema(),
            "flows.yaml": {
                "type": "object",
                "properties": {"rules": {"type": "array", "items": {"oneOf": rules}}},
                "additionalProperties": False,
            },
        },
    }
