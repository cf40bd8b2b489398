"""Published records that come with their labels: SHIFT's patients, and IHE's with their consents and outcomes.

What SHIFT's patients should show is written here by hand, from the labels that their records carry.
"""

import json
from typing import Any

import pytest

from gateway.demo.folder import load_folder
from gateway.demo.stage import RouteOf
from tests.e2e.hapi.consents import permission
from tests.e2e.hapi.gateway import gateway
from tests.e2e.hapi.searchset import matches, walked

ROUTES = (
    RouteOf("shift", "springfield", "us-part2"),
    RouteOf("shift-hipaa", "springfield", "us-hipaa"),
    RouteOf("shift-base", "springfield", "base"),
    RouteOf("pcf-base", "holder", "base"),
)
FOOBAR = "http://example.org/policies/purposeOfUse|FooBar"
TYPES = ("Condition", "MedicationRequest", "Observation", "DiagnosticReport", "Procedure")


def party(id_: str, type_: str, references: list[str], purposes: list[str]) -> dict[str, Any]:
    """One participant of the directory."""
    return {"id": id_, "type": type_, "references": references, "purposes": purposes, "hipaa_covered": True}


ASKERS = ["TREAT", "HPAYMT", "HOPERAT", "HRESCH", "CLINTRCH", "COC", "CAREMGT", FOOBAR]
PARTIES = [
    party("springfield", "provider_general", ["Organization/SpringfieldMedicalCenter"], ["TREAT"]),
    party("holder", "provider_general", ["Organization/ex-organization"], ["TREAT"]),
    party("neighbour", "provider_general", ["Organization/neighbour"], ["TREAT"]),
    # IHE's table has two requesters.
    party("other", "provider_general", ["Practitioner/other"], ASKERS),
    party("researcher", "provider_general", ["Organization/ex-org-researcher"], ASKERS),
]
REQUESTER = {"Practitioner/other": "other", "Organization/ex-org-researcher": "researcher"}

# Carl's records, by what their labels say.
CARL_PLAIN = {
    "Condition/CarlFredericksonBunions",
    "Condition/CarlFredericksonHTN",
    "Observation/CarlFredericksonBloodPressure",
}
# No label, but prose that nobody has read (a conclusion, dosage instructions): restricted until labelled (L003).
CARL_PROSE = {
    "DiagnosticReport/CarlFredericksonXrayFeet",
    "MedicationRequest/CarlFredericksonCaptopril",
    "MedicationRequest/CarlFredericksonIbuprofen",
}
CARL_BEHAVIOURAL = {
    "Observation/CarlFredericksonPHQ9",
    "Observation/CarlFredericksonPHQ9A",
    "Condition/CarlFredericksonMDD",
    "Condition/CarlFredericksonOCPD",
    "MedicationRequest/CarlFredericksonFluoxetine",
}
CARL_PART2 = {"Condition/CarlFredericksonOUD", "MedicationRequest/CarlFredericksonBuprenorphineNaltrexone"}
CARL_THERAPY = {"Observation/CarlFredericksonOUDThoughtRecord"}  # labelled as psychotherapy notes
MONICA_PLAIN = {"Condition/MonicaRambeauChronicConstipation", "Condition/MonicaRambeauAsthma"}
MONICA_PROSE = {
    "MedicationRequest/MonicaRambeauMiralax",
    "MedicationRequest/MonicaRambeauAlbuterol",
    "MedicationRequest/MonicaRambeauPulmicort",
}
MONICA_RESTRICTED = {
    "Observation/MonicaRambeauSexualOrientation",
    "Observation/MonicaRambeauOBHx",
    "Observation/MonicaRambeauLMP",
    "Condition/MonicaRambeauIrregularPeriods",
    "Condition/MonicaRambeauChlamydia",
    "DiagnosticReport/MonicaRambeauGCNAAT",
    "DiagnosticReport/MonicaRambeauHIVELISA",
    "MedicationRequest/MonicaRambeauLoestrin",
    "MedicationRequest/MonicaRambeauAzithromycin",
    "MedicationRequest/MonicaRambeauDescovy",
}
# Labelled with `SICKVIS` as a code of v3-ActCode, which has none such: nobody knows what it forbids (law 2, L005).
MONICA_UNREADABLE = {
    "Condition/MonicaRambeauMedicalAbortion",
    "Condition/MonicaRambeauDandCAbortion",
    "Procedure/MonicaRambeauDandCProcedure",
    "DiagnosticReport/MonicaRambeauFirstTrimesterUS",
    "DiagnosticReport/MonicaRambeauQuadScreen",
    "MedicationRequest/MonicaRambeauMifepristone",
    "MedicationRequest/MonicaRambeauMisoprostol",
}
CARL = CARL_PLAIN | CARL_PROSE | CARL_BEHAVIOURAL | CARL_PART2 | CARL_THERAPY
MONICA_GIVEN = MONICA_PLAIN | MONICA_PROSE | MONICA_RESTRICTED
MONICA = MONICA_GIVEN | MONICA_UNREADABLE


def consent(patient: str, **provision: Any) -> dict[str, Any]:
    """A patient's permission to the hospital to disclose for treatment."""
    return permission(patient, "Organization/SpringfieldMedicalCenter", "TREAT", **provision)


NOT_RESTRICTED = {
    "securityLabel": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]
}


