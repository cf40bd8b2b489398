"""The one effective purpose of use of a request (law 3). A purpose is never assumed.

Rules of this file
1. Claimable is what the token states if it states any, else what the registry lists; the header selects one of these
   or a descendant, never more. Registry and token must both grant what results (purpose-of-use.md section 2).
2. A repeated or comma-listed header is 400; one unknown, misspelt or not granted is a constant 403 (L061, L096).
3. No purpose, an empty one, or several without a choice: 403 before anything else happens (L062).
4. An emergency, by its purpose or attested under any other, needs a client registered for it, a named person, a reason
   (42 CFR 2.51(c)) and a token with an id, by which it is used once (L063, L097).
"""

from collections.abc import Iterable
from typing import Final

from consent_store.model import ACT_REASON, Coding
from gateway.directory.lookups import covers_purpose
from gateway.errors import BadRequest, Forbidden
from gateway.fhir.terminology import purpose_is_a, purpose_of
from gateway.identity.caller import Caller

HEADER: Final = "X-Purpose-Of-Use"

_NAME: Final = HEADER.lower().encode()
_EMERGENCY: Final = Coding(ACT_REASON, "ETREAT")  # BTG falls under it in v3-ActReason
_NONE: Final = f"a purpose of use is required, in the token or as `{HEADER}`"
_CHOOSE: Final = f"the token states several purposes of use: choose one by `{HEADER}`"
_NOT_GRANTED: Final = "this purpose of use is not granted to this client"


def purpose_header(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Give the text of the purpose header of a request, None without one.

    Raises BadRequest where it is repeated or lists several, Forbidden for another spelling of its name (`_` for `-`)
    and for text that is not plain ASCII.
    """
    found = [(name.lower(), value) for name, value in headers if name.lower().replace(b"_", b"-") == _NAME]
    if not found:
        return None
    if len(found) > 1 or b"," in found[0][1]:
        raise BadRequest(f"`{HEADER}` must stand once and name one purpose")
    name, value = found[0]
    if name != _NAME or not value.isascii():
        raise Forbidden(_NOT_GRANTED)
    return value.decode("ascii")


def effective_purpose(caller: Caller, header: str | None) -> Coding:
    """Give the one purpose that this caller exchanges for. Raises Forbidden by the rules above."""
    purpose = _selected(caller, header)
    if caller.participant.purposes is None or not covers_purpose(caller.participant.purposes, purpose):
        raise Forbidden(_NOT_GRANTED)
    if is_emergency(caller, purpose):
        _check_emergency(caller)
    return purpose


def is_emergency(caller: Caller, purpose: Coding) -> bool:
    """Say whether a caller asks in an emergency: for such a purpose, or because its token attests one."""
    return purpose_is_a(purpose, _EMERGENCY) or caller.attests_emergency


def _selected(caller: Caller, header: str | None) -> Coding:
    stated = caller.purposes
    if stated == () or (stated is None and header is None) or (header is not None and not header):
        raise Forbidden(_NONE)
    if header is None:
        if len(stated or ()) != 1:
            raise Forbidden(_CHOOSE)
        return (stated or ())[0]
    try:
        if header != header.strip():
            raise ValueError("spaced")  # noqa: TRY301  the same refusal as purpose_of's own
        purpose = purpose_of(header)
    except ValueError:
        raise Forbidden(_NOT_GRANTED) from None
    if stated is not None and not any(purpose_is_a(purpose, one) for one in stated):
        raise Forbidden(_NOT_GRANTED)
    return purpose


def _check_emergency(caller: Caller) -> None:
    person = caller.initiator
    named = person is not None and (person.reference or person.identifiers)
    if not caller.may_break_glass or not caller.token_id or not named or person is None or not person.break_glass:
        raise Forbidden(_NOT_GRANTED)
