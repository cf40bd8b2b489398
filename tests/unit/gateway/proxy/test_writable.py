"""What may be written: what is marked when it is pushed is never changed by those who exchange."""

from gateway.decision.pushed import MARKED
from gateway.proxy.writable import BESIDE, NOT_CREATED, NOT_UPDATED, TOGETHER


def test_what_is_marked_is_not_updated():
    """Else the mark, or what it stands beside, could be changed by who pushed it (L080)."""
    assert set() == MARKED - NOT_UPDATED


def test_what_is_sent_in_company_is_marked_and_not_updated():
    """Lists, provenances, roles and affiliations are data: marked, and kept as they came."""
    assert set() == (TOGETHER.keys() | BESIDE) - MARKED
    assert set() == NOT_CREATED - NOT_UPDATED
