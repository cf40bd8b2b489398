"""The Consent API: create, read, vread, update, search. What is written here decides what the data plane discloses.

Rules of this file
1. A patient's app touches its own patient's Consents only, signed by nobody else; a privacy officer any (L080).
2. Refused by element: what the store could not decide on (consent_store.validate). Nothing is deleted (L081).
3. An update names the version it changes, keeps the patient and the FHIR version, and moves the status by the one
   table of consent_store.lifecycle. A write is acknowledged only when `put` returns (law 9).
4. What is not the asker's to see answers as what does not exist.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import format_datetime
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool

from consent_store.dates import parse_date
from consent_store.lifecycle import may_move
from consent_store.model import Consent, PatientKey, Status, Unreadable
from consent_store.reading import parse, read_consent
from consent_store.store import ConsentStore, StoredVersion, Subject, VersionConflict
from consent_store.validate import KnownCodes, Refusal, refusals
from gateway.clock import Clock
from gateway.control.access import Access, Role, Sources, patient_key
from gateway.control.answers import RefusedConsent, VersionMismatch, VersionRequired
from gateway.errors import BadRequest, Forbidden, NotSupported, NotVisible

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_ETAG: Final = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')
_STATUSES: Final = frozenset(status.value for status in Status)


class ConsentApi:
    """The operations, free of HTTP. Every method takes who asks; all raise GatewayErrors and StoreUnavailable."""

    def __init__(self, store: ConsentStore, sources: Sources, known: KnownCodes, clock: Clock) -> None:
        self._store, self._sources, self._known, self._clock = store, sources, known, clock

    async def create(self, access: Access, raw: bytes, fhir_version: str) -> StoredVersion:
        """Store a new Consent under a fresh id (an id in the body is ignored, FHIR R4 http.html 3.1.0.8)."""
        access.need(Role.PATIENT_APP, Role.PRIVACY_OFFICER)
        consent = await self._checked(access, raw, fhir_version)
        if not may_move(None, consent.status):
            raise RefusedConsent((Refusal("Consent.status", "a new Consent cannot begin with this status"),))
        return await self._put(consent, _without_id(raw), fhir_version, None)

    async def update(
        self, access: Access, consent_id: str, raw: bytes, fhir_version: str, if_match: str | None
    ) -> StoredVersion:
        """Store a new version of a Consent; `if_match` is the request's If-Match."""
        access.need(Role.PATIENT_APP, Role.PRIVACY_OFFICER)
        current = await self._visible(access, consent_id)
        if if_match is None:
            raise VersionRequired("an update needs If-Match with the version it changes")
        match = _ETAG.fullmatch(if_match.strip())
        if match is None or match[1] != current.version:
            raise VersionMismatch("another version is current")
        consent = await self._checked(access, raw, fhir_version)
        if consent.id != consent_id:
            raise BadRequest("the id in the body is not the one of the address")
        self._check_move(access, current, consent, fhir_version)
        return await self._put(consent, raw, fhir_version, current.version)

    async def read(self, access: Access, consent_id: str, version: str | None = None) -> StoredVersion:
        """Give the current version, or an older one, of a Consent the asker may see."""
        access.need(Role.PATIENT_APP, Role.PRIVACY_OFFICER)
        current = await self._visible(access, consent_id)
        if version is None or version == current.version:
            return current
        found = await self._store.get(consent_id, version) if _VERSION.fullmatch(version) else None
        if found is None:
            raise NotVisible
        return found

    async def search(
        self, access: Access, parameters: Iterable[tuple[str, str]], fhir_version: str
    ) -> tuple[StoredVersion, ...]:
        """Give the Consents of one FHIR version that match `patient`, `status`, `_id`; patient or id is needed."""
        access.need(Role.PATIENT_APP, Role.PRIVACY_OFFICER)
        asked = _parameters(parameters)
        patient = access.patient
        if "patient" in asked:
            named = patient_key(asked["patient"], self._sources)
            if named is None:
                raise BadRequest("`patient` names no patient of a server that is served here")
            if patient is not None and named != patient:
                raise Forbidden("this app may ask for its own patient only")
            patient = named
        if patient is None and "_id" not in asked:
            raise NotSupported("a search needs `patient` or `_id`", 400)
        subject = None if patient is None else Subject(patient)
        found = await self._store.search(patient=subject, status=asked.get("status"), consent_id=asked.get("_id"))
        return tuple(one for one in found if one.fhir_version == fhir_version)

    # What the methods above rest on ----------------------------------------------------------------------------------
    async def _visible(self, access: Access, consent_id: str) -> StoredVersion:
        """Give the current version if the asker may see it. Raises NotVisible alike for hidden and absent."""
        if not _ID.fullmatch(consent_id):
            raise NotVisible
        if access.patient is None:
            found = await self._store.get(consent_id)
        else:
            own = await self._store.search(patient=Subject(access.patient), status=None, consent_id=consent_id)
            found = own[0] if own else None
        if found is None:
            raise NotVisible
        return found

    async def _checked(self, access: Access, raw: bytes, fhir_version: str) -> Consent:
        """Read what is to be stored. Raises RefusedConsent by element, Forbidden for another patient's."""
        bases = frozenset(base for own in self._sources.values() for base in own)
        refused = await run_in_threadpool(refusals, raw, fhir_version, self._known, bases)
        if refused:
            raise RefusedConsent(refused)
        consent = self._read(raw, fhir_version)
        if isinstance(consent, Unreadable):
            raise RefusedConsent((Refusal("Consent", "cannot be read"),))
        if access.patient is not None:
            if consent.patient != access.patient:
                raise Forbidden("this app may write its own patient's Consents only")
            self._check_own(consent, access, access.patient)
        return consent

    def _read(self, raw: bytes, fhir_version: str) -> Consent | Unreadable:
        """Read a Consent as of the one server whose patient it names. Raises RefusedConsent where several might be."""
        readings = {
            source: read_consent(raw, source=source, fhir_version=fhir_version, own_bases=bases)
            for source, bases in self._sources.items()
        }
        owners = [reading for reading in readings.values() if reading.patient.id]
        if len(owners) > 1:
            why = "several servers are served: name the patient by its absolute URL"
            raise RefusedConsent((Refusal(_patient_element(fhir_version), why),))
        return owners[0] if owners else read_consent(raw, source="", fhir_version=fhir_version)

    def _check_own(self, consent: Consent, access: Access, patient: PatientKey) -> None:
        """Raise RefusedConsent where a patient's app speaks of, or for, anybody but its patient.

        An identifier files a Consent under everyone who has it: only those registered with the app may stand.
        """
        if not access.identifiers.issuperset(consent.patient_identifiers):
            why = "a patient's app names its patient by reference alone"
            raise RefusedConsent((Refusal(_patient_element(consent.fhir_version), why),))
        for performer in consent.performers:
            if performer.reference is None or patient_key_of(performer.reference, self._sources) != patient:
                element = "Consent.performer" if consent.fhir_version == "4.0" else "Consent.grantor"
                raise RefusedConsent((Refusal(element, "a patient's app signs for its patient alone"),))

    def _check_move(self, access: Access, current: StoredVersion, new: Consent, fhir_version: str) -> None:
        old = self._read(current.text, current.fhir_version)
        if isinstance(old, Unreadable):
            # It came by another way than this API. Mending what denies is an officer's work.
            access.need(Role.PRIVACY_OFFICER)
            return
        if fhir_version != current.fhir_version:
            raise RefusedConsent((Refusal("Consent", "its FHIR version cannot change"),))
        if (old.patient, set(old.patient_identifiers)) != (new.patient, set(new.patient_identifiers)):
            raise RefusedConsent((Refusal(_patient_element(fhir_version), "cannot change"),))
        if not may_move(old.status, new.status):
            why = f"`{old.status}` cannot become `{new.status}`"
            raise RefusedConsent((Refusal("Consent.status", why),))

    async def _put(self, consent: Consent, raw: bytes, fhir_version: str, expect: str | None) -> StoredVersion:
        at = self._clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            return await self._store.put(consent.patient.source, raw, fhir_version=fhir_version, at=at, expect=expect)
        except VersionConflict:
            raise VersionMismatch("another version is current") from None