@pytest.fixture(scope="module")
def labelled(server, shared, measured):
    """HAPI with SHIFT's patients and IHE's resources, its published Consents among them."""
    folders = ("shift-labelled", "consent-ihe-pcf")
    texts = [text for name in folders for text in load_folder(shared / "data" / name)]
    # IHE's Binary holds the name of a file where its content should be; HAPI does not take it.
    took = server.load(text for text in texts if json.loads(text)["resourceType"] != "Binary")
    measured.append(f"SHIFT and IHE PCF: {took.resources} resources loaded in {took.seconds:.1f} s")
    return server


@pytest.fixture(scope="module")
def gate(labelled, tmp_path_factory):
    """A gateway before them; who is whose patient's provider does not matter for treatment."""
    clients = [{"client_id": one["id"], "participant": one["id"]} for one in PARTIES]
    directory = {"participants": PARTIES, "agreements": [], "relationships": [], "clients": clients}
    with gateway(tmp_path_factory.mktemp("labelled"), labelled, json.dumps(directory, indent=1), ROUTES) as one:
        yield one


@pytest.fixture
def signed(gate):
    """Sign consents that are revoked when the test ends."""
    held = []
    yield lambda text: held.append(gate.sign(text))
    for one in held:
        gate.revoke(one)


def seen(gate, route: str, patient: str) -> set[str]:
    """All records of a patient that the neighbouring hospital gets for treatment, page by page."""

    def ask(url):
        return gate.ask(url, "neighbour", "TREAT")

    urls = [f"{route}/{type_}?patient=Patient/{patient}&_count=3" for type_ in TYPES]
    return {one for url in urls for page in walked(ask, url) for one in matches(page)}


@pytest.mark.parametrize(("patient", "records"), [("CarlFrederickson", CARL), ("MonicaRambeau", MONICA)])
def test_the_records_are_there(labelled, patient, records):
    """What is written above by hand is all that HAPI holds of these types, and no more."""
    assert records == {one for type_ in TYPES for one in labelled.ids(f"{type_}?patient={patient}")}


@pytest.mark.parametrize("patient", ["CarlFrederickson", "MonicaRambeau"])
def test_under_base_nothing_comes_without_consent(gate, patient):
    """No applicable consent: nothing at all, though HAPI has the records."""
    assert set() == seen(gate, "shift-base", patient)


@pytest.mark.parametrize(
    ("patient", "plain", "all_"),
    [("CarlFrederickson", CARL_PLAIN, CARL), ("MonicaRambeau", MONICA_PLAIN, MONICA_GIVEN)],
)
def test_under_base_a_consent_for_what_is_not_restricted_gives_that(gate, signed, patient, plain, all_):
    """A permit for the label N gives what carries no restriction; a permit without labels gives everything that
    has labels one can read."""
    signed(consent(patient, **NOT_RESTRICTED))
    assert plain == seen(gate, "shift-base", patient)
    signed(consent(patient))
    assert all_ == seen(gate, "shift-base", patient)


def test_under_hipaa_treatment_needs_no_consent_but_for_psychotherapy_notes(gate):
    """45 CFR 164.506(c)(2) gives everything to a provider who treats, but not what 164.508(a)(2) keeps back."""
    assert CARL - CARL_THERAPY == seen(gate, "shift-hipaa", "CarlFrederickson")
    assert MONICA_GIVEN == seen(gate, "shift-hipaa", "MonicaRambeau")


def test_under_part_2_the_labelled_records_stay(gate):
    """42 CFR 2.13(a): what is labelled 42CFRPart2 does not go without the patient's written consent; the rest does."""
    assert CARL - CARL_PART2 - CARL_THERAPY == seen(gate, "shift", "CarlFrederickson")
    assert MONICA_GIVEN == seen(gate, "shift", "MonicaRambeau")


# IHE Privacy Consent on FHIR ----------------------------------------------------------------------------------------
# The one case that only holds at its own date, which a gateway with a real clock is never asked on.
PAST = ("Consent/ex-consent-expired-treat", "2022-10-01")
ROWS = 24


@pytest.mark.parametrize("number", range(ROWS))
def test_a_published_outcome(gate, labelled, shared, number):
    """The Observations that come through are those the published table releases; after revocation none is."""
    case = json.loads((shared / "cases" / "pcf-basic-intermediate.json").read_bytes())["cases"][number]
    request = case["request"]
    expected = set() if (case["consent"], request["now"]) == PAST else set(case["released"])
    text = (shared / "data" / "consent-ihe-pcf" / f"{case['consent'].replace('/', '-')}.json").read_bytes()
    purpose = request["purpose"].replace("#", "|")
    url = "pcf-base/Observation?patient=Patient/ex-patient"

    def released():
        return set(matches(gate.ask(url, REQUESTER[request["actor"]], purpose).raise_for_status().json()))

    consent_ = gate.sign(text)
    assert expected == released()
    gate.revoke(consent_)
    assert set() == released()


def test_every_row_is_tried(shared):
    """No row of the table is left out."""
    assert ROWS == len(json.loads((shared / "cases" / "pcf-basic-intermediate.json").read_bytes())["cases"])


def test_consents_upstream_are_neither_shown_nor_obeyed(gate, labelled):
    """HAPI holds published Consents that permit; they are not served, and only the gateway's own store decides."""
    assert labelled.ids("Consent?patient=ex-patient")
    for path in ("Consent?patient=ex-patient", "Consent/ex-consent-basic-treat"):
        assert 501 == gate.ask(f"pcf-base/{path}", "other", "TREAT").status_code
    assert [] == matches(gate.ask("pcf-base/Observation?patient=ex-patient", "other", "TREAT").json())
