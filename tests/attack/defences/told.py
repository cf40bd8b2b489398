"""Sections A and D: what labels a record and whose it is, and what remains of a record when something goes."""

from tests.attack.defences.switching import Cut, Put
from tests.attack.defences.table import Defence, defence

_LABELS, _RECORDS, _REMAINS = "attack/test_labels.py::", "attack/test_records.py::", "attack/test_remains.py::"
_READS = "e2e/test_reads.py::"

TOLD: tuple[Defence, ...] = (
    # A -------------------------------------------------------------------------------------------------------------
    defence(
        "L001",
        "a projection is not sent on",
        f"{_READS}test_L001_a_projection_is_of_what_was_released",
        Cut(
            "gateway.proxy.upstream:Upstream._at",
            "build_query(parameters)",
            "build_query([*parameters, ('_elements', 'id')])",
        ),
    ),
    defence(
        "L001",
        "what is projected is marked",
        f"{_READS}test_L001_a_projection_is_of_what_was_released",
        Cut("gateway.release.projection:Projector.project", 'kept["meta"] = _tagged(kept.get("meta", b"{}"))', "pass"),
    ),
    defence(
        "L002",
        "copies of a record agree",
        f"{_LABELS}test_L002_a_label_in_one_view_counts_in_all",
        Cut(
            "gateway.decision.judge:_Judge._agree",
            "len(lost) > 1 or not all(one.released for one in opinions)",
            "False",
        ),
    ),
    defence(
        "L002",
        "a strict route reads what it found again",
        f"{_LABELS}test_L002_what_a_search_shows_is_read_again"
        f" {_LABELS}test_L002_a_record_that_is_found_and_not_there_fails_all",
        Cut("gateway.proxy.gathering:gather", "if door.route.read_again else ()", "if False else ()"),
    ),
    defence(
        "L003",
        "what nothing labels has a level all the same",
        f"{_LABELS}test_L003_what_is_unlabelled_is_not_free",
        Cut(
            "gateway.labels.assign:assign",
            "default = _default(view, rules.unlabelled)",
            "default = _default_label(Confidentiality.U, 'off')",
        ),
    ),
    defence(
        "L003",
        "who it is about has to be known",
        f"{_LABELS}test_L003_what_is_unlabelled_is_not_free"
        f" {_RECORDS}test_L007_a_subject_that_is_no_plain_reference_is_in_doubt",
        Cut("gateway.decision.bench:_Rulings.__call__", "if not self.known:", "if False:"),
        Cut("gateway.decision.bench:Bench.opinion", "if named.keys or named.unknown else [None]", "or [None]"),
    ),
    defence(
        "L004",
        "every label has to be permitted",
        f"{_LABELS}test_L004_every_label_of_a_record_must_be_permitted",
        Cut(
            "gateway.labels.assign:summarise",
            "frozenset(label.code for label in ordered if label.kind is Kind.SENSITIVITY)",
            "frozenset()",
        ),
    ),
    defence(
        "L005",
        "one table of every spelling",
        f"{_LABELS}test_L005_a_label_counts_in_every_spelling",
        Cut("gateway.fhir.code_systems:canonical_system", "_ALIASES.get(bare, system.strip())", "system.strip()"),
    ),
    defence(
        "L005",
        "a code without a system lowers nothing",
        f"{_LABELS}test_L005_a_code_without_a_system_lowers_nothing",
        Cut("gateway.labels.received:received_labels", " and canonical_system(coding.system) is not None", ""),
    ),
    defence(
        "L005",
        "a label that cannot be read closes",
        f"{_RECORDS}test_L005_a_label_of_the_wrong_type_is_no_reason_to_release",
        Cut("gateway.labels.received:received_labels", "labels += _unreadable(at)", "pass"),
    ),
    defence(
        "L006",
        "codes are labels",
        f"{_LABELS}test_L006_what_is_sensitive_is_known_without_a_label",
        Cut("gateway.labels.assign:assign", "*_coded(view, rules), ", ""),
    ),
    defence(
        "L006",
        "words in texts are labels",
        f"{_LABELS}test_L006_what_is_sensitive_is_known_without_a_label",
        Cut("gateway.labels.assign:assign", "*_mentioned(view, rules), ", ""),
    ),
    defence(
        "L007",
        "whose a record is has to be known",
        f"{_RECORDS}test_L007_a_subject_that_is_no_plain_reference_is_in_doubt",
        Cut("gateway.fhir.patients:patients_named", "bool(search.why)", "False"),
        Cut("gateway.decision.bench:Bench._named", "unowned = not named.keys and", "unowned = False and"),
    ),
    defence(
        "L007",
        "a reference in any form is read",
        f"{_RECORDS}test_L007_a_subject_in_any_form_is_the_subject",
        Cut("gateway.fhir.patients:patients_named", "tuple(keys), bool(search.why)", "tuple(keys)[:0], False"),
        Cut("gateway.decision.bench:Bench._named", "unowned = not named.keys and", "unowned = False and"),
    ),
    defence(
        "L008",
        "every patient named has to permit it",
        f"{_RECORDS}test_L008_L010_another_patient_anywhere_in_a_record_must_agree",
        Cut("gateway.decision.bench:_Rulings.__call__", "permitted = all(", "permitted = any("),
    ),
    defence(
        "L009",
        "a refusal of a linked record holds",
        f"{_LABELS}test_L009_a_link_never_widens",
        Cut("gateway.decision.bench:_Rulings._linked", "others = ", "return () ; others = "),
    ),
    defence(
        "L010",
        "every reference is walked, not only the subject",
        f"{_RECORDS}test_L008_L010_another_patient_anywhere_in_a_record_must_agree",
        Cut(
            "gateway.fhir.patients:_Search.read",
            "for reference in view.references:",
            'for reference in (one for one in view.references if one.at == "/subject"):',
        ),
    ),
    defence(
        "L011",
        "references that search are refused",
        "attack/test_searches.py::test_L011_a_reference_that_searches_is_refused_whatever_it_finds",
        Cut("gateway.proxy.posted:refuse_conditional_references", "if any(", "if False and any("),
    ),
    # D -------------------------------------------------------------------------------------------------------------
    defence(
        "L031",
        "what is withheld leaves no stub",
        "e2e/test_pages.py::test_L031_nothing_of_what_is_withheld_is_in_any_byte",
        Cut("gateway.proxy.walking:Walker._match", "if decision.verdict is Verdict.WITHHELD:", "if False:"),
        Cut(
            "gateway.release.compose:release_entries", "if text is not None:", "text = text or b'{}'\n        if text:"
        ),
    ),
    defence(
        "L032",
        "a reference to what is withheld is cut",
        f"{_REMAINS}test_L032_a_reference_goes_with_its_words_and_its_element",
        Cut(
            "gateway.decision.fates:Fates.of_reference",
            "resolved = self.bench.sources.resolve(view, found)",
            "return _KEEP",
        ),
    ),
    defence(
        "L033",
        "prose goes with what it tells of",
        f"{_REMAINS}test_L033_prose_goes_with_what_it_tells_of",
        Cut(
            "gateway.decision.residue:_Freeing.restated",
            "if self.lost and not self._take(summaries(self.view, known)):",
            "if False:",
        ),
        Cut("gateway.decision.residue:_Freeing._quoted", "if targets else []", "if False else []"),
    ),
    defence(
        "L033",
        "narrative is cut always",
        f"{_REMAINS}test_L033_prose_goes_with_what_it_tells_of",
        Cut("gateway.decision.parts:uniform_edits", 'if parts.narrative_cut and "text" not in paths:', "if False:"),
    ),
    defence(
        "L034",
        "what is contained is decided by itself",
        f"{_LABELS}test_L006_L034_what_is_contained_is_known_without_a_label"
        f" {_RECORDS}test_L034_what_is_contained_in_a_record_is_another_s_all_the_same",
        Cut("gateway.decision.judge:_Judge._whole_edits", "if self._opinion(inner).released:", "if True:"),
    ),
    defence(
        "L035",
        "a section's prose goes with what it held",
        f"{_REMAINS}test_L035_a_section_of_a_stored_document_goes_with_what_it_held",
        Cut(
            "gateway.decision.parts:uniform_edits",
            'if parts.narrative_cut and view.type == "Composition":',
            "if False:",
        ),
        Cut("gateway.decision.residue:_Freeing._counts", 'if self.view.type == "Composition":', "if False:"),
    ),
    defence(
        "L035",
        "an attested document goes whole or not at all",
        f"{_REMAINS}test_L035_a_section_of_a_stored_document_goes_with_what_it_held",
        Cut("gateway.decision.judge:_Judge._emptied", "return touched and (", "return False and ("),
    ),
    defence(
        "L036",
        "an item that points at the withheld is not there",
        f"{_REMAINS}test_L036_a_list_is_as_long_as_what_may_be_seen",
        Cut("gateway.decision.bench:Bench._shortened", "if self.whole or view.type not in ITEMS:", "if True:"),
    ),
    defence(
        "L037",
        "a withheld line takes along what it used",
        f"{_REMAINS}test_L037_a_bill_does_not_count_the_line_that_is_gone",
        Cut("gateway.decision.claims:removal_edits", "while claim.spread():", "while False:"),
    ),
    defence(
        "L037",
        "no sum is told on any bill",
        f"{_REMAINS}test_L037_a_bill_does_not_count_the_line_that_is_gone",
        Cut("gateway.decision.parts:uniform_edits", "paths = list(rule.always) if rule else []", "paths = []"),
    ),
    defence(
        "L038",
        "of meta only what is listed stays",
        f"{_REMAINS}test_L038_what_stands_beside_the_elements_goes",
        Cut("gateway.decision.outbound:meta_edits", "if not whole and name not in _META", "if False"),
    ),
    defence(
        "L039",
        "the label of a Bundle is made of what is released",
        f"{_REMAINS}test_L039_the_label_of_a_bundle_is_that_of_what_is_left",
        Cut("gateway.decision.judge:_Judge._decision", 'if view.type == "Bundle" and out:', "if False:"),
    ),
    defence(
        "L039",
        "labels of what was cut out are not written",
        f"{_REMAINS[:-2]} attack/test_residue.py",
        Cut(
            "gateway.decision.bench:Bench._parts",
            "opinion.ruling, opinion.labels = masking.ruling, masking.labels",
            "opinion.ruling = masking.ruling",
        ),
    ),
    defence(
        "L039",
        "labels have an order of their own",
        "attack/test_residue.py::test_L039_labels_go_out_in_an_order_of_their_own",
        Cut(
            "gateway.decision.outbound:labels_out",
            'rest = sorted({*codes[1:], *refrains}, key=lambda one: (one.system or "", one.code or ""))',
            "rest = dict.fromkeys([*codes[1:], *refrains])",
        ),
    ),
    defence(
        "L040",
        "a required element takes its record along",
        f"{_REMAINS}test_L040_a_mandatory_element_takes_its_record_along",
        Cut("gateway.decision.residue:removable", "elif not elements.is_required(view.type, path) and", "elif"),
    ),
    defence(
        "L041",
        "consents are not served",
        f"{_REMAINS}test_L041_consents_are_not_read_here",
        Put("gateway.proxy.capability:NOT_SERVED", frozenset({"AuditEvent", "Subscription"})),
    ),
    defence(
        "L041",
        "a consent in a Bundle goes to who is named alone",
        f"{_REMAINS}test_L041_a_consent_in_a_bundle_names_no_other_recipient",
        Cut("gateway.decision.refusals:refused", 'if view.type == "Consent" and', "if False and"),
    ),
    defence(
        "L042",
        "a Provenance goes where its targets do",
        "attack/test_provenance.py::test_L042_a_provenance_tells_whose_a_record_is",
        Put("gateway.fhir.patients:ABOUT_OTHERS", {"Binary": "/securityContext", "MessageHeader": "/focus/"}),
    ),
    defence(
        "L042",
        "an AuditEvent is not served",
        f"{_REMAINS}test_L042_who_saw_and_who_made_tells_nothing",
        Put("gateway.proxy.capability:NOT_SERVED", frozenset({"Consent", "Subscription"})),
        Put("gateway.decision.refusals:_NEVER", frozenset({"OperationOutcome"})),
    ),
)
