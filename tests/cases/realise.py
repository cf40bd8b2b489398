"""A case as a question: participants, agreements, consents, facts, and a Bundle of real records.

Rules of this file
1. Nothing that is sent says what is expected, which case it is, what the data is called, or what can be derived.
2. What a case says of derived things is made so: an agreement that is missing, a consent that names another.
"""

from typing import Any

from tests.cases.records import ACT, RECORDS, Resource, patient

AT = "2025-03-01T12:00:00-08:00"
PROFILES = {"calaim-2021": "us-ca-calaim", "ny-health-home-outreach": "us-ny-health-home"}
COVERED = (
    "provider",
    "ecm_provider_bh",
    "ecm_provider_general",
    "ecm_provider_health",
    "ecm_provider_part2",
    "mco",
    "mcp",
    "dhcs",
    "health_home",
    "cma",
    "bh_manager",
)
ROLES = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
HOLDS = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
NO_DATE = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "not-applicable",
}
BORN = {"adult": "1980-03-01", "minor": "2012-03-01"}


def question(case: dict[str, Any], vocabulary: dict[str, Any]) -> dict[str, Any]:
    """Give the decide question that a case is."""
    born = BORN.get(case["subject_age"])
    birth = {"birthDate": born} if born else {}
    records = records_of(case, born)
    inside = any(r["resourceType"] == "Patient" for r in records)
    return {
        "v": 1,
        "at": AT,
        "profile": PROFILES[case["seed"]],
        "interaction": {"type": "search", "direction": "read"},
        "participants": participants(case),
        "discloser": "source",
        "recipient": "recipient",
        "agreements": agreements(case),
        "purpose": case["purpose"],
        "facts": facts(case, vocabulary, records),
        "consents": consents(case),
        "context": [*([] if inside else [patient(**birth)]), *ORGANISATIONS],
        "resource": {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": one, "search": {"mode": "match"}} for one in records],
        },
    }


def records_of(case: dict[str, Any], born: str | None) -> list[Resource]:
    """Give the records that the case's data is, with ids, of a patient born then."""
    sent = RECORDS[case["data_category"]]()
    birth = {"birthDate": born} if born else {}
    records = [_named(r, n) for n, r in enumerate([*sent.keep, *sent.hold], 1)]
    return [{**r, **birth} if r["resourceType"] == "Patient" else r for r in records]


ORGANISATIONS = [
    {"resourceType": "Organization", "id": name, "name": name}
    for name in ("source", "recipient", "hospital", "program", "plan", "other", "form")
]


def _named(resource: Resource, number: int) -> Resource:
    return {**resource, "id": resource.get("id", f"r{number}")}


