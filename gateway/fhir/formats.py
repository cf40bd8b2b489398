"""What a client may ask for and send: FHIR R4 JSON in UTF-8, and a form for _search. By form alone (leaks.md L057).

Rules of this file
1. Unknown media types, media type parameters and versions match nothing.
2. `_format` speaks instead of Accept where it is given (R4 http.html 3.1.0.1.3); the answer is FHIR JSON either way.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.errors import BadRequest, Unacceptable, UnsupportedMedia
from gateway.fhir.query import Parameter

FHIR_JSON: Final = "application/fhir+json"
FORM: Final = "application/x-www-form-urlencoded"
JSON_PATCH: Final = "application/json-patch+json"

_JSON: Final = frozenset({FHIR_JSON, "application/json"})
_VERSIONS: Final = frozenset({"4.0", "4.0.1"})
# A `+` that a client forgot to encode arrives as a space.
_FORMATS: Final = _JSON | {"json", "application/fhir json"}
_WEIGHT: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_MEDIA: Final = re.compile(rf"(?:{_TOKEN.pattern}|\*)/(?:{_TOKEN.pattern}|\*)")
_OTHER_FHIR: Final = frozenset(
    {"application/fhir+xml", "application/fhir+turtle", "application/x-turtle", "text/turtle"}
)
_TOLD: Final = "answers are FHIR R4 JSON only"


def take_formats(parameters: Sequence[Parameter]) -> tuple[str | None, tuple[Parameter, ...]]:
    """Part `_format` and `_pretty` from the other parameters, and give the first's value.

    `_pretty` is read and ignored: bytes stay bytes. Neither is ever forwarded. Raises BadRequest for either twice and
    for a `_pretty` that is no boolean.
    """
    formats = [each.value for each in parameters if each.name == "_format"]
    pretty = [each.value for each in parameters if each.name == "_pretty"]
    if len(formats) > 1 or len(pretty) > 1:
        raise BadRequest("the query has the same parameter twice")
    if not set(pretty) <= {"true", "false"}:
        raise BadRequest("the value of `_pretty` is not of a form the gateway reads")
    rest = tuple(each for each in parameters if each.name not in {"_format", "_pretty"})
    return (formats[0] if formats else None), rest


def check_accept(accept: str | None, asked: str | None) -> None:
    """Raise Unacceptable where the client does not take FHIR JSON (RFC 9110 section 12.5.1).

    `accept` is the Accept header, several lines joined by commas, None where there is none; `asked` is `_format`.
    """
    if asked is not None:
        if asked.lower() not in _FORMATS:
            raise Unacceptable(_TOLD)
        return
    ranges = [one for one in (accept or "").split(",") if one.strip()]
    if ranges and not _takes_json([found for found in map(_range, ranges) if found is not None]):
        raise Unacceptable(_TOLD)


def check_content(accept: str | None, asked: str | None) -> str | None:
    """Give the Accept header of one who wants a Binary's own content, None for one who names FHIR JSON (R4 binary.html
    2.28.1). Raises Unacceptable for one who wants FHIR in another format."""
    ranges = [found for found in map(_range, (accept or "").split(",")) if found is not None]
    if asked is not None or any(media in _JSON and weight > 0 for media, weight in ranges):
        check_accept(accept, asked)
        return None
    if accept is not None and not [media for media, weight in ranges if weight > 0 and media not in _OTHER_FHIR]:
        raise Unacceptable(_TOLD)
    return accept or "*/*"


def takes(accept: str, media: str) -> bool:
    """Say whether an Accept header takes a media type, by the most specific range that speaks of it."""
    ranges = [found for found in map(_range, accept.split(",")) if found is not None]
    for wanted in (media, media.partition("/")[0] + "/*", "*/*"):
        weights = [weight for name, weight in ranges if name == wanted]
        if weights:
            return max(weights) > 0
    return False


def check_body(content_type: str | None, *, form: bool) -> None:
    """Raise UnsupportedMedia for a body whose Content-Type is not FHIR JSON, or with `form` not a form, in UTF-8."""
    media, parameters = _parts(content_type or "")
    wanted = frozenset({FORM}) if form else _JSON
    if media not in wanted or not _plain(parameters):
        raise UnsupportedMedia(f"the body has to be {FORM if form else 'FHIR R4 JSON'} in UTF-8")


def check_patch(content_type: str | None) -> bool:
    """Say whether a patch is a Parameters resource (FHIRPath Patch) and not JSON Patch (R4 http.html 3.1.0.7). Raises
    UnsupportedMedia for another, or not in UTF-8."""
    media, parameters = _parts(content_type or "")
    if media not in {JSON_PATCH} | _JSON or not _plain(parameters):
        raise UnsupportedMedia(f"a patch has to be {JSON_PATCH} or FHIR R4 JSON in UTF-8")
    return media != JSON_PATCH


def _takes_json(ranges: Sequence[tuple[str, float]]) -> bool:
    """Say so by the most specific range that speaks of FHIR JSON; plain JSON, asked for by its name, is the same."""
    named = [weight for media, weight in ranges if media == "application/json"]
    for wanted in (FHIR_JSON, "application/*", "*/*"):
        weights = [weight for media, weight in ranges if media == wanted]
        if weights:
            return max(weights + named) > 0
    return bool(named) and max(named) > 0


def _range(text: str) -> tuple[str, float] | None:
    media, parameters = _parts(text)
    weight = parameters.pop("q", "1")
    if not _MEDIA.fullmatch(media) or not _WEIGHT.fullmatch(weight) or not _plain(parameters):
        return None
    return media, float(weight)


def _plain(parameters: Mapping[str, str]) -> bool:
    """Say whether media type parameters leave it at R4 in UTF-8 (R4 http.html 3.1.0.1.11: fhirVersion)."""
    known = parameters.keys() <= {"charset", "fhirversion"}
    return known and parameters.get("charset", "utf-8") == "utf-8" and parameters.get("fhirversion", "4.0") in _VERSIONS


def _parts(text: str) -> tuple[str, dict[str, str]]:
    """Give a media type and its parameters in lower case; one that is written wrongly or twice is named "?"."""
    media, *rest = (part.strip().lower() for part in text.split(";"))
    found: dict[str, str] = {}
    for part in filter(None, rest):
        name, _, value = part.partition("=")
        plain = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        found["?" if name in found or not _TOKEN.fullmatch(plain) else name] = plain
    return media, found
