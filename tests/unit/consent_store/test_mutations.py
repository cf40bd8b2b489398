"""However a Consent is damaged, reading it never raises, and a deny that was in it never becomes nothing."""

import json

from hypothesis import given
from hypothesis import strategies as st

from consent_store.filing import is_nobodys
from consent_store.model import ACT_CODE, ACT_REASON, Consent, Effect, PatientKey, Status, Unreadable
from consent_store.reading import read_consent
from consent_store.validate import KnownCodes, refusals
from tests.consents import actor, code, deny, permit, r4, r4_untyped, r5, text

KEEP = {"actor": [actor("Organization/r")], "period": {"start": "2020", "end": "2040"}}
# Every one of these denies something, each in its own dialect.
DENIALS = {
    "typed root": r4(provision=deny(**KEEP)),
    "nested deny": r4(provision=permit(provision=[permit(), deny(**KEEP)])),
    "flipped": r4(provision=permit(provision=[{"securityLabel": [code(ACT_CODE, "PSY")], **KEEP}])),
    "opt-out": r4_untyped("OPTOUT", provision={"actor": [actor("Organization/o1", "CST")]}),
    "decision": r5(provision=[{"purpose": [code(ACT_REASON, "TREAT")], **KEEP}]),
    "exception": r5(decision="permit", provision=[{"securityLabel": [code(ACT_CODE, "PSY")], **KEEP}]),
}
# No code of ours among them: a value that is right in another way is another Consent, not a damaged one.
JUNK = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.sampled_from(["", "x", "\ud7ff \x00"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["x", "type", "system"]), inner)
    ),
    max_leaves=6,
)


def places(tree, here=()):
    """Every place in the tree: (path of keys)."""
    yield here
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in below:
        yield from places(value, (*here, key))


def damaged(tree, place, junk, *, misspell):
    """A copy with the value at `place` replaced by junk, or its name misspelt."""
    if not place:
        return junk
    copy = json.loads(json.dumps(tree))
    holder = copy
    for key in place[:-1]:
        holder = holder[key]
    if misspell and isinstance(holder, dict):
        holder[f"{place[-1]}e"] = holder.pop(place[-1])
    else:
        holder[place[-1]] = junk
    return copy


def denies(provisions, implied) -> bool:
    """Whether a deny is left among the provisions, by its own type or by the one that nesting gives it."""
    for one in provisions:
        effect = one.type or implied
        other = Effect.PERMIT if effect is Effect.DENY else Effect.DENY
        if effect is Effect.DENY or denies(one.nested, other):
            return True
    return False


def still_denies(consent: Consent | Unreadable) -> bool:
    """Whether something of the deny is left: unreadable, not evaluable, a base that denies, or a deny in the tree."""
    if isinstance(consent, Unreadable) or consent.base is not Effect.PERMIT:
        return True
    roots_imply = Effect.DENY if consent.dialect == "r5" else consent.base
    return denies(consent.provisions, roots_imply)


@given(st.sampled_from(sorted(DENIALS)), st.data())
def test_a_damaged_deny_still_denies(name, data):
    """Junk at any place, or any name misspelt: what comes out denies, for the same patient or reported as nobody's."""
    whole = DENIALS[name]
    assert still_denies(read_consent(text(whole), source=""))
    place = data.draw(st.sampled_from(list(places(whole))))
    tree = damaged(whole, place, data.draw(JUNK), misspell=data.draw(st.booleans()))
    raw = json.dumps(tree).encode()
    consent = read_consent(raw, source="")
    assert still_denies(consent)
    assert consent.patient == PatientKey("", "1") or (isinstance(consent, Unreadable) and is_nobodys(consent))
    assert isinstance(refusals(raw, "4.0", KnownCodes()), tuple)
    assert isinstance(refusals(raw, "5.0", KnownCodes()), tuple)


@given(st.sampled_from(sorted(DENIALS)), st.data())
def test_damaged_text_still_denies(name, data):
    """Any bytes put anywhere into the text, or cut out: an answer, and it denies, or was withdrawn in so many words."""
    raw = text(DENIALS[name])
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 3)))
    consent = read_consent(raw[:start] + data.draw(st.binary(max_size=3)) + raw[end:], source="")
    assert still_denies(consent) or consent.status is not Status.ACTIVE


@given(st.binary())
def test_any_bytes_have_an_answer(raw):
    """Nothing raises, and what is no Consent is Unreadable."""
    assert isinstance(read_consent(raw, source=""), Unreadable)
    assert refusals(raw, "4.0", KnownCodes())
