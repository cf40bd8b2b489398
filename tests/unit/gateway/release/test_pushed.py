"""What is forwarded of a push: marked where it could pass for proof of who somebody is, else the sender's own text."""

import json

import pytest

from gateway.decision.judge import Judgement
from gateway.decision.model import Decision, Verdict
from gateway.decision.pushed import PUSHED
from gateway.fhir.bundle import read_document
from gateway.release.pushed import compose_create, compose_push


def judged(document, *, withheld=()):
    """A judgement that discloses everything but what stands at these places."""
    decisions = tuple(
        Decision(
            at=view.at,
            resource=view.type,
            subjects=(),
            verdict=Verdict.WITHHELD if view.at in withheld else Verdict.DISCLOSED,
        )
        for view in document.views
    )
    return Judgement(decisions, frozenset(), {view.at: () for view in document.views}, trimmed=False)


def created(tree):
    """What is forwarded of one record, and the places its manifest lists."""
    raw = json.dumps(tree).encode()
    document = read_document(raw)
    released = compose_create(raw, document, judged(document))
    return json.loads(released.body), [edit.path for one in released.manifest.decisions for edit in one.edits]


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({}, {"tag": [PUSHED]}),
        ({"meta": {"profile": ["p"]}}, {"profile": ["p"], "tag": [PUSHED]}),
        ({"meta": {"tag": [{"code": "mine"}]}}, {"tag": [{"code": "mine"}, PUSHED]}),
    ],
)
def test_an_organization_is_marked(meta, expected):
    """Whatever `meta` it comes with keeps what it says, and the edit is told."""
    tree, told = created({"resourceType": "Organization", "name": "x"} | meta)

    assert expected == tree["meta"]
    assert ["/meta/tag"] == told


def test_a_clinical_record_is_the_sender_s_own_text():
    """What names nobody by itself is not touched."""
    assert ({"resourceType": "Observation", "status": "final"}, []) == created(
        {"resourceType": "Observation", "status": "final"}
    )


@pytest.mark.parametrize("signed", [False, True])
def test_each_entry_that_is_left_is_marked_unless_it_was_signed(signed):
    """The marks stand where the entries stand after what was held back went; a signed Bundle is as it was signed."""
    kinds = ("Observation", "Group", "Organization")
    tree = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": k}} for k in kinds]}
    raw = json.dumps(tree | ({"signature": {"data": "eA=="}} if signed else {})).encode()
    document = read_document(raw)
    judgement = judged(document, withheld=() if signed else ("/entry/0/resource",))
    found = [one["resource"] for one in json.loads(compose_push(raw, document, judgement).body)["entry"]]

    assert ["Observation", "Group", "Organization"][0 if signed else 1 :] == [one["resourceType"] for one in found]
    assert [not signed, not signed] == ["meta" in one for one in found[-2:]]
