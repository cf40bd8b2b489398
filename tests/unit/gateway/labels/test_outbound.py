"""The labels a recipient gets (leaks.md L039; labels.md sections 5 and 6)."""

from consent_store.model import ACT_CODE, ACT_REASON, CONFIDENTIALITY, Coding
from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.assign import assign
from gateway.labels.outbound import container_label, outbound
from tests.unit.gateway.labels.conftest import ICD, SUD, codings, confidentiality, observation, view

R = Coding(CONFIDENTIALITY, "R")


def labelled(rules, nowhere, *security, **elements):
    """The labels of an Observation."""
    return assign(view(observation(security, **elements)), nowhere, rules)


def test_one_confidentiality_code_and_no_sensitivity(rules, nowhere):
    """Received and assigned: N, R, SUD, 42CFRPart2 and HIV by code go in, R comes out."""
    part2 = {"system": ACT_CODE, "code": "42CFRPart2"}
    labels = labelled(
        rules, nowhere, confidentiality("N"), confidentiality("R"), SUD, part2, code=codings((ICD, "B20"))
    )
    assert (R,) == outbound(labels)


def test_a_cleared_recipient_is_told_what_it_is_cleared_for(rules, nowhere):
    """Told 42CFRPart2 it reads 42CFRPart2, and still not SUD; what is not on the record is not told."""
    labels = labelled(rules, nowhere, SUD, {"system": ACT_CODE, "code": "42CFRPart2"})
    assert (R, Coding(ACT_CODE, "42CFRPart2")) == outbound(labels, frozenset({"42CFRPart2", "HIV"}))


def test_handling_codes_of_source_and_decision_go_out(rules, nowhere):
    """The recipient must obey them: NORDSCLCD (active spelling), PERSISTLABEL, a purpose limit; each once."""
    received = [
        {"system": ACT_CODE, "code": "NORDSLCD"},
        {"system": ACT_CODE, "code": "PERSISTLABEL"},
        {"system": ACT_REASON, "code": "HTEST"},
    ]
    labels = labelled(rules, nowhere, confidentiality("N"), *received)
    assert (
        Coding(CONFIDENTIALITY, "N"),
        Coding(ACT_CODE, "NORDSCLCD"),
        Coding(ACT_CODE, "PERSISTLABEL"),
        Coding(ACT_REASON, "HTEST"),
    ) == outbound(labels, handling=["NORDSCLCD"])


def test_unknown_and_foreign_codes_stay_inside(rules, nowhere):
    """What we cannot read we do not pass on."""
    foreign = {"system": "http://acme.example/labels", "code": "HIV-CLINIC"}
    assert (R,) == outbound(labelled(rules, nowhere, foreign), frozenset({"HIV-CLINIC"}))


def test_the_inline_mark_goes_only_with_inline_labels(rules, nowhere):
    """PROCESSINLINELABEL on a record without inline labels would tell that some were cut."""
    mark = {"system": ACT_CODE, "code": "PROCESSINLINELABEL"}
    assert Coding(ACT_CODE, "PROCESSINLINELABEL") not in outbound(labelled(rules, nowhere, mark))
    extension = {
        "url": "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
        "valueCoding": confidentiality("R"),
    }
    inline = labelled(rules, nowhere, mark, valueQuantity={"value": 1, "extension": [extension]})
    assert Coding(ACT_CODE, "PROCESSINLINELABEL") in outbound(inline)


def test_a_container_has_the_highest_level_of_what_was_released():
    """Confidentiality only, after filtering; a container of nothing has no label."""
    assert (R,) == container_label([Confidentiality.N, Confidentiality.R])
    assert () == container_label([])
