"""The mark on what a client pushed: which types have to have it, and what is one."""

import pytest

from gateway.decision.pushed import MARKED, PUSHED, is_pushed
from tests.consent_questions import view

# FHIR R4 Consent.provision.actor.reference, and Consent.performer, organization and data.authoredby: whom it may name.
NAMED = {"CareTeam", "Device", "Group", "Organization", "Patient", "Practitioner", "PractitionerRole", "RelatedPerson"}
# Who belongs to whom, who is on a list of people, and from where a record comes.
TELLING = {"List", "OrganizationAffiliation", "Provenance"}


def test_whatever_could_prove_who_somebody_is_is_marked():
    """All that a consent may name, and all that tells of membership or origin; no more (L080)."""
    assert NAMED | TELLING == MARKED


@pytest.mark.parametrize(
    ("meta", "marked"),
    [
        ({"tag": [PUSHED]}, True),
        ({"tag": [{"display": "x"}, PUSHED | {"display": "pushed", "version": "1"}]}, True),
        ({"tag": [PUSHED | {"code": "Pushed"}]}, False),
        ({"tag": [PUSHED | {"system": "urn:another"}]}, False),
        ({"tag": [{"code": "pushed"}, "pushed", None]}, False),
        ({"tag": PUSHED}, False),
        ({"security": [PUSHED]}, False),
        ("pushed", False),
        (None, False),
    ],
)
def test_the_mark_is_a_tag_of_system_and_code(meta, marked):
    """Both, and in `meta.tag`, whatever else is said there."""
    assert marked is is_pushed(view({"resourceType": "Group", "id": "g", "meta": meta}))
