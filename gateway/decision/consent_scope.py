"""The scope of a consent, in words that may accompany what was disclosed under it (42 CFR 2.32(b)).

Rules of this file
1. Told is what the permit that was relied on lets this recipient have: when it was given, for which purposes, which
   labels it names, how long. Nothing of its other provisions or actors (leaks.md L041).
2. Codes stand as they are; nobody's name and no id is told.
"""

from collections.abc import Iterable
from typing import Final

from consent_store.model import Coding, Consent, Expiry
from gateway.decision.consents import Permit

SCOPE: Final = "part2_consent_copy_or_scope_2.32b"


def scope_of(permit: Permit) -> str:
    """Give the scope of one permit as a sentence."""
    consent = permit.consent
    given = f" of {consent.date.text}" if consent.date is not None else ""
    purposes = f"for {_codes(permit.purposes)}" if permit.purposes else "for any purpose"
    data = f", data labelled {_codes(permit.labels)}" if permit.labels else ""
    return f"Disclosed with the patient's written consent{given}, {purposes}{data}, {_end(consent)}."


def _codes(codings: Iterable[Coding]) -> str:
    return ", ".join(sorted({coding.code for coding in codings if coding.code}))


def _end(consent: Consent) -> str:
    if consent.expiry is Expiry.EVENT:
        return "until the event it names"
    periods = (consent.period, *(provision.period for provision in consent.provisions))
    ends = [period.end.text for period in periods if period is not None and period.end is not None]
    return f"until {min(ends)}" if ends else "until it is revoked"
