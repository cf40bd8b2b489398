"""Narrative that may be shown in a browser: XHTML of what R4 allows and no more (leaks.md L060). Pure.

Rules of this file (R4 narrative.html 2.4.0.2, invariants txt-1 and txt-2)
1. What cannot be read as XML without declarations, entities of its own or instructions is not clean.
2. Elements and attributes are listed; addresses lead to pages, mail, telephones or places inside; images are inside.
3. Nothing is repaired: narrative is clean, or it is not shown.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from xml.parsers import expat

from gateway.fhir.view import ResourceView

_ELEMENTS: Final = frozenset(
    {"a", "abbr", "acronym", "b", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup"}
    | {"dd", "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li"}
    | {"ol", "p", "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot"}
    | {"th", "thead", "tr", "tt", "ul", "var"}
)
_ATTRIBUTES: Final = frozenset(
    {"abbr", "accesskey", "align", "alt", "axis", "bgcolor", "border", "cellhalign", "cellpadding", "cellspacing"}
    | {"cellvalign", "char", "charoff", "charset", "cite", "class", "colspan", "compact", "coords", "dir"}
    | {"frame", "headers", "height", "href", "hreflang", "hspace", "id", "lang", "longdesc", "name", "nowrap"}
    | {"rel", "rev", "rowspan", "rules", "scope", "shape", "span", "src", "start", "style", "summary", "tabindex"}
    | {"title", "type", "valign", "value", "vspace", "width", "xml:lang", "xml:space"}
)
_XHTML: Final = "http://www.w3.org/1999/xhtml"
_ADDRESSES: Final = frozenset({"cite", "href", "longdesc"})
_PAGE: Final = re.compile(r"(?:https?://|mailto:|tel:|#)[^\s\\]*|[A-Za-z0-9._~/-]*(?:[?#][^\s\\:]*)?", re.IGNORECASE)
_IMAGE: Final = re.compile(r"#[^\s\\]*|data:image/(?:png|gif|jpeg);base64,[A-Za-z0-9+/=\s]*")
_STYLE: Final = re.compile(r"[A-Za-z0-9 #%.,;:!'\"()_-]*")
_ACTIVE_STYLE: Final = re.compile(r"url|expression|import|behaviou?r|binding|javascript|position", re.IGNORECASE)
_LONGEST: Final = 1 << 20


def unclean(view: ResourceView) -> Iterator[str]:
    """Give the narrative of a resource (and of a document's sections) that is not clean, by its pointer."""
    yield from _unclean(view.tree, "")


def _unclean(node: dict[str, Any], at: str) -> Iterator[str]:
    if "text" in node and not _of_narrative(node["text"]):
        yield f"{at}/text"
    sections = node.get("section")
    for number, section in enumerate(sections if isinstance(sections, list) else []):
        if isinstance(section, dict):
            yield from _unclean(section, f"{at}/section/{number}")


def _of_narrative(text: object) -> bool:
    """Say whether a Narrative is clean; an element `text` that is none (a note's, a concept's) says nothing here."""
    if not isinstance(text, dict) or "div" not in text:
        return True
    div = text["div"]
    return isinstance(div, str) and is_clean(div)


def is_clean(div: str) -> bool:
    """Say whether an XHTML text is one `div` of what is allowed."""
    if len(div) > _LONGEST:
        return False
    reader = _Reader()
    try:
        reader.parser.Parse(div.encode("utf-8", "surrogatepass"), True)  # noqa: FBT003  expat's own signature
    except (expat.ExpatError, UnicodeError):
        return False
    return not reader.wrong and reader.depth == 0


class _Reader:
    """Holds every element and attribute of one text against the lists."""

    def __init__(self) -> None:
        self.wrong, self.depth = False, 0
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        for name in ("StartDoctypeDecl", "EntityDecl", "ProcessingInstruction", "XmlDecl", "StartCdataSection"):
            setattr(self.parser, f"{name}Handler", self._refuse)

    def _refuse(self, *_: object) -> None:
        self.wrong = True
        raise expat.ExpatError("not of narrative")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.wrong = self.wrong or (self.depth == 0 and name != "div") or name not in _ELEMENTS
        self.depth += 1
        for attribute, value in attributes.items():
            if not _allowed(attribute, value):
                self._refuse()
        if self.wrong:
            self._refuse()

    def _end(self, _: str) -> None:
        self.depth -= 1


def _allowed(name: str, value: str) -> bool:
    if name == "xmlns":
        return value == _XHTML
    if name not in _ATTRIBUTES:
        return False
    if name in _ADDRESSES:
        return _PAGE.fullmatch(value) is not None
    if name == "src":
        return _IMAGE.fullmatch(value) is not None
    if name == "style":
        return _STYLE.fullmatch(value) is not None and _ACTIVE_STYLE.search(value) is None
    return True
