"""Records with the labels that were found of them written in, and held against a hand's (docs/labels.md)."""

import json

import msgspec
import pytest

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Identifier
from gateway import bootstrap
from gateway.directory.model import Directory, Participant
from gateway.facts.label_comparing import RESTRICTED, Comparison, Tally, by_hand, category
from gateway.facts.label_writing import BASIS, CLASSIFIER, labelled_text
from gateway.facts.labelling import Labeller
from gateway.fhir.bundle import read_document
from gateway.labels.model import LABEL_BASIS
from tests.unit.gateway.labels.conftest import ICD, SUD, codings, confidentiality, observation

OPIOIDS = codings((ICD, "F11.20"))
HIV = codings((ICD, "B20"))
PULSE = codings(("http://loinc.org", "8867-4"))


@pytest.fixture(scope="session")
def shelf():
    """The profiles that ship."""
    return bootstrap.read_shelf()


@pytest.fixture(scope="session")
def labelled(shelf):
    """Labels one resource or a Bundle of several, by a profile; gives the JSON that comes back."""

    def label(*resources, profile="us-part2", **more):
        tree = resources[0] if len(resources) == 1 else bundle(*resources)
        labeller = Labeller(shelf.policies[profile], shelf.tools[profile], **more)
        raw = json.dumps(tree).encode()
        document = read_document(raw)
        return json.loads(labelled_text(raw, document, labeller.label(document)))

    return label


def bundle(*resources, **more):
    """A collection."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources], **more}


def security(resource):
    """(code, basis) of every label."""
    return [(one["code"], basis(one)) for one in resource["meta"]["security"]]


def basis(coding):
    """The code of a label's DS4P basis, None without one."""
    return next((one["valueCoding"]["code"] for one in coding.get("extension", ()) if one["url"] == BASIS), None)


def test_a_code_is_labelled_with_its_law_and_its_list(labelled):
    """Opioid dependence from who knows where: restricted, of Part 2, and the classifier says by which list."""
    found = labelled(observation(code=OPIOIDS))
    assert [("R", "42CFRPart2"), ("42CFRPart2", "42CFRPart2"), ("OPIOIDUD", "42CFRPart2")] == security(found)
    told = [
        one["valueReference"]["display"]
        for one in found["meta"]["security"][2]["extension"]
        if one["url"] == CLASSIFIER
    ]
    assert ["consent-gateway: code at /code/coding/0 (cms-samhsa 62b2d2e8d9b0)"] == told


def test_without_a_law_the_basis_is_how_it_was_found(labelled):
    """HIV has no federal policy code: the basis says that a code did."""
    found = labelled(observation(code=HIV), profile="us-hipaa")
    assert [("R", "code"), ("HIV", "code")] == security(found)
    systems = {one["system"] for one in found["meta"]["security"]}
    assert {CONFIDENTIALITY, ACT_CODE} == systems
    assert LABEL_BASIS == found["meta"]["security"][1]["extension"][0]["valueCoding"]["system"]


def test_a_harmless_record_gets_its_default(labelled):
    """A pulse is N, because the profile says so for what nothing labels."""
    assert [("N", "default")] == security(labelled(observation(code=PULSE)))


def test_what_came_stays_in_its_own_text(shelf):
    """White space, decimals and received labels are untouched; the label is added to what is there."""
    raw = (
        b'{"resourceType": "Observation",  "meta":{"versionId": "1","security":[{"code" : "HIV","system":"'
        + ACT_CODE.encode()
        + b'"}]},"valueQuantity":{"value":1.10}}'
    )
    document = read_document(raw)
    labeller = Labeller(shelf.policies["us-hipaa"], shelf.tools["us-hipaa"])
    text = labelled_text(raw, document, labeller.label(document))
    assert b'"versionId":"1"' in text.replace(b" ", b"")
    assert b'{"code" : "HIV","system":"' + ACT_CODE.encode() + b'"}' in text
    assert b'{"value":1.10}' in text
    assert [("HIV", None), ("R", "received")] == security(json.loads(text))


def test_a_lower_level_gives_way_to_the_higher(labelled):
    """One confidentiality: N that came goes where R is found, R stays where N would do."""
    assert ["OPIOIDUD", "R"] == sorted(
        code
        for code, _ in security(labelled(observation([confidentiality("N")], code=OPIOIDS)))
        if code != "42CFRPart2"
    )
    kept = labelled(observation([confidentiality("R")], code=PULSE))
    assert [("R", None)] == security(kept)


