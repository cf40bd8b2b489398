"""What the API refuses to store: each refusal names the element and says why, and no value of the body."""

import json
import sys

import pytest

from consent_store.model import ACT_CODE, ACT_REASON, Status
from consent_store.validate import MAX_LEVELS, MAX_PROVISIONS, KnownCodes, Refusal, refusals
from tests.consents import ROLE, SCOPE, actor, code, concept, deny, permit, r4, r4_untyped, r5, text

KNOWN = KnownCodes(
    {
        ACT_REASON: frozenset({"TREAT", "HPAYMT", "HOPERAT", "HRESCH", "ETREAT", "HTEST"}),
        ACT_CODE: frozenset(
            {"PSY", "SPI", "SEX", "OPTIN", "OPTOUT", "INFA", "INFAO", "IDSCL", "EMRGONLY", "42CFRPart2CD"}
        ),
        ROLE: frozenset({"IRCP", "PRCP", "CST", "AUT"}),
    }
)


def refused(tree, version="4.0"):
    """The refusals of a Consent, as (path, why)."""
    return [(one.path, one.why) for one in refusals(text(tree), version, KNOWN)]


@pytest.mark.parametrize(
    ("tree", "version"), [(r4(), "4.0"), (r4(), "4.0.1"), (r4_untyped(), "4.0"), (r5(), "5.0"), (r5(), "5.0.0")]
)
def test_a_good_consent_is_not_refused(tree, version):
    """Nothing is found against it, in either version."""
    assert [] == refused(tree, version)


@pytest.mark.parametrize(
    ("parts", "path", "why"),
    [
        ({"status": "unknown"}, "status", "not a code of the required value set"),
        ({"status": None}, "status", "missing"),
        ({"status": 5}, "status", "not a code of the required value set"),
        ({"patient": None}, "patient", "missing"),
        ({"patient": {"display": "Peter"}}, "patient", "names no patient"),
        ({"patient": {"reference": "Group/1"}}, "patient", "not a reference to a patient"),
        ({"patient": {"reference": "http://x.org/Patient/1"}}, "patient", "a patient of another server"),
        ({"scope": None}, "scope", "required"),
        (
            {"scope": concept("http://example.org", "x")},
            "scope",
            "needs a code of the consent scope code system",
        ),
        ({"scope": {"text": "privacy"}}, "scope", "needs a code of the consent scope code system"),
        ({"scope": concept(SCOPE, "privacy")}, "scope.coding[0].code", "not a code of its code system"),
        ({"category": None}, "category", "required"),
        ({"category": [concept(ACT_CODE, "PART2")]}, "category[0].coding[0].code", "not a code of its"),
        ({"policyRule": concept(ACT_CODE, "OPT")}, "policyRule.coding[0].code", "not a code of its"),
        ({"actors": []}, "actors", "no element of this name"),
        ({"dateTime": "2024-02-30"}, "dateTime", "not a date"),
        ({"implicitRules": "http://example.org/rules"}, "implicitRules", "not understood"),
        (
            {"modifierExtension": [{"url": "http://x.org", "valueCode": "y"}]},
            "modifierExtension",
            "not underst",
        ),
        ({"provision": permit(type="allow")}, "provision.type", "not a code of the required value set"),
        (
            {"provision": permit(purpose=[code(ACT_REASON, "TREATMENT")])},
            "provision.purpose[0].code",
            "not a c",
        ),
        (
            {"provision": permit(purpose=[{"code": "TREAT"}])},
            "provision.purpose[0]",
            "needs a system and a code",
        ),
        (
            {"provision": permit(actor=[actor("Organization/r", "IRCPP")])},
            "provision.actor[0].role.coding[0]",
            "",
        ),
        (
            {"provision": permit(actor=[{"reference": {"reference": "a/b"}}])},
            "provision.actor[0].role",
            "required",
        ),
        ({"provision": permit(actors=[])}, "provision.actors", "no element of this name in this FHIR version"),
        ({"provision": permit(purpose=[])}, "provision.purpose", "empty"),
        ({"provision": permit(period={"end": "2020", "start": "2021"})}, "provision.period", "ends before"),
        (
            {"provision": permit(dataPeriod={"end": "2020", "start": "2021"})},
            "provision.dataPeriod",
            "ends bef",
        ),
        ({"provision": permit(period={"end": "soon"})}, "provision.period.end", "not a date"),
        (
            {"provision": permit(provision=[deny(data=[{"meaning": "all"}])])},
            "provision.provision[0].data[0]",
            "",
        ),
        (
            {"provision": permit(extension=[{"url": "http://x.org"}])},
            "provision.extension",
            "unknown extension",
        ),
    ],
)
@pytest.mark.parametrize("status", ["active", "draft"])
def test_what_is_wrong_is_refused_by_name(parts, path, why, status):
    """Whatever the status: a draft becomes active one day."""
    found = refused({name: value for name, value in r4(**{"status": status, **parts}).items() if value is not None})
    assert any(at.startswith(f"Consent.{path}") and said.startswith(why) for at, said in found), found


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"status": "rejected"}, "Consent.status"),
        ({"subject": None}, "Consent.subject"),
        ({"decision": "maybe"}, "Consent.decision"),
        ({"provision": [{"type": "permit"}]}, "Consent.provision[0].type"),
        ({"provision": {"type": "permit"}}, "Consent.provision"),
        ({"provision": [{"expression": {"language": "text/fhirpath", "expression": "true"}}]}, "Consent.provision[0]"),
        ({"period": {"start": "2024-02", "end": "2024-01"}}, "Consent.period"),
        ({"scope": concept(SCOPE, "patient-privacy")}, "Consent.scope"),
    ],
)
def test_r5_has_its_own_refusals(parts, path):
    """Each version is held to its own elements and codes."""
    assert any(at.startswith(path) for at, _ in refused(r5(**parts), "5.0"))


