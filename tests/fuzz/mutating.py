"""Inputs made from inputs: seeded, so that the same seed gives the same ones; and failing ones made small.

Half of the changes know what they change (a token of the text, a JSON value, a piece between separators), half do not.
"""

import random
import re
from collections.abc import Callable, Generator, Sequence

_SIGNS = r"""
" \ \u0000 \ud800 \udc00\ud800 "resourceType":"Patient" "a":1,"a":2 { } [ ] : , null true NaN -Infinity 1e400 -0.0
%2e %2F %00 %25 % .. // / ; ? # @ & = + | $ \, _history urn:uuid: http:// Patient/ /Patient/1 Z ge ap contained entry
2024-02-30 T24:00:00 +14:00 +14:30 -00:00 :60 .1234567 9999 0000 resource coding meta security "reference":"Patient/1"
{"resourceType":"Bundle","entry":[]} https://gateway.example/t/ehr"""
WORDS = (
    *_SIGNS.encode().split(),
    *(text.encode() for text in ("\ufeff", "\u00e9", "\u017f", "\u0663", "\u2028")),
    *(b"0" * 120, b"1" * 120, b"\xff", b"\xc0\xaf", b"\x00", b"\r\n", b"\t", b" "),
)
_PIECES = re.compile(rb'"(?:[^"\\]|\\.)*"|[A-Za-z0-9_.-]+|\s+|.', re.DOTALL)


def mutated(seeds: Sequence[bytes], rand: random.Random) -> bytes:
    """Give a seed with one to four changes."""
    text = rand.choice(seeds)
    for _ in range(rand.choice((1, 1, 2, 4))):
        text = _by_piece(text, seeds, rand) if rand.random() < 0.5 else _by_byte(text, rand)
    return text


def _by_piece(text: bytes, seeds: Sequence[bytes], rand: random.Random) -> bytes:
    pieces = _PIECES.findall(text) or [b""]
    at, other = rand.randrange(len(pieces)), rand.randrange(len(pieces))
    match rand.randrange(6):
        case 0:
            pieces[at] = rand.choice(WORDS)
        case 1:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        case 2:
            pieces.insert(at, pieces[other])
        case 3:
            del pieces[at]
        case 4:
            first, last = sorted((at, other))
            pieces[at:at] = pieces[first : min(last, first + 20)]
        case _:
            pieces[at] = rand.choice(_PIECES.findall(rand.choice(seeds)) or [b""])
    return b"".join(pieces)


def _by_byte(text: bytes, rand: random.Random) -> bytes:
    at = rand.randrange(len(text) + 1)
    match rand.randrange(4):
        case 0:
            return text[:at] + rand.choice(WORDS) + text[at:]
        case 1:
            return text[:at] + bytes([rand.randrange(256)]) + text[at + 1 :]
        case 2:
            return text[:at] + text[at + rand.randrange(1, 9) :]
        case _:
            return text[:at] + text[at : at + 8] * rand.randrange(1, 4) + text[at:]


def shrunk(failing: bytes, fails: Callable[[bytes], bool], *, tries: int = 2000) -> bytes:
    """Give a smaller input that still fails."""
    steps = shrinking(failing, tries)
    try:
        smaller = next(steps)
        while True:
            smaller = steps.send(fails(smaller))
    except StopIteration as done:
        return bytes(done.value)


def shrinking(failing: bytes, tries: int) -> Generator[bytes, bool, bytes]:
    """Give smaller inputs one by one and be told whether each still fails; pieces are left out, large ones first."""
    size = max(len(failing) // 2, 1)
    while size and tries > 0:
        at, found = 0, False
        while at < len(failing) and tries > 0:
            tries -= 1
            smaller = failing[:at] + failing[at + size :]
            if (yield smaller):
                failing, found = smaller, True
            else:
                at += size
        size = size if found and size > 1 else size // 2
    return failing
