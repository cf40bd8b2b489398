"""The examples of docs/configuration.md are read by the code they are about."""

import json
import re
from pathlib import Path

from consent_store.validate import refusals
from gateway import bootstrap
from gateway.bootstrap.files import known_codes
from gateway.directory.model import Client
from gateway.directory.reading import parse_directory
from gateway.directory.vocabulary import ATTRIBUTES, STATED
from gateway.identity.attesting import CLAIM, attestations_of

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The examples of one language."""
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


def test_the_directory_of_the_documentation_is_a_directory():
    """It has every section, and is read whole."""
    shelf = bootstrap.read_shelf()
    (text,) = blocks("yaml")
    directory = parse_directory(text, "configuration.md", shelf.policies["us-ca-calaim"].types)

    assert {"mercy", "hearth", "recovery", "sunrise"} == set(directory.participants)
    assert (4, 2, 2, 2) == tuple(
        len(part) for part in (directory.clients, directory.agreements, directory.relationships, directory.attestations)
    )


def test_the_claim_of_the_documentation_is_a_claim():
    """A registered client's token may say it."""
    claims = json.loads(blocks("json")[0])
    client = Client(client_id="mercy-ehr", participant="mercy", may_attest=frozenset(STATED))

    assert ["mercy"] == [one.by for one in attestations_of(claims, client)]
    assert CLAIM in claims


def test_the_consent_of_the_documentation_is_taken():
    """The Consent API would store it."""
    assert () == refusals(blocks("json")[1].encode(), "4.0", known_codes())


def test_every_word_that_may_be_stated_is_documented():
    """Each fact and each attribute stands there."""
    assert set() == {word for word in {*STATED, *ATTRIBUTES} if f"`{word}`" not in TEXT}
