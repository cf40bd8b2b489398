"""Consents written by hand from the specification, each with its outcome reasoned first; asked as an outsider asks."""

from typing import Any

import pytest

from tests.consents import ACT_CODE, ACT_REASON, ACTION, ROLE, code, concept
from tests.questions import (
    PARTICIPANTS,
    ROSA,
    SUBJECT,
    asked,
    condition,
    consent,
    encounter,
    observation,
    recipient,
    verdicts,
)

CONF = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
TYPES, TYPES5 = "http://hl7.org/fhir/resource-types", "http://hl7.org/fhir/fhir-types"
LOINC, ICD = "http://loinc.org", "http://hl7.org/fhir/sid/icd-10-cm"
NPI = "http://hl7.org/fhir/sid/us-npi"
ODD = {"url": "http://example.org/odd", "valueBoolean": True}
VALLEY, PLAN, MERCY = ({"reference": f"Organization/{one}"} for one in ("valley", "plan", "mercy"))
DIABETES = condition("sugar", "E11.9")
FRACTURE = condition("bone", "S52.5")
WEIGHT = observation()
Tree = dict[str, Any]


def marked(*codes: str) -> Tree:
    """A weight with these labels."""
    return observation(meta={"security": [code(CONF if one in "ULMNRV" else ACT_CODE, one) for one in codes]})


def why(*codes: str) -> Tree:
    """provision.purpose."""
    return {"purpose": [code(ACT_REASON, one) for one in codes]}


def to(*parties: Tree, role: str = "IRCP") -> Tree:
    """provision.actor."""
    return {"actor": [{**recipient(one), "role": concept(ROLE, role)} for one in parties]}


def kind(name: str, system: str = TYPES, element: str = "class") -> Tree:
    """provision.class."""
    return {element: [code(system, name)]}


def label(*codes: str) -> Tree:
    """provision.securityLabel."""
    return {"securityLabel": [code(CONF if one in "ULMNRV" else ACT_CODE, one) for one in codes]}


def but(*inner: Tree) -> Tree:
    """Exceptions inside a provision."""
    return {"provision": list(inner)}


def yes(**parts: Any) -> Tree:
    """A nested permit."""
    return {"type": "permit", **parts}


def no(**parts: Any) -> Tree:
    """A nested deny."""
    return {"type": "deny", **parts}


def signed(date: str | None = "2026-01-01", effect: str = "permit", id: str = "c", **parts: Any) -> Tree:
    """An R4 Consent of this day; parts that are no element of a provision stand on the Consent."""
    top = {name: parts.pop(name) for name in list(parts) if name in _TOP}
    whole = {**consent(effect, **parts), "id": id, "dateTime": date, **top}
    return {name: value for name, value in whole.items() if value is not None}


_TOP = {"policy", "policyRule", "organization", "scope", "category", "status", "verification", "modifierExtension"}


def untyped(rule: str, **root: Any) -> Tree:
    """An R4 Consent whose base is in policyRule."""
    whole = {**signed(policyRule=concept(ACT_CODE, rule)), "provision": root}
    del whole["policy"]
    return whole


def five(decision: str | None = "permit", *provisions: Tree, **parts: Any) -> Tree:
    """An R5 Consent."""
    whole = {
        "resourceType": "Consent",
        "id": "five",
        "status": "active",
        "subject": SUBJECT,
        "date": "2026-01-01",
        "decision": decision,
        "provision": list(provisions) or None,
        **parts,
    }
    return {name: value for name, value in whole.items() if value is not None}


def data(meaning: str, reference: str) -> Tree:
    """provision.data."""
    return {"data": [{"meaning": meaning, "reference": {"reference": reference}}]}


def goes(record: Tree, *consents: Tree, context: tuple[Tree, ...] = (), **asking: Any) -> bool:
    """Whether the record is released, where consent alone decides."""
    said = asked(record, profile="base", consents=list(consents), context=[ROSA, *context], **asking)
    return verdicts(said)[f"{record['resourceType']}/{record['id']}"] == "disclosed"


