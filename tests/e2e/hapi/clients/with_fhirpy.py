"""fhirpy, used as its README says: search, page, read and push, then what of it the gateway refuses. Prints JSON."""

import json
import os
import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import ForbiddenError, OperationOutcome, ResourceNotFound

BASE, TOKEN, PURPOSE = (os.environ[name] for name in ("E2E_BASE", "E2E_TOKEN", "E2E_PURPOSE"))
client = SyncFHIRClient(BASE, authorization=f"Bearer {TOKEN}", extra_headers={"X-Purpose-Of-Use": PURPOSE})
pushed = json.load(sys.stdin)


def refusal(call):
    """The kind of refusal and what was told, as the client's exceptions carry it."""
    try:
        call()
    except (ForbiddenError, ResourceNotFound) as error:
        return [type(error).__name__, json.loads(str(error))["issue"][0]["diagnostics"]]
    except OperationOutcome as error:
        return [type(error).__name__, error.resource["issue"][0]["diagnostics"]]
    return ["none", ""]


observations = client.resources("Observation").search(patient="Patient/rosa").limit(3)
conditions = client.resources("Condition").search(patient="rosa")
told = {
    "paged": [one.id for one in observations.fetch_all()],
    "first_page": len(observations.fetch()),
    "total": conditions.limit(100).fetch_raw().total,
    "with_included": sorted(
        entry.resource.id
        for entry in client.resources("Encounter")
        .search(patient="rosa")
        .include("Encounter", "service-provider")
        .limit(50)
        .fetch_raw()
        .entry
        if entry.resource.resource_type == "Organization"
    ),
    "read": client.reference("Condition", "rosa-diabetes").to_resource().code.coding[0].code,
    "hidden": refusal(client.reference("Condition", "rosa-opioid-dependence").to_resource)[0],
    "metadata": client.execute("metadata", method="get").fhirVersion,
    "pushed": [entry.response.status for entry in client.execute("", data=pushed["plain"]).entry],
    "push_refused": refusal(lambda: client.execute("", data=pushed["part2"])),
    "refused": {
        "count()": refusal(conditions.count),
        "sort()": refusal(conditions.sort("-recorded-date").fetch),
        "elements()": refusal(conditions.elements("code").fetch),
        "save()": refusal(client.resource("Patient").save),
        "has()": refusal(client.resources("Patient").has("Condition", "patient", code="x").fetch),
        "status__not": refusal(
            client.resources("MedicationRequest").search(patient="rosa", status__not="active").fetch
        ),
        "no anchor": refusal(client.resources("Condition").search(code="44054006").fetch),
    },
}
json.dump(told, sys.stdout)
