"""Records that would out a patient, written as nobody's code list expects: each is caught by what the lists say."""

import pytest

from gateway.fhir.terminology import deny_cluster
from gateway.labels.assign import assign
from tests.unit.gateway.labels.conftest import codings, view

SNOMED, LOINC, RXNORM = "http://snomed.info/sct", "http://loinc.org", "http://www.nlm.nih.gov/research/umls/rxnorm"
CPT, HCPCS = "http://www.ama-assn.org/go/cpt", "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ICD, PCS = "http://hl7.org/fhir/sid/icd-10-cm", "http://www.cms.gov/Medicare/Coding/ICD10"
ICD_9 = "http://hl7.org/fhir/sid/icd-9-cm"
NDC, NUCC = "http://hl7.org/fhir/sid/ndc", "http://nucc.org/provider-taxonomy"
PLACE = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
REVENUE = "https://www.nubc.org/CodeSystem/RevenueCodes"


def item(**elements):
    """A claim with one line."""
    return {"resourceType": "Claim", "item": [{"sequence": 1, **elements}]}


def drug(system, code):
    """An order of one drug, by code alone."""
    return {"resourceType": "MedicationRequest", "medicationCodeableConcept": codings((system, code))}


def found(kind="Observation", **elements):
    """A record of a kind."""
    return {"resourceType": kind, **elements}


def drug_named(text):
    """An order of one drug, by what it is called."""
    return {"resourceType": "MedicationRequest", "medicationCodeableConcept": {"text": text}}


def question(text):
    """A form with one question and its answer."""
    item = {"linkId": "1", "text": text, "answer": [{"valueBoolean": True}]}
    return {"resourceType": "QuestionnaireResponse", "item": [item]}


