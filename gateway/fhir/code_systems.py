"""The one URI of each code system, for every spelling of it that is met.

Rules of this file
1. One alias table; a system that is not in it is returned as written, trimmed (L005).
2. Deprecated v3-ActUSPrivacyLaw is v3-ActCode: its codes live on there (labels.md section 1).
3. A value set written as a system is the system its codes come from; one that spans several is no system.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from consent_store.model import ACT_CODE, ACT_REASON, CONFIDENTIALITY

OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
TEFCA_PURPOSE: Final = "urn:oid:2.16.840.1.113883.3.7204.1.5.2.1"
CONSENT_ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
CONSENT_POLICY: Final = "http://terminology.hl7.org/CodeSystem/consentpolicycodes"
ICD_10_CM: Final = "http://hl7.org/fhir/sid/icd-10-cm"
ICD_10_PCS: Final = "http://www.cms.gov/Medicare/Coding/ICD10"
ICD_9_CM: Final = "http://hl7.org/fhir/sid/icd-9-cm"
ICD_9_PROCEDURES: Final = "http://www.cms.gov/Medicare/Coding/ICD9"
SNOMED_CT: Final = "http://snomed.info/sct"
LOINC: Final = "http://loinc.org"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
NDC: Final = "http://hl7.org/fhir/sid/ndc"
CPT: Final = "http://www.ama-assn.org/go/cpt"
HCPCS: Final = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
MS_DRG: Final = "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software"
CVX: Final = "http://hl7.org/fhir/sid/cvx"
ATC: Final = "http://www.whocc.no/atc"
ICD_11: Final = "http://id.who.int/icd/release/11/mms"
NUCC: Final = "http://nucc.org/provider-taxonomy"
REVENUE: Final = "https://www.nubc.org/CodeSystem/RevenueCodes"
PLACE_OF_SERVICE: Final = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
HGNC: Final = "http://www.genenames.org"
SDOH: Final = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
SERVICE_PLACE: Final = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"

PRIVACY_SYSTEMS: Final = frozenset({ACT_CODE, ACT_REASON, CONFIDENTIALITY, OBSERVATION_VALUE, TEFCA_PURPOSE})
"""Systems whose privacy codes we list, so that a code missing there is unknown."""

CLINICAL_SYSTEMS: Final = frozenset(
    {
        ICD_10_CM,
        ICD_10_PCS,
        ICD_9_CM,
        ICD_9_PROCEDURES,
        SNOMED_CT,
        LOINC,
        RXNORM,
        NDC,
        CPT,
        HCPCS,
        MS_DRG,
        CVX,
        ATC,
        ICD_11,
        NUCC,
        REVENUE,
        PLACE_OF_SERVICE,
        HGNC,
        SDOH,
        SERVICE_PLACE,
    }
)

# Names that v3 code systems and value sets are published under, whatever stands before them. A value set is not a
# system, yet it is written as one (labels.md section 1).
_V3_NAMES: Final[Mapping[str, str]] = {
    "ActCode": ACT_CODE,
    "ActUSPrivacyLaw": ACT_CODE,
    "ActConsentDirective": ACT_CODE,
    "ActConsentType": ACT_CODE,
    "ActUSPrivacyConsentDirective": ACT_CODE,
    "ActInformationSensitivityPolicy": ACT_CODE,
    "InformationSensitivityPolicy": ACT_CODE,
    "EntitySensitivityPolicyType": ACT_CODE,
    "RoleInformationSensitivityPolicy": ACT_CODE,
    "RefrainPolicy": ACT_CODE,
    "ObligationPolicy": ACT_CODE,
    "SecurityPolicy": ACT_CODE,
    "SecurityLabelMark": ACT_CODE,
    "PrivacyMark": ACT_CODE,
    "Compartment": ACT_CODE,
    "ActReason": ACT_REASON,
    "PurposeOfUse": ACT_REASON,
    "GeneralPurposeOfUse": ACT_REASON,
    "Confidentiality": CONFIDENTIALITY,
    "ConfidentialityClassification": CONFIDENTIALITY,
    "ObservationValue": OBSERVATION_VALUE,
    "SecurityIntegrityObservationValue": OBSERVATION_VALUE,
    "SecurityAlterationIntegrityObservationValue": OBSERVATION_VALUE,
}
_V3_FORMS: Final = (
    "terminology.hl7.org/CodeSystem/v3-{}",
    "terminology.hl7.org/ValueSet/v3-{}",
    "hl7.org/fhir/ValueSet/v3-{}",
    "hl7.org/fhir/CodeSystem/v3-{}",
    "hl7.org/fhir/v3/{}",
    "hl7.org/fhir/v3/vs/{}",
)
# OIDs of code systems and value sets, from the identifiers of the HL7 v3 resources; clinical ones from the FHIR
# terminology systems page.
_OIDS: Final[Mapping[str, str]] = {
    "2.16.840.1.113883.5.4": ACT_CODE,
    "2.16.840.1.113883.5.1138": ACT_CODE,
    "2.16.840.1.113883.5.8": ACT_REASON,
    "2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "2.16.840.1.113883.5.1063": OBSERVATION_VALUE,
    "2.16.840.1.113883.1.11.20425": ACT_CODE,
    "2.16.840.1.113883.1.11.20428": ACT_CODE,
    "2.16.840.1.113883.1.11.20444": ACT_CODE,
    "2.16.840.1.113883.1.11.20445": ACT_CODE,
    "2.16.840.1.113883.1.11.20446": ACT_CODE,
    "2.16.840.1.113883.1.11.20448": ACT_REASON,
    "2.16.840.1.113883.1.11.20449": ACT_REASON,
    "2.16.840.1.113883.1.11.10228": CONFIDENTIALITY,
    "2.16.840.1.113883.3.7204.1.5.2.1": TEFCA_PURPOSE,
    "2.16.840.1.113883.6.90": ICD_10_CM,
    "2.16.840.1.113883.6.3": ICD_10_CM,
    "2.16.840.1.113883.6.4": ICD_10_PCS,
    "2.16.840.1.113883.6.103": ICD_9_CM,
    "2.16.840.1.113883.6.104": ICD_9_PROCEDURES,
    "2.16.840.1.113883.6.96": SNOMED_CT,
    "2.16.840.1.113883.6.1": LOINC,
    "2.16.840.1.113883.6.88": RXNORM,
    "2.16.840.1.113883.6.69": NDC,
    "2.16.840.1.113883.6.12": CPT,
    "2.16.840.1.113883.6.14": HCPCS,
    "2.16.840.1.113883.6.285": HCPCS,
    "2.16.840.1.113883.12.292": CVX,
    "2.16.840.1.113883.6.59": CVX,
    "2.16.840.1.113883.6.73": ATC,
    "2.16.840.1.113883.6.347": ICD_11,
    "2.16.840.1.113883.6.101": NUCC,
    "2.16.840.1.113883.6.301.3": REVENUE,
    "2.16.840.1.113883.6.50": PLACE_OF_SERVICE,
    "2.16.840.1.113883.6.281": HGNC,
    "2.16.840.1.113883.5.111": SERVICE_PLACE,
    "2.16.840.1.113883.6.13": HCPCS,
}
# Other spellings, without scheme. WHO ICD-10 stands for ICD-10-CM: the chapters we list have the same stems.
_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    CONSENT_ACTION: ("terminology.hl7.org/ValueSet/consent-action", "hl7.org/fhir/consentaction"),
    CONSENT_SCOPE: ("terminology.hl7.org/ValueSet/consent-scope", "hl7.org/fhir/consentscope"),
    CONSENT_POLICY: ("terminology.hl7.org/ValueSet/consent-policy", "hl7.org/fhir/consentpolicycodes"),
    ICD_10_CM: (
        "hl7.org/fhir/sid/icd-10",
        "hl7.org/fhir/sid/icd-10-us",
        "hl7.org/fhir/ValueSet/icd-10",
        "terminology.hl7.org/CodeSystem/icd10CM",
        "terminology.hl7.org/CodeSystem/icd-10-cm",
        "terminology.hl7.org/CodeSystem/icd10",
        "www.cdc.gov/nchs/icd/icd10cm.htm",
    ),
    ICD_10_PCS: (
        "hl7.org/fhir/sid/icd-10-pcs",
        "terminology.hl7.org/CodeSystem/icd10PCS",
        "www.icd10data.com/icd10pcs",
    ),
    ICD_9_CM: ("hl7.org/fhir/sid/icd-9", "terminology.hl7.org/CodeSystem/icd9cm"),
    ICD_9_PROCEDURES: ("hl7.org/fhir/sid/icd-9-cm-procedure", "hl7.org/fhir/sid/icd-9-cm/procedure"),
    SNOMED_CT: ("terminology.hl7.org/CodeSystem/snomed-ct", "www.snomed.org/snomed-ct"),
    LOINC: ("www.loinc.org", "terminology.hl7.org/CodeSystem/loinc"),
    RXNORM: ("nlm.nih.gov/research/umls/rxnorm", "terminology.hl7.org/CodeSystem/rxnorm"),
    NDC: ("terminology.hl7.org/CodeSystem/ndc", "www.fda.gov/drugs/informationondrugs/ucm142438.htm"),
    CPT: ("ama-assn.org/go/cpt", "terminology.hl7.org/CodeSystem/cpt", "hl7.org/fhir/sid/cpt"),
    HCPCS: (
        "cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets/Alpha-Numeric-HCPCS.html",
        "www.cms.gov/medicare/coding-billing/healthcare-common-procedure-system",
        "hl7.org/fhir/sid/hcpcs",
        "terminology.hl7.org/CodeSystem/HCPCS",
        "terminology.hl7.org/CodeSystem/HCPCS-all-codes",
        "bluebutton.cms.gov/resources/codesystem/hcpcs",
        "bluebutton.cms.gov/resources/variables/hcpcs_cd",
    ),
    MS_DRG: (
        "bluebutton.cms.gov/resources/variables/clm_drg_cd",
        "terminology.hl7.org/CodeSystem/MSDRG",
        "www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment/AcuteInpatientPPS/MS-DRG-Classifications-and-Software.html",
    ),
    CVX: ("terminology.hl7.org/CodeSystem/CVX", "www2a.cdc.gov/vaccines/iis/iisstandards/vaccines.asp"),
    ATC: ("whocc.no/atc", "www.whocc.no", "terminology.hl7.org/CodeSystem/atc", "hl7.org/fhir/sid/atc"),
    ICD_11: ("id.who.int/icd11/mms", "hl7.org/fhir/sid/icd-11", "id.who.int/icd/entity"),
    NUCC: ("www.nucc.org/provider-taxonomy", "terminology.hl7.org/CodeSystem/v3-nuccProviderCodes"),
    REVENUE: (
        "www.nubc.org/RevenueCodes",
        "bluebutton.cms.gov/resources/variables/rev_cntr",
        "terminology.hl7.org/CodeSystem/ex-revenue-center",
    ),
    PLACE_OF_SERVICE: (
        "www.cms.gov/Medicare/Coding/place-of-service-codes",
        "terminology.hl7.org/CodeSystem/placeofservice",
        "bluebutton.cms.gov/resources/variables/line_place_of_srvc_cd",
    ),
    HGNC: ("www.genenames.org/geneId", "genenames.org", "terminology.hl7.org/CodeSystem/hgnc"),
    SERVICE_PLACE: ("terminology.hl7.org/ValueSet/v3-ServiceDeliveryLocationRoleType", "hl7.org/fhir/v3/RoleCode"),
}
# Systems named instead of addressed: as records of other standards do (HL7 v2 table 0396, C-CDA codeSystemName).
_CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    ICD_10_CM: ("ICD-10-CM", "ICD10CM", "ICD-10", "ICD10", "I10", "I10C"),
    ICD_10_PCS: ("ICD-10-PCS", "ICD10PCS", "I10P"),
    ICD_9_CM: ("ICD-9-CM", "ICD9CM", "ICD-9", "ICD9", "I9", "I9C", "I9CDX"),
    ICD_9_PROCEDURES: ("ICD9PCS", "I9CP"),
    SNOMED_CT: ("SNOMED CT", "SNOMED-CT", "SNOMEDCT", "SNOMED", "SCT"),
    LOINC: ("LOINC", "LN"),
    RXNORM: ("RxNorm",),
    NDC: ("NDC",),
    CPT: ("CPT", "CPT-4", "CPT4", "C4"),
    HCPCS: ("HCPCS", "HCPCS Level II", "cms.gov/research/umls/hcpccs"),
    MS_DRG: ("MS-DRG", "MSDRG", "DRG"),
    CVX: ("CVX",),
    NUCC: ("NUCC",),
}
# Value sets that span several systems: which one was meant cannot be told, so the code is held without a system.
_AMBIGUOUS: Final = frozenset({"hl7.org/fhir/valueset/security-labels", "terminology.hl7.org/valueset/security-labels"})
_SNOMED_EDITION: Final = "snomed.info/sct/"


def _bare(system: str) -> str:
    """The form in which systems are looked up: no scheme, `www.` or `urn:oid:`, no version, no closing slash, lower
    case."""
    text = system.strip().split("|", 1)[0].strip().casefold()
    for opening in ("http://", "https://", "urn:oid:"):
        text = text.removeprefix(opening)
    return text.removeprefix("www.").rstrip("/")


def _alias_table() -> dict[str, str]:
    """Every known spelling, bare, to its canonical URI."""
    systems = {*PRIVACY_SYSTEMS, *CLINICAL_SYSTEMS, CONSENT_ACTION, CONSENT_SCOPE, CONSENT_POLICY}
    table = {_bare(system): system for system in systems}
    table |= {_bare(form.format(name)): to for name, to in _V3_NAMES.items() for form in _V3_FORMS}
    table |= _OIDS
    return table | {
        _bare(spelling): system
        for known in (_SPELLINGS, _CALLED)
        for system, others in known.items()
        for spelling in others
    }


_ALIASES: Final = _alias_table()


@lru_cache(maxsize=4096)
def canonical_system(system: str | None) -> str | None:
    """The one URI of a code system for any spelling of it; another system's URI comes back trimmed, not changed.

    None for no system, and for a value set that spans several systems.
    """
    if system is None or not system.strip():
        return None
    bare = _bare(system)
    if bare in _AMBIGUOUS:
        return None
    if bare.startswith(_SNOMED_EDITION):
        return SNOMED_CT
    return _ALIASES.get(bare, system.strip())
