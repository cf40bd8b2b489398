"""The embedded upstream and the story that `make demo` tells.

In: the story's patients, or anybody's Bundles in a folder. Out: a small in-process FHIR R4 server that says what it is,
and the story's requests with what each should bring. Imported by `cli` alone; no part of a running gateway.
"""
