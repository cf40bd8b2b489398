"""The story's patients, organizations and consents: written for this project, nobody's data.

Rules of this file
1. The files beside it are the data, one collection Bundle for each patient; nothing is made up in code.
2. National provider identifiers fail their check digit and social security numbers start with 9: nobody has them.
3. Rosa's Part 2 consent is not stored anywhere until the story says that she signs it.
"""

from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.demo.folder import load_folder

HERE: Final = Path(__file__).parent
DIRECTORY: Final = HERE.parent / "story_directory.yaml"


class StoryConsent(StrEnum):
    """The Consents of the story, by file."""

    ROSA_GENERAL = "rosa-general"
    ROSA_PART2 = "rosa-part2"
    DANA_HOUSING = "dana-housing"


def story_resources() -> list[bytes]:
    """Give the text of every resource that the story's upstream holds; no Consent is among them."""
    return load_folder(HERE)


def story_consent(name: StoryConsent) -> bytes:
    """Give the text of a Consent of the story, as the patient signed it."""
    return (HERE / "consents" / f"{name}.json").read_bytes()
