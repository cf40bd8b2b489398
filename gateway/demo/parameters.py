"""Which search parameters the embedded upstream knows, and where in a resource each one looks.

Rules of this file
1. Names and paths are those of the R4 search parameter registry (http://hl7.org/fhir/R4/searchparameter-registry.html);
   a type that is missing here can be read and searched by `_id`, `_lastUpdated` and `identifier` only.
2. A path steps through lists; `effective[x]` stands for every type of the choice; `|` separates alternatives.
3. What `SEARCHED` lists can be searched; every other name is for `_include` and `_revinclude` only. The list is closed:
   a demonstration that grows is a server.
"""

from typing import Any, Final

TOKENS: Final = frozenset({"code", "category", "gender", "identifier"})
DATES: Final = frozenset({"date", "birthdate"})
STRINGS: Final = frozenset({"name", "family", "given"})
_REFERENCES: Final = frozenset({"patient", "subject", "encounter", "context", "practitioner", "target"})
SEARCHED: Final = TOKENS | DATES | STRINGS | _REFERENCES
# Parameters that the registry limits to one type of target.
TARGETS: Final = {"patient": "Patient", "practitioner": "Practitioner", "encounter": "Encounter"}
# Instances of these may be meant where a subject is given by its bare id.
SUBJECTS: Final = ("Patient", "Group", "Device", "Location")
_WITHOUT_IDENTIFIER: Final = frozenset({"Binary", "OperationOutcome", "Parameters", "Provenance", "AuditEvent"})

_TABLE = """
AllergyIntolerance patient=patient code=code|reaction.substance category=category date=recordedDate \
 asserter=asserter recorder=recorder
Appointment patient=participant.actor date=start actor=participant.actor
AuditEvent patient=agent.who|entity.what date=recorded agent=agent.who entity=entity.what
CarePlan patient=subject subject=subject category=category date=period encounter=encounter care-team=careTeam \
 condition=addresses goal=goal
CareTeam patient=subject subject=subject category=category date=period encounter=encounter \
 participant=participant.member
Claim patient=patient encounter=item.encounter insurer=insurer provider=provider care-team=careTeam.provider \
 facility=facility
ClaimResponse patient=patient insurer=insurer request=request
ClinicalImpression patient=subject subject=subject date=date encounter=encounter assessor=assessor
Communication patient=subject subject=subject category=category encounter=encounter sender=sender recipient=recipient
Composition patient=subject subject=subject category=category date=date encounter=encounter author=author \
 entry=section.entry
Condition patient=subject subject=subject code=code category=category encounter=encounter asserter=asserter
Consent patient=patient category=category date=dateTime organization=organization actor=provision.actor.reference \
 consentor=performer
Coverage patient=beneficiary beneficiary=beneficiary payor=payor policy-holder=policyHolder subscriber=subscriber
Device patient=patient organization=owner location=location
DiagnosticReport patient=subject subject=subject code=code category=category date=effective[x] encounter=encounter \
 performer=performer result=result results-interpreter=resultsInterpreter specimen=specimen based-on=basedOn
DocumentReference patient=subject subject=subject category=category date=date author=author custodian=custodian \
 encounter=context.encounter authenticator=authenticator relatesto=relatesTo.target
Encounter patient=subject subject=subject date=period service-provider=serviceProvider diagnosis=diagnosis.condition \
 participant=participant.individual practitioner=participant.individual location=location.location part-of=partOf \
 reason-reference=reasonReference episode-of-care=episodeOfCare based-on=basedOn
EpisodeOfCare patient=patient date=period condition=diagnosis.condition organization=managingOrganization \
 care-manager=careManager
ExplanationOfBenefit patient=patient encounter=item.encounter provider=provider care-team=careTeam.provider \
 claim=claim coverage=insurance.coverage facility=facility
FamilyMemberHistory patient=patient code=condition.code date=date
Flag patient=subject subject=subject date=period encounter=encounter author=author
Goal patient=subject subject=subject category=category
Group code=code member=member.entity managing-entity=managingEntity
ImagingStudy patient=subject subject=subject encounter=encounter performer=series.performer.actor referrer=referrer \
 interpreter=interpreter
Immunization patient=patient date=occurrence[x] performer=performer.actor location=location manufacturer=manufacturer
List patient=subject subject=subject code=code date=date encounter=encounter item=entry.item source=source
Location organization=managingOrganization partof=partOf
Media patient=subject subject=subject encounter=encounter operator=operator
Medication code=code manufacturer=manufacturer
MedicationAdministration patient=subject subject=subject code=medicationCodeableConcept encounter=context \
 medication=medicationReference performer=performer.actor request=request
MedicationDispense patient=subject subject=subject code=medicationCodeableConcept context=context \
 medication=medicationReference performer=performer.actor prescription=authorizingPrescription
MedicationRequest patient=subject subject=subject code=medicationCodeableConcept category=category encounter=encounter \
 date=dosageInstruction.timing.event medication=medicationReference requester=requester \
 intended-performer=performer intended-dispenser=dispenseRequest.performer
MedicationStatement patient=subject subject=subject code=medicationCodeableConcept category=category context=context \
 medication=medicationReference source=informationSource part-of=partOf
Observation patient=subject subject=subject code=code category=category date=effective[x] encounter=encounter \
 performer=performer has-member=hasMember derived-from=derivedFrom specimen=specimen focus=focus device=device
Organization partof=partOf endpoint=endpoint name=name|alias
Patient organization=managingOrganization general-practitioner=generalPractitioner link=link.other \
 name=name.family|name.given|name.text|name.prefix|name.suffix family=name.family given=name.given \
 birthdate=birthDate gender=gender
Practitioner name=name.family|name.given|name.text|name.prefix|name.suffix family=name.family given=name.given
PractitionerRole practitioner=practitioner organization=organization location=location service=healthcareService
Procedure patient=subject subject=subject code=code category=category date=performed[x] encounter=encounter \
 performer=performer.actor location=location reason-reference=reasonReference based-on=basedOn
Provenance patient=target target=target agent=agent.who entity=entity.what location=location
QuestionnaireResponse patient=subject subject=subject encounter=encounter author=author source=source
RelatedPerson patient=patient
RiskAssessment patient=subject subject=subject date=occurrence[x] encounter=encounter performer=performer
ServiceRequest patient=subject subject=subject code=code category=category encounter=encounter requester=requester \
 performer=performer specimen=specimen replaces=replaces
Specimen patient=subject subject=subject collector=collection.collector parent=parent
Task patient=for subject=for code=code encounter=encounter owner=owner requester=requester focus=focus
"""

