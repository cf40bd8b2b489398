"""`python -m tests.fuzz.guided NAME SECONDS SEED FOLDER`: one reader fuzzed by what its code covers (libFuzzer).

Ends with status 77 and an input in FOLDER where one breaks it. The command (tests.fuzz) starts it and tells of it.
"""

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway.fhir", "consent_store"]):
    from tests.fuzz.readers import READERS
    from tests.fuzz.seeds import seeds

from tests.fuzz.mutating import mutated


def main() -> None:
    """Fuzz until the time is over or an input breaks the reader; never returns."""
    name, seconds, seed, folder = sys.argv[1:]
    corpus = Path(folder) / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    known = seeds(name, most=200)
    for number, text in enumerate(known):
        (corpus / f"seed-{number}").write_bytes(text)

    def changed(data: bytes, most: int, seed: int) -> bytes:
        """Every second input is changed by one who knows the grammar."""
        if seed % 2:
            return bytes(atheris.Mutate(data, most))
        rand = random.Random(seed)  # noqa: S311  libFuzzer's own seed
        return mutated([data, rand.choice(known)], rand)[:most]

    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={folder}/found-", "-max_len=16384"]
    atheris.Setup(
        [sys.argv[0], *options, "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1", str(corpus)],
        READERS[name],
        custom_mutator=changed,
    )
    atheris.Fuzz()


main()
