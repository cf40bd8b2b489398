"""A key server that is away, lies, or leads elsewhere: nobody gets in, and nobody is led anywhere."""

import contextlib
import json

import pytest

from gateway.identity.dev_issuer import new_key, public_keys
from tests.attack.scene import MARK
from tests.e2e import world as worlds
from tests.stub_upstream import answer, stub_upstream

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIES = {
    "away": lambda sink: None,
    "elsewhere": lambda sink: answer(b"", 302, None, Location=f"{sink.base}/keys"),
    "an error": lambda sink: answer(MARK.encode(), 500),
    "html": lambda sink: answer(f"<html>{MARK}".encode(), content_type="text/html"),
    "no keys": lambda sink: answer({"keys": []}),
    "a list": lambda sink: answer([MARK]),
    "a shared secret": lambda sink: answer({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": MARK}]}),
    "private keys": lambda sink: answer({"keys": [json.loads(new_key())]}),
    "beyond all measure": lambda sink: answer(public_keys(new_key()).encode() + b" " * (2 << 20) + b"x"),
}


@contextlib.contextmanager
def keys_at(url: str, monkeypatch):
    """Settings whose issuer's keys are fetched."""
    text = worlds.settings_text
    with monkeypatch.context() as changed:
        changed.setattr(
            worlds, "settings_text", lambda *a, **k: text(*a, **k).replace("jwks_file: jwks.json", f'jwks_url: "{url}"')
        )
        yield


async def test_a_key_server_that_lies_lets_nobody_in(tmp_path, monkeypatch):
    """503 until the keys can be read, whatever comes instead of them; then the door opens (and not before half a
    minute, so that a server in trouble is not asked without end)."""
    async with stub_upstream(lambda _: answer({"keys": []})) as sink, worlds.embedded() as (_, base):
        asked = []

        def keys(seen):
            asked.append(seen.target)
            whole = answer(public_keys(gate.key).encode())
            return LIES[case](sink) if case in LIES else [whole[:-20], 0.05, whole[-20:]]

        async with stub_upstream(keys) as server:
            with keys_at(f"{server.base}/keys", monkeypatch):
                async with worlds.world(tmp_path, base) as gate:
                    (source,) = [keys for _, keys in gate.services.verifier._trusted.values()]
                    for case in (*LIES, "the truth"):
                        source._tried = None  # half a minute later
                        found = [await gate.ask("Patient/rosa") for _ in range(3)]
                        assert [200 if case == "the truth" else 503] * 3 == [one.status for one in found], case
                        assert MARK.encode() not in found[0].body
        assert len(asked) <= len(LIES) + 2  # a connection that was hung up on is tried once more
        assert [] == sink.seen
