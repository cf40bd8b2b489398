"""securityLabel of a provision against the labels of a record: a permit must cover, a deny must touch."""

import pytest

from consent_store.model import ACT_CODE, ACT_REASON, CONFIDENTIALITY, Coding
from gateway.decision.consents.label_tests import deny_labels, nothing_special, permit_labels
from gateway.decision.consents.truth import Match
from gateway.decision.model import Answer
from tests.consent_questions import ask, labels, target
from tests.consents import r4

ZZZ = Coding("http://example.org/labels", "ZZZ")


def listed(*codes):
    """Codes as a provision lists them: U to V are confidentiality, everything else v3-ActCode."""
    return [c if isinstance(c, Coding) else Coding(CONFIDENTIALITY if c in "ULMNRV" else ACT_CODE, c) for c in codes]


@pytest.mark.parametrize(
    ("permitted", "carried", "expected"),
    [
        # confidentiality is an order
        ("N", "N", Match.YES),
        ("N", "L", Match.YES),
        ("R", "N", Match.YES),
        ("N", "R", Match.NO),
        ("R", "V", Match.NO),
        ("N R", "R", Match.YES),
        # every sensitivity must be covered, and confidentiality need not be listed then (L004)
        ("R", "R PSY ETHUD", Match.NO),
        ("R PSY", "R PSY ETHUD", Match.NO),
        ("R PSY ETHUD", "R PSY ETHUD", Match.YES),
        ("PSY", "R PSY", Match.YES),
        ("N PSY", "R PSY", Match.YES),
        ("R", "R PSY", Match.NO),
        ("PSY", "N", Match.NO),
        # HL7's tree, downwards alone, and no clusters
        ("SUD", "R OPIOIDUD", Match.YES),
        ("SPI", "R PSY ETHUD", Match.YES),
        ("OPIOIDUD", "R SUD", Match.NO),
        ("ETH", "R SUD", Match.NO),
        ("PSY", "R MH", Match.NO),
        # tags of laws
        ("R", "R 42CFRPart2", Match.NO),
        ("SUD", "R SUD 42CFRPart2", Match.YES),
        ("42CFRPart2", "R SUD OPIOIDUD 42CFRPart2", Match.YES),
        ("42CFRPart2", "R SUD", Match.NO),
        ("42CFRPart2", "R PSY 42CFRPart2", Match.NO),
        ("PSYTHPN", "R HIPAAPsyNotes", Match.YES),
        ("R", "R HIPAASelfPay", Match.NO),
        # what we do not know
        ("NOAUTH", "N NOAUTH", Match.YES),
        ("NOAUTH", "R NOAUTH", Match.NO),
        ("NOAUTH", "R NOAUTH PSY", Match.NO),
    ],
)
def test_a_permit_covers(permitted, carried, expected):
    """The labels of one permit must together cover what the record carries."""
    assert expected is permit_labels(listed(*permitted.split()))(labels(*carried.split()))


@pytest.mark.parametrize(
    ("denied", "carried", "expected"),
    [
        ("R", "R", Match.YES),
        ("R", "V", Match.YES),
        ("R", "N", Match.NO),
        ("N", "R PSY", Match.YES),
        ("PSY", "R PSY ETHUD", Match.YES),
        ("PSY", "R ETHUD", Match.NO),
        ("PSY HIV", "R HIV", Match.YES),
        # clusters and the tree, both ways
        ("ETH", "R SUD", Match.YES),
        ("OPIOIDUD", "R ETHUD", Match.YES),
        ("SUD", "R OPIOIDUD", Match.YES),
        ("SPI", "R PSY", Match.YES),
        ("PSY", "R SPI", Match.YES),
        ("PSY", "R MH", Match.YES),
        ("SDV", "R VIO", Match.YES),
        ("PSY", "R PSYTHPN", Match.NO),
        ("SEX", "R STD", Match.NO),
        # tags of laws
        ("42CFRPart2", "R 42CFRPart2", Match.YES),
        ("42CFRPart2", "R SUD", Match.NO),
        ("SUD", "N 42CFRPart2", Match.YES),
        ("HIV", "N 42CFRPart2", Match.NO),
        ("HIPAAPsyNotes", "R PSYTHPN", Match.YES),
    ],
)
def test_a_deny_touches(denied, carried, expected):
    """One label is enough for a deny."""
    assert expected is deny_labels(listed(*denied.split()))(labels(*carried.split()))


@pytest.mark.parametrize(
    "spelling",
    [
        Coding("https://terminology.hl7.org/CodeSystem/v3-ActCode", "PSY"),
        Coding("http://terminology.hl7.org/ValueSet/v3-InformationSensitivityPolicy", "PSY"),
        Coding("http://hl7.org/fhir/v3/ActCode", "PSY"),
        Coding("urn:oid:2.16.840.1.113883.5.4", "PSY"),
        Coding(CONFIDENTIALITY, "PSY"),
        Coding(ACT_CODE, "psy"),
    ],
)
def test_every_spelling_of_a_label_is_the_label(spelling):
    """A provision's label counts in any spelling that is met in the wild (L005)."""
    assert Match.YES is permit_labels([spelling])(labels("R", "PSY"))
    assert Match.YES is deny_labels([spelling])(labels("R", "PSY"))


def test_a_label_without_system_counts_for_a_deny_alone():
    """A missing system matches for deny, never for permit (L005)."""
    bare = [Coding(None, "PSY"), Coding(None, "R")]
    assert Match.NO is permit_labels(bare)(labels("R", "PSY"))
    assert Match.YES is deny_labels(bare)(labels("N", "PSY"))
    assert Match.YES is deny_labels(bare)(labels("R"))


def test_labels_that_are_not_known_match_no_permit_and_every_deny():
    """Where something about its sensitivity could not be established, only a deny limited by label matches."""
    assert Match.UNSURE is permit_labels(listed("V", "SPI"))(labels("N", unknown=True))
    assert Match.UNSURE is deny_labels(listed("V"))(labels("N", unknown=True))
    limited = r4(provision={"type": "permit", "securityLabel": [{"system": CONFIDENTIALITY, "code": "V"}]})
    assert Answer.NOT_APPLICABLE is ask(limited, about=target(unknown=True)).answer
    assert Answer.PERMIT is ask(r4(provision={"type": "permit"}), about=target(unknown=True)).answer


def test_a_foreign_label_matches_only_itself():
    """A code of another system is denied by itself; on a record it is unknown, so it is permitted by nothing."""
    assert Match.YES is deny_labels([ZZZ])(labels(ZZZ))
    assert Match.NO is deny_labels([ZZZ])(labels("R", "PSY"))
    assert Match.UNSURE is permit_labels([ZZZ])(labels(ZZZ))


def test_a_purpose_on_data_is_no_sensitivity():
    """HTEST marks test data: it needs no cover."""
    assert Match.YES is permit_labels(listed("N"))(labels(Coding(ACT_REASON, "HTEST"), "N"))


@pytest.mark.parametrize(
    ("carried", "expected"), [("N", True), ("R", False), ("N PSY", False), ("N 42CFRPart2", False)]
)
def test_a_regular_hrex_consent_permits_normal_data(carried, expected):
    """The #regular policy withholds everything that law treats as sensitive."""
    regular = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#regular"
    consent = r4(policy=[{"uri": regular}], provision={"type": "permit"})
    assert expected is (Answer.PERMIT is ask(consent, about=target(None, *carried.split())).answer)
    assert expected is (Match.YES is nothing_special(labels(*carried.split())))
