"""The embedded server in the manners of others: what one cannot do is learned by asking, and must not be told.

Rules of this file
1. A manner changes what the server is asked, or what it answers, as some product or home-made server would.
2. What is learned lasts as long as the gateway is up: over all pairs of a run, whose withheld records differ.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

Pairs = list[tuple[str, str]]
Tree = dict[str, Any]


def _same(pairs: Pairs) -> Pairs:
    return pairs


def _singly(pairs: Pairs) -> Pairs:
    return [(name, value.replace(",", "%")) if name == "_id" else (name, value) for name, value in pairs]


def _bare_ids(pairs: Pairs) -> Pairs:
    return [(name, "nobody") if value.startswith("Patient/") else (name, value) for name, value in pairs]


def _deaf(pairs: Pairs) -> Pairs:
    heard = {"_id", "patient", "subject", "_count", "_getpages", "_offset", "identifier", "_include", "_revinclude"}
    return [(name, value) for name, value in pairs if name.partition(":")[0] in heard]


def _no_includes(pairs: Pairs) -> Pairs:
    return [(name, value) for name, value in pairs if "include" not in name]


def _three_a_page(pairs: Pairs) -> Pairs:
    return [pair for pair in pairs if pair[0] != "_count"] + ([] if dict(pairs).get("_getpages") else [("_count", "3")])


def _uncounted(pairs: Pairs) -> Pairs:
    return [pair for pair in pairs if pair[0] != "_count"]


def _terse(tree: Tree) -> Tree:
    if tree.get("resourceType") != "Bundle" or tree.get("type") != "searchset":
        return tree
    links = [one for one in tree.get("link", ()) if one.get("relation") != "self"]
    entries = [{name: part for name, part in one.items() if name != "fullUrl"} for one in tree.get("entry", ())]
    told = {name: part for name, part in tree.items() if name not in {"total", "link", "entry"}}
    return told | ({"link": links} if links else {}) | ({"entry": entries} if entries else {})


@dataclass(frozen=True)
class Manner:
    """What becomes of the query of a search, and of the body of an answer; `stated` whether there is /metadata."""

    asked: Callable[[Pairs], Pairs] = _same
    answered: Callable[[Tree], Tree] | None = None
    stated: bool = True
    indent: int | None = None  # of the JSON that `answered` makes


MANNERS = {
    "finds no lists of ids": Manner(_singly),
    "finds patients by bare ids": Manner(_bare_ids),
    "carries out few parameters in silence": Manner(_deaf),
    "brings nothing beside matches": Manner(_no_includes),
    "gives three a page": Manner(_three_a_page),
    "gives what it likes a page": Manner(_uncounted),
    "tells little": Manner(answered=_terse),
    "prints for the eye": Manner(answered=dict, indent=2),
    "states nothing": Manner(stated=False),
    "is the least of all": Manner(
        lambda pairs: _singly(_bare_ids(_no_includes(_three_a_page(pairs)))), _terse, stated=False, indent=1
    ),
}


class Mannered:
    """An ASGI server before which a manner stands."""

    def __init__(self, app: Any, manner: Manner) -> None:
        self._app, self._manner = app, manner

    def __getattr__(self, name: str) -> Any:
        """Give what the server behind has (`hold`)."""
        return getattr(self._app, name)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        asked = {**scope, "query_string": urlencode(self._manner.asked(query)).encode()} if query else dict(scope)
        if not self._manner.stated and scope["path"].endswith("/metadata"):
            asked["path"], asked["raw_path"] = "/fhir/Nothing/0", b"/fhir/Nothing/0"
        if self._manner.answered is None:
            await self._app(asked, receive, send)
            return
        said: list[Any] = []

        async def keep(message: Any) -> None:
            said.append(message)

        await self._app(asked, receive, keep)
        body = b"".join(one.get("body", b"") for one in said)
        if body.startswith(b"{"):
            body = json.dumps(self._manner.answered(json.loads(body)), indent=self._manner.indent).encode()
        head = [(name, value) for name, value in said[0]["headers"] if name.lower() != b"content-length"]
        head.append((b"content-length", str(len(body)).encode()))
        await send({**said[0], "headers": head})
        await send({"type": "http.response.body", "body": body})
