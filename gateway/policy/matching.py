"""How a profile recognises participants and data, as values. Frozen, pure.

Rules of this file
1. What is not given is not limited; every part that is given must hold.
2. Data is recognised from content, labels and source, never from a client's say-so.
"""

import msgspec

from gateway.fhir.confidentiality import Confidentiality


class PartyMatch(msgspec.Struct, frozen=True):
    """Which participants a rule speaks of; None and () are "not limited", `any` needs one of its members."""

    types: frozenset[str] | None = None
    hipaa_covered: bool | None = None
    part2_program: bool | None = None
    any: tuple["PartyMatch", ...] = ()
    attributes: tuple[tuple[str, bool], ...] = ()


class Codes(msgspec.Struct, frozen=True):
    """Codes of published systems: `system|code`, `system|beginning*`, or `system|*` for any code of a system."""

    exact: frozenset[tuple[str, str]]
    beginnings: tuple[tuple[str, str], ...] = ()


class Words(msgspec.Struct, frozen=True):
    """Whole words and phrases in any letter case; `nnn` stands for a number of three digits or more. What is set
    `aside` is not read: `cardiac arrest` tells of no arrest."""

    said: frozenset[str]
    aside: frozenset[str] = frozenset()


class IdentifierMatch(msgspec.Struct, frozen=True):
    """Identifiers of a kind: of one of `systems`, of one of the `types` (`system|code`), or with a word or phrase of
    `words` in its system, its type or the name of who assigned it. `forms` (`nnn-nn-nnnn`): also what is written so
    in a text, or as an identifier of which nothing tells the kind."""

    systems: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()


class CategoryMatch(msgspec.Struct, frozen=True):
    """One way of recognising a category; every part that is given must hold. `source` is who discloses; `without` are
    ways of being recognised of which none may hold; `own`: the discloser wrote it. `words` are of any text or
    display of the record, `code_words` of its codes and their systems; `named`: its `code` says nothing else."""

    types: frozenset[str] | None = None
    sensitivities: frozenset[str] | None = None  # one of them, or a code beneath one of them
    policies: frozenset[str] | None = None
    at_least: Confidentiality | None = None
    unknown: bool | None = None
    unread_label: bool | None = None
    codes: Codes | None = None
    source: PartyMatch | None = None
    identifiers: IdentifierMatch | None = None
    own: bool | None = None
    words: Words | None = None
    code_words: Words | None = None
    named: frozenset[str] | None = None
    without: tuple["CategoryMatch", ...] = ()


class Category(msgspec.Struct, frozen=True):
    """A kind of data in policy's words, recognised from content and labels, never from a client's say-so."""

    id: str
    says: str
    any: tuple[CategoryMatch, ...]
