"""Laws of consents, each a sentence, tried on made consents. What the answers are is the oracle's to say."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from consent_store.dates import Period, parse_date
from consent_store.model import ACT_CODE, ACT_REASON, Coding, Dialect, Effect, PatientKey, Provision, Status
from gateway.decision.model import Answer
from gateway.labels.model import Basis, Confidentiality, Kind, Label
from tests.consent_questions import ask, exchange, program
from tests.consents import value
from tests.laws.cases import shown
from tests.laws.made_consents import consents, provisions, purposes, targets, unreadables

SHOWN = shown(True)
one_level = st.lists(consents(depth=1), min_size=1, max_size=3)
several = st.lists(st.integers(0, 9).flatmap(lambda one: consents() if one else unreadables()), min_size=1, max_size=3)


def said(made, about, purpose):
    """What the engine answers."""
    return ask(*made, about=about, asked=exchange(purpose), shown=SHOWN)


def no_wider(before, after):
    """Whether the second answer permits only where the first did."""
    return after.answer is not Answer.PERMIT or before.answer is Answer.PERMIT


@given(targets(), purposes)
def test_without_consents_nothing_is_said(about, purpose):
    """Default deny is the next layer's: no consent permits nothing and denies nothing."""
    assert Answer.NOT_APPLICABLE is said([], about, purpose).answer


@given(several, targets(), purposes, st.randoms())
def test_the_order_of_arrival_never_matters(made, about, purpose, random):
    """Any permutation of the consents gives the same answer, causes included."""
    shuffled = list(made)
    random.shuffle(shuffled)
    first, second = said(made, about, purpose), said(shuffled, about, purpose)
    assert (first.answer, sorted(first.causes), set(first.erring)) == (
        second.answer,
        sorted(second.causes),
        set(second.erring),
    )


@given(several, targets(), purposes)
def test_a_deny_of_another_group_trumps_every_permit(made, about, purpose):
    """A refusal under a policy of its own refuses, whatever the other consents say."""
    refusal = msgspec.structs.replace(plain(Effect.DENY), policies=("urn:refusal",), date=parse_date("1990"))
    assert Answer.DENY is said([*made, refusal], about, purpose).answer


@given(several, unreadables(), targets(), purposes)
def test_what_cannot_be_read_denies(made, lost, about, purpose):
    """An unreadable consent of a group of its own denies."""
    lost = msgspec.structs.replace(lost, policies=("urn:lost",))
    assert Answer.DENY is said([*made, lost], about, purpose).answer


@given(several, unreadables(), targets(), purposes)
def test_an_unreadable_consent_never_widens(made, lost, about, purpose):
    """A consent that cannot be read turns no refusal into a permit."""
    assert no_wider(said(made, about, purpose), said([*made, lost], about, purpose))


def plain(effect: Effect):
    """A Consent that permits or denies everything."""
    return value(Provision(type=effect), id="plain", patient=PatientKey("ehr", "1"))


@st.composite
def permits(draw):
    """A Consent that says nothing but yes: no nested provision, nothing unreadable."""
    made = draw(consents())
    root = draw(provisions(depth=0, type=st.just(Effect.PERMIT)))
    root = msgspec.structs.replace(root, unreadable=())
    return msgspec.structs.replace(
        made, dialect=Dialect.TYPED, base=Effect.PERMIT, provisions=(root,), period=None, grantees=(), id="permit"
    )


@given(several, permits(), targets(), purposes)
def test_revoking_a_permit_never_widens(made, granted, about, purpose):
    """Without a consent that only permits, nothing is let through that was not let through with it."""
    revoked = msgspec.structs.replace(granted, status=Status.INACTIVE)
    assert no_wider(said([*made, granted], about, purpose), said([*made, revoked], about, purpose))


@given(several, permits(), targets(), purposes)
def test_expiring_a_permit_never_widens(made, granted, about, purpose):
    """A permit past its end lets nothing more through than the running one."""
    (root,) = granted.provisions
    past = msgspec.structs.replace(root, period=Period(None, parse_date("2020")))
    expired = msgspec.structs.replace(granted, provisions=(past,))
    assert no_wider(said([*made, granted], about, purpose), said([*made, expired], about, purpose))


# The three laws below are true of consents without an exception inside an exception. "No restricted data, except to C"
# inside a permit that does not reach C gives C the restricted data and not the normal: that is what is written, and
# raising the label of a record then widens what C gets.
@given(one_level, targets(), purposes)
def test_raising_confidentiality_never_widens(made, about, purpose):
    """One level higher lets nothing through that was held back."""
    higher = min(Confidentiality.V, about.labels.confidentiality + 1)
    raised = msgspec.structs.replace(about.labels, confidentiality=Confidentiality(higher))
    secret = msgspec.structs.replace(about, labels=raised)
    assert no_wider(said(made, about, purpose), said(made, secret, purpose))


@given(one_level, targets(), purposes)
def test_a_sensitivity_that_no_permit_names_never_widens(made, about, purpose):
    """A further sensitivity, named by nobody, lets nothing through that was held back."""
    assert no_wider(said(made, about, purpose), said(made, carrying(about, "GDIS"), purpose))


@given(one_level, targets(), purposes)
def test_an_unknown_label_never_widens(made, about, purpose):
    """A label that nobody knows lets nothing through that was held back."""
    odd = Label(Kind.UNKNOWN, ACT_CODE, "ZZZ", Basis.RECEIVED)
    marked = msgspec.structs.replace(about.labels, labels=(*about.labels.labels, odd), unknown=True)
    marked_too = msgspec.structs.replace(about, labels=marked)
    assert no_wider(said(made, about, purpose), said(made, marked_too, purpose))


@given(several, targets())
def test_an_unknown_purpose_gets_only_what_is_unlimited(made, about):
    """A purpose code that nobody knows is covered by no listed purpose: only unlimited provisions permit it."""
    answer = said(made, about, Coding(ACT_REASON, "XYZ"))
    assert all(permit.purposes == () for permit in answer.permitting)


@given(several, targets(), purposes)
def test_the_answer_holds_until_the_stated_instant(made, about, purpose):
    """Between the instant of the question and valid_until nothing changes."""
    settled = program(*made, asked=exchange(purpose), shown=SHOWN)
    if settled.valid_until is None:
        later = exchange(purpose).at.replace(year=2040)
    else:
        later = exchange(purpose).at + (settled.valid_until - exchange(purpose).at) * 0.999
    again = ask(*made, about=about, asked=exchange(purpose, at=later), shown=SHOWN)
    assert settled.decide(about).answer is again.answer


@given(several, targets(), purposes)
def test_the_same_question_gets_the_same_answer(made, about, purpose):
    """Deciding leaves no trace: asked twice, a program answers twice the same."""
    settled = program(*made, asked=exchange(purpose), shown=SHOWN)
    assert settled.decide(about) == settled.decide(about)


def carrying(about, code):
    """The same resource with one more sensitivity."""
    more = Label(Kind.SENSITIVITY, ACT_CODE, code, Basis.RECEIVED)
    wider = msgspec.structs.replace(
        about.labels, labels=(*about.labels.labels, more), sensitivities=about.labels.sensitivities | {code}
    )
    return msgspec.structs.replace(about, labels=wider)
