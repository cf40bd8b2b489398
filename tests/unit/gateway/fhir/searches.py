"""Where searches are asked in these tests: the gateway's address, the server's, and types that no patient has."""

from gateway.fhir.references import parse_base

NO_PATIENT = frozenset({"Location", "Medication", "Organization", "Practitioner", "PractitionerRole"})
PUBLIC = parse_base("https://gateway.example/north/ehr")
UPSTREAM = parse_base("http://10.0.0.1:8080/fhir")
OWN = frozenset({PUBLIC, UPSTREAM})
