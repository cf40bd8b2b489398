"""The one effective purpose: bound by token, registry and header (law 3)."""

import pytest

from consent_store.model import ACT_REASON, Coding, Identifier
from gateway.decision.model import Initiator
from gateway.directory.model import Participant
from gateway.errors import BadRequest, Forbidden
from gateway.identity.caller import Caller
from gateway.identity.purpose import effective_purpose, purpose_header


def reason(code: str) -> Coding:
    """A purpose of v3-ActReason."""
    return Coding(ACT_REASON, code)


def caller(token=None, registry=("TREAT", "HPAYMT"), **more) -> Caller:
    """A caller whose token states `token` purposes (None: none) and whose registry lists `registry`."""
    granted = None if registry is None else frozenset(registry)
    stated = None if token is None else tuple(reason(code) for code in token)
    party = Participant(id="p", type="mco", purposes=granted)
    return Caller(participant=party, client_id="c", issuer="i", purposes=stated, **more)


@pytest.mark.parametrize(
    ("token", "registry", "header", "purpose"),
    [
        (("TREAT",), ("TREAT",), None, "TREAT"),
        (("TREAT",), ("TREAT",), "TREAT", "TREAT"),
        (("TREAT",), ("TREAT",), f"{ACT_REASON}|COC", "COC"),
        (("TREAT",), ("TREAT",), "urn:oid:2.16.840.1.113883.5.8#COC", "COC"),
        (("TREAT", "HPAYMT"), ("TREAT", "HPAYMT"), "HPAYMT", "HPAYMT"),
        (("HPAYMT",), ("HPAYMT",), "CLMATTCH", "CLMATTCH"),
        (None, ("TREAT", "HPAYMT"), "TREAT", "TREAT"),
        (None, ("HOPERAT",), "CAREMGT", "CAREMGT"),
        (("COC",), ("TREAT",), None, "COC"),
        (("HOPERAT",), ("CAREMGT",), "CAREMGT", "CAREMGT"),
    ],
)
def test_a_granted_purpose_is_effective(token, registry, header, purpose):
    """The token's one purpose, or the header's choice among what token or registry state, or a descendant of it."""
    assert reason(purpose) == effective_purpose(caller(token, registry), header)


@pytest.mark.parametrize(
    ("token", "registry", "header"),
    [
        (None, ("TREAT",), None),  # a registry's only purpose is not a claim
        ((), ("TREAT",), None),
        ((), ("TREAT",), "TREAT"),
        (("TREAT",), ("TREAT",), ""),
        (("TREAT", "HPAYMT"), ("TREAT", "HPAYMT"), None),
        (("HPAYMT",), ("HPAYMT", "TREAT"), "TREAT"),
        (("COC",), ("TREAT",), "TREAT"),
        (("TREAT",), ("HPAYMT",), None),
        (("TREAT",), ("COC",), None),
        (("TREAT",), (), None),
        (("TREAT",), None, None),
        (None, (), "TREAT"),
        (("CAREMGT",), ("TREAT", "CAREMGT"), "TREAT"),
        (("TREAT",), ("TREAT",), "CAREMGT"),
    ],
)
def test_a_purpose_that_is_missing_or_not_granted_is_refused(token, registry, header):
    """Nothing stated, nothing chosen, more than the token or the registry gives: 403."""
    with pytest.raises(Forbidden):
        effective_purpose(caller(token, registry), header)


@pytest.mark.parametrize("header", ["TREAT", "TREAT ", " HPAYMT", "tReAt", "TREATS", "HPAYMT TREAT", "|HPAYMT", "x|"])
def test_every_spoofed_header_gets_the_same_answer(header):
    """Whatever a header claims beyond the token, in whatever spelling, is answered by one text (L061)."""
    with pytest.raises(Forbidden) as caught:
        effective_purpose(caller(("HPAYMT",)), header)
    assert "this purpose of use is not granted to this client" == caught.value.message


def test_the_header_is_read_once_and_whole():
    """No header is None; one is its text; the request's other headers do not matter."""
    assert purpose_header([(b"accept", b"*/*")]) is None
    assert "TREAT" == purpose_header([(b"X-Purpose-Of-Use", b"TREAT"), (b"accept", b"*/*")])
    assert "" == purpose_header([(b"x-purpose-of-use", b"")])


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-purpose-of-use", b"TREAT"), (b"x-purpose-of-use", b"TREAT")],
        [(b"x-purpose-of-use", b"TREAT"), (b"X-Purpose-Of-Use", b"HPAYMT")],
        [(b"x-purpose-of-use", b"TREAT"), (b"x_purpose_of_use", b"HPAYMT")],
        [(b"x-purpose-of-use", b"TREAT, HPAYMT")],
        [(b"x-purpose-of-use", b"TREAT,")],
    ],
)
def test_two_purposes_in_the_header_are_400(headers):
    """A repeated or comma-listed header is an error of form (L096)."""
    with pytest.raises(BadRequest):
        purpose_header(headers)


@pytest.mark.parametrize("headers", [[(b"x_purpose_of_use", b"TREAT")], [(b"x-purpose-of-use", b"TREAT\xc3\xa9")]])
def test_another_spelling_of_the_header_is_refused(headers):
    """A name that some servers take for ours, and text outside ASCII, are 403 and not passed over (L061)."""
    with pytest.raises(Forbidden):
        purpose_header(headers)


def test_emergency_needs_every_precondition():
    """BTG and ETREAT need a client that may, a named person, a reason, a token's id; without any it is 403 (L063)."""
    person = Initiator(identifiers=frozenset({Identifier("urn:npi", "1")}), break_glass="found down")
    silent = Initiator(identifiers=person.identifiers)
    nameless = Initiator(break_glass="found down")
    for header in ("BTG", "ETREAT", "ERTREAT"):
        whole = caller(("TREAT",), may_break_glass=True, initiator=person, token_id="t")
        assert reason(header) == effective_purpose(whole, header)
        for lacking in (
            caller(("TREAT",), initiator=person, token_id="t"),
            caller(("TREAT",), may_break_glass=True, token_id="t"),
            caller(("TREAT",), may_break_glass=True, initiator=person),
            caller(("TREAT",), may_break_glass=True, initiator=silent, token_id="t"),
            caller(("TREAT",), may_break_glass=True, initiator=nameless, token_id="t"),
            caller(("HPAYMT",), may_break_glass=True, initiator=person, token_id="t"),
        ):
            with pytest.raises(Forbidden):
                effective_purpose(lacking, header)