def test_labelling_twice_changes_nothing(labelled):
    """The labels written are read as labels and their grounds are not: the second run finds nothing to add."""
    once = labelled(observation(code=OPIOIDS), observation(code=PULSE), profile="us-hipaa")
    assert once == labelled(once, profile="us-hipaa")


def test_a_container_carries_what_it_contains_and_the_contained_nothing(labelled):
    """R4 dom-4: a contained resource has no security label."""
    inside = {"resourceType": "Condition", "id": "c", "code": HIV, "subject": {"reference": "Patient/p"}}
    found = labelled(observation(contained=[inside], code=PULSE), profile="us-hipaa")
    assert [("R", "code"), ("HIV", "code")] == security(found)
    assert "meta" not in found["contained"][0]


def test_a_bundle_carries_a_level_alone(labelled):
    """A Bundle labelled HIV would tell what is in it to whoever gets the rest (labels.md section 6)."""
    found = labelled(observation(code=HIV), observation(code=PULSE), profile="us-hipaa")
    assert [("R", "context")] == security(found)
    nested = labelled(bundle(bundle(observation(code=HIV))), profile="us-hipaa")
    assert [("R", "context")] == security(nested["entry"][0]["resource"])


def test_a_program_in_the_directory_is_a_source(labelled):
    """What a registered Part 2 program made is Part 2, whatever is in it; told by identifier too."""
    npi = Identifier("http://hl7.org/fhir/sid/us-npi", "1")
    program = Participant(id="oasis", type="provider_part2", part2_program=True, identifiers=frozenset({npi}))
    performer = [{"type": "Organization", "identifier": {"system": npi.system, "value": npi.value}}]
    found = labelled(observation(code=PULSE, performer=performer), directory=Directory({"oasis": program}))
    assert ("42CFRPart2", "42CFRPart2") in security(found)


BY_PROGRAM = {"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1"}, "type": "Organization"}


@pytest.mark.parametrize(
    "record",
    [
        {"resourceType": "DocumentReference", "author": [BY_PROGRAM]},
        {"resourceType": "DocumentReference", "custodian": BY_PROGRAM},
        {"resourceType": "DocumentReference", "authenticator": BY_PROGRAM},
        {"resourceType": "Composition", "author": [BY_PROGRAM]},
        {"resourceType": "Composition", "custodian": BY_PROGRAM},
        {"resourceType": "Observation", "performer": [BY_PROGRAM]},
        {"resourceType": "DiagnosticReport", "performer": [BY_PROGRAM]},
        {"resourceType": "Procedure", "performer": [{"actor": BY_PROGRAM}]},
        {"resourceType": "MedicationDispense", "performer": [{"actor": BY_PROGRAM}]},
        {"resourceType": "MedicationRequest", "requester": BY_PROGRAM},
        {"resourceType": "ServiceRequest", "requester": BY_PROGRAM},
        {"resourceType": "Encounter", "serviceProvider": BY_PROGRAM},
        {"resourceType": "EpisodeOfCare", "managingOrganization": BY_PROGRAM},
        {"resourceType": "Claim", "provider": BY_PROGRAM},
        {"resourceType": "Claim", "facility": BY_PROGRAM},
        {"resourceType": "Claim", "careTeam": [{"sequence": 1, "provider": BY_PROGRAM}]},
        {"resourceType": "Claim", "item": [{"sequence": 1, "locationReference": BY_PROGRAM}]},
        {"resourceType": "ClaimResponse", "requestor": BY_PROGRAM},
        {"resourceType": "ClaimResponse", "addItem": [{"provider": [BY_PROGRAM]}]},
        {"resourceType": "ExplanationOfBenefit", "provider": BY_PROGRAM},
        {"resourceType": "ExplanationOfBenefit", "addItem": [{"provider": [BY_PROGRAM]}]},
        {"resourceType": "Condition", "recorder": BY_PROGRAM},
        {"resourceType": "Condition", "asserter": BY_PROGRAM},
        {"resourceType": "AllergyIntolerance", "recorder": BY_PROGRAM},
        {"resourceType": "CarePlan", "author": BY_PROGRAM},
        {"resourceType": "CareTeam", "managingOrganization": [BY_PROGRAM]},
        {"resourceType": "Immunization", "performer": [{"actor": BY_PROGRAM}]},
        {"resourceType": "QuestionnaireResponse", "author": BY_PROGRAM},
        {"resourceType": "Consent", "organization": [BY_PROGRAM]},
        {"resourceType": "Provenance", "agent": [{"who": BY_PROGRAM}]},
        {"resourceType": "Patient", "managingOrganization": BY_PROGRAM},
    ],
    ids=lambda record: "-".join((record["resourceType"], *list(record)[1:])),
)
def test_a_program_is_a_source_wherever_a_record_names_who_made_it(record, labelled):
    """Author, custodian, performer, service provider, billing provider, managing organisation …, by identifier."""
    npi = Identifier("http://hl7.org/fhir/sid/us-npi", "1")
    program = Participant(id="oasis", type="provider_part2", part2_program=True, identifiers=frozenset({npi}))
    found = labelled(record | {"id": "x"}, directory=Directory({"oasis": program}))
    assert "42CFRPart2" in [code for code, _ in security(found)]


