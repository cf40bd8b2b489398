"""What a client reads off an answer."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx2


def matches(page: Mapping[str, Any]) -> list[str]:
    """Give `Type/id` of the matches of a searchset, in order."""
    found = [one["resource"] for one in page.get("entry", ()) if one["search"]["mode"] == "match"]
    return [f"{one['resourceType']}/{one['id']}" for one in found]


def included(page: Mapping[str, Any]) -> list[str]:
    """Give `Type/id` of what came with the matches."""
    found = [one["resource"] for one in page.get("entry", ()) if one["search"]["mode"] == "include"]
    return [f"{one['resourceType']}/{one['id']}" for one in found]


def next_of(page: Mapping[str, Any]) -> str:
    """Give the next link, "" where there is none."""
    return next((link["url"] for link in page["link"] if link["relation"] == "next"), "")


def walked(ask: Callable[[str], httpx2.Response], url: str) -> list[dict[str, Any]]:
    """Give every page of a search. Raises AssertionError where one is refused or they do not end."""
    pages: list[dict[str, Any]] = []
    while url:
        answer = ask(url)
        assert 200 == answer.status_code, answer.text
        pages.append(answer.json())
        url = next_of(pages[-1])
        assert len(pages) < 200
    return pages


def told(answer: httpx2.Response) -> str:
    """Give the words of an OperationOutcome."""
    return " / ".join(issue["diagnostics"] for issue in answer.json()["issue"])
