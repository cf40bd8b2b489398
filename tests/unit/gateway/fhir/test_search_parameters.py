"""The table of search parameters: what each reads, by the JSON names of R4."""

import msgspec
import pytest

from gateway.fhir.search_parameters import SearchParameters


@pytest.mark.parametrize(
    ("type_", "name", "kind", "paths"),
    [
        ("Observation", "patient", "reference", ("subject",)),
        ("Observation", "code", "token", ("code",)),
        ("Observation", "value-quantity", "quantity", ("valueQuantity", "valueSampledData")),
        ("Observation", "value-string", "string", ("valueCodeableConcept.text", "valueString")),
        ("Observation", "component-code", "token", ("component.code",)),
        ("Claim", "_lastUpdated", "date", ("meta.lastUpdated",)),
        ("Claim", "_id", "token", ("id",)),
        ("Patient", "family", "string", ("name.family",)),
        ("Patient", "phone", "token", ("telecom[system=phone]",)),
        ("Condition", "onset-date", "date", ("onsetDateTime", "onsetPeriod")),
        ("MedicationRequest", "medication", "reference", ("medicationReference",)),
        ("MedicationRequest", "code", "token", ("medicationCodeableConcept",)),
        ("Goal", "start-date", "date", ("startDate",)),
        ("InsurancePlan", "name", "string", ("alias", "name")),
        ("Observation", "code-value-quantity", "composite", ()),
        ("Bundle", "composition", "reference", ()),
        ("Patient", "deceased", "token", ()),
        ("Observation", "gene-identifier", "token", ()),
    ],
)
def test_a_parameter_reads_elements_by_their_json_names(parameters, type_, name, kind, paths):
    """Kind and paths of the standard's parameters, inherited ones included; none where the expression tells none."""
    found = parameters.get(type_, name)

    assert (kind, paths) == (found.kind, found.paths)


def test_every_path_leads_to_an_element_of_r4(parameters, elements):
    """Each step of each path is an element of the published table: no name was made up on the way."""
    lost = []
    for type_ in sorted(elements.resources):
        for name, found in parameters.of(type_).items():
            for path in found.paths:
                steps = [step.partition("[")[0] for step in path.split(".")]
                if elements.at(type_, "/" + "/".join(steps)) is None:
                    lost.append((type_, name, path))

    assert [] == lost


def test_targets_are_those_of_parameter_and_element_together(parameters):
    """R4's parameter Condition.subject is said to point at organizations; its element says patients."""
    assert {"Patient"} <= parameters.targets("Condition", parameters.get("Condition", "subject"))
    assert frozenset() == parameters.targets("Observation", parameters.get("Observation", "focus"))
    assert parameters.only_references("Observation", parameters.get("Observation", "subject"))
    assert not parameters.only_references("PlanDefinition", parameters.get("PlanDefinition", "depends-on"))


def test_what_r4_does_not_have_is_none(parameters):
    """Unknown names get no guess."""
    assert parameters.get("Observation", "unheard") is None
    assert "unheard" not in parameters.of("Observation")


def test_other_text_is_no_table(elements):
    """A damaged file fails at start-up."""
    with pytest.raises(msgspec.DecodeError):
        SearchParameters.from_json(b'{"parameters":[]}', elements)
