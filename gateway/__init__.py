"""The consent gateway: a reverse proxy that lets through what law, agreement and the patient's Consent allow.

In: requests on the data plane (`proxy`) and on the control plane (`control`), questions on the command line (`cli`).
Out: upstream's own bytes less what a Decision cuts, each answer recorded before it is released. Imports point down
only: cli, bootstrap, then proxy, control and demo, then facts, ledger and identity, release, decision, labels, policy,
directory, fhir, and last errors, clock and settings.
"""
