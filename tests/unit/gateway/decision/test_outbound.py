"""What a released record says about itself."""

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding
from gateway.decision.combine import Ruling
from gateway.decision.outbound import labels_out
from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.model import Basis, Kind, Label, Labels


def labelled(*received):
    """Restricted Part 2 content, with these codes received."""
    kinds = {"42CFRPart2": Kind.POLICY}
    found = tuple(Label(kinds.get(code, Kind.HANDLING), ACT_CODE, code, Basis.RECEIVED) for code in received)
    return Labels(found, Confidentiality.R, frozenset(), frozenset({"42CFRPart2"}), False)


def test_labels_go_out_in_an_order_of_their_own():
    """Whether a refrain code came with the record or is ours does not show by where it stands (L039)."""
    ruling = Ruling(True, frozenset(), (), refrains=("NORDSCLCD",))
    expected = (Coding(CONFIDENTIALITY, "R"), Coding(ACT_CODE, "42CFRPart2"), Coding(ACT_CODE, "NORDSCLCD"))
    assert expected == labels_out(labelled("42CFRPart2"), ruling)
    assert expected == labels_out(labelled("NORDSCLCD", "42CFRPart2"), ruling)
