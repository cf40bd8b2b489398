"""Recorded before released: only the ledger makes what may be sent."""

import pytest

from gateway.ledger.model import REQUEST_ID, Recorded, new_request_id


def test_nobody_else_makes_a_recorded():
    """Law 6: without the ledger there is nothing that can be written to a client."""
    with pytest.raises(TypeError, match="only the ledger"):
        Recorded(object(), "released", 1, "r")


def test_request_ids_are_random_and_of_one_length():
    """A request id tells neither how many requests there are nor when they came."""
    ids = {new_request_id() for _ in range(100)}
    assert 100 == len(ids)
    assert all(REQUEST_ID.fullmatch(one) for one in ids)
