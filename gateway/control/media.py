"""Content types of the Consent API: FHIR JSON, with the FHIR version as a parameter (FHIR R4 http.html 3.1.0.1.15).

Rules of this file
1. `application/fhir+json` or `application/json`; `fhirVersion` 4.0 (also 4.3 and none) or 5.0; UTF-8.
2. What is of another type is refused: 415 for what is sent, 406 for what is asked for.
"""

from email.message import Message
from typing import Final

from gateway.errors import Unacceptable, UnsupportedMedia

R4: Final = "4.0"
R5: Final = "5.0"
NDJSON: Final = "application/fhir+ndjson"
_TYPES: Final = frozenset({"application/fhir+json", "application/json"})
_LINES: Final = frozenset({NDJSON, "application/ndjson", "application/x-ndjson"})
_ANY: Final = frozenset({"*/*", "application/*"})
_VERSIONS: Final = {"4.0": R4, "4.0.1": R4, "4.3": R4, "4.3.0": R4, "5.0": R5, "5.0.0": R5}


def sent_version(content_type: str) -> str:
    """Give the FHIR version ("4.0" or "5.0") of a body by its Content-Type. Raises UnsupportedMedia."""
    kind, parameters = _parsed(content_type)
    version = _VERSIONS.get(parameters.get("fhirversion", R4))
    if kind not in _TYPES or version is None or parameters.get("charset", "utf-8").lower() != "utf-8":
        raise UnsupportedMedia("send application/fhir+json; fhirVersion 4.0 or 5.0")
    return version


def body_is_lines(content_type: str) -> bool:
    """Say whether a body of records is NDJSON (FHIR Bulk Data), by its Content-Type. Raises UnsupportedMedia for
    anything but that and FHIR JSON of R4."""
    kind, _ = _parsed(content_type)
    if kind in _LINES:
        return True
    if sent_version(content_type) != R4:
        raise UnsupportedMedia("send application/fhir+json of R4, or application/fhir+ndjson")
    return False


def asked_version(accept: str) -> str | None:
    """Give the FHIR version that an Accept header asks for; None where it asks for none. Raises Unacceptable."""
    named: list[str | None] = []
    for choice in accept.split(",") if accept.strip() else ["*/*"]:
        kind, parameters = _parsed(choice)
        if kind not in _TYPES | _ANY or parameters.get("q", "1").strip("0.") == "":
            continue
        if "fhirversion" not in parameters:
            named.append(None)
        elif parameters["fhirversion"] in _VERSIONS:
            named.append(_VERSIONS[parameters["fhirversion"]])
    if not named:
        raise Unacceptable("only application/fhir+json of version 4.0 or 5.0 is given")
    return None if None in named or len(set(named)) > 1 else named[0]


def wants_text(accept: str) -> bool:
    """Say whether an Accept header asks for plain text before JSON."""
    kinds = [_parsed(choice)[0] for choice in accept.split(",")]
    named = [kind for kind in kinds if kind == "text/plain" or kind in _TYPES | _ANY]
    return named[:1] == ["text/plain"]


def content_type(fhir_version: str) -> str:
    """Give the Content-Type of a resource of this FHIR version."""
    return f"application/fhir+json; fhirVersion={fhir_version}; charset=utf-8"


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    message = Message()
    message["content-type"] = text.strip() or "none/none"
    pairs = message.get_params(failobj=[])
    return message.get_content_type(), {name.lower(): str(value) for name, value in pairs[1:]}
