"""What a privacy officer is to look at: emergencies, one question under several purposes, attempts to raise a label.

Rules of this file
1. An alert rests on requests alone, never on what a record holds or whether it is there: it tells nothing of it.
2. Each is a line of the log, a count, and a word in the intent of its request (`GET /control/alerts`).
3. What is kept to compare questions is a keyed digest: of whom was asked cannot be read from it (L072).
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from gateway.fhir.interaction import Interaction
from gateway.proxy.cursor import PARAMETER

WINDOW: Final = timedelta(hours=1)
MOST_KEPT: Final = 20_000


class Alert(StrEnum):
    """What there is to look at."""

    EMERGENCY = "emergency"  # access was asked for in an emergency (leaks.md L063)
    PURPOSES = "several-purposes"  # one client asked the same for another purpose within the window (L099)
    LABEL = "label-raise"  # a client proposed a higher label, which was not written (L082)


class Purposes:
    """Remembers which questions a client asked for which purposes, while the window lasts."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._kept: OrderedDict[bytes, tuple[datetime, frozenset[str]]] = OrderedDict()

    def is_new(self, client: str, route: str, interaction: Interaction, purpose: str, at: datetime) -> bool:
        """Take one question; say whether this client asked it under another purpose, and not yet under this one."""
        asked = sorted((one.name, one.value) for one in interaction.parameters if one.name != PARAMETER)
        said = (client, route, interaction.kind, interaction.type, interaction.id, interaction.compartment, asked)
        digest = hmac.digest(self._key, msgspec.json.encode(said), hashlib.sha256)
        began, purposes = self._kept.get(digest, (at, frozenset[str]()))
        if at - began > WINDOW:
            began, purposes = at, frozenset[str]()
        self._kept[digest] = (began, purposes | {purpose})
        self._kept.move_to_end(digest)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return bool(purposes) and purpose not in purposes
