"""What one row of the tables says, and how it is written."""

from typing import NamedTuple

from tests.attack.defences.switching import Cut, Switch


class Defence(NamedTuple):
    """One defence: the leak, what it does, the tests of which one has to fail, and what switches it off (all of it
    together, where several things hold). `breaks`: without it the gateway fails in earnest, which is what shows.
    `remembers`: it is about what is kept of consents between requests, which is otherwise emptied each time."""

    id: str
    what: str
    tests: tuple[str, ...]
    off: tuple[Switch, ...]
    breaks: bool = False
    remembers: bool = False


def defence(id_: str, what: str, tests: str, *off: Switch, breaks: bool = False, remembers: bool = False) -> Defence:
    """Write a row; `tests` are parted by spaces, a file stands for all in it."""
    return Defence(id_, what, tuple(tests.split()), off, breaks, remembers)


# Consents are kept from one request to the next, and what changed meanwhile is not seen.
OLD_CONSENTS = (
    Cut(
        "gateway.proxy.gathering:gather",
        "snapshot = await consents.snapshot(tuple(subjects.values()))",
        "kept = gather.__dict__.setdefault(str(subjects), [])\n"
        "        kept or kept.append(await consents.snapshot(tuple(subjects.values())))\n"
        "        snapshot = kept[0]",
    ),
    Cut("gateway.proxy.sending:unchanged", "return all(now[subject] == revision", "return all(True"),
)
