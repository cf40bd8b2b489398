"""What a security label is to us: canonical code, where it came from, and which element it speaks of.

Rules of this file
1. Confidentiality is one total order, U < L < M < N < R < V; several codes mean the highest (labels.md section 2).
2. Sensitivities and policy tags are sets; nothing one of them says is undone by another.
3. A label names its basis, so that "why was this withheld" has an answer.
"""

from enum import StrEnum
from typing import Final

import msgspec

from gateway.fhir.confidentiality import Confidentiality

__all__ = ["LABEL_BASIS", "Basis", "Confidentiality", "Kind", "Label", "Labels"]

LABEL_BASIS: Final = "urn:consent-gateway:label-basis"
"""The code system of `Basis`, in the DS4P basis of a label that `consent-gateway label` wrote: no label by itself."""


class Kind(StrEnum):
    """Which set a label's code belongs to."""

    CONFIDENTIALITY = "confidentiality"
    SENSITIVITY = "sensitivity"  # SUD, OPIOIDUD, HIV, PSY, SDV … of v3-ActCode
    POLICY = "policy"  # 42CFRPart2, HIPAAPsyNotes, HIPAASelfPay …
    HANDLING = "handling"  # refrain and obligation codes, marks, purposes on data
    UNKNOWN = "unknown"  # a code we do not know: of a known system it takes the highest restriction (L005)


class Basis(StrEnum):
    """Where a label came from."""

    RECEIVED = "received"  # meta.security or an inline label
    CODE = "code"  # a code list
    TEXT = "text"  # a term rule over text
    SOURCE = "source"  # the organisation that made the record
    CONTEXT = "context"  # propagated from a record that this one belongs to
    DEFAULT = "default"  # the profile's declared default for what nothing else labelled


class Label(msgspec.Struct, frozen=True, order=True):
    """One label. `at` is the pointer, inside the resource, of the element it speaks of ("" = the whole resource)."""

    kind: Kind
    system: str
    code: str
    basis: Basis
    at: str = ""
    source: str = ""  # the list and version, the rule, or the participant id that gave it


class Labels(msgspec.Struct, frozen=True):
    """All labels of one resource, sorted; the sets below are over all of them."""

    labels: tuple[Label, ...]
    confidentiality: Confidentiality
    sensitivities: frozenset[str]
    policies: frozenset[str]
    unknown: bool  # something about its sensitivity could not be established
    unread: bool = False  # somebody set a label, on it or on what it belongs to, that is of no system we can read
