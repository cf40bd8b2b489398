"""The upstream's own addresses in a released record, told as ours: nobody learns where it is (leaks.md L025, L026).

Rules of this file
1. Only places that hold an address are looked at: references, uri, url and canonical elements. Text is never searched.
2. A URL is compared by its parts, and a record's is written anew at our door; its id and version stay.
3. What is at the upstream and is no record's URL cannot be told as ours: `hides` says so, and the element goes.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from gateway.decision.model import Edit, Op
from gateway.fhir.references import Base, Local, parse
from gateway.fhir.view import ResourceView

_PORTS = {"http": 80, "https": 443}


class Outward(msgspec.Struct, frozen=True):
    """Where the upstream is, and how clients call it (`url`, without a slash at its end). `others` are further bases
    that it calls itself by."""

    base: Base
    url: str
    others: tuple[Base, ...] = ()

    def told(self, address: str) -> str | None:
        """Give an address of the upstream's as ours; None for one that is not of a record there."""
        if "://" not in address or not self._names_the_host(address):
            return None
        plain, bar, canonical = address.partition("|")
        target = parse(plain, frozenset({self.base, *self.others}))
        if not isinstance(target, Local):
            return None
        version = f"/_history/{target.version}" if target.version else ""
        return f"{self.url}/{target.text}{version}{bar}{canonical}"

    def hides(self, address: str) -> bool:
        """Say whether an address names the upstream and cannot be told as ours."""
        if "//" not in address or not self._names_the_host(address):
            return False
        if self.told(address) is not None or address.startswith(f"{self.url}/"):
            return False
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:
            return True
        return any(
            host == base.host.strip("[]") and (port or _PORTS.get(parts.scheme.lower() or base.scheme)) == base.port
            for base in (self.base, *self.others)
        )

    def _names_the_host(self, address: str) -> bool:
        """Say whether an address can be at the upstream's host at all; most are not, and are looked at no closer."""
        lower = address.lower()
        return self.base.host in lower or any(base.host in lower for base in self.others)


def outward_edits(view: ResourceView, outward: Outward) -> Iterator[Edit]:
    """Give the edits that write a record's addresses of the upstream as ours, by the rules above."""
    places = [(f"{found.at}/reference", found.reference) for found in view.references if found.reference]
    places += [(link.at, link.text) for link in view.links]
    for at, address in places:
        if (ours := outward.told(address)) is not None:
            yield Edit(Op.REPLACE, at, msgspec.json.encode(ours))
        elif view.type == "Bundle" and outward.hides(address):
            yield Edit(Op.CUT, at)