def participants(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Give both sides and those whom records name."""
    detail, context, said = case.get("consent_detail") or {}, case.get("context") or {}, case["facts"]
    covered = detail.get("source_hipaa_covered", case["source_type"].startswith(COVERED))
    theirs = {
        key: context[key] for key in ("local_policy_requires_consent", "sender_requires_own_release") if key in context
    }
    if "require_own_release=true" in str(detail.get("counterparty_flag")):
        theirs["sender_requires_own_release"] = True
    if said.get("no_usda_funding") is False:
        theirs["usda_funding"] = True
    asks = {key: context[key] for key in ("requester_has_cjis_access",) if key in context}
    program = "provider_oasas" if case["seed"].startswith("ny") else "provider_part2"
    return [
        _party("source", case["source_type"], covered, **theirs),
        _party("recipient", case["recipient_type"], case["recipient_hipaa_covered"], **asks),
        _party("hospital", "provider_general", True),
        _party("program", program, True),
        _party("plan", "mco" if case["seed"].startswith("ny") else "mcp", True),
        _party("other", case["recipient_type"], True),
        _party("form", "health_home_lead", True),
    ]


def _party(name: str, kind: str, covered: bool, **attributes: object) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "hipaa_covered": covered,
        "part2_program": kind in ("provider_part2", "provider_oasas", "ecm_provider_part2"),
        "references": [f"Organization/{name}"],
        "attributes": attributes,
    }


def agreements(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the agreements between the two sides, and those with others that a case speaks of."""
    found = [{"type": one, "between": ["source", "recipient"]} for one in case["agreements"]]
    said = case["facts"]
    if said.get("item_within_scope_of_work") is False:
        found = [{**one, "data": ["contact_info"]} if one["type"] == "SOW" else one for one in found]
    if said.get("baa_permits_care_coordination_disclosure") is False:
        found.append({"type": "BAA", "between": ["source", "hospital"], "purposes": ["HPAYMT"]})
    if said.get("recipient_is_business_associate_of_mcp"):
        found.append({"type": "BAA", "between": ["recipient", "plan"]})
    return found


def facts(case: dict[str, Any], vocabulary: dict[str, Any], records: list[Resource]) -> dict[str, Any]:
    """Give what a case states and nobody can derive, by scope."""
    scopes = vocabulary["facts"]
    picked = {
        scope: {name: value for name, value in case["facts"].items() if name in scopes[scope]}
        for scope in ("exchange", "subjects", "resources")
    }
    if (case.get("context") or {}).get("calaim_purpose") is False:
        picked["exchange"]["calaim_purpose"] = False
    named = [f"{r['resourceType']}/{r['id']}" for r in records]
    return {
        "exchange": picked["exchange"],
        "subjects": {"Patient/p1": picked["subjects"]} if picked["subjects"] else {},
        "resources": dict.fromkeys(named, picked["resources"]) if picked["resources"] else {},
    }


# Consents ------------------------------------------------------------------------------------------------------------
def consents(case: dict[str, Any]) -> list[Resource]:
    """Give the consents that a case tells of."""
    detail, said = case.get("consent_detail") or {}, case["facts"]
    found = []
    if case["subject_consent"] in ("general", "part2_compliant"):
        found.append(_consent(case, detail, said, part2=case["subject_consent"] == "part2_compliant"))
    if case["subject_consent"] == "dissent" or detail.get("consent_resource") == "deny":
        found.append({**_base("no"), "provision": {"type": "deny"}})
    return found


def _consent(case: dict[str, Any], detail: dict[str, Any], said: dict[str, Any], *, part2: bool) -> Resource:
    named = detail.get("recipients_named")
    recipients = ["recipient"]
    if named is not None:
        recipients = [("recipient" if one == case["recipient_type"] else "other") for one in named]
    unnamed = ("recipient_on_consent_form", "consent_lets_cma_contact_sud_provider")
    if any(said.get(one) is False for one in unnamed):
        recipients = [one for one in recipients if one != "recipient"] or (["other"] if part2 else [])
    purposes = detail.get("purposes") or [case["purpose"]]
    actors = [_actor(HOLDS, "performer", "source"), *(_actor(ROLES, "IRCP", one) for one in recipients)]
    provision: dict[str, Any] = {
        "type": "permit",
        "actor": actors,
        "purpose": [{"system": REASON, "code": one} for one in purposes],
    }
    whose = "form" if said.get("sender_own_release_on_file") is False else "source"
    consent = {**_base("yes"), "organization": [{"reference": f"Organization/{whose}"}], "provision": provision}
    if detail.get("status"):
        consent["status"] = detail["status"]
    end = detail.get("period_end")
    provision["period"] = {"start": "2024-01-01", "end": end or "2027-12-31"}
    if detail.get("expiry_event"):  # it lasts until something happens; what happened is told by ending it
        provision["period"] = {"start": "2024-01-01", "_end": {"extension": [NO_DATE]}}
        consent["status"] = "inactive" if detail.get("expiry_event_occurred") else consent["status"]
    if detail.get("performer") == "RelatedPerson":
        consent["performer"] = [{"reference": "RelatedPerson/rp1"}]
        verified = detail.get("authority_verified") is True
        consent["verification"] = [{"verified": verified, **({"verificationDate": "2024-01-02"} if verified else {})}]
    if detail.get("signature") not in ("none", None, False) or detail.get("signature", "there") == "there":
        consent["sourceAttachment"] = {"contentType": "application/pdf", "data": "c2lnbmVk"}
    if part2:
        consent["category"] = [{"coding": [{"system": ACT, "code": "42CFRPart2CD"}]}]
    labels = _described(case, detail, said) if part2 else []
    if labels:
        provision["securityLabel"] = [{"system": ACT, "code": one} for one in labels]
    if "42CFRPart2" in labels:
        provision["securityLabel"] += [{"system": CONFIDENTIALITY, "code": "R"}]
    return consent


def _described(case: dict[str, Any], detail: dict[str, Any], said: dict[str, Any]) -> list[str]:
    """Give the labels by which the consent describes the data: none, others than the data's, or the data's."""
    described = detail.get("data_described", True)
    if described is False:
        return []
    listed = [described] if isinstance(described, str) else described
    others = isinstance(listed, list) and case["data_category"] not in listed
    if others or said.get("item_within_consent_description") is False:
        return ["SEX"]
    return ["42CFRPart2", "SUD", "ETHUD", "OPIOIDUD", "BH", "MH"]


def _base(name: str) -> Resource:
    return {
        "resourceType": "Consent",
        "id": name,
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/p1"},
        "dateTime": "2024-01-01",
        "performer": [{"reference": "Patient/p1"}],
        "organization": [{"reference": "Organization/source"}],
        "policy": [{"uri": "https://example.org/forms/1"}],
    }


def _actor(system: str, role: str, who: str) -> dict[str, Any]:
    return {"role": {"coding": [{"system": system, "code": role}]}, "reference": {"reference": f"Organization/{who}"}}
