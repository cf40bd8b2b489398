"""Released pages → one released answer: entries of several searches put together, counted, or told as another Bundle.

Rules of this file
1. Only what was released already is taken: the very text of each entry. Nothing is added to a record (law 5).
2. What is not shown is not in the manifest as disclosed; what was withheld on the way stays in it (law 7).
3. Decisions keep their pointers, beneath the page they were made on.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.decision.judge import Judgement
from gateway.decision.model import Decision, Verdict
from gateway.release.compose import ReleasedEntry, manifest_of
from gateway.release.released import Manifest, Released

_TOP: Final = re.compile(r"(.*?/entry/\d+/resource)(?:/.*)?")


class _Search(msgspec.Struct, frozen=True):
    mode: str = "match"


class _Entry(msgspec.Struct, frozen=True, rename={"full_url": "fullUrl"}):
    resource: msgspec.Raw
    full_url: str = ""
    search: _Search = _Search()


class _Link(msgspec.Struct, frozen=True):
    relation: str
    url: str


class Page(msgspec.Struct, frozen=True):
    """A released searchset, read again: its entries, and its links by relation."""

    entry: tuple[_Entry, ...] = ()
    link: tuple[_Link, ...] = ()

    @property
    def entries(self) -> tuple[ReleasedEntry, ...]:
        """The entries in order."""
        return tuple(ReleasedEntry(one.full_url, bytes(one.resource), one.search.mode) for one in self.entry)

    @property
    def next(self) -> str | None:
        """The url of the next page."""
        return next((one.url for one in self.link if one.relation == "next"), None)


def read_page(released: Released) -> Page:
    """Give the parts of a searchset of our own making."""
    return msgspec.json.decode(released.body, type=Page)


class _Named(msgspec.Struct, frozen=True, rename={"type": "resourceType"}):
    type: str
    id: str


def name_of(text: bytes) -> str:
    """Give `Type/id` of a released record."""
    found = msgspec.json.decode(text, type=_Named)
    return f"{found.type}/{found.id}"


def manifest_of_shown(pages: Sequence[Manifest], shown: Iterable[str]) -> Manifest:
    """Give the manifest of an answer that shows the records named (`Type/id`) out of what several pages released."""
    names = frozenset(shown)
    told: list[Decision] = []
    seen: set[str] = set()
    for number, page in enumerate(pages):
        tops = {one.at: one for one in page.decisions if _top(one.at) == one.at}
        for one in page.decisions:
            top = tops.get(_top(one.at), one)
            released = top.verdict is not Verdict.WITHHELD
            if released and (top.resource not in names or (top is one and top.resource in seen)):
                continue
            seen |= {top.resource} if released and top is one else set()
            told.append(msgspec.structs.replace(one, at=f"/page/{number}{one.at}"))
    return manifest_of([Judgement(tuple(told), frozenset(), {})]) if told else Manifest()


def compose_bundle(head: Mapping[str, Any], entries: Iterable[bytes], manifest: Manifest) -> Released:
    """Compose a Bundle from its own members and the texts of its entries."""
    body = msgspec.json.encode({"resourceType": "Bundle", **head})
    texts = list(entries)
    if texts:
        body = body[:-1] + b',"entry":[' + b",".join(texts) + b"]}"
    return Released(200, {}, body, manifest)


def entry_text(full_url: str, resource: bytes, more: Mapping[str, Any]) -> bytes:
    """Give the text of one entry; `more` are its members beside the record."""
    text = b'{"fullUrl":%b,"resource":%b' % (msgspec.json.encode(full_url), resource)
    return text + (b"," + msgspec.json.encode(more)[1:] if more else b"}")


def _top(at: str) -> str:
    found = _TOP.fullmatch(at)
    return found[1] if found else at


def as_content(record: Released, data: bytes, media: str) -> Released:
    """Give the content of a released Binary in place of its record: a download, never a page (leaks.md L052)."""
    headers = {"Content-Type": media, "Content-Disposition": "attachment", "Content-Security-Policy": "sandbox"}
    return Released(200, {**record.headers, **headers}, data, record.manifest)


def compose_parameter(name: str, element: str, value: bytes, manifest: Manifest) -> Released:
    """Compose a Parameters of one parameter; `value` is the exact text of a released element."""
    said = b'{"name":%b,%b:%b}' % (msgspec.json.encode(name), msgspec.json.encode(element), value)
    return Released(200, {}, b'{"resourceType":"Parameters","parameter":[' + said + b"]}", manifest)
