"""A C-CDA document as a labeller sees it: what it says of its own confidentiality, its codes and its texts. Pure.

Rules of this file
1. XML without a document type, entities or processing by name: anything of that kind is no document we read (L060).
2. Depth and size are limited; the parser is the standard library's expat, which opens nothing.
3. Every coded element and every text counts, negated or not, header and body; DS4P privacy annotations and every
   `confidentialityCode`, of the document or of a section or entry, are its labels.
4. What holds content that is not text (`nonXMLBody`, `observationMedia`) was not read whole: `whole` is False.
"""

from typing import Any, Final, NoReturn
from xml.parsers import expat

import msgspec

from consent_store.model import Coding

_MOST: Final = 16 << 20
_DEPTH: Final = 128
_NS: Final = "urn:hl7-org:v3 "
_SECURITY_OBSERVATION: Final = "2.16.840.1.113883.3.445.21"
_DS4P: Final = "2.16.840.1.113883.3.3251.1."
_INLINE: Final = frozenset({"content", "sub", "sup", "linkHtml", "caption"})
_OPAQUE: Final = frozenset({"nonXMLBody", "observationMedia", "renderMultiMedia"})


class Ccda(msgspec.Struct, frozen=True):
    """`labels` are the codes of confidentiality and privacy annotations; `segmented`: it declares DS4P."""

    labels: tuple[Coding, ...]
    codings: tuple[Coding, ...]
    texts: tuple[str, ...]
    segmented: bool
    whole: bool


class _Refused(Exception):
    """What we do not read."""


def read_ccda(data: bytes) -> Ccda | None:
    """Read a C-CDA document's XML text. None: it is none, or not one that can be read safely and whole."""
    if len(data) > _MOST or b"ClinicalDocument" not in data[:8192]:
        return None
    reading = _Reading()
    parser = expat.ParserCreate(None, " ")
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = reading.refuse
    parser.EntityDeclHandler = reading.refuse
    parser.ExternalEntityRefHandler = reading.refuse
    parser.SkippedEntityHandler = reading.refuse
    try:
        parser.Parse(data, True)  # noqa: FBT003  expat's own signature: this is all of it
    except (expat.ExpatError, _Refused, ValueError, LookupError):
        return None
    return reading.found()


class _Reading:
    def __init__(self) -> None:
        self.path: list[str] = []
        self.security: list[int] = []  # the depths of the security observations we are in
        self.labels: list[Coding] = []
        self.codings: list[Coding] = []
        self.texts: list[str] = []
        self.words: list[str] = []
        self.segmented = False
        self.whole = True

    def refuse(self, *_: Any) -> NoReturn:  # noqa: ANN401  whatever expat tells
        raise _Refused

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.path) == _DEPTH or (not self.path and name != f"{_NS}ClinicalDocument"):
            raise _Refused
        local = name.rpartition(" ")[2]
        self.path.append(local)
        if local not in _INLINE:
            self.flush()
        self.whole = self.whole and local not in _OPAQUE
        root = attributes.get("root", "") if local == "templateId" else ""
        self.segmented = self.segmented or root.startswith(_DS4P)
        if root == _SECURITY_OBSERVATION:
            self.security.append(len(self.path) - 1)
        if "code" in attributes:
            self.coding(local, Coding(attributes.get("codeSystem"), attributes["code"]))
        if "displayName" in attributes:
            self.texts.append(attributes["displayName"])

    def coding(self, local: str, coding: Coding) -> None:
        if local == "confidentialityCode" or (local == "value" and self.security):
            self.labels.append(coding)
        else:
            self.codings.append(coding)

    def end(self, name: str) -> None:
        local = name.rpartition(" ")[2]
        self.path.pop()
        if self.security and len(self.path) < self.security[-1]:
            self.security.pop()
        if local not in _INLINE:
            self.flush()

    def text(self, text: str) -> None:
        if not text.isspace():
            self.words.append(text)

    def flush(self) -> None:
        if self.words:
            self.texts.append("".join(self.words))
            self.words = []

    def found(self) -> Ccda:
        return Ccda(tuple(self.labels), tuple(self.codings), tuple(self.texts), self.segmented, self.whole)
