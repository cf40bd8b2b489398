"""The readers of the gateway beside plain ones: what was found before, a little that is new, and that the fuzzer sees.

`make fuzz` does it for minutes, led by what the code covers.
"""

import json
import random
from datetime import date
from pathlib import Path

import pytest

from gateway.fhir.references import Local
from tests.fuzz import readers
from tests.fuzz.mutating import mutated, shrunk
from tests.fuzz.readers import READERS, broken
from tests.fuzz.seeds import seeds

FOUND = Path(__file__).parent / "found"
KEPT = sorted(file for name in READERS for file in (FOUND / name).glob("*"))


@pytest.mark.parametrize("file", KEPT, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_was_found_stays_mended(file):
    """Each input that once was read in two ways, or broke a reader."""
    assert "" == broken(file.parent.name, file.read_bytes())


@pytest.mark.parametrize("name", READERS)
def test_the_same_reading_or_a_refusal(name):
    """Texts of the standard, and what seeded changes make of them: the plain reader reads the same, or we refuse."""
    texts, rand = seeds(name), random.Random(f"{name} 1")  # noqa: S311  a seed, so that the same is tried every time
    assert [] == [(text, wrong) for text in texts if (wrong := broken(name, text))]
    tried = [mutated(texts, rand) for _ in range(400)]
    assert [] == [(text, wrong) for text in tried if (wrong := broken(name, text))]


WRONG = {
    "json": ("decode", json.loads),
    "date": ("parse_date", date.fromisoformat),
    "reference": ("parse", lambda text, own: Local("Patient", text[-1:])),
    "query": ("parse_query", lambda raw: [(piece.decode("latin-1"), "") for piece in raw.split(b"&")]),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_fuzzer_sees_a_reader_that_is_wrong(name, monkeypatch):
    """With another reader in the place of ours, a few hundred inputs find the difference."""
    monkeypatch.setattr(readers, *WRONG[name])
    rand = random.Random(1)  # noqa: S311  as above
    assert any(broken(name, mutated(seeds(name), rand)) for _ in range(400))


def test_a_found_input_is_made_small():
    """Of a long text only what makes it fail is left."""
    assert b"NaN" == shrunk(b'{"a": [1, 2, {"b": NaN}], "c": "d"}', lambda text: b"NaN" in text)
