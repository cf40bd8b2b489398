"""Consents, exchanges and resources for the laws: every element, every dialect, from a small world where names meet."""

from datetime import UTC, datetime

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
from tests.consent_questions import LOINC, NPI, labels, observation, view

PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
TYPES = "http://hl7.org/fhir/resource-types"
MEMBERS = [{"entity": {"reference": "Organization/o7"}, "inactive": True}, {"entity": {"reference": "Organization/o9"}}]
GROUPS = {"Group/with": [MEMBERS[1], {"entity": {"reference": "Organization/o7"}}], "Group/without": MEMBERS}
"""Groups of the context: in one of them the plan is a member."""

PURPOSES = [Coding(ACT_REASON, code) for code in ("TREAT", "COC", "ETREAT", "HOPERAT", "CAREMGT", "HPAYMT", "HRESCH")]
DATES = [
    "2023",
    "2024-01",
    "2024-01-15",
    "2024-01-15T10:00:00Z",
    "2024-02",
    "2025-03-01",
    "2025-03-01T12:00:00Z",
    "2026",
]
SENSITIVITIES = ["PSY", "MH", "SUD", "ETHUD", "OPIOIDUD", "ETH", "HIV", "SDV", "VIO", "SPI", "PSYTHPN"]
AT = datetime(2025, 3, 1, 12, tzinfo=UTC)

dates: st.SearchStrategy[FhirDate] = st.sampled_from(DATES).map(parse_date)
periods = st.builds(Period, st.none() | dates, st.none() | dates)
label_codings = st.sampled_from(
    [Coding(CONFIDENTIALITY, code) for code in "LNRV"]
    + [Coding(ACT_CODE, code) for code in (*SENSITIVITIES, "42CFRPart2", "HIPAASelfPay")]
)
parties = st.sampled_from(
    [
        *(4 * [Reference("Organization/o7")]),
        Reference("Organization/o9"),
        Reference("Practitioner/p"),
        Reference("Group/with"),
        Reference("Group/without"),
        Reference("Group/unknown"),
        Reference(identifier=Identifier(NPI, "7")),
        Reference(identifier=Identifier(NPI, "8")),
        Reference(identifier=Identifier("urn:other", "7")),
        Reference(identifier=Identifier(PARTICIPANT_TYPE, "mcp")),
        Reference(identifier=Identifier(PARTICIPANT_TYPE, "cbo")),
    ]
)
holders = st.sampled_from([*(5 * [Reference("Organization/o1")]), Reference("Organization/o9")])
authors = st.sampled_from([Reference("Practitioner/a"), Reference("Practitioner/b")])


def role(code: str) -> tuple[Coding, ...]:
    """A role of an actor."""
    return (Coding(PARTICIPATION, code),)


actors = st.one_of(
    st.builds(Actor, st.just(role("IRCP")), parties),
    st.builds(Actor, st.just(role("PRCP")), parties),
    st.builds(Actor, st.just(role("CST")), holders),
    st.builds(Actor, st.just(role("AUT")), authors),
    st.builds(Actor, st.just(role("WIT")), parties),
)
data = st.one_of(
    st.builds(
        Data,
        st.sampled_from([Meaning.INSTANCE, Meaning.DEPENDENTS, Meaning.RELATED]),
        st.sampled_from([Reference("Observation/obs1"), Reference("Encounter/e1"), Reference("Encounter/e2")]),
    ),
    st.builds(Data, st.just(Meaning.AUTHORED_BY), authors),
)


def few(values: st.SearchStrategy, most: int = 2) -> st.SearchStrategy:
    """Mostly nothing, so that conditions do not rule everything out."""
    return st.just(()) | st.just(()) | st.lists(values, min_size=1, max_size=most).map(tuple)


def _action(code: str) -> tuple[Coding, ...]:
    return (Coding(ACTIONS, code),)


def _conditions() -> st.SearchStrategy:
    """One condition of a provision: the element and a value of it."""
    action = st.sampled_from(["disclose", "disclose", "access", "access", "use", "correct", "peruse"]).map(_action)
    purpose = st.sampled_from([*PURPOSES, *(5 * PURPOSES[:1]), Coding(ACT_REASON, "ZZZ"), Coding("urn:other", "TREAT")])
    resource_class = st.sampled_from(["Observation", "Condition"]).map(lambda code: Coding(TYPES, code))
    code = st.sampled_from(["2339-0", "1-1"]).map(lambda code: (Coding(LOINC, code),))
    listed = {
        "actors": actors,
        "actions": action,
        "labels": label_codings,
        "purposes": purpose,
        "classes": resource_class,
        "codes": code,
        "data": data,
        "unreadable": st.just("it cannot be read"),
    }
    alone = {"period": periods, "data_period": periods}
    several = [st.tuples(st.just(name), st.lists(values, min_size=1, max_size=3)) for name, values in listed.items()]
    return st.one_of([*several, *(st.tuples(st.just(name), values) for name, values in alone.items())])