GROUP = {"resourceType": "Group", "id": "g", "type": "practitioner", "actual": True, "active": True}
IN_GROUP = {**GROUP, "member": [{"entity": VALLEY}]}
NOT_IN_GROUP = {**GROUP, "member": [{"entity": VALLEY, "inactive": True}, {"entity": PLAN}]}
ROLE_OF = {"resourceType": "PractitionerRole", "id": "r", "organization": VALLEY}
VISIT = encounter("v", diagnosis=[{"condition": {"reference": "Condition/sugar"}}])
AT_VISIT = observation(encounter={"reference": "Encounter/v"})
WITH_NPI = [
    {**one, "identifiers": [{"system": NPI, "value": one["id"]}]} if one["id"] in ("valley", "plan") else one
    for one in PARTICIPANTS
]
BY_NPI, OTHER_NPI = ({"identifier": {"system": NPI, "value": one}} for one in ("valley", "nobody"))
OTHER_SYSTEM = {"identifier": {"system": "urn:other", "value": "valley"}}
DEEP = but(no(**kind("Condition"), **but(yes(code=[concept(ICD, "E11.9")], **but(no(**label("R")))))))
DEEP5 = five(
    "deny",
    {**why("TREAT"), **but({**kind("Condition", TYPES5, "resourceType"), **but({"code": [concept(ICD, "E11.9")]})})},
)
OLD_YES = signed("2025-01-01", id="old")
R = {"security": [code(CONF, "R")]}

