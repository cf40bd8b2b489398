"""What the embedded upstream answers with, and how it refuses.

Rules of this file
1. A refusal is an OperationOutcome with a chatty text, as real servers' are; whoever stands in front must not
   pass it on.
2. Headers tell version and time of what was read or written (R4 3.1.0.5).
"""

from dataclasses import dataclass, field
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final

import msgspec

from gateway.demo.store import Stored

FHIR_JSON: Final = "application/fhir+json;charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """Status, body and headers of one answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request this server does not carry out: HTTP status, FHIR issue code, text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text

    def answer(self) -> Answer:
        """Give the refusal as an answer."""
        issue = {"severity": "error", "code": self.code, "diagnostics": self.text}
        body = msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})
        extra = (
            {"WWW-Authenticate": 'Basic realm="embedded upstream"'} if self.status == HTTPStatus.UNAUTHORIZED else {}
        )
        return Answer(self.status, body, extra)


def held_answer(held: Stored) -> Answer:
    """Give a stored version as the answer to a read."""
    modified = format_datetime(held.updated, usegmt=True)
    return Answer(200, held.raw, {"ETag": f'W/"{held.version}"', "Last-Modified": modified})


def written_answer(held: Stored, base: str, *, created: bool, minimal: bool) -> Answer:
    """Give the answer to a create or an update; without the body where the client preferred `return=minimal`."""
    read = held_answer(held)
    place = {"Location": f"{base}/{held.name}/_history/{held.version}"}
    return Answer(201 if created else 200, b"" if minimal else read.body, read.headers | place)
