"""Consents as patients and privacy officers write them: by the Consent API of the control plane.

Rules of this file
1. A consent is sent as it was signed, byte for byte; revoking changes its status and nothing else.
2. Whoever signs is told only by its token.
"""

import time
from typing import Final

import aiohttp
import msgspec

from gateway.demo.asking import FHIR_JSON

_ACTIVE: Final = msgspec.json.encode("active")


class Signed(msgspec.Struct, frozen=True):
    """A consent that the gateway acknowledged: its id, version and text, and when (a reading of `time.monotonic`)."""

    id: str
    etag: str
    text: bytes
    acknowledged: float

    @property
    def reference(self) -> str:
        """How decisions name it."""
        return f"Consent/{self.id}"


class Unsigned(Exception):
    """The gateway did not take a consent."""


class Pen:
    """Writes consents at the control plane."""

    def __init__(self, session: aiohttp.ClientSession, control: str) -> None:
        self._session, self._url = session, f"{control}/fhir/Consent"

    async def sign(self, text: bytes, token: str) -> Signed:
        """Store a new consent. Raises Unsigned."""
        return await self._send("POST", self._url, text, token, {})

    async def revoke(self, consent: Signed, token: str) -> Signed:
        """Make a consent inactive. Raises Unsigned."""
        members = msgspec.json.decode(consent.text, type=dict[str, msgspec.Raw])
        if bytes(members["status"]) != _ACTIVE:
            raise Unsigned("only an active consent can be revoked")
        members["status"] = msgspec.Raw(b'"inactive"')
        text = msgspec.json.encode(members)
        return await self._send("PUT", f"{self._url}/{consent.id}", text, token, {"If-Match": consent.etag})

    async def _send(self, method: str, url: str, text: bytes, token: str, headers: dict[str, str]) -> Signed:
        headers = headers | {"Authorization": f"Bearer {token}", "Content-Type": FHIR_JSON}
        async with self._session.request(method, url, data=text, headers=headers) as response:
            acknowledged = time.monotonic()
            stored = await response.read()
            if response.status not in {200, 201}:
                raise Unsigned(f"the Consent API answered {response.status}: {stored.decode(errors='replace')[:300]}")
            tree = msgspec.json.decode(stored)
            return Signed(tree["id"], response.headers["ETag"], stored, acknowledged)
