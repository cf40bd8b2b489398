"""fhirclient (Python), used as its README says; every answer passes its strict R4 models. Prints JSON."""

import json
import os
import sys

from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.condition import Condition
from fhirclient.models.encounter import Encounter
from fhirclient.models.explanationofbenefit import ExplanationOfBenefit
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException, FHIRPermissionDeniedException
from requests import HTTPError

BASE, TOKEN, PURPOSE = (os.environ[name] for name in ("E2E_BASE", "E2E_TOKEN", "E2E_PURPOSE"))
smart = FHIRClient({"app_id": "e2e", "api_base": BASE})
# Its own way of signing is an OAuth2 flow; a token from elsewhere goes into the session it shares.
smart.server.session.headers.update({"Authorization": f"Bearer {TOKEN}", "X-Purpose-Of-Use": PURPOSE})
pushed = json.load(sys.stdin)


def refusal(call):
    """The status and what was told."""
    try:
        call()
    except (FHIRNotFoundException, FHIRPermissionDeniedException, HTTPError) as error:
        return [error.response.status_code, error.response.json()["issue"][0]["diagnostics"]]
    return [0, ""]


def found(type_, **struct):
    """All resources of a search, page by page, as instances of its models."""
    return list(type_.where(struct=struct).perform_resources_iter(smart.server))


prepared = smart.prepare()
transaction = smart.server.post_json("", pushed["plain"]).json()
told = {
    "prepared": [prepared, smart.server.auth.auth_type],
    "metadata": smart.server.capabilityStatement.fhirVersion,
    "paged": [one.id for one in found(Observation, patient="rosa", _count="3")],
    "masked": sorted(one.id for one in found(ExplanationOfBenefit, patient="Patient/rosa")),
    "codes": sorted(one.code.coding[0].code for one in found(Condition, patient="rosa")),
    "with_included": sorted(
        one.id
        for one in found(Encounter, patient="rosa", _include="Encounter:service-provider")
        if one.resource_type == "Organization"
    ),
    "total": Condition.where(struct={"patient": "rosa"}).perform(smart.server).total,
    "read": Patient.read("rosa", smart.server).id,
    "hidden": refusal(lambda: Condition.read("rosa-opioid-dependence", smart.server))[0],
    "pushed": [entry.response.status for entry in Bundle(transaction).entry],
    "push_refused": refusal(lambda: smart.server.post_json("", pushed["part2"])),
    "collection": Bundle(pushed["collection"]).create(smart.server)["resourceType"],
    "refused": {
        "create()": refusal(lambda: Patient({"gender": "other"}).create(smart.server)),
        "$gt": refusal(lambda: found(Observation, patient="rosa", date={"$gt": "2020"})),
        "$exact": refusal(lambda: found(Patient, family={"$exact": "Alvarez"})),
        "no anchor": refusal(lambda: found(Condition, code="44054006")),
    },
}
json.dump(told, sys.stdout)
