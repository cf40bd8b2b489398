"""The control plane, on its own listener and with roles.

In: HTTP requests of patient-facing apps, privacy officers and operators. Out: health, metrics, the Consent API at
`/fhir/Consent`, `decide`, `explain` and the ledger's story. A FastAPI application, put together by `bootstrap`.
"""
