"""A FHIR server that holds Consents, in memory and without HTTP: it answers searches, and can be made to err."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from consent_store.fetching import Fetch
from consent_store.reading import parse
from consent_store.searchset import Answer
from consent_store.store import StoredVersion, VersionConflict
from consent_store.upstream import FhirServer, UpstreamConsentStore

BASE = "http://ehr.example.org/fhir"
HEADERS = {"content-type": "application/fhir+json;charset=utf-8"}


def answer(tree: Any, status: int = 200, **headers: str) -> Answer:
    """One answer with a body of JSON, or of these bytes."""
    body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return Answer(status, {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}, body)


def entry(resource: Any, mode: str | None = "match") -> dict:
    """An entry of a searchset."""
    return {"resource": resource} | ({"search": {"mode": mode}} if mode else {})


def searchset(*resources: Any, **parts: Any) -> dict:
    """A searchset of these resources; a part of None is left out."""
    whole = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(resources),
        "link": [{"relation": "self", "url": f"{BASE}/Consent"}],
        "entry": [entry(one) for one in resources],
        **parts,
    }
    return {name: value for name, value in whole.items() if value is not None}


class FhirConsents:
    """Consents and Patients by id; `page` of them at a time. `asked` are the URLs it was asked for."""

    def __init__(self, page: int = 1000) -> None:
        self.consents: dict[str, dict] = {}
        self.patients: dict[str, dict] = {}
        self.page = page
        self.asked: list[str] = []
        self.bend: Callable[[str, Answer], Answer] = lambda url, given: given

    async def __call__(self, url: str) -> Answer:
        """Answer a search for Consents, or the reading of a Patient."""
        self.asked.append(url)
        parts = urlsplit(url)
        if "/Patient/" in parts.path:
            found = self.patients.get(parts.path.rpartition("/")[2])
            return self.bend(url, answer(found) if found else answer({"resourceType": "OperationOutcome"}, 404))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        matching = [one for one in self.consents.values() if self._matches(one, query)]
        start = int(query.get("_start", "0"))
        links = [{"relation": "self", "url": url}]
        if start + self.page < len(matching):
            following = url.replace(f"&_start={start}", "") + f"&_start={start + self.page}"
            links.append({"relation": "next", "url": following})
        shown = matching[start : start + self.page]
        bundle = searchset(*shown, total=len(matching), link=links)
        return self.bend(url, answer(bundle))

    def _matches(self, consent: dict, query: dict[str, str]) -> bool:
        patient = consent.get("patient", {})
        reference = patient.get("reference", "").removeprefix(f"{BASE}/")
        if "patient" in query:
            return reference == query["patient"]
        token = query.get("patient.identifier", query.get("patient:identifier", ""))
        system, _, value = token.partition("|")
        asked = {"system": system, "value": value}
        if "patient:identifier" in query:
            return patient.get("identifier") == asked
        record = self.patients.get(reference.removeprefix("Patient/"), {})
        return asked in record.get("identifier", [])

    def write(self, raw: bytes, expect: str | None) -> StoredVersion:
        """Store a Consent as the server's own users do."""
        tree, _ = parse(raw)
        before = self.consents.get(tree["id"])
        version = before["meta"]["versionId"] if before else None
        if version != expect:
            raise VersionConflict
        stored = {**tree, "meta": {"versionId": str(int(version or "0") + 1)}}
        self.consents[tree["id"]] = stored
        return StoredVersion(tree["id"], stored["meta"]["versionId"], "4.0", json.dumps(stored).encode(), "")


def store_of(server: Fetch, *by_identifier: str, told: list[str] | None = None, **how: Any):
    """A store that reads this server as the source `ehr`."""
    served = FhirServer(base=BASE, fetch=server, own_bases=frozenset({BASE}), by_identifier=by_identifier)
    alerts = told if told is not None else []
    return UpstreamConsentStore({"ehr": served}, alert=alerts.append, **how)


class WrittenUpstream(UpstreamConsentStore):
    """The driver, with a `put` that stands for the server's own users, so that the contract can be tried on it."""

    def __init__(self) -> None:
        self.server = FhirConsents(page=7)
        served = FhirServer(base=BASE, fetch=self.server, own_bases=frozenset({BASE}))
        super().__init__({"ehr": served}, alert=lambda words: None)

    async def put(self, source, text, *, fhir_version, at, expect) -> StoredVersion:
        """Write to the server behind the store."""
        return self.server.write(text, expect)
