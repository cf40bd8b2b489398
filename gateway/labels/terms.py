"""Term rules: what texts say where no code does (leaks.md L006). A second signal, never the only one.

Rules of this file
1. Whole words in any case; markup, entities, punctuation, accents' composition and invisible characters are set aside.
2. A negation counts as a mention: that a thing was asked about can itself be telling.
3. A resource's texts are screened together first; only where a listed word occurs is each text read on its own.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.errors import ProfileError
from gateway.fhir.v3_tables import SENSITIVITIES
from gateway.fhir.view import TextAt
from gateway.labels.lists import Hit


class TermGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Terms that mean the same sensitivities."""

    sensitivities: tuple[str, ...]
    terms: tuple[str, ...]


class TermList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One list of terms, as a fact: where from, which version, under which licence."""

    name: str
    title: str
    source: str
    version: str
    licence: str
    note: str
    groups: tuple[TermGroup, ...]


def parse_term_list(text: str | bytes, name: str) -> TermList:
    """Read one list from JSON text; `name` is the file's, for messages. Raises ProfileError for anything amiss."""
    try:
        found = msgspec.json.decode(text, type=TermList)
    except msgspec.MsgspecError as wrong:
        raise ProfileError(f"term list `{name}`: {wrong}") from wrong
    for group in found.groups:
        if not group.sensitivities or set(group.sensitivities) - SENSITIVITIES.keys():
            raise ProfileError(f"term list `{name}`: a group without known sensitivity")
        if any(term != _words(term) or not term for term in group.terms):
            raise ProfileError(f"term list `{name}`: terms are lower-case words with single spaces between them")
    return found


_INLINE_TAG: Final = re.compile(r"</?(?:a|abbr|b|em|i|mark|small|span|strong|sub|sup|u)(?:\s[^<>]*)?>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_PUNCTUATION: Final = {
    ord(mark): " " for mark in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u2010\u2011\u2012\u2013\u2014\u2019"
}
_INVISIBLE: Final = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_PLAIN: Final = str.maketrans({**_PUNCTUATION, **_INVISIBLE})
_ASCII: Final = bytes(ord(_PUNCTUATION.get(byte, chr(byte).lower())) if byte < 0x80 else byte for byte in range(0x100))


def _words(text: str) -> str:
    """A text as lower-case words with single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().translate(_PLAIN).split())


def _readable(text: str) -> str:
    """A text as a reader sees it: in XHTML the tags are gone, then entities are resolved."""
    if text.startswith("<"):
        text = _TAG.sub(" ", _INLINE_TAG.sub("", text))
    return html.unescape(text) if "&" in text else text


# Words that clinical text is full of: a phrase is looked for by another of its words where it has one.
_COMMON: Final = frozenset(
    {"42", "2", "abuse", "disease", "disorder", "disorders", "of", "part", "positive", "pregnancy"}
    | {"program", "s", "sexual", "syndrome", "transmitted", "treatment", "use", "virus", "withdrawal"}
)


class TermIndex:
    """Every term list in one screen. Immutable once made; `revision` names the lists and versions in it."""

    __slots__ = ("_ascii_keys", "_keys", "_phrases", "revision")

    def __init__(self, lists: Iterable[TermList] = ()) -> None:
        hits: dict[str, tuple[Hit, ...]] = {}
        names = []
        for term_list in lists:
            source = f"{term_list.name} {term_list.version}"
            names.append(source)
            for group in term_list.groups:
                for term in group.terms:
                    found = tuple(Hit(code, f"{source}: {term}") for code in group.sensitivities)
                    hits[term] = (*hits.get(term, ()), *found)
        self._phrases: dict[str, list[tuple[str, tuple[Hit, ...]]]] = {}
        for term in sorted(hits):
            self._phrases.setdefault(_key(term), []).append((f" {term} ", hits[term]))
        self._keys = frozenset(self._phrases)
        self._ascii_keys = frozenset(key.encode() for key in self._phrases)
        self.revision = ", ".join(sorted(names))

    def find(self, texts: Sequence[TextAt]) -> list[tuple[str, Hit]]:
        """What the texts mention, each with the pointer of its text."""
        if not self._keys or self._screened(_together(texts)):
            return []
        return [(text.at, hit) for text in texts for hit in self._mentions(text.text)]

    def _screened(self, text: str) -> bool:
        """Whether no term can occur in a text. ASCII, which nearly all of it is, goes by bytes: a tenth of the time."""
        if text.isascii():
            return self._ascii_keys.isdisjoint(text.encode().translate(_ASCII).split())
        return self._keys.isdisjoint(_words(text).split())

    def _mentions(self, text: str) -> list[Hit]:
        """What one text mentions."""
        if text.isascii() and "<" not in text and "&" not in text:
            found = text.encode().translate(_ASCII).split()
            if self._ascii_keys.isdisjoint(found):
                return []
            words = b" ".join(found).decode()
        else:
            words = _words(_readable(text))
        keys = self._keys.intersection(words.split())
        spaced = f" {words} "
        return [hit for key in sorted(keys) for phrase, hits in self._phrases[key] if phrase in spaced for hit in hits]


def _key(term: str) -> str:
    """The word of a term by which it is looked for: its longest that is not common, else its longest."""
    words = term.split()
    return max([word for word in words if word not in _COMMON] or words, key=len)


def _together(texts: Sequence[TextAt]) -> str:
    """All texts as one, as a reader sees them."""
    joined = "\n".join([text.text for text in texts])
    if "<" in joined or "&" in joined:
        joined = "\n".join([_readable(text.text) for text in texts])
    return joined
