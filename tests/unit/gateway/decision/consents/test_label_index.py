"""The label conditions of many consents, asked all together, say what each says alone."""

from hypothesis import given
from hypothesis import strategies as st

from consent_store.model import ACT_CODE, CONFIDENTIALITY, Coding
from gateway.decision.consents.label_index import LabelIndex
from gateway.decision.consents.label_tests import LabelTest, deny_labels, nothing_special, permit_labels
from gateway.labels.model import Confidentiality, Labels

SENSITIVITIES = ("PSY", "MH", "SUD", "ETHUD", "OPIOIDUD", "ETH", "HIV", "SDV", "PSYTHPN", "SICKLE")
POLICIES = ("42CFRPart2", "HIPAAPsyNotes", "HIPAASelfPay")
OTHER = Coding("urn:example:labels", "X")
CODINGS = [
    *(Coding(ACT_CODE, code) for code in (*SENSITIVITIES, *POLICIES)),
    *(Coding(CONFIDENTIALITY, level) for level in "ULMNRV"),
    OTHER,
]
LISTS = st.lists(st.sampled_from(CODINGS), max_size=4).map(tuple)
TESTS = st.lists(
    st.one_of(LISTS.map(permit_labels), LISTS.map(deny_labels), st.just(nothing_special)), min_size=1, max_size=12
)
CARRIED = st.lists(
    st.builds(
        Labels,
        st.just(()),
        st.sampled_from(list(Confidentiality)),
        st.frozensets(st.sampled_from((*SENSITIVITIES, "ZZZ")), max_size=3),
        st.frozensets(st.sampled_from(POLICIES), max_size=2),
        unknown=st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@given(TESTS, CARRIED)
def test_all_together_say_what_each_says_alone(tests: list[LabelTest], carried: list[Labels]) -> None:
    """Of whatever labels, in whatever order they come, every condition says what its own test says."""
    index = LabelIndex(list(enumerate(tests)))
    for labels in carried:
        assert bytes(test(labels) for test in tests) == index.say(labels)
