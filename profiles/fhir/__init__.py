"""Facts of the FHIR standard as data: elements and search parameters of R4. Read by `gateway.bootstrap`."""
