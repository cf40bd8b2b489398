"""Where everything is put together: the only file that knows every concrete class and reads configuration files.

Rules of this file
1. Profiles, code lists and tables are read once, compiled whole, then swapped as one value (L100).
2. What is missing or wrong stops the start; nothing is served on defaults nobody stated.
"""

import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.decision.bench import Tools
from gateway.errors import ProfileError
from gateway.facts.answer import Shelf
from gateway.fhir.elements import Elements
from gateway.labels.lists import CodeIndex, CodeList, parse_code_list
from gateway.labels.rules import label_rules
from gateway.labels.terms import TermIndex, parse_term_list
from gateway.policy.model import Policy
from gateway.policy.reading import ProfileText, read_policy

TERMS = "terms.json"


def read_profiles(folders: Iterable[Path] = ()) -> dict[str, ProfileText]:
    """Read the texts of all profiles: those that come with the gateway, then those in the operator's folders.

    Raises ProfileError where an operator's profile takes a name that is taken.
    """
    found: dict[str, ProfileText] = {}
    for root in (files("profiles"), *folders):
        for folder in sorted(root.iterdir(), key=lambda entry: entry.name):
            if not (folder / "profile.yaml").is_file():
                continue
            if folder.name in found:
                raise ProfileError(f"profile `{folder.name}` is there twice")
            found[folder.name] = ProfileText(
                _text(folder / "profile.yaml"),
                _text(folder / "flows.yaml"),
                f"{folder.name}/profile.yaml",
                f"{folder.name}/flows.yaml",
            )
    return found


def read_shelf(folders: Iterable[Path] = (), switches: Mapping[str, Mapping[str, bool]] | None = None) -> Shelf:
    """Compile every profile with its tools. `switches` are the operator's choices by profile. Raises ProfileError."""
    texts = read_profiles(folders)
    chosen = switches or {}
    policies = {name: read_policy(name, texts, ZoneInfo, chosen.get(name)) for name in texts}
    make = _toolmaker()
    return Shelf(policies, {name: make(policy) for name, policy in policies.items()})


def read_case_files(folders: Iterable[Path] = ()) -> list[tuple[str, str]]:
    """Read the case files beside the profiles: (name for messages, text)."""
    roots = (files("profiles"), *folders)
    found = [file for root in roots for folder in root.iterdir() if folder.is_dir() for file in folder.iterdir()]
    return [(file.name, _text(file)) for file in found if file.name.endswith("_test.yaml")]


def write_private(path: Path, text: str) -> None:
    """Write a secret where only its owner can read it. Raises FileExistsError rather than replacing one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


class _Toolmaker:
    """Makes the tools of a policy from tables that are the same for all of them."""

    def __init__(self) -> None:
        lists = files("profiles") / "codelists"
        self.elements = Elements.from_json((files("profiles") / "fhir" / "elements.json").read_bytes())
        self.codes = CodeIndex(_code_lists(lists))
        self.terms = TermIndex([parse_term_list((lists / TERMS).read_bytes(), TERMS)])

    def __call__(self, policy: Policy) -> Tools:
        return Tools(self.elements, label_rules(policy, self.codes, self.terms))


def _toolmaker() -> _Toolmaker:
    return _Toolmaker()


def _code_lists(folder: Traversable) -> list[CodeList]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json") and entry.name != TERMS)
    return [parse_code_list((folder / name).read_bytes(), name) for name in names]


def _text(file: Traversable | Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ProfileError(f"`{file}` cannot be read") from None