OUTING = [
    ("methadone clinic by its taxonomy", "SUD", found("PractitionerRole", specialty=[codings((NUCC, "261QM2800X"))])),
    ("opioid treatment program by place of service", "SUD", item(locationCodeableConcept=codings((PLACE, "58")))),
    ("alcohol rehabilitation by revenue code", "SUD", item(revenue=codings((REVENUE, "0945")))),
    ("detox room by revenue code without its zero", "SUD", item(revenue=codings((REVENUE, "126")))),
    ("program modifier on a plain visit", "SUD", item(modifier=[codings((HCPCS, "HG"))])),
    ("depot naltrexone, billed", "SUD", item(productOrService=codings((HCPCS, "J2315")))),
    (
        "left detox against advice, by DRG",
        "SUD",
        item(productOrService=codings(("urn:oid:2.16.840.1.113883.6.14", "h0010"))),
    ),
    ("naloxone in the pocket", "SUD", drug(RXNORM, "7242")),
    ("lofexidine, by name", "SUD", found("MedicationRequest", medicationCodeableConcept={"text": "Lucemyra 0.18 mg"})),
    ("a meeting", "SUD", found("Appointment", description="Alcoholics Anonymous, Tuesdays")),
    ("needle exchange", "SUD", found("Encounter", type=[{"text": "Syringe services visit"}])),
    ("sober living", "SUD", found("CarePlan", note=[{"text": "lives in a sober house"}])),
    ("a cocaine screen", "SUD", found(code=codings((LOINC, "3397-7")))),
    (
        "alcohol dependence by ICD-11",
        "SUD",
        found("Condition", code=codings(("http://id.who.int/icd/release/11/mms", "6C40.2"))),
    ),
    ("buprenorphine by ATC", "SUD", drug("http://www.whocc.no/atc", "N07BC01")),
    ("fetal alcohol: the mother's record", "SUD", found("Condition", code=codings((ICD, "O35.4XX0")))),
    ("PrEP", "HIV", drug(RXNORM, "476556")),
    ("PrEP, long-acting, billed", "HIV", item(productOrService=codings((HCPCS, "J0739")))),
    ("PrEP by diagnosis", "HIV", found("Condition", code=codings((ICD, "Z29.81")))),
    ("PrEP in words", "HIV", found(note=[{"text": "started on pre-exposure prophylaxis"}])),
    ("viral load", "HIV", found(code=codings((LOINC, "20447-9")))),
    ("viral load, billed", "HIV", item(productOrService=codings((CPT, "87536")))),
    ("a negative test", "HIV", found(valueCodeableConcept=codings((SNOMED, "165815009")))),
    ("any package of ViiV", "HIV", drug(NDC, "49702-228-13")),
    ("dolutegravir as an ingredient", "HIV", drug(RXNORM, "1433868")),
    ("CD4 count", "HIV", found(code=codings((LOINC, "24467-3")))),
    ("in Spanish", "HIV", found(note=[{"text": "Paciente con VIH en tratamiento"}])),
    ("in Spanish, accents", "SDV", found(code={"text": "Víctima de violencia doméstica"})),
    (
        "in a translation of a display",
        "SUD",
        found(
            code={
                "coding": [
                    {
                        "system": "http://acme.example/c",
                        "code": "1",
                        "display": "X",
                        "_display": {
                            "extension": [
                                {
                                    "url": "http://hl7.org/fhir/StructureDefinition/translation",
                                    "extension": [{"url": "content", "valueString": "Alcoholismo"}],
                                }
                            ]
                        },
                    }
                ]
            }
        ),
    ),
    ("Ryan White", "HIV", found("Coverage", type={"text": "Ryan White part B"})),
    (
        "medication abortion",
        "SEX",
        found("MedicationRequest", medicationCodeableConcept={"text": "mifepristone 200 mg"}),
    ),
    ("abortion by procedure code", "SEX", found("Procedure", code=codings((PCS, "10A07ZZ")))),
    ("abortion, billed to Medicaid", "SEX", item(productOrService=codings((HCPCS, "S0199")))),
    ("miscarriage", "SEX", found("Condition", code=codings((ICD, "O03.4")))),
    ("a pregnancy test", "SEX", found(code=codings((LOINC, "2106-3")))),
    ("an implant", "SEX", found("Procedure", code=codings((CPT, "11981")))),
    ("a vasectomy", "SEX", found("Procedure", code=codings((SNOMED, "22523008")))),
    ("in vitro fertilisation", "SEX", item(productOrService=codings((CPT, "58970")))),
    ("hormones for transition", "SEX", found("Condition", code=codings((ICD, "F64.0")))),
    ("puberty blockers", "GENDER", found(note=[{"text": "on puberty blockers"}])),
    ("orientation", "GENDER", found(code=codings((LOINC, "76690-7")))),
    ("syphilis serology", "STD", found(code=codings((LOINC, "20507-0")))),
    ("gonorrhoea, billed", "STD", item(productOrService=codings((CPT, "87591")))),
    ("a shelter", "SDV", found("Location", name="Haven domestic violence shelter")),
    ("a screen for partner violence", "SDV", found(code=codings((LOINC, "76504-0")))),
    ("a rape kit", "SDV", found("Procedure", code={"text": "Rape kit collected"})),
    ("perpetrator code", "SDV", found("Condition", code=codings((ICD, "Y07.01")))),
    ("child neglect, ICD-9", "SDV", found("Condition", code=codings(("http://hl7.org/fhir/sid/icd-9-cm", "99552")))),
    ("trafficking", "SDV", found("Condition", code=codings((ICD, "T74.51XA")))),
    ("PHQ-9 item nine", "MH", found(code=codings((LOINC, "44260-8")))),
    ("suicide screen", "MH", found(code=codings((LOINC, "93373-9")))),
    ("clozapine", "MH", drug(RXNORM, "2626")),
    ("psychotherapy, billed", "MH", item(productOrService=codings((CPT, "90837")))),
    ("electroconvulsive therapy", "MH", found("Procedure", code=codings((PCS, "GZB0ZZZ")))),
    ("psychiatric bed", "MH", item(revenue=codings((REVENUE, "0124")))),
    ("community mental health center", "MH", item(locationCodeableConcept=codings((PLACE, "53")))),
    ("seen by psychiatry", "MH", found("Encounter", serviceType=codings((SNOMED, "394587001")))),
    ("a hold", "MH", found("Procedure", code={"text": "5150 hold"})),
    ("bipolar disorder", "MH", found("Condition", code=codings((SNOMED, "13746004")))),
    ("psychotherapy note", "PSYTHPN", found("DocumentReference", type=codings((SNOMED, "444175001")))),
    ("a sequence", "GDIS", found("MolecularSequence", coordinateSystem=0)),
    (
        "a genomics report by its profile",
        "GDIS",
        found(meta={"profile": ["http://hl7.org/fhir/uv/genomics-reporting/StructureDefinition/variant"]}),
    ),
    (
        "a gene as a value",
        "GDIS",
        found(valueCodeableConcept=codings(("http://www.genenames.org/geneId", "HGNC:1100"))),
    ),
    ("BRCA analysis, billed", "GDIS", item(productOrService=codings((CPT, "81162")))),
    ("a carrier", "GDIS", found("Condition", code=codings((ICD, "Z14.1")))),
    ("poisoned on purpose", "MH", found("Condition", code=codings((ICD, "T39.1X2A")))),
    ("an order for an antipsychotic, by code", "MH", drug(RXNORM, "312078")),
    ("depression, by a code of SNOMED CT alone", "MH", found("Condition", code=codings((SNOMED, "231500002")))),
    ("depression, in one word", "MH", found("Condition", code={"text": "Depression"})),
    ("on lithium", "MH", drug("http://acme.example/c", "1") | {"note": [{"text": "lithium 300 mg twice a day"}]}),
    ("a hold, in shorthand", "MH", found("Encounter", reasonCode=[{"text": "5150"}])),
    ("alcohol, as clinicians write it", "SUD", found("Condition", code={"text": "EtOH abuse"})),
    ("withdrawal scale", "SUD", found(code={"text": "CIWA-Ar total"}, valueInteger=20)),
    ("a drug test nobody knows by heart", "SUD", found(code=codings((LOINC, "70145-8")))),
    ("a form made from a panel", "MH", found("QuestionnaireResponse", item=[{"linkId": "/44249-1/44260-8"}])),
    ("a form of a known address", "MH", found("QuestionnaireResponse", questionnaire="http://loinc.org/q/44249-1|1")),
    ("newborn of a drinking mother", "SUD", found("Condition", code=codings((ICD, "Q86.0")))),
    ("a poisoning by fentanyl", "SUD", found("Condition", code=codings((ICD, "T40.411A")))),
    ("AIDS, and nothing else", "HIV", found("Condition", code={"text": "AIDS"})),
    ("antiretrovirals in shorthand", "HIV", found(note=[{"text": "continues HAART"}])),
    ("violence at home, history of", "SDV", found("Condition", code=codings((SNOMED, "412732008")))),
    ("sexual assault", "SDV", found("Condition", code=codings((SNOMED, "248110007")))),
    ("trafficked", "SDV", found("Condition", code=codings((SNOMED, "734998001")))),
    ("neglect", "SDV", found("Condition", code=codings((SNOMED, "720824009")))),
    ("violence, in shorthand", "SDV", found("Condition", code={"text": "DV victim"})),
    ("ectopic pregnancy", "SEX", found("Condition", code=codings((SNOMED, "9899009")))),
    ("legal abortion", "SEX", found("Condition", code=codings((SNOMED, "34500003")))),
    ("the pill, by its name", "SEX", drug("http://acme.example/c", "1") | {"note": [{"text": "refill of Sprintec"}]}),
    ("the pill, by its code", "SEX", drug(RXNORM, "1000153")),
    ("a device, by NDC", "SEX", drug(NDC, "50419-423-01")),
    ("tubes tied, by procedure code", "SEX", found("Procedure", code=codings((PCS, "0UL74CZ")))),
    ("genital herpes", "STD", found("Condition", code=codings((SNOMED, "27420004")))),
    ("syphilis screen, in shorthand", "STD", found(code={"text": "RPR titer"})),
    ("sickle cell beta thalassemia", "SCA", found("Condition", code=codings((SNOMED, "127041004")))),
    ("sickle cell disease", "SCA", found("Condition", code=codings((ICD, "D57.1")))),
    ("oral treatment, in shorthand", "SUD", drug_named("bup/nx 8-2 film SL daily")),
    ("a drug screen in shorthand", "SUD", found(code={"text": "UDS 10 panel"})),
    ("a component of it", "SUD", found(component=[{"code": {"text": "THC"}, "valueString": "POS"}])),
    ("a bracelet", "SUD", found("Device", deviceName=[{"name": "continuous alcohol monitoring bracelet"}])),
    (
        "a plan by its name",
        "SUD",
        found("Coverage", **{"class": [{"name": "Drug Medi-Cal Organized Delivery System"}]}),
    ),
    ("a level of care", "SUD", found("RiskAssessment", code={"text": "ASAM level of care assessment"})),
    ("liver disease", "SUD", found("Condition", code=codings((SNOMED, "419728003")))),
    ("a question of DAST", "SUD", question("Have you used drugs other than those required for medical reasons?")),
    ("PrEP in a sentence", "HIV", found("Appointment", description="PrEP follow up + labs q3 months")),
    ("AIDS in a sentence", "HIV", found("Immunization", statusReason={"text": "Immunocompromised: AIDS"})),
    ("who pays for HIV drugs", "HIV", found("Coverage", payor=[{"display": "ADAP (AIDS Drug Assistance Program)"}])),
    ("shock treatment, under the system of diagnoses", "MH", found("Procedure", code=codings((ICD_9, "94.27")))),
    ("a psychiatrist's note", "MH", found("DocumentReference", type=codings((LOINC, "28627-2")))),
    ("a plan against suicide", "MH", found("CarePlan", title="Safety plan", description="Call 988, text sister")),
    ("a therapist", "MH", found("Communication", payload=[{"contentString": "Session with your LCSW on Thursday"}])),
    ("a question of PHQ-9", "MH", found("QuestionnaireResponse", item=[{"linkId": "44255-8"}])),
    ("intensive outpatient group", "SUD", found("Appointment", description="IOP group, week 3")),
    ("notes of a session", "PSYTHPN", found("Composition", type={"text": "Psychotherapy session notes"})),
    ("an evacuation", "SEX", found("Procedure", code={"text": "D&E at 18 weeks"})),
    ("obstetric shorthand", "SEX", found("Condition", code={"text": "G3P1 @ 22w4d"})),
    ("a scan", "SEX", found("DiagnosticReport", code={"text": "US OB < 14 weeks"}, conclusion="Single live IUP")),
    ("a drug for ovulation", "SEX", drug_named("Clomid 50 mg days 5-9")),
    ("violence in shorthand", "SDV", found("CarePlan", title="IPV safety plan")),
    ("violence in plain words", "SDV", found(note=[{"text": "husband choked her; strangulation exam done"}])),
    ("an answer", "SDV", found("QuestionnaireResponse", item=[{"answer": [{"valueString": "No, partner hits me"}]}])),
    ("a question of HARK", "SDV", found("QuestionnaireResponse", item=[{"linkId": "76503-2"}])),
    ("a gene", "GDIS", found("Condition", code=codings((SNOMED, "412738007")))),
    ("a genetic disease", "GDIS", found("Condition", code=codings((SNOMED, "88518009")))),
    ("another, of metabolism", "GDIS", found("Condition", code=codings((SNOMED, "16652001")))),
    ("a disease by its name", "GDIS", found("Condition", code={"text": "Hurler's syndrome"})),
    ("a neuropathy that runs in families", "GDIS", found("Condition", code={"text": "Hereditary neuropathy"})),
    ("at birth", "SEX", found("Condition", code={"text": "Anemia complicating childbirth"})),
    ("fits of rage", "MH", found("Condition", code={"text": "Manic episode, resolved"})),
    ("pills", "SUD", found("Condition", code={"text": "Sedative, hypnotic or anxiolytic abuse"})),
    ("depression among others", "MH", found("Condition", code={"text": "HTN, DM2 and depression"})),
    ("a question of GAD-7", "MH", question("How often have you been feeling nervous, anxious or on edge?")),
    ("hit", "SDV", found(note=[{"text": "disclosed being hit by her boyfriend"}])),
    ("a scan at twenty weeks", "SEX", found("Appointment", description="20 wk anatomy scan")),
    ("a test, by its two germs", "STD", found(code={"text": "C. trachomatis / N. gonorrhoeae RNA, TMA"})),
    ("a marker of drinking", "SUD", found(code={"text": "Ethyl glucuronide, urine"})),
    ("how a drug is broken down", "GDIS", found(code={"text": "CYP2C19 genotype"})),
    ("sickle trait", "SCA", found(code={"text": "Hgb electrophoresis"}, conclusion="sickle trait")),
    ("late syphilis", "STD", found("Condition", code=codings((SNOMED, "82323002")))),
]


