"""Serving on this machine: ports taken before anything is served, and an application that does not start."""

import httpx2
import pytest

from gateway.demo.serving import listen, listen_near, serve, url_of


async def greets(scope, receive, send) -> None:
    """An application that starts and says hello."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def fails(scope, receive, send) -> None:
    """An application that says it cannot start."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no"})


async def test_a_port_taken_before_is_served():
    """What is served on a port that was taken before answers at the URL that the port had."""
    listener = listen()
    url = url_of(listener)
    async with serve(greets, listener=listener, lifespan=True) as base, httpx2.AsyncClient() as client:
        answer = await client.get(base)
    assert (url, "hello") == (base, answer.text)
    assert "server" not in answer.headers


def test_a_taken_port_is_an_error_or_gives_way():
    """A port that somebody listens on is an error where it must be this one, and another one where it need not."""
    with listen() as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            listen(port)
        with listen_near(port) as other:
            assert port != other.getsockname()[1]


async def test_an_application_that_does_not_start_is_told():
    """Nothing is served where the application says that it cannot start."""
    with pytest.raises(RuntimeError, match="did not start"):
        async with serve(fails, lifespan=True):
            pass
