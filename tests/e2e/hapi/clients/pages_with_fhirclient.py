"""fhirclient (Python) pages through a search to its end; every page passes its strict R4 models. Prints JSON."""

import json
import os
import sys

from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.condition import Condition
from fhirclient.models.patient import Patient

BASE, TOKEN, PURPOSE = (os.environ[name] for name in ("E2E_BASE", "E2E_TOKEN", "E2E_PURPOSE"))
smart = FHIRClient({"app_id": "e2e", "api_base": BASE})
smart.server.session.headers.update({"Authorization": f"Bearer {TOKEN}", "X-Purpose-Of-Use": PURPOSE})
MODELS = {"Condition": Condition, "Patient": Patient}
told = {}
for name, (type_, parameters) in json.load(sys.stdin).items():
    pages = MODELS[type_].where(struct=parameters).perform_iter(smart.server)
    told[name] = [entry.resource.id for page in pages for entry in Bundle(page.as_json()).entry]
json.dump(told, sys.stdout)
