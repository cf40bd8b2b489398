"""Decision cases realised as FHIR: `python -m tests.cases FILE`."""
