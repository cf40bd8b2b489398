"""Consents and resources for the laws: every element, every dialect, from a small world where names meet.

Most values fit the usual question, so that what does not fit decides.
"""

from datetime import UTC, datetime
from itertools import combinations

from hypothesis import strategies as st

from consent_store.dates import FhirDate, Period, parse_date
from consent_store.model import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    Actor,
    Coding,
    Consent,
    Data,
    Dialect,
    Effect,
    Identifier,
    Meaning,
    PatientKey,
    Provision,
    Reference,
    Status,
    Unreadable,
)
from gateway.decision.consents import PARTICIPANT_TYPE, Target
from gateway.labels.model import Labels
from tests.consent_questions import LOINC, NPI, labels, observation
from tests.laws.cases import ACTING, ELSEWHERE, OURS, REGISTRY, Case, target_of

PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
PROVENANCE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
ROLE_CODES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
POLICIES = "http://terminology.hl7.org/CodeSystem/consentpolicycodes"
TYPES = "http://hl7.org/fhir/resource-types"
HREX_REGULAR = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular"
PCF_TEXT = b'{"meta":{"profile":["https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentBasic"]}}'
PROFILE = "http://example.org/StructureDefinition/glucose"
AT = datetime(2025, 3, 1, 12, tzinfo=UTC)


def often(*values, of: int = 4):
    """One of the values, the first `of` times as often as each of the others."""
    return st.sampled_from([*(of * [values[0]]), *values[1:]])


def one_or_two(values: st.SearchStrategy) -> st.SearchStrategy[tuple]:
    """One or two of them."""
    return st.tuples(values) | st.tuples(values, values)


def codings(system: str, *codes: str) -> list[Coding]:
    """Codings of one system."""
    return [Coding(system, code) for code in codes]


# --- dates: before, around and after the question, whole and partial, with and without offset

SPELLED_DATES = [
    "2023",
    "2024-01",
    "2024-01-15",
    "2024-01-15T10:00:00Z",
    "2024-02",
    "2025-02-28",
    "2025-03-01",
    "2025-03-01T12:00:00Z",
    "2025-03-01T11:59:59-01:00",
    "2026",
]
DATES = [parse_date(text) for text in SPELLED_DATES]
dates: st.SearchStrategy[FhirDate] = st.sampled_from(DATES)
periods = st.builds(Period, st.none() | dates, st.none() | dates)
# Periods of provisions: half of them run at the usual instant.
running = st.sampled_from([Period(DATES[0], None), Period(DATES[1], DATES[9]), Period(None, DATES[9]), Period()])
provision_periods = running | periods
instants = often(
    AT,
    datetime(2025, 3, 1, 4, tzinfo=UTC),
    datetime(2025, 2, 28, 20, tzinfo=UTC),
    datetime(2024, 1, 15, 10, tzinfo=UTC),
    of=6,
)
PERSONS = ("Practitioner/p", "PractitionerRole/r7")
zones = often("UTC", "America/Los_Angeles", "Pacific/Kiritimati", None, of=3)

# --- codes

