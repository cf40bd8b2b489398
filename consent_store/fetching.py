"""How a store that reads a FHIR server gets one answer over HTTP: the interface, and its implementation by aiohttp.

Rules of this file
1. One GET, one whole answer of bounded size in bounded time, or FetchFailed. Nothing is tried again, but by aiohttp
   itself where the connection was closed before any answer.
2. No redirect is followed, nothing is decoded, no answer may come from a cache.
3. Request headers are the constants below and our own credentials.
"""

from typing import Final, Protocol

import aiohttp
from yarl import URL

from consent_store.searchset import Answer

# HAPI FHIR may give the result of an equal search of the last minute again unless told `no-cache` (hapifhir.io,
# "Performance"); told `no-store` it gives one page, calls that the total and links no other (observed, 8.x). What a
# server does not understand is to be an error, never left out in silence (FHIR R4 search.html 3.1.1.2).
_HEADERS: Final = {
    "Accept": "application/fhir+json",
    "Accept-Encoding": "identity",
    "Cache-Control": "no-cache",
    "Prefer": "handling=strict",
}


class FetchFailed(Exception):
    """No whole answer came; the text is the class of what went wrong."""


class Fetch(Protocol):
    """Gets one URL."""

    async def __call__(self, url: str) -> Answer:
        """Give the answer, of whatever status. Raises FetchFailed."""
        ...


class AiohttpFetch:
    """Gets URLs through a pooled session, whose cookies must be off; `authorization` "" sends no credentials."""

    def __init__(
        self, session: aiohttp.ClientSession, *, authorization: str = "", most: int = 32 << 20, answer_s: float = 20.0
    ) -> None:
        self._session, self._most = session, most
        self._headers = _HEADERS | ({"Authorization": authorization} if authorization else {})
        self._timeout = aiohttp.ClientTimeout(total=answer_s)

    async def __call__(self, url: str) -> Answer:
        """See `Fetch`."""
        try:
            async with self._session.get(
                URL(url, encoded=True), headers=self._headers, allow_redirects=False, timeout=self._timeout
            ) as response:
                headers = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
                return Answer(response.status, headers, await self._body(response))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise FetchFailed(type(error).__name__) from None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > self._most:
                raise FetchFailed("TooLarge")
            parts.append(part)
        return b"".join(parts)
