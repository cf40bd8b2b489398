"""The causes that consents give to a decision, in plain words.

Rules of this file
1. A cause names the provision by its path, never its content (law 7).
2. What cannot be read or evaluated is told as a refusal that waits for a review.
"""

from consent_store.model import Consent, Effect, Unreadable
from gateway.decision.model import Cause


def cause_of(consent: Consent, place: str, effect: Effect, *, unreadable: bool) -> Cause:
    """Give the cause that the provision at `place` (`Consent/id#path`) is where it speaks."""
    if effect is Effect.PERMIT:
        say = f"The patient's consent {_dated(consent)} permits it."
        return Cause(layer="patient", effect="permit", rule="consent-permits", consent=place, say=say)
    say = f"The patient's consent {_dated(consent)} refuses it."
    if unreadable:
        say = f"The patient's consent {_dated(consent)} has a refusal that cannot be read, and so stands."
    return _deny("consent-refuses", place, say)


def unevaluable(consent: Consent | Unreadable, name: str) -> Cause:
    """Give the cause that a consent is which cannot be evaluated."""
    unreadable = isinstance(consent, Unreadable)
    rule = "consent-unreadable" if unreadable else "consent-not-evaluable"
    verb = "read" if unreadable else "evaluated"
    say = f"The patient's consent {_dated(consent)} cannot be {verb}; until it is reviewed it can only refuse."
    return _deny(rule, name, say)


def _dated(consent: Consent | Unreadable) -> str:
    return f"of {consent.date.text}" if consent.date is not None else "without date"


def _deny(rule: str, place: str, say: str) -> Cause:
    return Cause(
        layer="patient",
        effect="deny",
        rule=rule,
        deny_class="patient",
        consent=place,
        say=say,
        reason="patient_request",
    )