PURPOSES = codings(ACT_REASON, "TREAT", "COC", "ETREAT", "HOPERAT", "CAREMGT", "HPAYMT", "HRESCH")
purposes = st.sampled_from([*PURPOSES, *(3 * PURPOSES[:2]), Coding("urn:other", "TREAT")])
STATED_PURPOSES = [
    *PURPOSES,
    Coding(ACT_REASON, "ZZZ"),
    Coding(ACT_REASON, "BIORCH"),
    Coding("urn:other", "TREAT"),
    Coding("urn:oid:2.16.840.1.113883.5.8", "treat"),
    Coding("http://hl7.org/fhir/v3/ActReason", "HOPERAT"),
    Coding(None, "TREAT"),
    Coding(None, "HOPERAT"),
    Coding(None, "COC"),
]
stated_purposes = often(PURPOSES[0], *STATED_PURPOSES, of=12)
SENSITIVITIES = ["PSY", "MH", "SUD", "ETHUD", "OPIOIDUD", "ETH", "HIV", "SDV", "VIO", "SPI", "PSYTHPN", "BH"]
TAGS = ["42CFRPart2", "HIPAAPsyNotes", "HIPAASelfPay"]
label_codings = st.sampled_from(
    [
        *codings(CONFIDENTIALITY, "L", "N", "R", "V", "N", "R", "PSY"),
        *codings(ACT_CODE, *SENSITIVITIES, *TAGS, "NOAUTH", "ZZZ"),
        Coding("urn:oid:2.16.840.1.113883.5.25", "r"),
        Coding("http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw", "42CFRPart2"),
        Coding("urn:oid:2.16.840.1.113883.5.4", "psy"),
        Coding("urn:other", "X"),
    ]
)
PROFILED = [
    Coding("urn:ietf:rfc:3986", PROFILE),
    Coding("urn:ietf:rfc:3986", PROFILE.replace("http:", "https:") + "|2"),
    Coding("http://hl7.org/fhir/StructureDefinition", "Observation"),
]
DOCUMENTED = [Coding("urn:ietf:bcp:13", "application/pdf"), Coding(LOINC, "34133-9"), Coding(None, "application/pdf")]
TYPE_CODES = [
    *codings(TYPES, "Observation", "Observation", "Condition", "Resource", "DomainResource"),
    *codings("http://hl7.org/fhir/fhir-types", "Observation", "DocumentReference"),
    *PROFILED,
    *DOCUMENTED,
    Coding(None, "Observation"),
    Coding(None, "Condition"),
    Coding(TYPES, None),
]
CODES = [
    *(3 * codings(LOINC, "2339-0")),
    *codings(LOINC, "1-1"),
    Coding("urn:oid:2.16.840.1.113883.6.1", "2339-0"),
    Coding("urn:local", "GLU"),
    Coding(None, "2339-0"),
    Coding(None, "1-1"),
    Coding("http://snomed.info/sct", "1"),
]
concepts = st.sampled_from([*((one,) for one in CODES), *combinations(CODES[2:], 2), (Coding(LOINC, None),)])
ACTING_ON = [
    *(2 * codings(ACTIONS, "disclose", "access")),
    *codings(ACTIONS, "use", "correct", "collect", "peruse"),
    Coding("http://hl7.org/fhir/consentaction", "disclose"),
    Coding("urn:other", "disclose"),
    Coding(None, "disclose"),
    Coding(None, "collect"),
]
actions = st.sampled_from([*(3 * [(one,) for one in ACTING_ON]), *combinations(ACTING_ON, 2), ()])

wanted = often("disclose", "access", "use", of=6)

# --- who


def by(system: str | None, value: str) -> Reference:
    """A reference by identifier alone."""
    return Reference(identifier=Identifier(system, value))


def to(*texts: str) -> list[Reference]:
    """References by text."""
    return [Reference(text) for text in texts]


NAMING = [  # the plan, in one way or another
    *(6 * to("Organization/o7")),
    *to("Group/with", "Group/nested", "Group/plans", "Group/payers", "CareTeam/team", "CareTeam/behalf"),
    *to("PractitionerRole/r7", "Organization/twin", "Organization/o7/_history/2", f"{OURS}/Organization/o7"),
    *to("Group/late", "PractitionerRole/quit", "Group/ours"),
    *[by(NPI, "7"), by(PARTICIPANT_TYPE, "mcp"), by(PARTICIPANT_TYPE, "payer"), by(REGISTRY, "plan")],
]
NOT_NAMING = [
    *to("Organization/o9", "Organization/x", "Practitioner/p", "Practitioner/q", "Practitioner/x"),
    *to("Group/without", "Group/odd", "Group/circle", "Group/off", "Group/like", "Group/unknown"),
    *to("CareTeam/past", "CareTeam/over", "CareTeam/others", "CareTeam/untold", "CareTeam/unknown"),
    *to("PractitionerRole/r9", "PractitionerRole/off", "Organization/whole", "Organization/double"),
    *to(f"{ELSEWHERE}/Organization/o7", "#here", "urn:uuid:11111111-1111-1111-1111-111111111111", "o7"),
    *[by(NPI, "8"), by(NPI, "9"), by("urn:other", "7"), by(None, "7"), by(PARTICIPANT_TYPE, "cbo"), Reference()],
    Reference("Organization/o9", identifier=Identifier(NPI, "7")),
]
PEOPLE = [
    *to("Practitioner/p", "Practitioner/q", "PractitionerRole/r7", "PractitionerRole/r9", "Organization/whole"),
    by(NPI, "99"),
]
parties = st.sampled_from(NAMING) | st.sampled_from(NAMING) | st.sampled_from(NOT_NAMING)
HOLDING = [*(8 * to("Organization/o1")), by(NPI, "1")]
NOT_HOLDING = [*to("Organization/o3", "Organization/o9", f"{ELSEWHERE}/Organization/o1"), by(NPI, "3"), by(NPI, "9")]
holders = st.sampled_from([*HOLDING, *NOT_HOLDING])
WRITERS = [
    *to("Practitioner/a", "Practitioner/a", "Practitioner/b", "PractitionerRole/writes", "Organization/o1"),
    by(REGISTRY, "a"),
    by("urn:other", "a"),
]
writers = st.sampled_from(WRITERS)


