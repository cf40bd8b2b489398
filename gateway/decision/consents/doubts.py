"""The conditions that a provision sets on the data, by element, each made once.

Rules of this file
1. A condition is filed under all that its answer depends on: what is stated, and the effect where that changes it.
2. Codes are kept in their one spelling, so that a resource can be looked up by its own.
"""

from typing import Final

from consent_store.dates import Period
from consent_store.model import Coding, Data, Effect, Reference
from gateway.decision.consents.label_tests import (
    deny_labels,
    nothing_special,
    other_labels,
    permit_labels,
)
from gateway.decision.consents.matching import OnLabels, author_test, class_test, code_test, data_test, period_test
from gateway.decision.consents.terms import Doubt, Facet, Interned
from gateway.fhir.terminology import canonical

_on_labels: Final = OnLabels
_LABELS_UNKNOWN: Final = "the labels of the record are not all known"


def label_doubt(labels: tuple[Coding, ...], effect: Effect, interned: Interned) -> Doubt:
    """Give the condition that provision.securityLabel sets."""

    def make(facet: Facet) -> Doubt:
        test = permit_labels(labels) if effect is Effect.PERMIT else deny_labels(labels)
        return Doubt(facet, _on_labels(test), _LABELS_UNKNOWN, whole=other_labels(labels))

    return interned.doubt(Facet.LABELS, (effect, labels), make)


def regular_doubt(interned: Interned) -> Doubt:
    """Give the condition that an HRex Consent under the #regular policy sets on all it permits."""

    def make(facet: Facet) -> Doubt:
        return Doubt(facet, _on_labels(nothing_special), _LABELS_UNKNOWN)

    return interned.doubt(Facet.LABELS, "regular", make)


def class_doubt(classes: tuple[Coding, ...], interned: Interned) -> Doubt:
    """Give the condition that provision.class, documentType and resourceType set."""

    def make(facet: Facet) -> Doubt:
        return Doubt(facet, class_test(classes), "the class has no system")

    return interned.doubt(Facet.CLASS, classes, make)


def code_doubt(concepts: tuple[tuple[Coding, ...], ...], interned: Interned) -> Doubt:
    """Give the condition that provision.code sets."""

    def make(facet: Facet) -> Doubt:
        named = frozenset(canonical(coding).code for concept in concepts for coding in concept)
        return Doubt(facet, code_test(concepts), "a code has no system", codes=named)

    return interned.doubt(Facet.CODES, concepts, make)


def date_doubt(period: Period, interned: Interned) -> Doubt:
    """Give the condition that provision.dataPeriod sets."""
    span = interned.span(period)

    def make(facet: Facet) -> Doubt:
        return Doubt(facet, period_test(span), "the record is not surely inside or outside the data period", span=span)

    return interned.doubt(Facet.DATES, span, make)


def data_doubt(data: tuple[Data, ...], effect: Effect, interned: Interned, *, pcf: bool) -> Doubt:
    """Give the condition that provision.data sets; `pcf`: the Consent declares a profile of IHE PCF."""

    def make(facet: Facet) -> Doubt:
        test = data_test(data, effect, pcf=pcf)
        return Doubt(facet, test, "whether the record is among the data is not known", data=data)

    return interned.doubt(Facet.DATA, (effect, pcf, data), make)


def author_doubt(authors: tuple[Reference, ...], interned: Interned) -> Doubt:
    """Give the condition that actors of role AUT set."""

    def make(facet: Facet) -> Doubt:
        return Doubt(facet, author_test(authors), "the author of the record is not known")

    return interned.doubt(Facet.AUTHORS, authors, make)
