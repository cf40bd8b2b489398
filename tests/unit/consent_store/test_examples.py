"""Every published Consent example (IHE PCF, HL7, FAST, HRex, SDOH) is read to the outcome written here."""

import json

import pytest

from consent_store.model import Consent, Dialect, Effect, Expiry, Unreadable
from consent_store.reading import R4, R5, family, read_consent, version_of

PERMIT, DENY = Effect.PERMIT, Effect.DENY
TYPED, UNTYPED = Dialect.TYPED, Dialect.UNTYPED
UNSTATED, DATE = Expiry.UNSTATED, Expiry.DATE
NOT_EVALUABLE = None

# folder: file stem -> dialect, base, expiry, number of provisions in all
OUTCOMES = {
    "consent-ihe-pcf": {
        "ex-consent-basic-ink": (TYPED, PERMIT, UNSTATED, 1),
        "ex-consent-basic-reject": (TYPED, DENY, UNSTATED, 1),
        "ex-consent-basic-research": (TYPED, PERMIT, UNSTATED, 1),
        "ex-consent-basic-treat": (TYPED, PERMIT, UNSTATED, 1),
        "ex-consent-basic-treat-infant": (TYPED, PERMIT, UNSTATED, 1),
        "ex-consent-expired-treat": (TYPED, PERMIT, DATE, 1),
        "ex-consent-intermediate-authoredby": (TYPED, PERMIT, UNSTATED, 1),
        "ex-consent-intermediate-data": (TYPED, PERMIT, UNSTATED, 1),
        "ex-consent-intermediate-encounter": (TYPED, PERMIT, UNSTATED, 1),
        "ex-consent-intermediate-not-authoredby": (TYPED, PERMIT, UNSTATED, 2),
        "ex-consent-intermediate-not-data": (TYPED, PERMIT, UNSTATED, 2),
        "ex-consent-intermediate-not-encounter": (TYPED, PERMIT, UNSTATED, 2),
        "ex-consent-intermediate-not-timeframe": (TYPED, PERMIT, UNSTATED, 2),
        "ex-consent-intermediate-purpose": (TYPED, PERMIT, UNSTATED, 1),
        "ex-consent-intermediate-timeframe": (TYPED, PERMIT, UNSTATED, 1),
    },
    "hl7-r4-examples": {
        "consent-example-Emergency": (UNTYPED, NOT_EVALUABLE, UNSTATED, 2),
        "consent-example-Out": (UNTYPED, DENY, UNSTATED, 1),
        "consent-example-basic": (UNTYPED, PERMIT, DATE, 1),
        "consent-example-grantor": (UNTYPED, NOT_EVALUABLE, UNSTATED, 1),
        "consent-example-notAuthor": (UNTYPED, PERMIT, UNSTATED, 1),
        "consent-example-notOrg": (TYPED, DENY, UNSTATED, 1),
        "consent-example-notThem": (UNTYPED, NOT_EVALUABLE, UNSTATED, 1),
        "consent-example-notThis": (UNTYPED, NOT_EVALUABLE, UNSTATED, 1),
        "consent-example-notTime": (UNTYPED, PERMIT, DATE, 1),
        "consent-example-pkb": (UNTYPED, NOT_EVALUABLE, UNSTATED, 12),
        "consent-example-signature": (UNTYPED, NOT_EVALUABLE, DATE, 2),
        "consent-example-smartonfhir": (UNTYPED, PERMIT, DATE, 2),
    },
    "hl7-r5-examples": {
        "consent-example-CDA": (Dialect.R5, PERMIT, UNSTATED, 2),
        "consent-example-Emergency": (Dialect.R5, DENY, UNSTATED, 2),
        "consent-example-Out": (Dialect.R5, PERMIT, UNSTATED, 1),
        "consent-example-basic": (Dialect.R5, DENY, DATE, 1),
        "consent-example-grantor": (Dialect.R5, DENY, UNSTATED, 1),
        "consent-example-notAuthor": (Dialect.R5, PERMIT, UNSTATED, 1),
        "consent-example-notOrg": (Dialect.R5, PERMIT, UNSTATED, 1),
        "consent-example-notThem": (Dialect.R5, PERMIT, UNSTATED, 1),
        "consent-example-notThis": (Dialect.R5, PERMIT, UNSTATED, 1),
        "consent-example-notTime": (Dialect.R5, PERMIT, UNSTATED, 1),
        "consent-example-pkb": (Dialect.R5, DENY, UNSTATED, 12),
        "consent-example-smartonfhir": (Dialect.R5, PERMIT, UNSTATED, 2),
    },
    "fast": {"ConsentExample": (TYPED, PERMIT, UNSTATED, 1)},
    "sdoh-consent": {"SDOHCC-ConsentInformationDisclosureExample": (UNTYPED, NOT_EVALUABLE, UNSTATED, 0)},
}


def number(provisions) -> int:
    """How many provisions there are in all."""
    return sum(1 + number(one.nested) for one in provisions)


@pytest.mark.parametrize(
    ("folder", "stem", "outcome"),
    [(folder, stem, outcome) for folder, stems in OUTCOMES.items() for stem, outcome in stems.items()],
)
def test_a_published_example_is_read_as_the_table_says(shared, folder, stem, outcome):
    """The version is told by structure, the whole is read, and nothing in it is unreadable."""
    raw = (shared / "data" / folder / f"Consent-{stem}.json").read_bytes()
    consent = read_consent(raw, source="ehr")
    assert isinstance(consent, Consent), consent.why
    assert outcome == (consent.dialect, consent.base, consent.expiry, number(consent.provisions))
    assert () == tuple(why for one in consent.provisions for why in one.unreadable)
    assert consent.patient.id or consent.patient_identifiers


@pytest.mark.parametrize("folder", [*OUTCOMES, "hrex"])
def test_no_example_is_left_out_of_the_table(shared, folder):
    """Each file of Consents that is there has its line, so a new one cannot go unread."""
    there = {path.stem.removeprefix("Consent-") for path in (shared / "data" / folder).glob("Consent-*.json")}
    assert set(OUTCOMES.get(folder, {"member-match-in": ()})) == there


@pytest.mark.parametrize("folder", list(OUTCOMES))
def test_the_version_is_told_by_structure(shared, folder):
    """All R5 examples are told from all R4 ones without being told."""
    trees = [json.loads(path.read_bytes()) for path in (shared / "data" / folder).glob("Consent-*.json")]
    assert {R5 if folder == "hl7-r5-examples" else R4} == {version_of(tree) for tree in trees}


def test_the_hrex_example_names_a_patient_of_another_server(shared):
    """An absolute patient reference without identifier is nobody's, unless the base is told to be our own."""
    raw = (shared / "data" / "hrex" / "Consent-member-match-in.json").read_bytes()
    stranger = read_consent(raw, source="ehr")
    assert isinstance(stranger, Unreadable)
    assert ("", ()) == (stranger.patient.id, stranger.patient_identifiers)
    own = read_consent(raw, source="ehr", own_bases=frozenset({"http://example.org/"}))
    assert isinstance(own, Consent)
    assert ("example", PERMIT, DATE) == (own.patient.id, own.base, own.expiry)


@pytest.mark.parametrize(
    ("number", "told"),
    [("4.0", R4), ("4.0.1", R4), ("4.3", R4), ("4.3.0", R4), ("5.0", R5), ("5.0.0", R5), ("3.0.2", None), ("6", None)],
)
def test_version_numbers_belong_to_a_family(number, told):
    """R4B counts as R4; what is not read here is None."""
    assert told == family(number)
