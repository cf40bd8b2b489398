"""What is known when a document is judged: the PIP's answer, gathered from a question or from live sources.

Rules of this file
1. Facts are complete before judging starts; nothing is fetched while deciding.
2. A subject that could not be looked up is no subject without consents: `unreadable_subjects` fails the exchange (503).
3. Revisions are those of the snapshot the consents came from (law 9).
"""

from collections.abc import Mapping

import msgspec

from consent_store.model import PatientKey
from consent_store.store import Revision, Subject
from gateway.decision.addresses import Outward
from gateway.decision.model import Exchange, SubjectFacts
from gateway.directory.model import Directory
from gateway.fhir.references import Base
from gateway.fhir.view import ResourceView
from gateway.policy.model import Policy


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. `context` are resources outside the document that it refers to, each read whole."""

    exchange: Exchange
    policy: Policy
    directory: Directory
    subjects: Mapping[PatientKey, SubjectFacts]
    context: tuple[ResourceView, ...] = ()
    named: tuple[ResourceView, ...] = ()  # what consents name: it shows who is who, and is no record of the document's
    revisions: Mapping[Subject, Revision] = {}
    stated_resources: Mapping[str, Mapping[str, bool]] = {}  # facts stated of single resources, by "Type/id" or pointer
    own: frozenset[Base] = frozenset()  # bases whose absolute references are ours
    outward: Outward | None = None  # where the upstream is and how clients call it: its addresses are told as ours
    source: str = ""  # the PatientKey source of this document's patients
    untraced: frozenset[str] = frozenset()  # "Type/id" of records whose Provenances are too many to read