def role(system: str, *codes: str) -> tuple[Coding, ...]:
    """A role of an actor."""
    return tuple(Coding(system, code) for code in codes)


recipient_roles = often(
    role(PARTICIPATION, "IRCP"),
    role(PARTICIPATION, "PRCP"),
    role(ROLE_CODES, "GRANTEE"),
    role(PARTICIPATION, "IRCP", "X"),
)
holder_roles = st.sampled_from([role(PARTICIPATION, "CST"), role(PROVENANCE, "performer")])
odd_roles = st.sampled_from(
    [role(PARTICIPATION, "WIT"), (), role(PARTICIPATION, "IRCP", "CST"), role(ROLE_CODES, "IRCP")]
)
recipient_actors = st.builds(Actor, recipient_roles, parties)
actors = st.one_of(
    recipient_actors,
    recipient_actors,
    recipient_actors,
    st.builds(Actor, holder_roles, holders),
    st.builds(Actor, st.sampled_from([role(PARTICIPATION, "AUT"), role(PROVENANCE, "author")]), writers),
    st.builds(Actor, st.sampled_from([role(PARTICIPATION, "AUT"), role(PARTICIPATION, "IRCP")]), st.none()),
    st.builds(Actor, odd_roles, parties),
)
PLACES = [
    *(3 * to("Observation/obs1", "Encounter/e1")),
    *to("Encounter/e2", "Encounter/e3", "List/l1", "Observation/x", f"{ELSEWHERE}/Observation/obs1", "no reference"),
    *to(f"{OURS}/Observation/obs1", "DiagnosticReport/d1"),
    *[by("urn:obs", "1"), by("urn:obs", "2"), by("urn:other", "1"), by(REGISTRY, "e3"), by(None, "1")],
    Reference(type="Observation", identifier=Identifier("urn:obs", "1")),
    Reference(type="Condition", identifier=Identifier("urn:obs", "1")),
]
data = st.builds(
    Data, st.sampled_from([Meaning.INSTANCE, Meaning.DEPENDENTS, Meaning.RELATED]), st.sampled_from(PLACES)
) | st.builds(Data, st.just(Meaning.AUTHORED_BY), writers)

# --- provisions and consents


def _conditions() -> st.SearchStrategy:
    """One condition of a provision: the element and a value of it."""
    listed = {
        "actors": actors,
        "actions": actions,
        "labels": label_codings,
        "purposes": stated_purposes,
        "classes": st.sampled_from(TYPE_CODES),
        "codes": concepts,
        "data": data,
    }
    several = [st.tuples(st.just(name), one_or_two(values)) for name, values in listed.items()]
    alone = [("period", provision_periods), ("data_period", provision_periods)]
    either = [*several, several[0], several[2], several[2], *(st.tuples(st.just(name), one) for name, one in alone)]
    return st.one_of(either)


