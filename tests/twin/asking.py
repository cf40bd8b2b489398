"""What a twin run asks: steps of a script, each one request, and how they are written down and replayed."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

VERSION = "version"
"""What `Step.follow` says to read the last version that a history told of."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request beneath a route. `follow` names a link of the answer before it, whose page is asked for instead;
    `form` sends the parameters in the body of a POST to `_search`."""

    path: str = ""
    query: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    form: bool = False
    body: Any = None
    follow: str = ""

    @property
    def text(self) -> str:
        """The query as it is sent."""
        return "&".join(f"{quote(name, safe=':_$')}={quote(value, safe='|:/,')}" for name, value in self.query)

    def target(self) -> str:
        """Path and query beneath the route."""
        return self.path if self.form or not self.query else f"{self.path}?{self.text}"


class Pair(msgspec.Struct, frozen=True):
    """Who asks, for which purpose, at which route."""

    client: str
    purpose: str
    route: str


class Script(msgspec.Struct, frozen=True):
    """One caller's sequence of requests."""

    pair: Pair
    steps: tuple[Step, ...]


class Seen(NamedTuple):
    """One answer as it came: nothing was decoded or dropped; header names in lower case."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    body: bytes


def curl(step: Step, pair: Pair) -> str:
    """Give a request as a command line, the token left to whoever runs it."""
    said = [f"-X {step.method}"] if step.method != "GET" else []
    said += [f"-H 'X-Purpose-Of-Use: {pair.purpose}'", '-H "Authorization: Bearer $TOKEN"']
    said += [f"-H '{name}: {value}'" for name, value in step.headers]
    if step.follow:
        return f"# then the {step.follow} link of that answer"
    if step.form:
        said.append(f"-d '{step.text}'")
    if step.body is not None:
        body = msgspec.json.encode(step.body).decode()
        said.append(f"-H 'Content-Type: application/fhir+json' -d '{body}'")
    return f'curl {" ".join(said)} "$ROUTE/{step.target()}"  # as {pair.client} at {pair.route}'
