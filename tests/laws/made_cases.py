"""Whole cases for the laws: consents of every kind together, and consents that turn on one thing.

Most values fit the question, so that what does not fit decides. Of the pairs at least a quarter are permits, a quarter
denies by a provision, and a tenth cannot be evaluated; whatever matcher is switched off is noticed.
"""

from itertools import combinations

import msgspec
from hypothesis import strategies as st

from consent_store.dates import Period
from consent_store.model import (
    ACT_CODE,
    CONFIDENTIALITY,
    Actor,
    Coding,
    Consent,
    Data,
    Dialect,
    Effect,
    Meaning,
    PatientKey,
    Provision,
    Reference,
    Unreadable,
)
from tests.consent_questions import NPI, labels, observation
from tests.consents import value
from tests.laws.cases import ACTING, ELSEWHERE, OURS, REGISTRY, Case
from tests.laws.made_consents import (
    ACTIONS,
    AT,
    CODES,
    CONTAINER,
    DATES,
    DOCUMENTED,
    HOLDING,
    NOT_HOLDING,
    OPTIONAL,
    PARTICIPATION,
    PCF_TEXT,
    PEOPLE,
    PERSONS,
    PLACES,
    PROFILED,
    PURPOSES,
    SHAPES,
    STATED_PURPOSES,
    TYPE_CODES,
    WRITERS,
    abouts,
    actions,
    actors,
    askings,
    by,
    codings,
    concepts,
    consents,
    dates,
    effects,
    holder_roles,
    holders,
    instants,
    odd_roles,
    one_or_two,
    parties,
    periods,
    purposes,
    recipient_roles,
    resources,
    role,
    rules,
    to,
    unreadables,
    wanted,
    writers,
    zones,
)

# --- whole cases

several = st.sampled_from([1, 1, 1, 2, 2, 3])


@st.composite
def _broad(draw, each: int) -> list[Case]:
    """Consents of every kind together."""
    found = [draw(consents()) for _ in range(draw(several))]
    if not draw(st.integers(0, 9)):
        found = [*found, draw(consents(status=None))]
    lost = [draw(unreadables())] if not draw(st.integers(0, 3)) else []
    asked = draw(askings())
    return [_case(found, lost, asked, draw(abouts())) for _ in range(each)]


PLAIN_ASKED = {"purpose": PURPOSES[0], "at": AT}
LEVELS = codings(CONFIDENTIALITY, "L", "N", "R", "V", "r", "PSY")
SUBSTANCE = codings(ACT_CODE, "SUD", "ETHUD", "OPIOIDUD", "ETH", "SPI", "42CFRPart2")
MENTAL = codings(ACT_CODE, "PSY", "MH", "BH", "SPI", "PSYTHPN", "HIPAAPsyNotes")
VIOLENCE = codings(ACT_CODE, "SDV", "VIO", "MST", "HIV", "HIPAASelfPay")
NOTES = codings(ACT_CODE, "PSYTHPN", "HIPAAPsyNotes")
OTHERS = [*codings(ACT_CODE, "NOAUTH", "NODSCLCD", "ENCRYPT"), Coding("urn:other", "X")]
OLD = "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw"
RESPELLED = [Coding(OLD, "42CFRPart2"), Coding("urn:oid:2.16.840.1.113883.5.4", "sud"), *SUBSTANCE[:1], SUBSTANCE[-1]]
LINKED = [*to("Encounter/e1", "Encounter/e2", "Encounter/e3", "List/l1"), by(REGISTRY, "e3")]
ITSELF = [one for one in PLACES if one not in LINKED]
Drawn = dict[str, st.SearchStrategy]
COPIES = [one for one in PLACES if one.reference == f"{ELSEWHERE}/Observation/obs1"]
HOW = {"pcf", "deep", "grantees"}
"""What is no element of a provision: the Consent may declare IHE PCF; exceptions stand inside exceptions; an R5 Consent
of these grantees."""


def some(values: list, most: int = 2) -> st.SearchStrategy[tuple]:
    """One or a few of the values; drawn at once, so that every choice is as likely."""
    return st.sampled_from([chosen for size in range(1, most + 1) for chosen in combinations(values, size)])


def carrying(*codes: Coding) -> Drawn:
    """Labels of a resource: at most two of these, beside a level."""
    carried = st.just(()) | some(list(codes)) if codes else st.just(())
    known = st.sampled_from([False, False, False, False, False, False, True])
    levels = st.sampled_from("LNNRV")
    return {"labels": st.builds(lambda level, some, lost: labels(level, *some, unknown=lost), levels, carried, known)}


