"""What somebody would write in an afternoon: FastAPI, httpx2 and a JSON library, withholding by a rule of thumb.

    python -m tests.bench.door.plain RULE PORT

It parses the Bundle, drops the entries (and the lines of a bill) that are, or name, what its rule file lists, and
serialises what is left. The file lists the Part 2 program, its visits and the records that the gateway withholds from
the fixture, so that both withhold the same. It knows no consents, tokens, purposes, labels or ledger, follows no
reference, cuts no count or link and cannot tell why. It is what the gateway's price is held against, not to be run.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import uvicorn
from fastapi import FastAPI, Request, Response

FHIR_JSON = "application/fhir+json"


class Rule(msgspec.Struct, frozen=True):
    """Where the records are, how to ask for them, and which references are not to be told."""

    upstream: str
    user: str
    password: str
    withheld: frozenset[str]


def plain_app(rule: Rule) -> FastAPI:
    """Give the proxy as an ASGI application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        limits = httpx2.Limits(max_connections=100, max_keepalive_connections=100)
        async with httpx2.AsyncClient(auth=(rule.user, rule.password), limits=limits) as client:
            app.state.client = client
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.get("/fhir/{path:path}")
    async def ask(path: str, request: Request) -> Response:
        asked = f"{rule.upstream}/{path}" + (f"?{request.url.query}" if request.url.query else "")
        answer = await request.app.state.client.get(asked, headers={"Accept": FHIR_JSON})
        if answer.status_code != 200:
            return Response(status_code=answer.status_code)
        tree = msgspec.json.decode(answer.content)
        left = (
            bundle_left(tree, rule.withheld) if tree.get("resourceType") == "Bundle" else left_of(tree, rule.withheld)
        )
        if left is None:
            return Response(status_code=404)
        return Response(msgspec.json.encode(left), media_type=FHIR_JSON)

    return app


def bundle_left(bundle: dict[str, Any], withheld: frozenset[str]) -> dict[str, Any]:
    """Give a searchset without what is withheld."""
    kept = []
    for entry in bundle.get("entry", ()):
        left = left_of(entry["resource"], withheld)
        if left is not None:
            kept.append({**entry, "resource": left})
    return {**bundle, "entry": kept, "total": len(kept)}


def left_of(resource: dict[str, Any], withheld: frozenset[str]) -> dict[str, Any] | None:
    """Give a resource without the lines that name what is withheld; None where it is, or names it, otherwise."""
    if f"{resource['resourceType']}/{resource['id']}" in withheld:
        return None
    lines = resource.get("item")
    if isinstance(lines, list):
        kept = [line for line in lines if not names(line, withheld)]
        if lines and not kept:
            return None
        resource = {**resource, "item": kept}
    return None if names(resource, withheld) else resource


def names(node: Any, withheld: frozenset[str]) -> bool:
    """Say whether a tree names anything that is withheld."""
    if isinstance(node, dict):
        if node.get("reference") in withheld:
            return True
        return any(names(value, withheld) for value in node.values())
    return isinstance(node, list) and any(names(value, withheld) for value in node)


if __name__ == "__main__":
    config = uvicorn.Config(
        plain_app(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Rule)),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        access_log=False,
        log_level="warning",
    )
    uvicorn.Server(config).run()
