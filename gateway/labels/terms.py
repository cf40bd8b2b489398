"""Term rules: what texts say where no code does (leaks.md L006). A second signal, never the only one.

Rules of this file
1. Whole words in any case; markup, entities, punctuation, accents' composition and invisible characters are set aside.
2. A negation counts as a mention: that a thing was asked about can itself be telling.
3. A resource's texts are screened together first; only where a listed word occurs is each text read on its own.
4. What a list sets aside (the name of a screen that everybody gets) is not read as what it is named after.
5. A word of many meanings counts where it is all that a text says: `Depression`, not `depression of ST segments`.
6. One that only its letters tell apart counts where it is written so: `PrEP`, `AIDS`, not `bowel prep`, `HEARING AIDS`;
   one that means this only beside another, where the record has both: `process notes` beside `psychotherapy`.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from gateway.errors import ProfileError
from gateway.fhir.v3_tables import SENSITIVITIES
from gateway.fhir.walk import TextAt
from gateway.labels.lists import Confidence, Hit


class TermGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Terms that mean the same sensitivities. `match` whole: only where the text says nothing else; exact: one word, in
    these very letters, small and capital. `beside`: only where the record has one of these phrases too, anywhere."""

    sensitivities: tuple[str, ...]
    terms: tuple[str, ...]
    match: Literal["phrase", "whole", "exact"] = "phrase"
    confidence: Confidence | None = None
    beside: tuple[str, ...] = ()


class TermList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One list of terms, as a fact: where from, which version, under which licence."""

    name: str
    title: str
    source: str
    version: str
    licence: str
    note: str
    groups: tuple[TermGroup, ...]
    set_aside: tuple[str, ...] = ()
    confidence: Confidence = 1.0


def parse_term_list(text: str | bytes, name: str) -> TermList:
    """Read one list from JSON text; `name` is the file's, for messages. Raises ProfileError for anything amiss."""
    try:
        found = msgspec.json.decode(text, type=TermList)
    except msgspec.MsgspecError as wrong:
        raise ProfileError(f"term list `{name}`: {wrong}") from wrong
    for group in found.groups:
        if not group.sensitivities or set(group.sensitivities) - SENSITIVITIES.keys():
            raise ProfileError(f"term list `{name}`: a group without known sensitivity")
    exact = [term for group in found.groups if group.match == "exact" for term in group.terms]
    others = [term for group in found.groups if group.match != "exact" for term in group.terms]
    others += [phrase for group in found.groups for phrase in group.beside]
    if not all(term and term == words_of(term) for term in (*found.set_aside, *others)):
        raise ProfileError(f"term list `{name}`: terms are lower-case words with single spaces between them")
    if not all(term.isascii() and term.isalnum() and not term.islower() for term in exact):
        raise ProfileError(f"term list `{name}`: an exact term is one word with capital letters")
    return found


_INLINE_TAG: Final = re.compile(r"</?(?:a|abbr|b|em|i|mark|small|span|strong|sub|sup|u)(?:\s[^<>]*)?>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_PUNCTUATION: Final = {
    ord(mark): " " for mark in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u2010\u2011\u2012\u2013\u2014\u2019"
}
_INVISIBLE: Final = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_PLAIN: Final = str.maketrans({**_PUNCTUATION, **_INVISIBLE})
_ASCII: Final = bytes(ord(_PUNCTUATION.get(byte, chr(byte).lower())) if byte < 0x80 else byte for byte in range(0x100))


_LETTERS: Final = re.compile(r"[A-Za-z0-9]+")


