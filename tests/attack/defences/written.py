"""Sections G and H: what a client may write, and how consents are read."""

from tests.attack.defences.switching import Cut, Put
from tests.attack.defences.table import OLD_CONSENTS, Defence, defence

_UPDATES, _CHANGES, _FORMS = "e2e/test_updates.py::", "e2e/test_changes.py::", "e2e/test_push_forms.py::"
_ANSWERS, _CONSENTS = "attack/test_updates.py::", "attack/test_consent_evaluation.py::"
_KEEPERS, _ALERTS, _PUSHED = "attack/test_keepers.py::", "attack/test_alerts.py::", "attack/test_pushed_identity.py::"
_ATTESTED, _RELOAD, _KEEPING = "e2e/test_attestations.py::", "e2e/test_reload.py::", "e2e/test_keeping.py::"

_STORED_LABELS = (
    Cut(
        "gateway.release.updated:_merged",
        "kept = _meta(texts.get(name), seen.get(name), wanted.get(name))",
        "kept = new.get(name)",
    ),
    Cut(
        "gateway.proxy.updating:decided_change",
        'if lowers(before.judgement.decision(""), after.judgement.decision("")):',
        "if False:",
    ),
)

WRITTEN: tuple[Defence, ...] = (
    # G -------------------------------------------------------------------------------------------------------------
    defence(
        "L075",
        "stored labels are merged back",
        f"{_UPDATES}test_L075_a_put_without_labels_keeps_those_stored"
        f" {_UPDATES}test_L075_who_is_cleared_for_a_label_cannot_take_it_away",
        *_STORED_LABELS,
    ),
    defence(
        "L075",
        "stored labels stay in a Bundle too",
        f"{_CHANGES}test_L075_labels_left_out_in_a_bundle_stay",
        *_STORED_LABELS,
    ),
    defence(
        "L075",
        "a code that labels is not changed away",
        f"{_CHANGES}test_L075_a_code_that_labels_is_not_changed_away",
        Cut(
            "gateway.proxy.updating:decided_change",
            'if lowers(before.judgement.decision(""), after.judgement.decision("")):',
            "if False:",
        ),
    ),
    defence(
        "L076",
        "a JSON Patch does not touch what policy rests on",
        f"{_UPDATES}test_L076_a_patch_does_not_touch_what_policy_rests_on",
        Put("gateway.fhir.json_patch:CLOSED", frozenset()),
    ),
    defence(
        "L076",
        "a FHIRPath Patch does not either",
        f"{_CHANGES}test_L076_a_path_patch_does_not_touch_what_policy_rests_on",
        Put("gateway.fhir.json_patch:CLOSED", frozenset()),
    ),
    defence(
        "L076",
        "$meta operations are not offered",
        f"{_UPDATES}test_L076_meta_operations_and_other_patches_are_refused",
        Cut(
            "gateway.fhir.paths:_operation",
            "return _Place(named=_OPERATIONS.get(name, Unoffered.OPERATION))",
            'return _Place({"GET": Kind.CAPABILITIES, "POST": Kind.CAPABILITIES})',
        ),
    ),
    defence(
        "L077",
        "what the server answers to a write is not passed on",
        f"{_ANSWERS}test_L077_what_the_server_answers_to_a_write_is_not_passed_on",
        Cut(
            "gateway.proxy.updating:update",
            "is not None:\n            return told(",
            "is not None:\n            raise ZeroDivisionError\n            return told(",
        ),
        breaks=True,
    ),
    defence(
        "L077",
        "a place is told as ours or not at all",
        "attack/test_upstreams.py::test_L077_the_place_of_what_was_pushed_is_told_as_ours_or_not_at_all",
        Cut(
            "gateway.proxy.pushing:_result",
            '({"location": place} if place else {})',
            '({"location": said.location} if said.location else {})',
        ),
    ),
    defence(
        "L078",
        "a conditional create is refused",
        f"{_FORMS}test_L078_a_conditional_create_is_refused",
        Cut(
            "gateway.proxy.posted:_request",
            "if request.conditions.keys() -",
            "if False and request.conditions.keys() -",
        ),
        Cut("gateway.proxy.exchange:_read_posted", "if conditional:", "if False:"),
    ),
    defence(
        "L078",
        "a transaction is refused whole",
        f"{_CHANGES}test_L078_a_transaction_is_refused_whole",
        Cut(
            "gateway.proxy.posted:_writes",
            'if bundle.type == "transaction" and isinstance(refused, NotSupported):',
            "if False:",
        ),
        Cut("gateway.proxy.posted:_writes", 'if bundle.type == "transaction" or not changing:', "if not changing:"),
    ),
    defence(
        "L079",
        "what was withheld of a record stays",
        f"{_UPDATES}test_L079_what_was_withheld_of_a_record_stays",
        Cut(
            "gateway.proxy.updating:decided_change",
            "text = merged(stored.raw, shown, proposed.raw)",
            "text = proposed.raw",
        ),
    ),
    defence(
        "L079",
        "what was withheld is not written over",
        f"{_UPDATES}test_L079_what_was_withheld_is_not_written_over",
        Cut("gateway.release.updated:merged", "return None", "return proposed"),
        Cut("gateway.proxy.updating:_proposed", "if not whole and sums_up_more", "if False and sums_up_more"),
    ),
    defence(
        "L079",
        "no summary is added where none was shown",
        f"{_UPDATES}test_L079_what_was_withheld_is_not_written_over",
        Cut("gateway.proxy.updating:_proposed", "if not whole and sums_up_more", "if False and sums_up_more"),
    ),
    defence(
        "L079",
        "a part of a record is no record",
        f"{_UPDATES}test_L079_a_part_of_a_record_is_no_record",
        Cut("gateway.proxy.updating:read_update", "if is_marked_partial(view):", "if False:"),
    ),
    defence(
        "L079",
        "a transaction keeps what was withheld",
        f"{_CHANGES}test_L079_a_transaction_keeps_what_was_withheld",
        Cut("gateway.release.pushed:compose_transaction", '"resource": msgspec.Raw(one.text),', ""),
    ),
    defence(
        "L080",
        "nobody but an officer files a consent",
        "attack/test_control.py::test_L080_nobody_but_an_officer_files_a_consent",
        Cut("gateway.control.access:Access.need", "if self.roles.isdisjoint(roles):", "if False:"),
    ),
    defence(
        "L080",
        "what is pushed proves nobody's identity",
        f"{_PUSHED}test_L080_what_is_pushed_proves_nobody_s_identity",
        Cut("gateway.decision.judge:_telling", "if not is_pushed(view)", "if True"),
    ),
    defence(
        "L080",
        "what a sender says of where it came from shows nothing",
        "e2e/test_same_item.py::test_L080_what_a_sender_says_of_where_it_came_from_shows_nothing",
        Cut(
            "gateway.decision.sources:Sources.came_from",
            'if (not pushed or provenance.at.startswith("/context/")) and not is_pushed(provenance)',
            "if True",
        ),
    ),
    defence(
        "L081",
        "a consent that disappears goes on refusing",
        f"{_KEEPERS}test_L081_a_consent_that_disappears_still_refuses",
        Cut(
            "consent_store.sqlite:SqliteConsentStore._found",
            "Found(tuple(self._read(subject, row) for row in mine.values()), revision)",
            "Found(tuple(self._read(subject, row) for row in mine.values() if row[4] is not None), revision)",
        ),
    ),
    defence(
        "L081",
        "consents are not deleted",
        f"{_FORMS}test_L081_consents_and_audit_events_are_not_deleted",
        Cut(
            "gateway.fhir.paths:parse",
            '"GET" if method == "HEAD" else method',
            '"GET" if method in ("HEAD", "DELETE") else method',
        ),
    ),
    defence(
        "L082",
        "nobody raises a label",
        f"{_UPDATES}test_L082_nobody_raises_a_label",
        Cut("gateway.proxy.updating:_proposed", "if raised := raises(view, proposed):", "if raised := ():"),
    ),
    defence(
        "L082",
        "nobody raises a label in a Bundle",
        f"{_CHANGES}test_L082_nobody_raises_a_label_in_a_bundle",
        Cut("gateway.proxy.updating:_proposed", "if raised := raises(view, proposed):", "if raised := ():"),
    ),
    defence(
        "L082",
        "what was proposed waits for an officer",
        f"{_ALERTS}test_L082_a_label_that_was_proposed_waits_for_an_officer",
        Cut("gateway.proxy.updating:write_refusal", "if isinstance(refusal.error, _LabelRaised):", "if False:"),
    ),
    # H -------------------------------------------------------------------------------------------------------------
    defence(
        "L083",
        "every request takes the consents of its moment",
        f"{_CONSENTS}test_L083_no_worker_and_no_client_waits_for_a_revocation"
        f" {_KEEPING}test_L083_a_revocation_holds_from_the_next_request_on",
        *OLD_CONSENTS,
    ),
    defence(
        "L084",
        "what is remembered is of one exchange alone",
        f"{_CONSENTS}test_L084_no_answer_is_another_question_s",
        Cut(
            "gateway.decision.consents.memory:Memory.program",
            "exchange.initiator, exchange.purpose, exchange.action, relations.own)",
            "relations.own)",
        ),
        remembers=True,
    ),
    defence(
        "L085",
        "only an active consent counts",
        f"{_CONSENTS}test_L085_only_an_active_consent_counts",
        Cut("gateway.decision.consents.compile:compile_consents", "one.status is Status.ACTIVE", "True"),
    ),
    defence(
        "L085",
        "a status nobody knows can only refuse",
        f"{_CONSENTS}test_L085_a_status_nobody_knows_can_only_deny",
        Cut("consent_store.outline:settle", "if not notes:", "if True:"),
    ),
    defence(
        "L086",
        "a period holds to the second",
        f"{_CONSENTS}test_L086_a_period_holds_to_the_second",
        Cut(
            "gateway.decision.consents.settling:_Settling.finding",
            "all_of(span.holds(self.exchange.at) for span in terms.spans)",
            "Match.YES",
        ),
    ),
    defence(
        "L087",
        "every page of consents is read",
        f"{_CONSENTS}test_L087_every_page_of_consents_is_read",
        Cut(
            "consent_store.upstream:_every_page",
            "None if page.next is None else beneath(server.base, page.next, server.aliases, url)",
            "None",
        ),
    ),
    defence(
        "L088",
        "no consents, no disclosure",
        f"{_KEEPERS}test_L088_a_store_without_its_tables_lets_nothing_pass"
        f" {_KEEPERS}test_L088_consents_that_are_gone_let_nothing_pass",
        Cut(
            "gateway.proxy.gathering:gather",
            'raise Unavailable("the consents that this needs cannot be read") from None',
            "snapshot = {}",
        ),
        Cut(
            "gateway.proxy.sending:unchanged",
            'raise Unavailable("the consents that this needs cannot be read") from None',
            "return True",
        ),
    ),
    defence(
        "L088",
        "other consents in their place are not taken for them",
        f"{_KEEPERS}test_L088_other_consents_in_their_place_let_nothing_pass",
        Cut(
            "consent_store.sqlite:SqliteConsentStore._check_file", "if identity(self._path) != self._file:", "if False:"
        ),
    ),
    defence(
        "L089",
        "a misspelt word is an error",
        f"{_RELOAD}test_L089_a_misspelt_word_is_an_error_and_says_where",
        Cut("gateway.strict_yaml:Node.finish", "if unknown:", "if False:"),
    ),
    defence(
        "L090",
        "what is nested is read",
        f"{_CONSENTS}test_L090_what_is_nested_is_read",
        Cut(
            "gateway.decision.consents.rules:_Builder.children",
            "for index, inner in enumerate(one.nested):",
            "for index, inner in enumerate(()):",
        ),
    ),
    defence(
        "L090",
        "what cannot be read never permits",
        f"{_CONSENTS}test_L090_what_cannot_be_read_never_permits",
        Cut("gateway.decision.consents.rules:_Builder.node", "unreadable = bool(one.unreadable)", "unreadable = False"),
        Cut("gateway.decision.consents.rules:_Builder.handed_down", "or bool(one.unreadable)", ""),
    ),
    defence(
        "L091",
        "no order of consents decides",
        f"{_CONSENTS}test_L091_no_order_of_consents_decides",
        Cut(
            "gateway.decision.consents.program:Settled._answer",
            "Answer.DENY if spoken.denies else Answer.PERMIT if spoken.permits else",
            "Answer.PERMIT if spoken.permits else Answer.DENY if spoken.denies else",
        ),
    ),
    defence(
        "L092",
        "who is named is who is meant",
        f"{_CONSENTS}test_L092_who_is_named_is_who_is_meant",
        Cut(
            "gateway.decision.consents.membership:_Search.by_key",
            "if key is not None and key in self.party.keys:",
            "if key is not None and {key.rpartition('/')[2]} & {one.rpartition('/')[2] for one in self.party.keys}:",
        ),
    ),
    defence(
        "L092",
        "a former member is none",
        f"{_CONSENTS}test_L092_a_former_member_is_none",
        Cut("gateway.decision.consents.membership:_Search.in_force", "if period is None:", "if True:"),
    ),
    defence(
        "L093",
        "a consent is the patient's or a verified representative's",
        "attack/test_representatives.py::test_L093_a_consent_is_the_patients_or_a_representatives",
        Cut("gateway.decision.case:standing", "if case.policy.on(REPRESENTATIVES):", "if False:"),
    ),
    defence(
        "L093",
        "of a year alone the last day counts",
        f"{_ATTESTED}test_L093_of_a_year_alone_the_last_day_counts",
        Cut(
            "gateway.decision.age:adult",
            "_eighteen_years_after(last), birth.zoned",
            "_eighteen_years_after(birth.start), birth.zoned",
        ),
    ),
    defence(
        "L093",
        "who comes of age does so in the profile's zone",
        f"{_ATTESTED}test_L093_who_comes_of_age_does_so_in_the_profiles_zone",
        Cut(
            "gateway.decision.age:adult",
            "if coming.after(zone, wide=True) <= at:",
            "from datetime import UTC\n    if coming.after(UTC, wide=False) <= at:",
        ),
    ),
    defence(
        "L093",
        "a patient of unknown age is no adult",
        f"{_ATTESTED}test_L093_a_patient_of_unknown_age_is_no_adult",
        Cut("gateway.decision.conditions:_adult_only", "return None", "return True"),
    ),
    defence(
        "L094",
        "consents are looked at again before the first byte",
        f"{_CONSENTS}test_L094_what_is_revoked_before_the_first_byte_is_not_sent",
        Cut("gateway.proxy.sending:unchanged", "return all(now[subject] == revision", "return all(True"),
    ),
    defence(
        "L094",
        "what changes before the first byte is decided again",
        f"{_KEEPING}test_L094_what_changes_before_the_first_byte_is_decided_again",
        Cut("gateway.proxy.sending:unchanged", "return all(now[subject] == revision", "return all(True"),
    ),
    defence(
        "L095",
        "the notice goes with what is disclosed by consent",
        f"{_CONSENTS}test_L095_part_2_goes_with_its_notice_and_never_to_court",
        Cut("gateway.decision.outbound:meta_edits", "notice = PART2_NOTICE in ruling.obligations", "notice = False"),
    ),
    defence(
        "L096",
        "a consent reaches down and not up",
        f"{_CONSENTS}test_L096_a_consent_reaches_down_and_not_up",
        Cut(
            "gateway.decision.consents.settling:_Settling.purposed",
            "Match.YES if purpose_is_a(self.purpose, rule) else Match.NO",
            "Match.YES if purpose_is_a(self.purpose, rule) or purpose_is_a(rule, self.purpose) else Match.NO",
        ),
    ),
    defence(
        "L097",
        "a token for an emergency is used once",
        f"{_ATTESTED}test_L097_a_token_for_an_emergency_is_used_once"
        f" {_ATTESTED}test_L097_the_pages_of_one_search_are_one_use",
        Cut("gateway.proxy.exchange:_once", "if fresh is any(", "if False and any("),
    ),
    defence(
        "L097",
        "an emergency ends",
        f"{_ATTESTED}test_L097_an_emergency_ends_and_opens_no_psychotherapy_notes",
        Cut("gateway.identity.attesting:_attestation", "None if one.exp is None else _second(one.exp - 1)", "None"),
    ),
    defence(
        "L098",
        "no role goes past the release",
        f"{_CONSENTS}test_L098_no_role_and_no_scope_goes_past_the_release",
        Cut("gateway.decision.bench:_Rulings.__call__", "permitted = all(", "permitted = True or all("),
    ),
    defence(
        "L099",
        "one question for several purposes is told of",
        f"{_ALERTS}test_L099_one_question_for_several_purposes_is_told_of",
        Cut("gateway.proxy.alerts:Purposes.is_new", "return bool(purposes) and", "return False and"),
    ),
    defence(
        "L099",
        "two purposes tell no more than each",
        f"{_CONSENTS}test_L099_two_purposes_tell_no_more_than_each",
        Cut("gateway.decision.bench:_Rulings.__call__", "permitted = all(", "permitted = True or all("),
    ),
    defence(
        "L100",
        "what cannot be read changes nothing",
        f"{_RELOAD}test_L089_L100_a_profile_that_cannot_be_read_changes_nothing"
        f" {_RELOAD}test_L100_an_empty_file_is_not_loaded",
        Cut("gateway.strict_yaml:Node.finish", "if unknown:", "if False:"),
    ),
    defence(
        "L100",
        "a profile without rules permits nothing",
        f"{_RELOAD}test_L100_a_profile_without_rules_permits_nothing",
        Cut("gateway.decision.combine:rule_on", "if denies or not permits:", "if denies:"),
    ),
)
