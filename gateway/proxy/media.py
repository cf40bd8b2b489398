"""What a client may send and ask for: FHIR JSON, and a form for _search. By form alone.

Rules of this file
1. Formats the gateway cannot release are 406; bodies it does not read, encoded ones too, are 415 (leaks.md L057, L058).
2. UTF-8 only.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.errors import Unacceptable, UnsupportedMedia

Headers = Sequence[tuple[bytes, bytes]]

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = frozenset({"application/fhir+json", "application/json"})
_ACCEPTED: Final = JSON | {"application/*", "*/*"}
_FORMATS: Final = JSON | {"json"}


def values(headers: Headers, name: bytes) -> list[str]:
    """Give the values of every line of one header; `name` in lower case."""
    return [value.decode("latin-1") for found, value in headers if found.lower() == name]


def check_accept(headers: Headers, formats: Iterable[str]) -> None:
    """Raise Unacceptable where neither Accept (RFC 9110 section 12.5.1) nor `_format` lets us answer in FHIR JSON."""
    for asked in formats:
        if asked.replace(" ", "+").partition(";")[0].strip().lower() not in _FORMATS:
            raise Unacceptable("answers are FHIR JSON only")
    ranges = [part for value in values(headers, b"accept") for part in value.split(",") if part.strip()]
    if ranges and not any(_acceptable(one) for one in ranges):
        raise Unacceptable("answers are FHIR JSON only")


def check_body(headers: Headers, wanted: frozenset[str]) -> None:
    """Raise UnsupportedMedia for a body whose type is not one of `wanted`, not UTF-8, or that is encoded."""
    types = values(headers, b"content-type")
    media, _, rest = types[0].partition(";") if len(types) == 1 else ("", "", "")
    if media.strip().lower() not in wanted or not _is_utf8(rest):
        raise UnsupportedMedia(f"bodies are {' or '.join(sorted(wanted))} in UTF-8")
    if any(value.strip().lower() != "identity" for value in values(headers, b"content-encoding")):
        raise UnsupportedMedia("bodies are not compressed")


def _acceptable(one: str) -> bool:
    media, *parameters = (part.strip().lower() for part in one.split(";"))
    weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
    versions = [part for part in parameters if part.startswith("fhirversion=")]
    if any(version.removeprefix("fhirversion=").strip('"') not in {"4.0", "4.0.1"} for version in versions):
        return False
    return media in _ACCEPTED and not any(weight.strip("0.") == "" for weight in weights)


def _is_utf8(parameters: str) -> bool:
    said = [part.strip().lower() for part in parameters.split(";") if part.strip()]
    charsets = [part.removeprefix("charset=").strip('"') for part in said if part.startswith("charset=")]
    return all(charset == "utf-8" for charset in charsets)
