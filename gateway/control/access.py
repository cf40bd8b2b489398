"""Who may do what on the control plane: roles of a verified token, and the one patient of a patient's app.

Rules of this file
1. A role is in the token (`roles`, or a word of `scope`) and nowhere else; no role, nothing (L098).
2. A client registered for exchanging data has no role here, whatever its token says: it cannot write policy for itself
   (L080). A patient's app has the role of a patient's app and no other.
3. A patient's app acts for one patient of one server; where several are served, its token must say which.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from consent_store.model import Identifier, PatientKey
from gateway.directory.lookups import client_of
from gateway.directory.model import Directory
from gateway.errors import Forbidden
from gateway.identity.caller import PATIENT, caller_of
from gateway.identity.tokens import Claims, bearer

_PATIENT: Final = re.compile(r"(?:(?:(?P<base>https?://\S+)/)?Patient/)?(?P<id>[A-Za-z0-9\-.]{1,64})")

Sources = Mapping[str, frozenset[str]]
"""The servers whose patients consents are about: PatientKey source → base URLs that are that server's own."""


class Role(StrEnum):
    """What a token may be for."""

    PATIENT_APP = "patient_app"
    PRIVACY_OFFICER = "privacy_officer"
    OPERATOR = "operator"
    CONSENT_CONSULT = "consent_consult"


class Access(msgspec.Struct, frozen=True):
    """Who asks, in which roles, by which token; `patient` is set exactly for a patient's app, `identifiers` are those
    registered."""

    client_id: str
    roles: frozenset[Role]
    patient: PatientKey | None = None
    identifiers: frozenset[Identifier] = frozenset()
    issuer: str = ""
    token_id: str = ""

    def need(self, *roles: Role) -> None:
        """Raise Forbidden unless one of `roles` is held."""
        if self.roles.isdisjoint(roles):
            raise Forbidden("this client has no role that may do this")


class TokenVerifier(Protocol):
    """Turns a token's text into verified claims (`gateway.identity.tokens.Verifier`)."""

    async def verify(self, token: str) -> Claims:
        """Raises Unauthenticated, Unavailable."""
        ...


class Doorkeeper:
    """Gives each request its Access."""

    def __init__(self, verifier: TokenVerifier, directory: Callable[[], Directory], sources: Sources) -> None:
        self._verifier, self._directory, self._sources = verifier, directory, sources

    async def access(self, authorization: list[str]) -> Access:
        """Say who asks. Raises Unauthenticated, and Forbidden by the rules above."""
        claims = await self._verifier.verify(bearer(authorization))
        directory, roles = self._directory(), roles_of(claims)
        client = client_of(directory, claims.issuer, claims.client_id)
        if client is None:
            if not roles or Role.PATIENT_APP in roles:
                raise Forbidden("this client has no role here")
            return Access(claims.client_id, roles, issuer=claims.issuer, token_id=claims.token_id)
        if directory.participants[client.participant].type != PATIENT or roles != {Role.PATIENT_APP}:
            raise Forbidden("this client has no role here")
        participant = caller_of(claims, directory).participant
        (reference,) = participant.references
        patient = patient_key(reference, self._sources)
        if patient is None:
            raise Forbidden("the token must name a patient of a server that is served here")
        return Access(claims.client_id, roles, patient, participant.identifiers)


def roles_of(claims: Claims) -> frozenset[Role]:
    """Give the roles a token states in `roles` (a list) or `scope` (words); words that are no roles are none."""
    said, scope = claims.all.get("roles"), claims.all.get("scope")
    words = [*(said if isinstance(said, list) else ()), *(scope.split() if isinstance(scope, str) else ())]
    return frozenset(role for role in Role if role.value in words)


def patient_key(reference: str, sources: Sources) -> PatientKey | None:
    """Give the key of `id`, `Patient/id` or `base/Patient/id`; None where it is open or unknown whose patient it is."""
    match = _PATIENT.fullmatch(reference)
    if match is None:
        return None
    base = (match["base"] or "").rstrip("/")
    own = [source for source, bases in sources.items() if not base or base in {one.rstrip("/") for one in bases}]
    return PatientKey(own[0], match["id"]) if len(own) == 1 else None
