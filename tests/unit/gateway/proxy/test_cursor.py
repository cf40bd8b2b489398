"""Page links: sealed, bound to who asked what for which purpose, and refused in one way."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.errors import BadRequest
from gateway.proxy.cursor import KEY_BYTES, LIFETIME, Binding, Cursors, Place, take

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
BINDING = Binding(
    route="ny/hospital",
    client="https://id.example app",
    participant="plan",
    purpose="system|HPAYMT",
    query=(("Observation", ""), ("patient", "p1")),
    policy="sha256:aa",
)
PLACE = Place("?_getpages=abc", 7)


class Watch:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def test_a_cursor_gives_its_place_back():
    """Who asks the same for the same purpose comes to the place where the page before ended."""
    cursors = Cursors(b"k" * KEY_BYTES, Watch(NOW))
    assert PLACE == cursors.open(cursors.seal(PLACE, BINDING), BINDING)


@pytest.mark.parametrize(
    "change",
    [
        {"route": "ny/clinic"},
        {"client": "https://id.example other"},
        {"participant": "cma"},
        {"purpose": "system|CAREMGT"},
        {"query": (("Observation", ""), ("patient", "p2"))},
        {"policy": "sha256:bb"},
    ],
)
def test_a_cursor_belongs_to_all_it_is_bound_to(change):
    """A cursor of another route, client, participant, purpose, query or policy is refused (leaks.md L024, L030)."""
    cursors = Cursors(b"k" * KEY_BYTES, Watch(NOW))
    with pytest.raises(BadRequest):
        cursors.open(cursors.seal(PLACE, BINDING), msgspec.structs.replace(BINDING, **change))


def test_every_refusal_is_the_same():
    """Forged, cut, from another key, expired, not base64, too long: one message."""
    watch = Watch(NOW)
    cursors = Cursors(b"k" * KEY_BYTES, watch)
    good = cursors.seal(PLACE, BINDING)
    other = Cursors(b"o" * KEY_BYTES, watch).seal(PLACE, BINDING)
    flipped = good[:40] + ("A" if good[40] != "A" else "B") + good[41:]
    said = set()
    for bad in (flipped, good[:-8], other, "", "%%%", "\u00e9", "A" * 20_000):
        with pytest.raises(BadRequest) as refused:
            cursors.open(bad, BINDING)
        said.add(refused.value.message)
    watch.at += LIFETIME
    with pytest.raises(BadRequest) as refused:
        cursors.open(good, BINDING)
    assert 1 == len(said | {refused.value.message})


def test_a_cursor_holds_until_its_time_is_over():
    """One second before its end a cursor still opens."""
    watch = Watch(NOW)
    cursors = Cursors(b"k" * KEY_BYTES, watch)
    good = cursors.seal(PLACE, BINDING)
    watch.at += LIFETIME - timedelta(seconds=1)
    assert PLACE == cursors.open(good, BINDING)


def test_the_length_of_a_cursor_tells_nothing():
    """Short and long upstream tokens, small and large offsets make cursors of one length; none shows its text."""
    cursors = Cursors(b"k" * KEY_BYTES, Watch(NOW))
    texts = [cursors.seal(Place("?_getpages=" + "t" * size, skip), BINDING) for size, skip in ((1, 0), (300, 199))]
    assert 1 == len({len(text) for text in texts})
    assert 2 == len({text[:16] for text in texts})


def test_the_cursor_is_parted_from_the_query():
    """The cursor is taken out once; two of them are refused."""
    pairs = (("patient", "p1"), ("_cursor", "c"), ("_count", "5"))
    assert ("c", (("patient", "p1"), ("_count", "5"))) == take(pairs)
    assert (None, ()) == take(())
    with pytest.raises(BadRequest):
        take((*pairs, ("_cursor", "d")))
