"""Texts that the fuzzing of the readers begins with: a few of each form, and HL7's own examples."""

import json
from pathlib import Path

from tests.conftest import SHARED
from tests.fuzz.readers import OWN

_DATES = [
    "2024",
    "2024-02",
    "2024-02-29",
    "1900-02-28",
    "2024-12-31T23:59:60Z",
    "2024-01-01T00:00:00+14:00",
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59.999999-14:00",
    "2015-02-07T13:28:17.239-05:00",
    "0001-01-01T00:00:00+14:00",
]
_REFERENCES = [
    "Patient/1",
    "Patient/1/_history/2",
    "#a",
    "#",
    "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "Patient?identifier=x|1",
    "https://gateway.example/t/ehr/Patient/1",
    "http://10.0.0.1:8080/fhir/Patient/1/_history/3",
    "http://other.example/fhir/Patient/1",
    "HTTPS://Gateway.Example:443/t/ehr/Patient/1",
    "https://gateway.example/t/%65hr/Patient/1",
]
# The digit before a value chooses its kind, as `value` does.
_VALUES = [
    r"0http://loinc.org|8867-4",
    r"0|x",
    r"0a\,b,c",
    r"0http://x|",
    r"1ge2020-01",
    r"1lt2021-02-03T04:05:06Z",
    r"2gt5.40",
    r"2-1e3",
    r"35.4|http://unitsofmeasure.org|mg",
    r"3le1|\||kg",
    r"4Anna\,Maria",
    r"5http://x.example/y",
]
_SEARCHES = [
    "Observation?patient=P1&date=ge2020&code=http://loinc.org|8867-4,1",
    "Observation?subject:Patient=P1&_count=7",
    "Patient?family=Chen&given:exact=Rosa",
    "Patient?_id=a,b",
    "Observation?patient.family=Chen&_id=1&_sort=-date,code",
    "Patient?_id=1&_has:Observation:patient:code=1",
    "MedicationRequest?patient=1&_include=MedicationRequest:medication",
    "Observation?subject=https://gateway.example/t/ehr/Patient/1&code:not=2&_total=none",
    "Patient?identifier=http://x|1",
    "Observation?patient=P1&value-quantity=gt5|http://unitsofmeasure.org|mg&category:missing=true",
    "Organization?name=a%20b",
    "Encounter?patient=1&_revinclude=Observation:encounter&_include:iterate=Encounter:subject",
]


def seeds(name: str, *, most: int = 0) -> list[bytes]:
    """Give the texts that the fuzzing of one reader begins with; up to `most` are published examples beside them."""
    if name in ("json", "resource", "bundle"):
        return [*_records(name), *_published(name, most)]
    texts = {"date": _DATES, "reference": _REFERENCES, "search": _SEARCHES}.get(name)
    if name == "query":
        texts = [one.partition("?")[2] for one in _SEARCHES]
    if name == "value":
        texts = [chr(int(one[0])) + one[1:] for one in _VALUES]
    return [text.encode() for text in texts or ()]


def _records(name: str) -> list[bytes]:
    person = {"reference": "Patient/1", "type": "Patient", "identifier": {"system": "http://x", "value": "1"}}
    one = {
        "resourceType": "Observation",
        "id": "o",
        "meta": {"security": [{"system": "http://x", "code": "R"}], "tag": [{"code": "t"}]},
        "contained": [{"resourceType": "Patient", "id": "p", "name": [{"family": "Chen"}]}],
        "extension": [{"url": "http://x", "valueReference": person}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "1"}], "text": 'a \\": b'},
        "subject": person,
        "valueQuantity": {"value": 1.50, "unit": "mg"},
        "note": [{"text": "é \u2028"}],
    }
    entry = {"fullUrl": f"{OWN[0]}/Observation/o", "resource": one, "search": {"mode": "match"}}
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}
    told = {"response": {"status": "404", "location": "x", "outcome": outcome}}
    asked = {"request": {"method": "GET", "url": "Patient/1", "ifNoneMatch": "x"}}
    whole = {
        "resourceType": "Bundle",
        "id": "b",
        "type": "searchset",
        "total": 1,
        "link": [{"relation": "self", "url": "x"}],
    }
    inner = whole | {"entry": [entry | {"resource": whole | {"entry": [entry]}}, told, asked]}
    whole |= {"entry": [entry, told]}
    return [json.dumps(tree).encode() for tree in ((whole, inner) if name == "bundle" else (one, inner))]


def _published(name: str, most: int) -> list[bytes]:
    """Give HL7's own examples of R4, the small ones."""
    found: list[bytes] = []
    folder = SHARED / "data" / "hl7-r4-examples"
    for file in sorted(Path(folder).rglob("*.json")) if most else ():
        if len(found) == most:
            break
        if file.stat().st_size < 8000 and (raw := file.read_bytes()) and (name != "bundle" or b'"Bundle"' in raw):
            found.append(raw)
    return found
