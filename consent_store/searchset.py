"""One page of a FHIR server's answer to a search for Consents, read strictly. Pure.

Rules of this file
1. What is not plainly a whole page is Unusable: other status or media type, an outcome that warns, an entry nobody
   asked for, a total that contradicts itself (L087, L088).
2. A Consent's text is the server's own bytes; what it says is read elsewhere, and may be unreadable.
3. A further page is asked for under the very base that was asked; no link leads anywhere else.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from consent_store.reading import parse

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_FHIR_JSON: Final = frozenset({"application/fhir+json", "application/json", "application/json+fhir"})
_UTF_8: Final = re.compile(r'\s*charset\s*=\s*"?utf-8"?\s*', re.IGNORECASE)
_PORTS: Final = {"http": 80, "https": 443}
_HARMLESS: Final = frozenset({"information", "success"})


class Answer(msgspec.Struct, frozen=True):
    """One answer: status, headers by lower-case name (several of one name joined by `, `), the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unusable(Exception):
    """The answer cannot be relied on; why, without a word of it."""


class Entry(msgspec.Struct, frozen=True):
    """One Consent of the page: id, version ("" where none is stated) and exact text."""

    id: str
    version: str
    text: bytes


class Page(msgspec.Struct, frozen=True):
    """What one page says."""

    entries: tuple[Entry, ...]
    total: int | None
    next: str | None


class _RawEntry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"null")


class _RawBundle(msgspec.Struct):
    entry: list[_RawEntry] = []


def read_page(answer: Answer) -> Page:
    """Read one page. Raises Unusable."""
    tree = read_resource(answer, "Bundle")
    if tree.get("type") != "searchset":
        raise Unusable("the answer is no searchset")
    total = tree.get("total")
    if total is not None and (type(total) is not int or total < 0):
        raise Unusable("the total is no number")
    listed = _objects(tree, "entry")
    try:
        texts = [bytes(one.resource) for one in msgspec.json.decode(answer.body, type=_RawBundle).entry]
    except ValueError:
        raise Unusable("an entry is no resource") from None
    found = (_entry(one, text) for one, text in zip(listed, texts, strict=True))
    return Page(tuple(one for one in found if one is not None), total, _next(tree))


def read_resource(answer: Answer, resource_type: str) -> Mapping[str, Any]:
    """Give the resource that an answer is, strictly parsed. Raises Unusable for every other answer."""
    if answer.status != 200:
        raise Unusable(f"the server answered {answer.status // 100}xx")
    if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Unusable("the answer is encoded")
    media, *parameters = answer.headers.get("content-type", "").split(";")
    charsets = [one for one in parameters if "charset" in one.lower()]
    if media.strip().lower() not in _FHIR_JSON or not all(map(_UTF_8.fullmatch, charsets)):
        raise Unusable("the answer is not FHIR JSON")
    tree, spoiled = parse(answer.body)
    if spoiled:
        raise Unusable("the answer is not one strict JSON object")
    if tree.get("resourceType") != resource_type:
        raise Unusable(f"the answer is no {resource_type}")
    return tree


def beneath(base: str, url: str, aliases: Iterable[str] = (), here: str = "") -> str:
    """Give `url`, which stands in the answer of `here`, as it is asked for: the base, and what of the URL follows it or
    one of its `aliases`. A relative one is relative to the host, its page or the base. Raises Unusable for one
    elsewhere."""
    found = [rest for own in (base, *aliases) if (rest := _rest(own, url, here or base)) is not None]
    if not url or not found or not url.isascii() or re.search(r"[\s\\]", url):
        raise Unusable("a link leads to another server")
    return base + found[0]


def _rest(base: str, url: str, here: str) -> str | None:
    """Give what of a URL follows a base; None for one elsewhere. Raises Unusable for what is no URL."""
    try:
        own = urlsplit(base)
        link = urlsplit(_whole(own, base, url, here))
        same = _origin(link) == _origin(own) and "@" not in link.netloc
    except ValueError:
        raise Unusable("a link is no URL") from None
    rest = link.path.removeprefix(own.path)
    inside = link.path.startswith(own.path) and (not rest or rest.startswith("/"))
    crooked = any(segment in {".", ".."} for segment in unquote(rest).split("/"))
    if not same or not inside or crooked or link.fragment:
        return None
    return rest + (f"?{link.query}" if link.query else "")


def _whole(own: SplitResult, base: str, url: str, here: str) -> str:
    if url.startswith("//") or ":" in re.split("[/?]", url, maxsplit=1)[0]:
        return url
    if url.startswith("/"):
        return f"{own.scheme}://{own.netloc}{url}"
    return (here.partition("?")[0] if url.startswith("?") else f"{base}/") + url


def is_id(text: str) -> bool:
    """Say whether this can be the id of a resource (R4 datatypes: id)."""
    return _ID.fullmatch(text) is not None


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


def _entry(one: Mapping[str, Any], text: bytes) -> Entry | None:
    """Read one entry; None for an outcome that only informs."""
    resource, search = one.get("resource"), one.get("search", {})
    if not isinstance(resource, dict) or not isinstance(search, dict):
        raise Unusable("an entry is no resource")
    kind, mode = resource.get("resourceType"), search.get("mode")
    if kind == "OperationOutcome" and mode in {None, "outcome"}:
        issues = _objects(resource, "issue")
        if not issues or any(issue.get("severity") not in _HARMLESS for issue in issues):
            raise Unusable("the answer holds an outcome that warns")
        return None
    if kind != "Consent" or mode not in {None, "match"}:
        raise Unusable("an entry was not asked for")
    consent_id, meta = resource.get("id"), resource.get("meta", {})
    if not isinstance(consent_id, str) or not is_id(consent_id):
        raise Unusable("a consent has no id")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return Entry(consent_id, version if isinstance(version, str) else "", text)


def _next(tree: Mapping[str, Any]) -> str | None:
    links = [link.get("url") for link in _objects(tree, "link") if link.get("relation") == "next"]
    if not links:
        return None
    if len(links) > 1 or not isinstance(links[0], str) or not links[0]:
        raise Unusable("the link to the next page is not one URL")
    return links[0]


def _objects(tree: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    listed = tree.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise Unusable(f"`{name}` is no list of objects")
    return listed