def about(*meanings: Meaning, places: list[Reference]) -> st.SearchStrategy[tuple]:
    """provision.data of these meanings and places."""
    return one_or_two(st.builds(Data, st.sampled_from(meanings), st.sampled_from(places)))


def acted(kinds: st.SearchStrategy, who: st.SearchStrategy) -> Drawn:
    """Actors."""
    return {"actors": one_or_two(st.builds(Actor, kinds, who))}


linked = st.sampled_from(SHAPES[:3] * 2 + SHAPES[3:6])
near = st.builds(Period, st.none() | st.sampled_from(DATES[5:9]), st.none() | st.sampled_from(DATES[5:9]))
close_zones = st.sampled_from(["UTC", "America/Los_Angeles", "Pacific/Kiritimati", None])
acting = st.sampled_from([None, *ACTING])
grantees = st.just(()) | parties.map(lambda one: (one,))
written = {"authors": writers.map(lambda one: (one,))}
SUD, PART2, ETHUD = SUBSTANCE[0], SUBSTANCE[5], SUBSTANCE[1]
FACETS: list[tuple[Drawn, Drawn]] = [
    # what a provision states, and what the question varies
    ({"labels": some(LEVELS)}, carrying()),
    ({"labels": some(LEVELS)}, carrying(*SUBSTANCE[:1])),
    ({"labels": some(SUBSTANCE, 3)}, carrying(*SUBSTANCE)),
    ({"labels": some([SUD, PART2])}, carrying(SUD, PART2, ETHUD)),
    ({"labels": some(MENTAL, 3)}, carrying(*MENTAL)),
    *(2 * [({"labels": some(NOTES)}, carrying(*NOTES))]),
    ({"labels": some(VIOLENCE, 1)}, carrying(*VIOLENCE)),
    ({"labels": some(OTHERS)}, carrying(*OTHERS)),
    ({"labels": some(RESPELLED)}, carrying(*SUBSTANCE)),
    ({"classes": some(TYPE_CODES)}, {"resource": resources}),
    ({"classes": some(PROFILED)}, {"resource": st.sampled_from([SHAPES[0], SHAPES[3]])}),
    ({"classes": some(DOCUMENTED)}, {"resource": st.sampled_from([SHAPES[0], SHAPES[-1]])}),
    ({"codes": one_or_two(concepts)}, {"resource": resources}),
    ({"codes": some([(one,) for one in CODES if one.code == "2339-0"])}, {"resource": st.sampled_from(SHAPES[4:7])}),
    ({"data": about(Meaning.RELATED, places=LINKED), "pcf": st.booleans()}, {"resource": linked}),
    ({"data": about(Meaning.DEPENDENTS, places=LINKED)}, {"resource": linked, "own": st.booleans()}),
    (
        {"data": about(*Meaning, places=ITSELF)},
        {"resource": linked, "own": st.booleans(), "elsewhere": st.booleans(), "container": st.just(None)},
    ),
    ({"data": about(Meaning.INSTANCE, Meaning.DEPENDENTS, places=COPIES)}, {"elsewhere": st.booleans()}),
    ({"data": about(Meaning.AUTHORED_BY, places=WRITERS)}, written),
    (acted(st.just(role(PARTICIPATION, "AUT")), writers), written),
    ({"data_period": periods}, {"period": periods, "zone": zones}),
    ({"data_period": near}, {"period": near, "zone": close_zones}),
    ({"period": periods}, {"at": instants, "zone": zones}),
    ({"period": near}, {"at": instants, "zone": close_zones}),
    *(2 * [({"labels": some(LEVELS), "deep": st.booleans()}, carrying())]),
    ({"purposes": some(STATED_PURPOSES)}, {"purpose": purposes}),
    ({"actions": one_or_two(actions)}, {"action": wanted}),
    ({"actions": some([(one,) for one in codings(ACTIONS, "use", "collect", "access")])}, {"action": wanted}),
    ({"actions": some([(one,) for one in codings(ACTIONS, "use", "correct")], 1)}, {}),
    (acted(recipient_roles, parties), {"at": instants, "zone": zones, "own": st.booleans()}),
    (acted(recipient_roles, st.sampled_from(PEOPLE)), {"person": st.sampled_from([None, *PERSONS])}),
    (acted(holder_roles, holders), {"acting": acting}),
    (acted(holder_roles, st.sampled_from(NOT_HOLDING)), {"acting": acting}),
    (acted(odd_roles | recipient_roles, parties), {}),
    (acted(recipient_roles, st.sampled_from(to("Organization/double", "Group/circle", "Group/odd"))), {}),
    *(2 * [({"grantees": grantees, **acted(st.just(()) | recipient_roles, parties)}, {})]),
    ({"actors": actors.map(lambda one: (one,)), "labels": some(SUBSTANCE)}, carrying(*SUBSTANCE)),
    ({}, {"zone": zones, "acting": acting}),
    ({}, {"zone": close_zones}),
    ({}, {"acting": acting}),
]
OVERLAPPING = st.sampled_from(DATES[1:4])
TWO_NAMES = st.sampled_from([(HOLDING[0],), (by(NPI, "1"),), (Reference(f"{OURS}/Organization/o1"),)])
SHARED = {name: OPTIONAL[name] for name in ("custodians", "policies", "raw", "scopes")} | {"policy_rules": rules}