conditions = _conditions()
unreadable_or_not = st.integers(0, 29).map(lambda drawn: () if drawn else ("it cannot be read",))
effects = st.sampled_from([None, Effect.PERMIT, Effect.PERMIT, Effect.DENY])
how_many = st.sampled_from([0, 0, 1, 1, 1, 2, 2])
how_nested = st.sampled_from([0, 0, 0, 0, 1, 1, 2])


@st.composite
def provisions(draw, depth: int = 2, type: st.SearchStrategy | None = None) -> Provision:
    """A provision with a few conditions of any kind, and provisions inside it."""
    stated = dict(draw(conditions) for _ in range(draw(how_many)))
    inner = [draw(provisions(depth - 1)) for _ in range(draw(how_nested))] if depth else []
    return Provision(
        type=draw(type if type is not None else effects),
        nested=tuple(inner),
        unreadable=draw(unreadable_or_not),
        **stated,
    )


dialects = st.sampled_from([*(3 * [Dialect.TYPED]), Dialect.R5, Dialect.R5, Dialect.UNTYPED])
bases = st.sampled_from([*(7 * [Effect.PERMIT]), *(2 * [Effect.DENY]), None])
root_types = st.sampled_from([*(5 * [Effect.PERMIT]), Effect.DENY])
SCOPE_CODES = [
    *(8 * codings(SCOPES, "patient-privacy")),
    *codings(SCOPES, "research", "adr", "odd"),
    Coding("http://hl7.org/fhir/consentscope", "patient-privacy"),
    Coding("urn:other", "patient-privacy"),
]
scopes = st.sampled_from(SCOPE_CODES).map(lambda one: (one,))
rules = st.sampled_from(
    [
        (),
        (),
        (),
        *[(one,) for one in codings(ACT_CODE, "OPTIN", "OPTOUT")],
        *[(one,) for one in codings(POLICIES, "hipaa-auth", "cric")],
    ]
)
OPTIONAL = {
    "scopes": scopes,
    "categories": scopes | st.just((Coding(LOINC, "59284-0"),)),
    "custodians": one_or_two(holders),
    "policies": often(("urn:p1",), ("urn:p2",), (HREX_REGULAR,), of=3),
    "verified": often(True, False, None, of=8),
    "raw": st.sampled_from([b"", PCF_TEXT]),
}


@st.composite
def consents(draw, status: Status | None = Status.ACTIVE, depth: int = 2) -> Consent:
    """A Consent of any dialect, with exceptions `depth` deep. `status` None: any."""
    dialect = draw(dialects)
    r5 = dialect is Dialect.R5
    if dialect is Dialect.TYPED:
        roots = (draw(provisions(depth, type=root_types)),)
    elif r5:
        roots = tuple(draw(provisions(depth - 1, type=st.none())) for _ in range(draw(how_nested)))
    else:
        roots = tuple(draw(untyped_roots(depth)) for _ in range(draw(st.sampled_from([0, 1, 1]))))
    stated = {name: draw(values) for name, values in OPTIONAL.items() if not draw(st.integers(0, 3))}
    if r5:
        grantees = draw(st.sampled_from([(), (), ()]) | parties.map(lambda one: (one,)))
        stated |= {"period": draw(st.none() | st.none() | provision_periods), "grantees": grantees}
    return Consent(
        id=draw(st.sampled_from("abcdefgh")),
        version="1",
        patient=PatientKey("ehr", "1"),
        status=draw(st.sampled_from(Status)) if status is None else status,
        fhir_version="5.0" if r5 else "4.0",
        dialect=dialect,
        base=roots[0].type if dialect is Dialect.TYPED else draw(bases),
        provisions=roots,
        date=draw(st.none() | dates),
        policy_rules=draw(rules),
        **stated,
    )


@st.composite
def untyped_roots(draw, depth: int) -> Provision:
    """The root of an untyped Consent: mostly a period, a custodian and exceptions, now and then a condition."""
    if not draw(st.integers(0, 3)):
        return draw(provisions(depth, type=st.none()))
    inner = [draw(provisions(depth - 1)) for _ in range(draw(how_nested))] if depth else []
    custodians = draw(st.sampled_from([(), (), (Actor(role(PARTICIPATION, "CST"), HOLDING[0]),)]))
    return Provision(period=draw(st.none() | provision_periods), actors=custodians, nested=tuple(inner))


