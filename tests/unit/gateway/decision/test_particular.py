"""Refusals of particular records, asked as of a record that nobody has shown: which may speak of it."""

import msgspec
import pytest

from consent_store.model import ACT_REASON, PatientKey
from gateway.decision.consents import ConsentAnswer
from gateway.decision.model import Answer
from gateway.decision.particular import Particular
from gateway.fhir.references import Local
from tests.consent_questions import ask, target
from tests.consents import code, good, permit, r4
from tests.unit.gateway.decision.test_near_rules import case

INSTANCE = {"data": [{"meaning": "instance", "reference": {"reference": "Observation/another"}}]}
OF_AUTHOR = {"data": [{"meaning": "authoredby", "reference": {"reference": "Practitioner/p"}}]}


def deny(**conditions):
    """A refusal with these conditions and no other."""
    return {"type": "deny", **conditions}


def refused(provision):
    """A consent given to nobody in particular."""
    return r4(provision=provision, organization=None)


def asked(*consents, answer=Answer.NOT_APPLICABLE):
    """A case whose patient has these consents; they said this of the record as it was shown."""
    values = tuple(good(one) for one in consents)
    found = case()
    known = msgspec.structs.replace(found.subject, consents=values)
    return msgspec.structs.replace(found, subject=known, consents=ConsentAnswer(answer))


@pytest.mark.parametrize(
    ("provision", "may"),
    [
        (deny(**INSTANCE), True),
        (deny(**OF_AUTHOR), True),
        (permit(provision=[deny(**INSTANCE)]), True),
        (permit(provision=[deny(provision=[permit(**INSTANCE)])]), True),
        (permit(**INSTANCE), False),
        (permit(), False),
        (deny(securityLabel=[{"system": "urn:x", "code": "another"}], **INSTANCE), False),
        (deny(purpose=[code(ACT_REASON, "HRESCH")], **INSTANCE), False),
    ],
    ids=[
        "a record",
        "an author",
        "nested",
        "in a refusal",
        "a permit",
        "no condition",
        "another label",
        "another purpose",
    ],
)
def test_a_refusal_of_a_particular_record_may_be_of_this_one(provision, may):
    """What it says of which record it is, or whose, is open; all else that it says must fit."""
    found = Particular().refusing(asked(refused(provision)))
    assert may is bool(found)
    assert not may or found[0].startswith("Consent/c1#")


def test_where_the_record_is_refused_already_or_of_nobody_nothing_is_added():
    """It cannot be refused twice, and nobody has no consents."""
    refusing = refused(deny(**INSTANCE))
    assert () == Particular().refusing(asked(refusing, answer=Answer.DENY))
    assert () == Particular().refusing(msgspec.structs.replace(asked(refusing), subject=None))


def test_each_subject_is_asked_for_itself_and_each_record_anew():
    """One asker for several: the refusal of the one is not the other's, and a label may keep it from a record."""
    refusing, silent = asked(refused(deny(**INSTANCE))), asked()
    other = msgspec.structs.replace(silent.subject, key=PatientKey("ehr", "2"))
    silent = msgspec.structs.replace(silent, subject=other)
    one = Particular()
    assert [True, False, True] == [bool(one.refusing(each)) for each in (refusing, silent, refusing)]
    limited = asked(
        refused(deny(**INSTANCE) | {"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]})
    )
    assert not Particular().refusing(limited)


def test_shown_the_same_refusal_is_of_its_own_record_alone():
    """The engine, asked of a record that was shown, knows that it is not the one refused."""
    refusing = refused(deny(**INSTANCE))
    assert Answer.DENY is not ask(refusing).answer
    shown = msgspec.structs.replace(target(), identity=Local("Observation", "another"))
    assert Answer.DENY is ask(refusing, about=shown).answer
