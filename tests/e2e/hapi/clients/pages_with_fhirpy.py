"""fhirpy pages through a search to its end, and gives the ids it got. Prints JSON."""

import json
import os
import sys

from fhirpy import SyncFHIRClient

BASE, TOKEN, PURPOSE = (os.environ[name] for name in ("E2E_BASE", "E2E_TOKEN", "E2E_PURPOSE"))
client = SyncFHIRClient(BASE, authorization=f"Bearer {TOKEN}", extra_headers={"X-Purpose-Of-Use": PURPOSE})
told = {}
for name, (type_, parameters) in json.load(sys.stdin).items():
    told[name] = [one.id for one in client.resources(type_).search(**parameters).fetch_all()]
json.dump(told, sys.stdout)
