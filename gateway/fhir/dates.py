"""When a record's matter happened, by type: what a Consent's `provision.dataPeriod` is held against.

Rules of this file
1. Clinical time comes before the time of writing, and both before `meta.lastUpdated`.
2. The first element of a type's list that is there and holds a date speaks; one that cannot be read is no date at all
   (None): a permit then does not match and a deny does (consent-semantics.md section 3).
3. A span without an end is not known to have ended: its end is open.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from consent_store.dates import FhirDate, Period, parse_date
from gateway.fhir.view import ResourceView

# Elements of R4 by type, in the order they are asked: `x[x]` is a choice, `x..y` a span of two elements.
_BY_TYPE: Final[Mapping[str, tuple[str, ...]]] = {
    "Account": ("servicePeriod",),
    "AdverseEvent": ("date", "detected", "recordedDate"),
    "AllergyIntolerance": ("onset[x]", "lastOccurrence", "recordedDate"),
    "Appointment": ("start..end", "created"),
    "AppointmentResponse": ("start..end",),
    "AuditEvent": ("period", "recorded"),
    "Basic": ("created",),
    "Bundle": ("timestamp",),
    "CarePlan": ("period", "created"),
    "CareTeam": ("period",),
    "ChargeItem": ("occurrence[x]", "enteredDate"),
    "Claim": ("billablePeriod", "created"),
    "ClaimResponse": ("created",),
    "ClinicalImpression": ("effective[x]", "date"),
    "Communication": ("sent..received", "received"),
    "CommunicationRequest": ("occurrence[x]", "authoredOn"),
    "Composition": ("date",),
    "Condition": ("onset[x]..abatement[x]", "recordedDate"),
    "Consent": ("dateTime",),
    "Contract": ("applies", "issued"),
    "Coverage": ("period",),
    "CoverageEligibilityRequest": ("serviced[x]", "created"),
    "CoverageEligibilityResponse": ("serviced[x]", "created"),
    "DetectedIssue": ("identified[x]",),
    "DeviceRequest": ("occurrence[x]", "authoredOn"),
    "DeviceUseStatement": ("timing[x]", "recordedOn"),
    "DiagnosticReport": ("effective[x]", "issued"),
    "DocumentManifest": ("created",),
    "DocumentReference": ("context/period", "date"),
    "Encounter": ("period",),
    "EnrollmentRequest": ("created",),
    "EnrollmentResponse": ("created",),
    "EpisodeOfCare": ("period",),
    "ExplanationOfBenefit": ("billablePeriod", "created"),
    "FamilyMemberHistory": ("date",),
    "Flag": ("period",),
    "Goal": ("start[x]", "statusDate"),
    "GuidanceResponse": ("occurrenceDateTime",),
    "ImagingStudy": ("started",),
    "Immunization": ("occurrence[x]", "recorded"),
    "ImmunizationEvaluation": ("date",),
    "ImmunizationRecommendation": ("date",),
    "Invoice": ("date",),
    "List": ("date",),
    "MeasureReport": ("period", "date"),
    "Media": ("created[x]", "issued"),
    "MedicationAdministration": ("effective[x]",),
    "MedicationDispense": ("whenPrepared..whenHandedOver", "whenHandedOver"),
    "MedicationRequest": ("authoredOn",),
    "MedicationStatement": ("effective[x]", "dateAsserted"),
    "NutritionOrder": ("dateTime",),
    "Observation": ("effective[x]", "issued"),
    "PaymentNotice": ("paymentDate", "created"),
    "PaymentReconciliation": ("period", "paymentDate", "created"),
    "Procedure": ("performed[x]",),
    "Provenance": ("occurred[x]", "recorded"),
    "QuestionnaireResponse": ("authored",),
    "RelatedPerson": ("period",),
    "RequestGroup": ("authoredOn",),
    "ResearchSubject": ("period",),
    "RiskAssessment": ("occurrence[x]",),
    "Schedule": ("planningHorizon",),
    "ServiceRequest": ("occurrence[x]", "authoredOn"),
    "Slot": ("start..end",),
    "Specimen": ("collection/collected[x]", "receivedTime"),
    "SupplyDelivery": ("occurrence[x]",),
    "SupplyRequest": ("occurrence[x]", "authoredOn"),
    "Task": ("executionPeriod", "authoredOn", "lastModified"),
    "VisionPrescription": ("dateWritten", "created"),
}
_SUFFIXES: Final = ("DateTime", "Period", "Date", "Instant", "Timing")


def clinical_period(view: ResourceView) -> Period | None:
    """Give the time a resource speaks of, both bounds inclusive, None where it has none that can be read."""
    for name in _BY_TYPE.get(view.type, ()):
        start, _, end = name.partition("..")
        try:
            found = _span(view.tree, start, end) if end else _value(view.tree, start)
        except ValueError:
            return None
        if found is not None:
            return found
    meta = view.tree.get("meta")
    try:
        return _moment(meta.get("lastUpdated")) if isinstance(meta, dict) else None
    except ValueError:
        return None


def types_with_dates() -> frozenset[str]:
    """Give the types that have a list of their own (the tests hold it against the element table)."""
    return frozenset(_BY_TYPE)


def date_elements(kind: str) -> tuple[str, ...]:
    """Give the elements that tell the time of a type, choices as `x[x]`, nested ones with a slash."""
    return tuple(part for name in _BY_TYPE.get(kind, ()) for part in name.split(".."))


def _span(tree: dict[str, Any], first: str, last: str) -> Period | None:
    start, end = _value(tree, first), _value(tree, last)
    if start is None:
        return None
    if end is None:
        return Period(start.start, None if start.start == start.end else start.end)
    return Period(start.start, end.end)


def _value(tree: dict[str, Any], name: str) -> Period | None:
    """Give the span that one element of `tree` says, None where it is not there or is no date (an age, a text).

    Raises ValueError for a date that cannot be read.
    """
    outer, slash, rest = name.partition("/")
    if slash:
        inner = tree.get(outer)
        return _value(inner, rest) if isinstance(inner, dict) else None
    names = [name[:-3] + suffix for suffix in _SUFFIXES] if name.endswith("[x]") else [name]
    for each in names:
        value = tree.get(each)
        if value is None:
            continue
        if not isinstance(value, dict):
            return _moment(value)
        return _timing(value) if each.endswith("Timing") else _period(value)
    return None


def _moment(value: object) -> Period | None:
    if value is None:
        return None
    date = parse_date(value)
    return Period(date, date)


def _period(value: dict[str, Any]) -> Period | None:
    start, end = (parse_date(value[name]) if name in value else None for name in ("start", "end"))
    return Period(start, end) if start or end else None


def _timing(value: dict[str, Any]) -> Period | None:
    events = value.get("event")
    if isinstance(events, list) and events:
        dates = [parse_date(event) for event in events]
        return Period(_edge(dates, last=False), _edge(dates, last=True))
    repeat = value.get("repeat")
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    return _period(bounds) if isinstance(bounds, dict) else None


def _edge(dates: Iterable[FhirDate], *, last: bool) -> FhirDate:
    """Give the date that begins first, or ends last; where time zones leave doubt, by the widest reading."""
    if last:
        return max(dates, key=lambda date: date.after(None, wide=True))
    return min(dates, key=lambda date: date.first(None, wide=True))
