"""The typestate of a body: Held (upstream's or a sender's), Released (ours to send), and, in the ledger, Recorded.

Rules of this file (law 6)
1. A Held body is never written to a client or forwarded; only `gateway/release/` turns it into a Released one.
2. Released carries all that will be observable (status, headers, body) and the manifest of what is disclosed.
3. Only the ledger makes a Recorded of a Released; only a Recorded is written.
"""

from collections.abc import Mapping

import msgspec

from consent_store.model import PatientKey
from gateway.decision.model import Decision


class Held(msgspec.Struct, frozen=True):
    """A body as it arrived, with who sent it: it may hold what must not pass."""

    body: bytes
    status: int = 200


class Manifest(msgspec.Struct, frozen=True):
    """What a Released body discloses and withholds: the decisions, and whom they are about. Never resource content."""

    decisions: tuple[Decision, ...] = ()
    subjects: tuple[PatientKey, ...] = ()
    disclosed: tuple[str, ...] = ()  # "Type/id" of what leaves, masked or whole
    withheld: tuple[str, ...] = ()  # restricted
    obligations: tuple[str, ...] = ()


class Released(msgspec.Struct, frozen=True):
    """A body that may be sent once it is recorded. Made in `gateway/release/` alone (an import contract and a test
    hold every other room to it)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    manifest: Manifest = Manifest()