def _patient_element(fhir_version: str) -> str:
    return "Consent.patient" if fhir_version == "4.0" else "Consent.subject"


def patient_key_of(reference: str, sources: Sources) -> PatientKey | None:
    """Give the key of a reference that says it is a patient's (`Patient/id`, with or without base), else None."""
    return patient_key(reference, sources) if re.search(r"(?:^|/)Patient/[^/]+$", reference) else None


def bundle(found: Iterable[StoredVersion], base_url: str, asked: str) -> bytes:
    """Give the searchset of `found` with their exact texts; `asked` is the search as it was understood."""
    entries: list[Mapping[str, Any]] = [
        {
            "fullUrl": f"{base_url}/fhir/Consent/{one.id}",
            "resource": msgspec.Raw(one.text),
            "search": {"mode": "match"},
        }
        for one in found
    ]
    whole: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        "link": [{"relation": "self", "url": f"{base_url}/fhir/Consent{asked}"}],
    }
    return msgspec.json.encode(whole | ({"entry": entries} if entries else {}))


def version_headers(stored: StoredVersion) -> dict[str, str]:
    """Give ETag and Last-Modified of a version (FHIR R4 http.html 3.1.0.1.3)."""
    headers = {"ETag": f'W/"{stored.version}"'}
    with contextlib.suppress(ValueError):  # a damaged row; the version still has its number
        headers["Last-Modified"] = format_datetime(parse_date(stored.at).first(UTC, wide=False), usegmt=True)
    return headers


def _parameters(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Read the search parameters. Raises NotSupported for one that is not served, BadRequest for a bad value."""
    asked: dict[str, str] = {}
    for name, value in pairs:
        if name not in {"patient", "status", "_id"}:
            raise NotSupported("only `patient`, `status` and `_id` are served", 400)
        if name in asked or not value or "," in value:
            raise BadRequest(f"`{name}` must stand once, with one value")
        asked[name] = value
    if "status" in asked and asked["status"] not in _STATUSES:
        raise BadRequest("`status` is not a status of a Consent")
    if "_id" in asked and not _ID.fullmatch(asked["_id"]):
        raise BadRequest("`_id` is not an id")
    return asked


def _without_id(raw: bytes) -> bytes:
    """Give the text without its own id, every other value as it was written. `raw` was found to be strict JSON."""
    if "id" not in parse(raw)[0]:
        return raw
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: value for name, value in members.items() if name != "id"})
