"""Requests asked of the grammar where there are a few types, and the interactions of operations."""

import pytest

from gateway.errors import NotSupported
from gateway.fhir.interaction import Interaction, Kind
from gateway.fhir.operations import OPERATIONS, Level
from gateway.fhir.paths import parse

TYPES = frozenset({"Bundle", "Group", "Observation", "Parameters", "Patient"})
JSON = "application/fhir+json"
FORM = "application/x-www-form-urlencoded"


def asking(type_, id_, name, **more):
    """Give the interaction of an operation."""
    level = Level.INSTANCE if id_ else Level.TYPE
    return Interaction(Kind.OPERATION, type_, id_, operation=OPERATIONS[type_, level, name], **more)


def asked(method="GET", path=b"/Observation/OBS-hid", query=b"", **headers):
    """Parse with a few types."""
    return parse(method, path, query, types=TYPES, **headers)


def refusal(method, path, query=b"", **headers):
    """Give the refusal of a request."""
    with pytest.raises(NotSupported) as caught:
        asked(method, path, query, **headers)
    return caught.value