Paths = tuple[tuple[str, ...], ...]


def _parsed(table: str) -> dict[str, dict[str, Paths]]:
    found: dict[str, dict[str, Paths]] = {}
    for line in table.replace("\\\n", "").strip().splitlines():
        type_, *pairs = line.split()
        split = dict(pair.split("=") for pair in pairs)
        found[type_] = {name: tuple(tuple(path.split(".")) for path in at.split("|")) for name, at in split.items()}
    return found


PARAMETERS: Final = _parsed(_TABLE)
_IDENTIFIER: Final[Paths] = (("identifier",),)


def searched_paths(type_: str, name: str) -> Paths | None:
    """Give where a search parameter of a type looks; None where this server does not know it."""
    if name == "identifier":
        return None if type_ in _WITHOUT_IDENTIFIER else _IDENTIFIER
    return PARAMETERS.get(type_, {}).get(name) if name in SEARCHED else None


def included_paths(type_: str, name: str) -> Paths | None:
    """Give where the references of an `_include` or `_revinclude` parameter stand; None where it is not known."""
    return None if name in TOKENS | DATES | STRINGS else PARAMETERS.get(type_, {}).get(name)


def described(type_: str) -> dict[str, Any]:
    """Give what the CapabilityStatement says of a type (CapabilityStatement.rest.resource)."""
    names = PARAMETERS.get(type_, {})
    searched = {name: _kind(name) for name in SEARCHED if searched_paths(type_, name)}
    searched |= {"_id": "token", "_lastUpdated": "date"}
    interactions = ("read", "vread", "history-instance", "search-type", "create", "update")
    return {
        "type": type_,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned",
        "searchInclude": [f"{type_}:{name}" for name in sorted(names) if included_paths(type_, name)],
        "searchParam": [{"name": name, "type": kind} for name, kind in sorted(searched.items())],
    }


def _kind(name: str) -> str:
    if name in TOKENS:
        return "token"
    return "date" if name in DATES else "string" if name in STRINGS else "reference"
