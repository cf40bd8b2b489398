"""What a consent is, and where consents live. It knows nothing of the gateway.

In: FHIR Consent JSON (R4, R4B, R5) from the API, an upstream or a question. Out: `Consent` and `Unreadable` values,
and a `Snapshot` with its `Revision` for the patients asked about, failing per key. Called by `gateway.facts` through
the store protocol, and by `gateway.control` for the Consent API; drivers are made by `gateway.bootstrap` alone.
"""