@pytest.mark.parametrize(("category", "record"), [pytest.param(c, r, id=n) for n, c, r in OUTING])
def test_a_record_that_would_out_somebody_is_labelled(category, record, rules, nowhere):
    """By code alone where it has one, by words where it has not."""
    said = assign(view(record), nowhere, rules).sensitivities
    assert not said.isdisjoint(deny_cluster(category) | {category})


@pytest.mark.parametrize(
    "record",
    [
        drug(RXNORM, "1049221"),
        drug(RXNORM, "314076"),
        found(code=codings((LOINC, "2345-7")), valueCodeableConcept={"text": "panic value called"}),
        found("Immunization", vaccineCode={"text": "IPV"}),
        found("Procedure", code={"text": "Bipolar hip prosthesis"}),
        found("AllergyIntolerance", code={"text": "Crabs"}),
        found("MedicationRequest", medicationCodeableConcept={"text": "nirmatrelvir / ritonavir"}),
        found("Immunization", note=[{"text": "rabies pre-exposure prophylaxis"}]),
        found("Patient", name=[{"family": "Gay"}], address=[{"city": "Huntington"}]),
        found("Patient", name=[{"given": ["Skyla"]}], address=[{"line": ["5150 Main Street"]}]),
        found("Condition", code={"text": "ST segment depression"}),
        found("Condition", code={"text": "wears hearing aids"}),
        found("Procedure", note=[{"text": "D/C to home, si dolor"}]),
        drug_named("GoLYTELY bowel prep 4 L"),
        found("Condition", code={"text": "Not in labor force (finding)"}),
        found("Condition", code={"text": "Stress reaction of the tibia; no photophobia"}),
        found("Procedure", code={"text": "Amniotic membrane graft of the eye; instruments after sterilization"}),
        drug_named("Morphine: may cause respiratory depression and coma"),
        found("DiagnosticReport", conclusion="1 mm ST depression and T wave inversion in V4-V6"),
        found("DocumentReference", description="ROS: Psych: normal mood and affect. Drives a delivery truck."),
        found("Encounter", note=[{"text": "NPO; last drink of water at 6 am"}]),
        drug_named("Latanoprost 0.005% for elevated IOP"),
        found("Procedure", note=[{"text": "Skin prep with chlorhexidine"}]),
        found("DocumentReference", description="Diagnosis & evaluation (D&E) clinic: IOP 16/15"),
        found("Appointment", description="STD paperwork (short-term disability) visit"),
        found("Condition", code={"text": "SI joint pain; MAT on telemetry"}),
        found("Flag", code={"text": "Home safety plan reviewed, fall risk"}),
        found("CoverageEligibilityResponse", insurance=[{"item": [{"category": {"text": "Maternity"}}]}]),
        question("Do you feel safe at home?"),
        found(code=codings((LOINC, "74013-4"))),
        found("Condition", code=codings((SNOMED, "73211009"))),
        found("Condition", code=codings((SNOMED, "9014002"))),
        found("Condition", code=codings((ICD, "T40.2X5A"))),
        found("Condition", code=codings((ICD, "T39.1X1A"))),
        found("Condition", code=codings((SNOMED, "56294008"))),
        found("QuestionnaireResponse", item=[{"linkId": "/93025-5/63512-8"}, {"linkId": "1.2"}, {"linkId": "12-1"}]),
        found(code=codings((LOINC, "4576-5")), note=[{"text": "fetal hemoglobin 1 %"}]),
        found("Procedure", code=codings((SNOMED, "713106006"))),
        item(locationCodeableConcept=codings((PLACE, "11")), revenue=codings((REVENUE, "0250"))),
        found(code={"coding": [{"code": "O2SAT"}, {"code": "OTHER"}, {"code": "53"}, {"code": "63513-6"}]}),
    ],
    ids=str,
)
def test_a_record_that_outs_nobody_is_not(record, rules, nowhere):
    """Opioids for pain, words and numbers with another meaning, names, screens that everybody gets, tobacco, what was
    taken as prescribed: no sensitivity."""
    assert frozenset() == assign(view(record), nowhere, rules).sensitivities