conditions = _conditions()


@st.composite
def provisions(draw, depth: int = 2, type: st.SearchStrategy | None = None) -> Provision:
    """A provision with a few conditions of any kind, and provisions inside it."""
    stated = dict(draw(st.lists(conditions, max_size=2)))
    stated = {name: tuple(value) if isinstance(value, list) else value for name, value in stated.items()}
    inner = draw(st.lists(provisions(depth - 1), max_size=2)) if depth and draw(st.booleans()) else []
    return Provision(type=draw(type if type is not None else effects), nested=tuple(inner), **stated)


effects = st.sampled_from([None, *Effect])


dialects = st.sampled_from([*(3 * [Dialect.TYPED]), Dialect.R5, Dialect.R5, Dialect.UNTYPED])
bases = st.sampled_from([*(4 * [Effect.PERMIT]), *(3 * [Effect.DENY]), None])
scopes = st.sampled_from([*(9 * ["patient-privacy"]), "research", "adr", "odd"]).map(
    lambda code: (Coding(SCOPES, code),)
)
rest = st.fixed_dictionaries(
    {"date": st.none() | dates},
    optional={
        "scopes": scopes,
        "custodians": holders.map(lambda one: (one,)),
        "policies": st.sampled_from([("urn:p1",), ("urn:p2",)]),
        "policy_rules": st.sampled_from(["OPTIN", "OPTOUT"]).map(lambda code: (Coding(ACT_CODE, code),)),
        "verified": st.sampled_from([True, True, True, True, True, False]),
    },
)
only_r5 = st.fixed_dictionaries({}, optional={"period": periods, "grantees": parties.map(lambda one: (one,))})


@st.composite
def consents(draw, status: Status | None = Status.ACTIVE, depth: int = 2) -> Consent:
    """A Consent of any dialect, with exceptions `depth` deep. `status` None: any."""
    dialect = draw(dialects)
    untyped = provisions(depth - 1 if dialect is Dialect.R5 else depth, type=st.none())
    if dialect is Dialect.TYPED:
        roots = (draw(provisions(depth, type=st.sampled_from([Effect.PERMIT, Effect.PERMIT, Effect.DENY]))),)
    else:
        roots = tuple(draw(st.lists(untyped, max_size=2 if dialect is Dialect.R5 else 1)))
    return Consent(
        id=draw(st.sampled_from("abcdefgh")),
        version="1",
        patient=PatientKey("ehr", "1"),
        status=draw(st.sampled_from(Status)) if status is None else status,
        fhir_version="5.0" if dialect is Dialect.R5 else "4.0",
        dialect=dialect,
        base=roots[0].type if dialect is Dialect.TYPED else draw(bases),
        provisions=roots,
        **draw(rest),
        **(draw(only_r5) if dialect is Dialect.R5 else {}),
    )


@st.composite
def unreadables(draw) -> Unreadable:
    """A Consent that could not be read."""
    return Unreadable(
        id=draw(st.sampled_from("xyz")),
        version="1",
        patient=PatientKey("ehr", "1"),
        why="it cannot be read",
        date=draw(st.none() | dates),
        custodians=draw(few(holders, 1)),
        policies=draw(few(st.sampled_from(["urn:p1", "urn:p2"]), 1)),
    )


@st.composite
def targets(draw) -> Target:
    """An Observation with labels, dates, authors and perhaps an encounter."""
    levels, codes = (
        draw(st.sampled_from("LNRV")),
        draw(st.sets(st.sampled_from([*SENSITIVITIES, "42CFRPart2"]), max_size=2)),
    )
    encounter = draw(st.sampled_from([{}, {"encounter": {"reference": "Encounter/e1"}}]))
    return Target(
        view=view(observation(**encounter)),
        labels=labels(levels, *codes, unknown=draw(st.sampled_from([False, False, False, False, True]))),
        period=draw(st.none() | periods),
        authors=draw(few(authors)),
    )


purposes = st.sampled_from([*PURPOSES, *(3 * PURPOSES[:2])])