@st.composite
def _sharp(draw, each: int) -> list[Case]:
    """Consents that turn on one thing, which is stated and asked in many ways while all else fits."""
    stated, varied = draw(st.sampled_from(FACETS))
    found = [draw(_about_one(stated)) for _ in range(1 if stated else draw(st.sampled_from([2, 3])))]
    if stated and found[0].base is Effect.DENY and draw(st.booleans()):
        found.append(_typed(Provision(type=Effect.PERMIT), policies=("urn:p3",)))  # what is not refused is permitted
    lost = [draw(unreadables())] if not draw(st.integers(0, 6)) else []
    asked = {"container": draw(st.sampled_from([None, None, None, CONTAINER])), "elsewhere": False}
    asked |= {"resource": observation(), "labels": labels("N"), **PLAIN_ASKED}
    return [_case(found, lost, asked, {name: draw(values) for name, values in varied.items()}) for _ in range(each)]


@st.composite
def _about_one(draw, stated: Drawn) -> Consent:
    """A Consent whose provisions state one thing, or nothing."""
    nests = 1 if "deep" in stated else draw(st.sampled_from([0, 0, 0, 1, 2])) if stated else 0
    inner = [_rule(draw, effects, stated) for _ in range(nests)]
    deeper = [_rule(draw, effects, stated)] if "deep" in stated or (inner and draw(st.booleans())) else []
    inner = [msgspec.structs.replace(one, nested=tuple(deeper)) for one in inner]
    root = _rule(draw, root_effects, stated if draw(st.booleans()) or not inner else {})
    shared = {name: draw(values) for name, values in SHARED.items() if not draw(st.integers(0, 5))}
    if not stated:
        shared = draw(
            st.sampled_from(
                [
                    {},
                    {"custodians": draw(TWO_NAMES)},
                    {"custodians": draw(TWO_NAMES), "date": draw(dates)},
                    {"date": draw(OVERLAPPING)},
                    shared,
                ]
            )
        )
    if "pcf" in stated:
        shared["raw"] = PCF_TEXT if draw(stated["pcf"]) else b""
    more = {"date": draw(dates), **shared}
    if "grantees" in stated:
        return _alternating(root.type, (*inner, root), grantees=draw(stated["grantees"]), **more)
    return _typed(msgspec.structs.replace(root, nested=tuple(inner)), **more)


def _alternating(base: Effect, exceptions: tuple[Provision, ...], **more) -> Consent:
    """An R5 Consent of this decision."""
    consent = _typed(Provision(type=base), **more)
    return msgspec.structs.replace(consent, fhir_version="5.0", dialect=Dialect.R5, provisions=exceptions)


def _typed(root: Provision, **more) -> Consent:
    """An R4 Consent of this root."""
    return value(root, patient=PatientKey("ehr", "1"), **more)


root_effects = st.sampled_from([*(7 * [Effect.PERMIT]), *(3 * [Effect.DENY])])


def _rule(draw, type: st.SearchStrategy, stated: Drawn) -> Provision:
    fields = {name: draw(values) for name, values in stated.items() if name not in HOW}
    return Provision(type=draw(type), **fields)


def cases(each: int = 1) -> st.SearchStrategy[list[Case]]:
    """Cases of the same consents and exchange, each about another resource."""
    return _broad(each) | _sharp(each)


def _case(found: list[Consent], lost: list[Unreadable], asked: dict, about: dict) -> Case:
    named = tuple(msgspec.structs.replace(one, id=f"{one.id}{index}") for index, one in enumerate(found))
    unreadable = tuple(msgspec.structs.replace(one, id=f"{one.id}{index}") for index, one in enumerate(lost))
    return Case(consents=named, unreadable=unreadable, **{**asked, **about})