def words_of(text: str) -> str:
    """Give a text as lower-case words with single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().translate(_PLAIN).split())


def untagged(text: str) -> str:
    """Give a text without tags; those of a part of a line do not part words."""
    return _TAG.sub(" ", _INLINE_TAG.sub("", text))


def readable(text: str) -> str:
    """Give a text as a reader sees it: in XHTML the tags are gone, then entities are resolved."""
    if text.startswith("<"):
        text = untagged(text)
    return html.unescape(text) if "&" in text else text


# Words that clinical text is full of: a phrase is looked for by another of its words where it has one.
_COMMON: Final = frozenset(
    {"2", "42", "a", "abuse", "active", "admission", "and", "at", "check", "chronic", "clinic", "count", "disease"}
    | {"disorder", "disorders", "evaluation", "examination", "female", "for", "health", "hemoglobin", "high"}
    | {"history", "in", "inpatient", "level", "male", "medications", "of", "on", "or", "outpatient", "panel"}
    | {"part", "patient", "physical", "plan", "positive", "pregnancy", "procedure", "program", "risk", "s"}
    | {"score", "screen", "screening", "sexual", "social", "syndrome", "test", "testing", "the", "therapy"}
    | {"to", "transmitted", "treatment", "unit", "urine", "use", "virus", "with", "withdrawal"}
    | {"activity", "completed", "date", "estimated", "expected", "follow", "new", "private", "provider", "return"}
    | {"single", "up", "us", "visit"}
)


class TermIndex:
    """Every term list in one screen. Immutable once made; `revision` names the lists and versions in it."""

    __slots__ = (
        "_ascii_keys",
        "_aside",
        "_beside",
        "_exact",
        "_keys",
        "_limited",
        "_lists",
        "_phrases",
        "_whole",
        "revision",
    )

    def __init__(
        self, lists: Iterable[TermList] = (), threshold: float = 0.0, by_list: Mapping[str, float] | None = None
    ) -> None:
        self._lists = tuple(lists)
        self._limited: dict[tuple[float, frozenset[tuple[str, float]]], TermIndex] = {}
        hits: dict[str, tuple[Hit, ...]] = {}
        whole: dict[str, tuple[Hit, ...]] = {}
        exact: dict[str, tuple[Hit, ...]] = {}
        into = {"phrase": hits, "whole": whole, "exact": exact}
        self._beside: dict[Hit, tuple[str, ...]] = {}
        names = []
        for term_list in self._lists:
            source = f"{term_list.name} {term_list.version}"
            names.append(source)
            least = (by_list or {}).get(term_list.name, threshold)
            for group in term_list.groups:
                for term in group.terms if (group.confidence or term_list.confidence) >= least else ():
                    found = tuple(Hit(code, f"{source}: {term}") for code in group.sensitivities)
                    self._beside.update(dict.fromkeys(found, group.beside) if group.beside else {})
                    into[group.match][term] = (*into[group.match].get(term, ()), *found)
        self._aside: dict[str, list[str]] = {}
        for phrase in dict.fromkeys(phrase for one in self._lists for phrase in one.set_aside):
            self._aside.setdefault(_key(phrase), []).append(f" {phrase} ")
        self._phrases: dict[str, list[tuple[str, tuple[Hit, ...]]]] = {}
        for term in sorted(hits):
            self._phrases.setdefault(_key(term), []).append((f" {term} ", hits[term]))
        self._whole = whole
        self._exact: dict[str, list[tuple[str, tuple[Hit, ...]]]] = {}
        for term in sorted(exact):
            self._exact.setdefault(term.lower(), []).append((term, exact[term]))
        self._keys = frozenset((*self._phrases, *map(_key, whole), *self._exact))
        self._ascii_keys = frozenset(key.encode() for key in self._keys)
        self.revision = ", ".join(sorted(names))

    @property
    def names(self) -> frozenset[str]:
        """The names of the lists."""
        return frozenset(one.name for one in self._lists)

    def limited(self, threshold: float, by_list: Mapping[str, float]) -> "TermIndex":
        """Give the index of the same lists with other thresholds; it is made once for all profiles that have these."""
        asked = threshold, frozenset(by_list.items())
        found = self._limited.get(asked)
        if found is None:
            found = self._limited[asked] = TermIndex(self._lists, threshold, by_list)
            found._limited = self._limited  # of the same lists
        return found

    def find(self, texts: Sequence[TextAt]) -> list[tuple[str, Hit]]:
        """What the texts mention, each with the pointer of its text."""
        if not self._keys or self._screened(_together(texts)):
            return []
        found = [(text.at, hit) for text in texts for hit in self._mentions(text.text)]
        if self._beside.keys().isdisjoint(hit for _, hit in found):
            return found
        said = [f" {words_of(readable(text.text))} " for text in texts]
        return [one for one in found if self._stands(one[1], said)]

    def _stands(self, hit: Hit, said: Sequence[str]) -> bool:
        """Whether a record with these texts has what a term must stand beside."""
        beside = self._beside.get(hit)
        return beside is None or any(f" {phrase} " in text for phrase in beside for text in said)

    def _screened(self, text: str) -> bool:
        """Whether no term can occur in a text. ASCII, which nearly all of it is, goes by bytes: a tenth of the time."""
        if text.isascii():
            return self._ascii_keys.isdisjoint(text.encode().translate(_ASCII).split())
        return self._keys.isdisjoint(words_of(text).split())

    def _mentions(self, text: str) -> list[Hit]:
        """What one text mentions."""
        if text.isascii() and "<" not in text and "&" not in text:
            found = text.encode().translate(_ASCII).split()
            if self._ascii_keys.isdisjoint(found):
                return []
            words = b" ".join(found).decode()
        else:
            words = words_of(readable(text))
        said = frozenset(words.split())
        keys = self._keys & said
        spaced = f" {words} "
        for key in said.intersection(self._aside):
            for phrase in self._aside[key]:
                spaced = spaced.replace(phrase, " ")
        mentioned: list[Hit] = []
        for key in sorted(keys) if len(keys) > 1 else keys:
            for phrase, hits in self._phrases.get(key, ()):
                if phrase in spaced:
                    mentioned += hits
        mentioned += self._whole.get(words, ())
        if keys.isdisjoint(self._exact):
            return mentioned
        return [*mentioned, *self._as_written(text, keys.intersection(spaced.split()))]

    def _as_written(self, text: str, keys: Iterable[str]) -> Iterator[Hit]:
        """What a text says by words in these very letters. In a text all in capitals, capitals say nothing."""
        shown = readable(text)
        if not shown.isupper():
            written = set(_LETTERS.findall(shown))
            for key in keys:
                for term, hits in self._exact.get(key, ()):
                    yield from hits if term in written else ()


def _key(term: str) -> str:
    """The word of a term by which it is looked for: its longest that is not common, else its longest."""
    words = term.split()
    return max([word for word in words if word not in _COMMON] or words, key=len)


def _together(texts: Sequence[TextAt]) -> str:
    """All texts as one, as a reader sees them."""
    joined = "\n".join([text.text for text in texts])
    if "<" in joined or "&" in joined:
        joined = "\n".join([readable(text.text) for text in texts])
    return joined