def test_context_says_what_a_line_belongs_to(labelled):
    """An observation alone, its visit given beside it."""
    visit = {"resourceType": "Encounter", "id": "e", "reasonCode": [{"text": "HIV care"}]}
    context = read_document(json.dumps(visit).encode()).views
    alone = observation(code=PULSE, encounter={"reference": "Encounter/e"})
    assert ("HIV", "context") in security(labelled(alone, profile="us-hipaa", context=context))


def test_a_meta_of_a_wrong_shape_is_refused(labelled):
    """There is nowhere to write the label."""
    with pytest.raises(ValueError, match="meta"):
        labelled(observation(meta=[1]))


def test_one_who_compares_looks_without_the_labels_that_came(shelf):
    """The hand says SUD and HIV; the gateway finds SUD by code, takes HIV from nowhere, and adds a violence."""
    hand = bundle(
        observation([SUD, {"system": ACT_CODE, "code": "HIV"}, confidentiality("R")], code=OPIOIDS) | {"id": "a"},
        observation(code=PULSE) | {"id": "b"},
        observation([confidentiality("N")], note=[{"text": "intimate partner violence"}]) | {"id": "c"},
    )
    document = read_document(json.dumps(hand).encode())
    comparison = Comparison(by_hand(document.views))
    for one in Labeller(shelf.policies["us-hipaa"], shelf.tools["us-hipaa"]).label(document, received=False):
        comparison.add(one)
    scores = {name: (score.both, score.missed, score.extra) for name, score in comparison.scores.items()}
    assert {"SUD": (1, 0, 0), "HIV": (0, 1, 0), "SDV": (0, 0, 1), RESTRICTED: (1, 0, 1)} == scores
    assert [("HIV", "Observation/a", True), ("SDV", "Observation/c", False)] == [
        (one.category, one.record, one.missed) for one in sorted(comparison.disagreements) if one.category != RESTRICTED
    ]
    assert (1.0, None) == (comparison.scores["SUD"].precision, comparison.scores["HIV"].precision)
    assert (0, 0) == (comparison.not_found, comparison.not_by_hand)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("ETHUD", "SUD"),
        ("OPIOIDUD", "SUD"),
        ("PSY", "MH"),
        ("BH", "MH"),
        ("VIO", "SDV"),
        ("HIV", "HIV"),
        ("PSYTHPN", "PSYTHPN"),
    ],
)
def test_codes_are_compared_by_what_a_deny_takes_together(code, name):
    """Opioid use disorder found where the hand said SUD is no disagreement."""
    assert name == category(code)


def test_a_tally_counts_resources_once(shelf):
    """Two grounds for one code are one resource."""
    document = read_document(json.dumps(observation(code=HIV | {"text": "HIV"})).encode())
    tally = Tally()
    for one in Labeller(shelf.policies["us-hipaa"], shelf.tools["us-hipaa"]).label(document):
        tally.add(one)
    assert ({"HIV": 1}, {"Observation": 1}) == (dict(tally.resources), dict(tally.types))
    assert {"code": 1, "text": 1} == {basis.value: number for basis, number in tally.codes["HIV"].items()}


def test_labels_of_ours_are_read_back_as_labels(labelled):
    """What the tool wrote is decided by as any label that came: nothing of it is unknown."""
    found = labelled(observation(code=HIV), profile="us-hipaa")
    found["code"] = PULSE
    assert found == labelled(found, profile="us-hipaa")
    assert msgspec.json.encode(found)
