"""What is read from disk: profiles with their cases, code lists and tables, and the operator's own files.

Rules of this file
1. Profiles that come with the gateway are read first; an operator's folder may add, never replace.
2. What cannot be read stops the start: ProfileError, naming the file.
"""

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from consent_store.model import ACT_CODE, ACT_REASON
from consent_store.validate import KnownCodes
from gateway.decision.bench import Tools
from gateway.decision.necessary import misnamed
from gateway.directory.model import Directory
from gateway.directory.reading import parse_directory
from gateway.errors import ProfileError
from gateway.facts.answer import Shelf
from gateway.fhir import v3_tables as v3
from gateway.fhir.elements import Elements
from gateway.fhir.reading import Reading
from gateway.fhir.search_offers import Offers, resting_on
from gateway.fhir.search_parameters import SearchParameters
from gateway.labels.lists import CodeIndex
from gateway.labels.rules import label_rules, read_lists
from gateway.labels.terms import TermIndex
from gateway.policy.model import Policy
from gateway.policy.reading import ProfileText, read_policy
from gateway.policy.words import misspelt
from gateway.proxy.capability import NOT_SERVED


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
                text_of(folder / "profile.yaml"),
                text_of(folder / "flows.yaml"),
                f"{folder.name}/profile.yaml",
                f"{folder.name}/flows.yaml",
            )
    return found


def read_shelf(folders: Iterable[Path] = (), switches: Mapping[str, Mapping[str, bool]] | None = None) -> Shelf:
    """Compile every profile with its tools. `switches` are the operator's choices by profile. Raises ProfileError."""
    texts = read_profiles(folders)
    chosen = switches or {}
    policies = {name: read_policy(name, texts, ZoneInfo, chosen.get(name)) for name in texts}
    make = Toolmaker()
    return Shelf(policies, {name: make(policy) for name, policy in policies.items()})


def read_directory(path: Path, policy: Policy) -> Directory:
    """Read a directory file on its own, with the participant types of a profile. Raises ProfileError."""
    return parse_directory(text_of(path), path.name, policy.types, words=policy.data_words)


def read_case_files(folders: Iterable[Path] = ()) -> list[tuple[str, str]]:
    """Read the case files beside the profiles: (name for messages, text)."""
    roots = (files("profiles"), *folders)
    found = [file for root in roots for folder in root.iterdir() if folder.is_dir() for file in folder.iterdir()]
    return [(file.name, text_of(file)) for file in found if file.name.endswith("_test.yaml")]


def write_private(path: Path, text: str) -> None:
    """Write a secret where only its owner can read it. Raises FileExistsError rather than replacing one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def known_codes() -> KnownCodes:
    """Give the code systems in which the Consent API refuses a code that is not listed (L089)."""
    tables = (v3.COMPARTMENTS, v3.DIRECTIVES, v3.MARKS, v3.OBLIGATIONS, v3.POLICIES, v3.REFRAINS, v3.SENSITIVITIES)
    return KnownCodes({ACT_REASON: frozenset(v3.PURPOSES), ACT_CODE: frozenset().union(*tables)})


CUT_META: Final = ("source", "tag")
"""Members of `meta` that nobody gets but who gets records whole (`gateway.decision.outbound`, L038)."""


class Toolmaker:
    """Makes the tools of a policy from tables that are the same for all of them."""

    def __init__(self) -> None:
        lists = sorted((files("profiles") / "codelists").iterdir(), key=lambda entry: entry.name)
        self.elements = _elements((files("profiles") / "fhir" / "elements.json").read_bytes())
        self.codes, self.terms = _lists(
            tuple((entry.name, entry.read_bytes()) for entry in lists if entry.name.endswith(".json"))
        )

    def __call__(self, policy: Policy) -> Tools:
        """Give the tools of a policy. Raises ProfileError for types, elements and labels that there are not (L089)."""
        if wrong := misspelt(policy, self.elements):
            raise ProfileError(f"profile `{policy.name}`: not known to FHIR R4: {', '.join(wrong)}")
        if wrong := misnamed(policy, self.elements):
            raise ProfileError(
                f"profile `{policy.name}`: minimum_necessary names no elements of R4: {', '.join(wrong)}"
            )
        return Tools(self.elements, label_rules(policy, self.codes, self.terms))


def offers_of(policy: Policy, elements: Elements) -> tuple[Offers, Offers]:
    """Give the searches offered to who gets a record whole or not at all, and to all others (L016, L017)."""
    table = SearchParameters.from_json((files("profiles") / "fhir" / "search.json").read_bytes(), elements)
    removable = {name: {*rule.remove, *rule.always} for name, rule in policy.parts.types.items()}
    refused = resting_on(removable, table, CUT_META)
    none = policy.no_patient_types
    return (
        Offers(table, no_patient_types=none, unserved=NOT_SERVED),
        Offers(table, no_patient_types=none, refused=refused, unserved=NOT_SERVED),
    )


def read_reading() -> Reading:
    """Read R4's table of summaries and compartments."""
    return Reading.from_json((files("profiles") / "fhir" / "reading.json").read_bytes())


# What was compiled from one text is not compiled again in this process: it is immutable, and most of a start's work.
_elements = lru_cache(maxsize=2)(Elements.from_json)


@lru_cache(maxsize=2)
def _lists(texts: tuple[tuple[str, bytes], ...]) -> tuple[CodeIndex, TermIndex]:
    return read_lists(dict(texts))


def text_of(file: Traversable | Path) -> str:
    """Give the text of a UTF-8 file. Raises ProfileError where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ProfileError(f"`{file}` cannot be read") from None
