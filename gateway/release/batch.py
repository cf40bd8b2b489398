"""Released answers of single requests → one batch-response. Each entry is what the request alone would have got.

Rules of this file
1. The entry for a withheld resource equals the entry for one that never existed (leaks.md L031, L044).
2. Decisions keep their pointers, beneath the entry they stand in.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.decision.judge import Judgement
from gateway.release.compose import manifest_of
from gateway.release.released import Manifest, Released

_REASONS: Final = {
    200: "200 OK",
    400: "400 Bad Request",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    406: "406 Not Acceptable",
    415: "415 Unsupported Media Type",
    422: "422 Unprocessable Entity",
    501: "501 Not Implemented",
}


def compose_batch(answers: Sequence[Released], bundle_id: str) -> Released:
    """Compose the batch-response of several answers, in their order (R4 http.html 3.1.0.11.2)."""
    texts = [_entry(answer) for answer in answers]
    head = msgspec.json.encode({"resourceType": "Bundle", "id": bundle_id, "type": "batch-response"})
    body = head[:-1] + (b',"entry":[' + b",".join(texts) + b"]}" if texts else b"}")
    moved = tuple(
        msgspec.structs.replace(decision, at=f"/entry/{index}/resource{decision.at}")
        for index, answer in enumerate(answers)
        for decision in answer.manifest.decisions
    )
    return Released(200, {}, body, manifest_of([Judgement(moved, frozenset(), {})]) if moved else Manifest())


def _entry(answer: Released) -> bytes:
    status = msgspec.json.encode(_REASONS.get(answer.status, str(answer.status)))
    if answer.status == 200:
        return b'{"resource":%b,"response":{"status":%b}}' % (answer.body, status)
    return b'{"response":{"status":%b,"outcome":%b}}' % (status, answer.body)