def test_a_version_that_is_not_kept_here_is_refused():
    """There is no store for STU3 or R6."""
    assert [("Consent", "the FHIR version is not 4.0 or 5.0")] == refused(r4(), "3.0")


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b'{"status": "active", "status": "draft"}', b'{"a": NaN}', b"[" * 100_000]
)
def test_text_that_is_no_strict_json_object_is_refused(raw):
    """The whole is named, once."""
    assert ["Consent"] == [one.path for one in refusals(raw, "4.0", KNOWN)]


def test_too_many_or_too_deep_provisions_are_refused():
    """Nobody can review what nobody can read."""
    deep = deny()
    for _ in range(MAX_LEVELS):
        deep = permit(provision=[deep])
    wide = permit(provision=[deny()] * MAX_PROVISIONS)
    limit = f"more than {MAX_LEVELS} levels or {MAX_PROVISIONS} provisions"
    assert [("Consent.provision", limit)] == refused(r4(provision=deep)) == refused(r4(provision=wide))
    assert [] == refused(r4(provision=permit(provision=[deny()] * (MAX_PROVISIONS - 1))))


def test_a_code_of_a_system_that_is_not_known_may_stand():
    """It matches only itself; refusing it would refuse every local vocabulary (PCF has such a purpose)."""
    local = permit(purpose=[code("http://example.org/purposes", "FooBar")])
    assert [] == refused(r4(provision=local))


def test_a_refusal_never_repeats_what_was_sent():
    """Names of elements are told, where they look like one; values and other text are not."""
    secret = "Gomez, Maria 555"
    tree = r4(status=secret, provision=permit(purpose=[{"system": ACT_REASON, "code": secret}]), **{secret: secret})
    found = refusals(text(tree), "4.0", KNOWN)
    assert found
    assert "Gomez" not in json.dumps([(one.path, one.why) for one in found])


def test_an_active_consent_that_cannot_be_evaluated_is_stored():
    """An untyped root with limits is valid FHIR: it denies and needs review, but the patient's word is kept."""
    assert [] == refused(r4_untyped("OPTIN", provision={"actor": [actor("Organization/r", "PRCP")]}))


@pytest.mark.parametrize("status", sorted(Status))
def test_the_statuses_of_r4_are_accepted(status):
    """All but not-done, which only R5 has."""
    assert (status is Status.NOT_DONE) is bool(refused(r4(status=status)))


@pytest.mark.parametrize("folder", ["consent-ihe-pcf", "hl7-r4-examples", "hl7-r5-examples", "fast", "sdoh-consent"])
def test_the_published_examples_may_be_stored(shared, folder):
    """What the guides publish as examples is not refused."""
    version = "5.0" if "r5" in folder else "4.0"
    for path in sorted((shared / "data" / folder).glob("Consent-*.json")):
        assert () == refusals(path.read_bytes(), version, KNOWN), path.name


def test_refusals_are_values_in_a_stable_order():
    """The same body gets the same answer."""
    raw = text(r4(status="x", scope=None, actors=[]))
    assert refusals(raw, "4.0", KNOWN) == refusals(raw, "4.0", KNOWN)
    assert all(isinstance(one, Refusal) for one in refusals(raw, "4.0", KNOWN))


def test_a_patient_named_by_our_own_base_is_accepted():
    """An absolute reference under a base that is told to be ours names a patient."""
    tree = r4(patient={"reference": "http://ehr.example.org/fhir/Patient/1"})
    assert () == refusals(text(tree), "4.0", KNOWN, frozenset({"http://ehr.example.org/fhir"}))
    assert ["Consent.patient"] == [one.path for one in refusals(text(tree), "4.0", KNOWN)]


def test_a_broken_installation_is_no_fault_of_the_consent(monkeypatch):
    """Where the models of the standard are missing that is told as it is, not as a refusal."""
    monkeypatch.setitem(sys.modules, "fhir.resources.R4B.consent", None)
    with pytest.raises(ImportError):
        refused(r4())
