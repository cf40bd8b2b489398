"""Policy as data: one folder for each profile, reviewed, cited and tested YAML, and the facts it leans on.

In: nothing; no code here is run by the gateway. Out: `<profile>/profile.yaml`, `flows.yaml` and `*_test.yaml`,
`codelists/` and `fhir/`, read as package data (`importlib.resources.files("profiles")`). Called by `gateway.bootstrap`,
which reads the files and hands their text to `gateway.policy`.
"""