@st.composite
def unreadables(draw) -> Unreadable:
    """A Consent that could not be read."""
    return Unreadable(
        id=draw(st.sampled_from("xyz")),
        version="1",
        patient=PatientKey("ehr", "1"),
        why="it cannot be read",
        date=draw(st.none() | dates),
        custodians=draw(st.sampled_from([(), (HOLDING[0],)])),
        policies=draw(st.sampled_from([(), (), ("urn:p1",), ("urn:p2",)])),
    )


# --- resources


LABEL_SETS = [chosen for size in (0, 1, 2) for chosen in combinations([*SENSITIVITIES, *TAGS, "NOAUTH"], size)]


@st.composite
def label_sets(draw) -> Labels:
    """The labels of a resource: mostly a level and at most two sensitivities or tags."""
    level = draw(st.sampled_from("LNNNRRV"))
    codes = draw(st.sampled_from(LABEL_SETS)) if draw(st.booleans()) else ()
    foreign = [Coding("urn:other", "X")] if not draw(st.integers(0, 9)) else []
    return labels(level, *codes, *foreign, unknown=not draw(st.integers(0, 11)))


ENCOUNTER = {"encounter": {"reference": "Encounter/e1"}}
DOCUMENT = {
    "resourceType": "DocumentReference",
    "id": "doc1",
    "type": {"coding": [{"system": LOINC, "code": "34133-9"}]},
    "subject": {"reference": "Patient/1"},
    "content": [{"attachment": {"contentType": "application/pdf"}}],
}
CODED = [
    {"coding": [{"system": "urn:local", "code": "GLU"}, {"system": LOINC, "code": "2339-0"}]},
    {"coding": [{"system": "urn:oid:2.16.840.1.113883.6.1", "code": "2339-0"}]},
    {"coding": [{"code": "2339-0"}]},
]
SHAPES = [
    observation(),
    observation(**ENCOUNTER),
    observation(identifier=[{"system": "urn:obs", "value": "1"}], encounter={"reference": "Encounter/e3"}),
    observation(meta={"profile": [PROFILE]}, encounter={"identifier": {"system": REGISTRY, "value": "e3"}}),
    *(observation(code=one, derivedFrom=[{"reference": "Observation/x"}]) for one in CODED),
    {name: value for name, value in observation().items() if name != "id"},
    DOCUMENT,
]
resources = st.sampled_from([*(3 * SHAPES[:2]), *SHAPES[2:]])


CONTAINER = {
    "resourceType": "Observation",
    "id": "obs1",
    "status": "final",
    "code": {"coding": [{"system": LOINC, "code": "1-1"}]},
    "subject": {"reference": "Patient/1"},
    "performer": [{"reference": "Practitioner/a"}],
    "encounter": {"reference": "Encounter/e1"},
    "effectiveDateTime": "2024-01-15",
}


@st.composite
def askings(draw) -> dict:
    """All of a case but its consents and its resource."""
    asked = {"purpose": draw(purposes), "at": draw(instants), "zone": draw(zones)}
    asked |= {"action": draw(wanted), "own": draw(st.booleans())}
    asked["person"] = draw(often(None, *PERSONS, of=6))
    return asked | {"acting": draw(often(None, *ACTING, of=4))}


@st.composite
def abouts(draw) -> dict:
    """The resource of a case, and what is known of it."""
    about = {"resource": draw(resources), "labels": draw(label_sets())}
    about["period"] = draw(st.none() | periods)
    about["authors"] = (draw(writers),) if draw(st.booleans()) else ()
    elsewhere = draw(st.sampled_from([None, None, None, None, None, "contained", "elsewhere"]))
    if elsewhere == "contained":
        about["container"] = CONTAINER
    return about | {"elsewhere": elsewhere == "elsewhere"}


@st.composite
def targets(draw) -> Target:
    """A resource as the engine sees it, with labels, dates, authors, and perhaps what contains it."""
    return target_of(Case(consents=(), purpose=PURPOSES[0], at=AT, **draw(abouts())))
