"""The FHIR servers of all stages, at one port: they hold what they are given, search by patient or id, take a push."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.stub_upstream import Raw, Seen, answer


class Servers:
    """By the first segment of the path; `taken` is what was pushed to each."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, bytes]] = {}
        self.taken: dict[str, list[dict[str, Any]]] = {}

    def hold(self, name: str, resources: list[dict[str, Any]]) -> None:
        """Put records on one server."""
        texts = {f"{one['resourceType']}/{one['id']}": json.dumps(one).encode() for one in resources}
        self.held.setdefault(name, {}).update(texts)

    def __call__(self, seen: Seen) -> Raw:
        if "authorization" not in seen.headers:
            return answer({"resourceType": "OperationOutcome"}, 401)
        url = urlsplit(seen.target)
        _, name, place = [*url.path.split("/", 2), ""][:3]
        held = self.held.get(name, {})
        if seen.method == "POST":
            return self._take(name, json.loads(seen.body))
        if place in held:
            return answer(held[place])
        if "/" in place:
            return answer({"resourceType": "OperationOutcome"}, 404)
        found = _found(held, place, parse_qs(url.query))
        entries = [b'{"search":{"mode":"match"},"resource":' + one + b"}" for one in found]
        return answer(b'{"resourceType":"Bundle","type":"searchset","entry":[' + b",".join(entries) + b"]}")

    def _take(self, name: str, bundle: dict[str, Any]) -> Raw:
        sent = [entry["resource"] for entry in bundle["entry"]]
        self.taken.setdefault(name, []).extend(sent)
        made = [{"response": {"status": "201", "location": f"{one['resourceType']}/made"}} for one in sent]
        return answer({"resourceType": "Bundle", "type": f"{bundle['type']}-response", "entry": made})


def _found(held: dict[str, bytes], kind: str, asked: dict[str, list[str]]) -> list[bytes]:
    ids = {one for value in asked.get("_id", ()) for one in value.split(",")}
    about = asked.get("patient", [""])[0]
    mine = [(name, text) for name, text in held.items() if name.startswith(f"{kind}/")]
    return [
        text
        for name, text in mine
        if name.partition("/")[2] in ids or (about and f'"reference": "{about}"'.encode() in text)
    ]
