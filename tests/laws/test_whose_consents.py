"""Whose consents count, through the whole decision: each patient's own, all patients', and for one purpose."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import QuestionError
from tests.consents import code
from tests.questions import ROSA, asked, consent, observation, recipient, searchset, verdicts

TOMAS = {"resourceType": "Patient", "id": "tomas", "birthDate": "1979-05-05"}
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONTEXT = [ROSA, TOMAS]
PURPOSES = ["TREAT", "ETREAT", "COC", "HPAYMT", "HOPERAT", "CAREMGT", "PUBHLTH"]
ABSOLUTE = {"profile": "base", "context": CONTEXT}

limits = st.fixed_dictionaries(
    {},
    optional={
        "purpose": st.lists(st.sampled_from(PURPOSES), min_size=1, max_size=2).map(
            lambda stated: [code(REASON, one) for one in stated]
        ),
        "actor": st.sampled_from(["Organization/valley", "Organization/plan", "Organization/x"]).map(
            lambda who: [recipient({"reference": who})]
        ),
        "securityLabel": st.sampled_from(["N", "R", "PSY"]).map(
            lambda label: [code("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", label)]
        ),
        "period": st.sampled_from([{"start": "2020"}, {"end": "2025"}, {"start": "2027"}]),
        "data": st.just([{"meaning": "instance", "reference": {"reference": "Observation/rosas"}}]),
    },
)
effects = st.sampled_from(["permit", "permit", "deny"])


def given_by(who: str) -> st.SearchStrategy[dict]:
    """A consent of one patient."""
    patient = {"reference": f"Patient/{who}"}
    named = st.sampled_from(["a", "b", "c"]).map(lambda id: {"id": f"{who}-{id}"})
    return st.builds(lambda effect, limit, id: {**consent(effect, patient, **limit), **id}, effects, limits, named)


rosas = st.lists(given_by("rosa"), max_size=2, unique_by=lambda one: one["id"])
tomass = st.lists(given_by("tomas"), max_size=2, unique_by=lambda one: one["id"])
OF_ROSA = observation("rosas", subject={"reference": "Patient/rosa"})
OF_TOMAS = observation("tomas", subject={"reference": "Patient/tomas"})
OF_BOTH = observation("both", subject={"reference": "Patient/rosa"}, focus=[{"reference": "Patient/tomas"}])


@given(rosas, tomass, st.sampled_from(PURPOSES))
def test_a_consent_of_one_patient_never_affects_another(hers, his, purpose):
    """What becomes of his records is the same with her consents and without."""
    page = searchset(OF_ROSA, OF_TOMAS)
    alone = verdicts(asked(page, consents=his, purpose=purpose, **ABSOLUTE))
    together = verdicts(asked(page, consents=[*hers, *his], purpose=purpose, **ABSOLUTE))
    assert alone.get("Observation/tomas") == together.get("Observation/tomas")


HER_YES, HIS_YES = consent("permit"), {**consent("permit", {"reference": "Patient/tomas"}), "id": "his"}


@example([HER_YES], [HIS_YES], "TREAT")
@example([HER_YES], [], "TREAT")
@given(rosas, tomass, st.sampled_from(PURPOSES))
def test_a_record_that_names_two_patients_needs_both(hers, his, purpose):
    """It is released where each of them would have let it go alone, and nowhere else."""

    def goes(record, consents):
        found = verdicts(asked(record, consents=consents, purpose=purpose, **ABSOLUTE))
        return found.get(f"Observation/{record['id']}") == "disclosed"

    if hers == [HER_YES]:
        assert bool(his) == goes(OF_BOTH, [*hers, *his])
    of_her = {**OF_BOTH, "focus": [{"reference": "Patient/rosa"}]}
    of_him = {**OF_BOTH, "subject": {"reference": "Patient/tomas"}}
    assert (goes(of_her, hers) and goes(of_him, his)) == goes(OF_BOTH, [*hers, *his])


@given(rosas, st.lists(st.sampled_from(PURPOSES), min_size=2, max_size=3, unique=True))
def test_claiming_one_purpose_more_never_widens(hers, purposes):
    """A question claims one purpose; with one more it is no question, so nothing more is released for it."""
    with pytest.raises(QuestionError):
        asked(OF_ROSA, consents=hers, purpose=purposes, **ABSOLUTE)
    with pytest.raises(QuestionError):
        asked(OF_ROSA, consents=hers, purpose=" ".join(purposes), **ABSOLUTE)
