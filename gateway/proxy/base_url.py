"""Is this URL beneath my upstream's base? Decided on parsed parts, never on prefixes of text (leaks.md L026, L027).

Rules of this file
1. Scheme, host and port must be equal, with default ports filled in and the host in lower case; user information
   and fragments are refused.
2. Path segments must begin with the base's, segment by segment; empty, dot and encoded-slash segments are refused, but
   one slash at the end of a path is taken.
3. A place in a walk (`Position`) is what follows the base: a URL is only ever rebuilt as base + position.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

Position = str
"""What stands after the base in a URL of the upstream: `?_getpages=…` or `/Observation?page=2`."""

_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = re.compile(r"[!-\[\]-~]*")  # printable ASCII without space and backslash
_LONGEST: Final = 4096


class BaseUrl(NamedTuple):
    """A base URL, parsed: origin and path segments. `text` is as configured, without a slash at its end."""

    text: str
    scheme: str
    host: str
    port: int
    segments: tuple[str, ...]

    def position(self, url: str) -> Position | None:
        """Give where a URL points beneath this base, or None for any that does not, or that is not plain."""
        if len(url) > _LONGEST or not _PLAIN.fullmatch(url) or "#" in url:
            return None
        other = _parsed(url.partition("?")[0])
        if other is None or other[1:4] != self[1:4]:
            return None
        rest = other.segments[len(self.segments) :]
        parts = rest[:-1] if rest[-1:] == ("",) else rest
        if other.segments[: len(self.segments)] != self.segments or any(not _sound(part) for part in parts):
            return None
        query = url.partition("?")[2]
        return "".join(f"/{part}" for part in rest) + (f"?{query}" if query else "")

    def following(self, url: str, here: Position) -> Position | None:
        """Give where a link leads that stands in what is at `here`. It may be relative (RFC 3986 section 4.2): to the
        host, to its page by a query alone, else to the base, as every relative URL of FHIR is."""
        if not url or url.startswith("//") or ":" in re.split("[/?]", url, maxsplit=1)[0]:
            return self.position(url)
        if url.startswith("/"):
            parts = urlsplit(self.text)
            return self.position(f"{parts.scheme}://{parts.netloc}{url}")
        return self.position(self.text + (here.partition("?")[0] if url.startswith("?") else "/") + url)


def base_url(text: str) -> BaseUrl:
    """Parse a configured base. Raises ValueError for what is no absolute http(s) URL."""
    found = _parsed(text.rstrip("/"))
    if found is None:
        raise ValueError("not an absolute http or https URL")
    return found


def _parsed(text: str) -> BaseUrl | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    segments = tuple(parts.path.split("/")[1:]) if parts.path not in {"", "/"} else ()
    return BaseUrl(text, parts.scheme, parts.hostname, port or _PORTS[parts.scheme], segments)


def _sound(segment: str) -> bool:
    plain = unquote(segment)
    return bool(plain) and plain not in {".", ".."} and not set(plain) & {"/", "\\", ";", "%"} and plain.isprintable()