# what the text says, whether it goes, the record, the consents, how it is asked
CASES: list[tuple[str, bool, Tree, list[Tree], Tree]] = [
    # purposes
    ("TREAT covers what stands under it", True, WEIGHT, [signed(**why("TREAT"))], {"purpose": "COC"}),
    ("CAREMGT stands under HOPERAT, not TREAT", False, WEIGHT, [signed(**why("TREAT"))], {"purpose": "CAREMGT"}),
    ("HOPERAT covers CAREMGT", True, WEIGHT, [signed(**why("HOPERAT"))], {"purpose": "CAREMGT"}),
    ("a permit for part of a purpose is none for the whole", False, WEIGHT, [signed(**why("COC"))], {}),
    ("a deny for part of a purpose leaves the rest", True, WEIGHT, [signed(**but(no(**why("COC"))))], {}),
    ("and denies that part", False, WEIGHT, [signed(**but(no(**why("COC"))))], {"purpose": "COC"}),
    ("a nested BTG permit may apply though the root is for TREAT", True, marked("R"),
     [signed(**why("TREAT"), **label("N"), **but(yes(**why("BTG"))))], {"purpose": "BTG"}),
    # dialects and nesting
    ("a nested provision without type flips", False, WEIGHT, [signed(**but(kind("Observation")))], {}),
    ("a nested permit under a permit widens (PCF)", True, marked("R"),
     [signed(**label("N"), **but(yes(**label("R"))))], {}),
    ("for whom it names alone", False, marked("R"), [signed(**label("N"), **but(yes(**label("R"), **to(PLAN))))], {}),
    ("deny in a permit in a deny: inside", True, DIABETES, [signed(**DEEP)], {}),
    ("deny in a permit in a deny: innermost", False, {**DIABETES, "meta": R}, [signed(**DEEP)], {}),
    ("deny in a permit in a deny: beside", False, FRACTURE, [signed(**DEEP)], {}),
    ("deny in a permit in a deny: outside", True, {**WEIGHT, "meta": R}, [signed(**DEEP)], {}),
    ("a nested permit under a deny that is not met", True, WEIGHT,
     [signed(effect="deny", **to(PLAN), **but(yes(**to(VALLEY))))], {}),
    ("R5 alternates: the permit in the deny", True, WEIGHT, [DEEP5], {}),
    ("R5 alternates: the deny in that", False, FRACTURE, [DEEP5], {}),
    ("R5 alternates: the permit in that", True, DIABETES, [DEEP5], {}),
    ("R5 alternates: not for another purpose", False, WEIGHT, [DEEP5], {"purpose": "HRESCH"}),
    ("R5 without decision but with provisions", False, WEIGHT, [five(None, why("TREAT")), OLD_YES], {}),
    ("OPTIN in policyRule", True, WEIGHT, [untyped("OPTIN", period={"end": "2026"})], {}),
    ("OPTIN whose period is over", False, WEIGHT, [untyped("OPTIN", period={"end": "2026-10"})], {}),
    ("OPTIN whose root names somebody is never a permit", False, WEIGHT, [untyped("OPTIN", **to(VALLEY))], {}),
    ("OPTOUT with an exception that flips", True, WEIGHT, [untyped("OPTOUT", **but(kind("Observation")))], {}),
    ("OPTOUT elsewhere", False, DIABETES, [untyped("OPTOUT", **but(kind("Observation")))], {}),
    ("OPTIN with a typed exception", False, DIABETES, [untyped("OPTIN", **but(no(**kind("Condition"))))], {}),
    # dates
    ("2026-11 is the whole of November", True, WEIGHT, [signed(period={"end": "2026-11"})], {}),
    ("an end is inclusive", True, WEIGHT, [signed(period={"end": "2026-11-22"})], {"at": "2026-11-22T09:59:59Z"}),
    ("where no zone is known, it ends where the day ends first", False, WEIGHT,
     [signed(period={"end": "2026-11-22"})], {"at": "2026-11-22T10:00:00Z"}),
    ("over since yesterday", False, WEIGHT, [signed(period={"end": "2026-11-20"})], {}),
    ("a period that ends before it starts permits nothing", False, WEIGHT,
     [signed(period={"start": "2026-12", "end": "2026-11"})], {}),
    ("nor lets a deny go", False, WEIGHT, [signed(**but(no(period={"start": "2026-12", "end": "2026-11"})))], {}),
    ("both periods must run", False, WEIGHT, [signed(effect="deny", period={"end": "2025"}, **but(yes()))], {}),
    # several consents
    ("the newer one speaks", True, WEIGHT, [signed("2025", "deny", id="d"), signed("2026-01-01")], {}),
    ("overlapping dates are one instant", False, WEIGHT, [signed("2026", "deny", id="d"), signed("2026-05-01")], {}),
    ("a newer one that does not apply leaves the older", False, WEIGHT,
     [signed("2025", "deny", id="d"), signed("2026-01-01", **to(PLAN))], {}),
    ("a deny of another policy stands", False, WEIGHT,
     [signed("2025", "deny", id="d", policy=[{"uri": "urn:other"}]), signed()], {}),
    ("a withdrawn deny is none", True, WEIGHT, [signed("2026-05-01", "deny", id="d", status="inactive"), signed()], {}),
    ("a status nobody knows denies", False, WEIGHT, [signed("2026-05-01", id="d", status="nonsense"), signed()], {}),
    ("until a newer one speaks", True, WEIGHT, [signed("2025-05-01", id="d", status="nonsense"), signed()], {}),
    ("a date that cannot be read may be the newest", False, WEIGHT, [signed("soon", "deny", id="d"), signed()], {}),
    ("no date is the oldest", True, WEIGHT, [signed(None, "deny", id="d"), signed()], {}),
    # what cannot be read
    ("a modifier on the Consent", False, WEIGHT, [signed(modifierExtension=[ODD]), OLD_YES], {}),
    ("a modifier on a deny's actor: it reaches everybody", False, WEIGHT,
     [signed(**but(no(actor=[{**recipient(PLAN), "modifierExtension": [ODD]}])))], {}),
    ("a modifier on a permit's actor: it reaches nobody", False, WEIGHT,
     [signed(actor=[{**recipient(VALLEY), "modifierExtension": [ODD]}])], {}),
    ("a modifier on a permit", False, WEIGHT, [signed("2026-05-01", "deny", **but(yes(modifierExtension=[ODD])))], {}),
    ("an unknown extension on a permit", False, WEIGHT, [signed(extension=[ODD])], {}),
    ("an unknown extension on a deny may be ignored", True, WEIGHT,
     [signed(**but(no(extension=[ODD], **kind("Condition"))))], {}),
    ("an expression on an exception that denies", False, WEIGHT,
     [five("permit", {"expression": {"language": "text/fhirpath", "expression": "false"}})], {}),
    ("an expression on an exception that permits", False, WEIGHT,
     [five("deny", {"expression": {"language": "text/fhirpath", "expression": "true"}})], {}),
    ("a misspelt element on a permit", False, WEIGHT, [signed(actors=[recipient(PLAN)])], {}),
    ("an actor of unknown role on a deny", False, WEIGHT, [signed(**but(no(**to(PLAN, role="WIT"))))], {}),
    # who
    ("by identifier alone", True, WEIGHT, [signed(**to(BY_NPI))], {"participants": WITH_NPI}),
    ("another's identifier", False, WEIGHT, [signed(**to(OTHER_NPI))], {"participants": WITH_NPI}),
    ("a deny by another's identifier", True, WEIGHT, [signed(**but(no(**to(OTHER_NPI))))], {"participants": WITH_NPI}),
    ("a deny by an identifier nobody can place", False, WEIGHT,
     [signed(**but(no(**to(OTHER_SYSTEM))))], {"participants": WITH_NPI}),
    ("never by display", False, WEIGHT, [signed(**to({"display": "Valley"}))], {}),
    ("another server's Organization/valley", False, WEIGHT,
     [signed(**to({"reference": "https://other.example/fhir/Organization/valley"}))], {}),
    ("a member of the group", True, WEIGHT, [signed(**to({"reference": "Group/g"}))], {"context": (IN_GROUP,)}),
    ("an inactive member", False, WEIGHT, [signed(**to({"reference": "Group/g"}))], {"context": (NOT_IN_GROUP,)}),
    ("a group nobody shows", False, WEIGHT, [signed(**to({"reference": "Group/g"}))], {}),
    ("a deny to a group nobody shows", False, WEIGHT, [signed(**but(no(**to({"reference": "Group/g"}))))], {}),
    ("a deny to a group of others", True, WEIGHT,
     [signed(**but(no(**to({"reference": "Group/g"}))))], {"context": (NOT_IN_GROUP,)}),
    ("a role at the organisation", True, WEIGHT,
     [signed(**to({"reference": "PractitionerRole/r"}))], {"context": (ROLE_OF,)}),
    ("R5: an actor without role", True, WEIGHT, [five("deny", {"actor": [{"reference": VALLEY}]})], {}),
    ("R5: the grantee", True, WEIGHT, [five("permit", grantee=[VALLEY])], {}),
    ("R5: another grantee", False, WEIGHT, [five("permit", grantee=[PLAN])], {}),
    ("the custodian is who discloses", True, WEIGHT, [signed(organization=[MERCY])], {}),
    ("given to another custodian", False, WEIGHT, [signed(organization=[PLAN])], {}),
    ("a deny given to another custodian", False, WEIGHT,
     [signed("2025", "deny", id="d", organization=[PLAN]), signed(organization=[MERCY])], {}),
    ("R5: the controller is another", False, WEIGHT, [five("permit", controller=[PLAN])], {}),
    ("R5: manager and controller", True, WEIGHT, [five("permit", manager=[PLAN], controller=[MERCY])], {}),
    ("verification failed", False, WEIGHT, [signed(verification=[{"verified": False}])], {}),
    # what for, in which way
    ("a permit to use is none to disclose", False, WEIGHT, [signed(action=[concept(ACTION, "use")])], {}),
    ("access is disclosure", True, WEIGHT, [signed(action=[concept(ACTION, "access")])], {}),
    ("a deny to correct", True, WEIGHT, [signed(**but(no(action=[concept(ACTION, "correct")])))], {}),
    ("a consent to treatment is about something else", False, WEIGHT,
     [signed(scope=concept("http://terminology.hl7.org/CodeSystem/consentscope", "treatment"))], {}),
    # labels
    ("R or lower", True, marked("N"), [signed(**label("R"))], {}),
    ("N is not R", False, marked("R"), [signed(**label("N"))], {}),
    ("a deny of R is one of V", False, marked("V"), [signed(**but(no(**label("R"))))], {}),
    ("and none of N", True, marked("N"), [signed(**but(no(**label("R"))))], {}),
    ("every sensitivity must be covered", False, marked("R", "PSY", "HIV"), [signed(**label("R", "PSY"))], {}),
    ("confidentiality need not be", True, marked("R", "PSY"), [signed(**label("PSY"))], {}),
    ("any one is denied", False, marked("R", "PSY", "HIV"), [signed(**but(no(**label("HIV"))))], {}),
    ("alcohol stands under substance use", True, marked("R", "ETHUD"), [signed(**label("SUD"))], {}),
    ("ETH does not cover it", False, marked("R", "ETHUD"), [signed(**label("ETH"))], {}),
    ("but denies it", False, marked("R", "ETHUD"), [signed(**but(no(**label("ETH"))))], {}),
    # codes, dates and relations of the record
    ("any coding of the record", False, {**WEIGHT, "code": {"coding": [code("urn:x", "y"), code(LOINC, "29463-7")]}},
     [signed(**but(no(code=[concept(LOINC, "29463-7")])))], {}),
    ("in its period", True, observation(effectiveDateTime="2024-05"),
     [signed(dataPeriod={"start": "2024", "end": "2024"})], {}),
    ("half in it", False, observation(effectiveDateTime="2024"), [signed(dataPeriod={"start": "2024-02"})], {}),
    ("a deny of what is half in it", False, observation(effectiveDateTime="2024"),
     [signed(**but(no(dataPeriod={"start": "2024-02"})))], {}),
    ("no date, no permit", False, WEIGHT, [signed(dataPeriod={"start": "2024"})], {}),
    ("the instance", True, WEIGHT, [signed(**data("instance", "Observation/weight/_history/3"))], {}),
    ("another instance", False, WEIGHT, [signed(**data("instance", "Observation/height"))], {}),
    ("what the visit refers to", True, DIABETES, [signed(**data("related", "Encounter/v"))], {"context": (VISIT,)}),
    ("not what refers to it", False, AT_VISIT, [signed(**data("related", "Encounter/v"))], {"context": (VISIT,)}),
    ("what refers to it", True, AT_VISIT, [signed(**data("dependents", "Encounter/v"))], {}),
    ("a deny goes both ways", False, AT_VISIT,
     [signed(**but(no(**data("related", "Encounter/v"))))], {"context": (VISIT,)}),
    ("and forward", False, DIABETES, [signed(**but(no(**data("related", "Encounter/v"))))], {"context": (VISIT,)}),
    ("and no further", True, WEIGHT, [signed(**but(no(**data("related", "Encounter/v"))))], {"context": (VISIT,)}),
    ("who wrote it", True, observation(performer=[MERCY]), [signed(**data("authoredby", "Organization/mercy"))], {}),
    ("another wrote it", True, observation(performer=[MERCY]),
     [signed(**but(no(**data("authoredby", "Practitioner/x"))))], {}),
    ("nobody knows who", False, WEIGHT, [signed(**but(no(**data("authoredby", "Practitioner/x"))))], {}),
]  # fmt: skip


@pytest.mark.parametrize(("says", "expected", "record", "consents", "asking"), CASES, ids=[one[0] for one in CASES])
def test_the_outcome_is_the_one_that_was_reasoned(says, expected, record, consents, asking):
    """What the text says of the record is what is done with it."""
    assert expected == goes(record, *consents, **asking)
