"""Sections B, C and E: what may be asked, and by which way."""

from tests.attack.defences.switching import Cut, Put
from tests.attack.defences.table import OLD_CONSENTS, Defence, defence

_SEARCHES, _FOUND, _PAGES = "attack/test_searches.py::", "e2e/test_searches.py::", "e2e/test_pages.py::"
_READS, _WAYS, _DOORS = "e2e/test_reads.py::", "attack/test_reads.py::", "attack/test_doors.py::"
_OPERATIONS, _VERSIONS = "e2e/test_operations.py::", "e2e/test_versions.py::"
_FORMS, _UPSTREAMS = "attack/test_forms.py::", "attack/test_upstreams.py::"
_TELLS_NOTHING = f"{_FOUND}test_L012_L014_L016_L017_L018_L019_a_search_tells_nothing"
_REFUSED = f"{_SEARCHES}test_L016_L017_L018_what_reads_elsewhere_is_refused_for_everybody"

# Searches within searches find what is withheld, too.
_WITHIN = (
    "[*walked.matches, *(Match(e, START, e.view.tree)"
    " for e in walked.document.bundle.entries if e.view.type == one.type)]"
)
_ALL = "[Match(e, START, e.view.tree) for e in found.document.bundle.entries if e.view.type == plan.type]"
_ANY_OPERATION = Cut(
    "gateway.fhir.paths:_operation",
    "return _Place(named=_OPERATIONS.get(name, Unoffered.OPERATION))",
    'return _Place({"GET": Kind.CAPABILITIES, "POST": Kind.CAPABILITIES})',
)

ASKED: tuple[Defence, ...] = (
    # B -------------------------------------------------------------------------------------------------------------
    defence(
        "L012",
        "what _has tests is a search through the gateway",
        f"{_FOUND}test_L012_has_asks_of_what_may_be_seen",
        Cut("gateway.proxy.walking:Walker._pointed", "for match in walked.matches:", f"for match in {_WITHIN}:"),
    ),
    defence(
        "L012",
        "what is found counts where its released form meets the search",
        _TELLS_NOTHING,
        Cut("gateway.proxy.walking:Walker._match", "tree = tree_of(view, judgement, plan)", "tree = view.tree"),
    ),
    defence(
        "L013",
        "_has is known in every spelling",
        f"{_SEARCHES}test_L013_has_finds_nobody_by_what_is_hidden",
        Cut("gateway.proxy.walking:Walker._pointed", "for match in walked.matches:", f"for match in {_WITHIN}:"),
    ),
    defence(
        "L014",
        "a chain is a search through the gateway",
        f"{_SEARCHES}test_L014_a_chain_tests_nothing_that_is_hidden {_TELLS_NOTHING}",
        Cut("gateway.proxy.walking:Walker.all_of", "return found.matches", f"return {_ALL}"),
    ),
    defence(
        "L015",
        "what is included is found from what is released",
        f"{_FOUND}test_L015_what_is_included_is_reached_from_what_is_released",
        Cut(
            "gateway.proxy.including:Includer._found",
            "if judgement.decision(entry.view.at).verdict is not Verdict.WITHHELD",
            "if True",
        ),
        Cut("gateway.proxy.including:Includer._led_to", "if not lost:", "if True:"),
        Cut("gateway.decision.reach:Reach.unreached", "if self.included:", "if False:"),
    ),
    defence(
        "L016",
        "what reads elsewhere is refused",
        _REFUSED,
        Cut(
            "gateway.fhir.search:_Admission._condition",
            "raise unsupported(given)",
            "return self.upstream.append((given.name, given.value))",
        ),
    ),
    defence(
        "L016",
        "negations are told by the gateway",
        f"{_SEARCHES}test_L016_what_is_missing_is_missing_of_what_is_seen",
        Cut("gateway.proxy.walking:Walker._match", "if told and not meets(condition, tree, own):", "if False:"),
    ),
    defence(
        "L017",
        "labels are searched among those that leave",
        f"{_SEARCHES}test_L017_a_label_finds_nothing_that_is_hidden {_TELLS_NOTHING}",
        Cut("gateway.proxy.walking:Walker._match", "if told and not meets(condition, tree, own):", "if False:"),
    ),
    defence(
        "L018",
        "order is made of released forms",
        f"{_SEARCHES}test_L018_order_and_scores_are_of_what_is_seen {_TELLS_NOTHING}",
        Cut("gateway.proxy.searching:_sorted", "sorted_matches(walk.matches, page.plan)", "walk.matches"),
    ),
    defence(
        "L019",
        "numbers are counted of what is released",
        f"{_READS}test_L019_numbers_are_of_what_is_released",
        Cut(
            "gateway.proxy.dispatch:_count",
            "total=len(walked.matches)",
            "total=sum(len(one.decisions) for one in walked.manifests)",
        ),
    ),
    defence(
        "L020",
        "pages are filled with what is released",
        f"{_PAGES}test_L020_a_walk_tells_nothing_of_what_is_withheld",
        Cut(
            "gateway.proxy.walking:Walker.walk",
            "len(found.matches) > enough",
            "len(found.matches) + len(found.withheld) > enough",
        ),
        Cut(
            "gateway.proxy.walking:Walker._take",
            "len(found.matches) > enough",
            "len(found.matches) + len(found.withheld) > enough",
        ),
    ),
    defence(
        "L021",
        "the server is told to keep nothing",
        f"{_SEARCHES}test_L021_nothing_is_kept_of_another_s_search",
        Cut(
            "gateway.proxy.upstream:Upstream.look",
            "headers=self._headers",
            'headers=self._headers | {"Cache-Control": "max-stale"}',
        ),
    ),
    defence(
        "L022",
        "an entry with words of its own is dropped",
        "attack/test_records.py::test_L022_an_odd_entry_of_a_page_is_not_passed_on",
        Cut("gateway.proxy.walking:_evaluated", "entry.unread or ", ""),
        Cut("gateway.release.compose:release_entries", "not entry.unread and", ""),
    ),
    defence(
        "L023",
        "answers begin on a grid of time",
        f"{_WAYS}test_L023_answers_begin_on_a_grid_of_time",
        Cut("gateway.proxy.grid:Grid.reached", "if self.step <= 0:", "if True:"),
    ),
    # C -------------------------------------------------------------------------------------------------------------
    defence(
        "L024",
        "a page link belongs to client, purpose, query and policy",
        f"{_PAGES}test_L024_a_page_link_belongs_to_who_got_it_and_why"
        f" {_READS}test_L024_L030_a_page_of_several_searches_belongs_to_who_asked_for_it",
        Cut("gateway.proxy.cursor:Binding.digest", "1, self]", "1]"),
    ),
    defence(
        "L025",
        "what cannot be told as ours goes",
        "attack/test_records.py::test_L025_what_cannot_be_told_as_ours_goes",
        Cut("gateway.decision.fates:Fates._hides", "return outward is not None and", "return False and"),
    ),
    defence(
        "L026",
        "an address of the upstream is told as ours",
        "attack/test_records.py::test_L026_an_address_of_the_upstream_is_told_as_ours",
        Cut(
            "gateway.decision.addresses:outward_edits",
            "if (ours := outward.told(address)) is not None:",
            "plain = address.startswith('http://') and '%' not in address\n"
            "        ours = outward.told(address) if plain else None\n        if ours is not None:",
        ),
    ),
    defence(
        "L027",
        "a link is compared by its origin",
        f"{_UPSTREAMS}test_L027_a_next_link_to_another_server_is_not_followed",
        Cut(
            "gateway.proxy.base_url:BaseUrl.position",
            "if other is None or other[1:4] != self[1:4]:",
            "if other is None:",
        ),
    ),
    defence(
        "L028",
        "self says what the client asked",
        f"{_PAGES}test_L025_L028_every_link_is_at_our_door",
        Cut("gateway.proxy.searching:_link", "page.plan.honoured", "page.plan.upstream"),
    ),
    defence(
        "L029",
        "addresses in a batch are relative",
        f"{_PAGES}test_L029_an_address_in_a_batch_is_relative",
        Cut("gateway.proxy.posted:_request", "if not _ADDRESS.fullmatch(request.url):", "if False:"),
    ),
    defence(
        "L030",
        "a page is decided by the consents of its moment",
        "e2e/test_keeping.py::test_L030_a_page_is_decided_by_the_consents_of_its_own_moment",
        *OLD_CONSENTS,
    ),
    # E -------------------------------------------------------------------------------------------------------------
    defence(
        "L043",
        "what a form asks is what a URL asks",
        f"{_READS}test_L043_a_search_by_post_is_the_search_by_get_everywhere",
        Cut(
            "gateway.fhir.interaction:with_form",
            "parameters=interaction.parameters + parameters",
            "parameters=(*interaction.parameters, *parameters[:1])",
        ),
    ),
    defence(
        "L043",
        "what a body asks is what a URL asks",
        f"{_OPERATIONS}test_L043_an_operation_by_post_is_the_operation_by_get",
        Cut(
            "gateway.proxy.dispatch:with_parameters",
            "interaction.parameters + given.parameters",
            "interaction.parameters",
        ),
    ),
    defence(
        "L044",
        "each entry of a batch is answered as by itself",
        f"{_READS}test_L044_a_batch_answers_each_as_by_itself",
        Cut("gateway.release.batch:_entry", "_REASONS.get(answer.status, str(answer.status))", "_REASONS[200]"),
    ),
    defence(
        "L044",
        "each change of a batch is decided as by itself",
        "e2e/test_changes.py::test_L044_each_change_of_a_batch_is_answered_as_by_itself",
        Cut(
            "gateway.proxy.changing:change_each", "except GatewayError as error:", "except ZeroDivisionError as error:"
        ),
    ),
    defence(
        "L045",
        "every slot that holds a record is walked",
        f"{_WAYS}test_L045_a_history_that_holds_anything_else_is_a_fault",
        Cut("gateway.proxy.history:_of_record", "if (entry.view.type, entry.view.id) != (type_, id_):", "if False:"),
    ),
    defence(
        "L045",
        "a record in a Bundle in a record is decided on",
        "attack/test_records.py::test_L045_what_is_in_a_bundle_in_a_record_is_looked_at",
        Cut("gateway.decision.judge:_Judge._whole_edits", "if self._opinion(inner).released:", "if True:"),
        Cut(
            "gateway.decision.judge:_Judge._emptied",
            "inner = [self._opinion(one) for one in every_view(view)[1:]]",
            "return False",
        ),
        Cut("gateway.decision.judge:_Judge._lost_a_required_part", "if view.type in _CONTAINERS:", "if True:"),
        Cut("gateway.decision.bench:_Rulings.__call__", "permitted = all(", "permitted = any("),
    ),
    defence(
        "L046",
        "a version is as restricted as the present one",
        f"{_WAYS}test_L046_a_version_of_another_patient_is_that_patients"
        f" {_VERSIONS}test_L046_a_hidden_record_has_no_versions_not_even_old_ones",
        Cut("gateway.proxy.history:_versions", "if released_text(current, judged.judgement) is None:", "if False:"),
        Cut("gateway.proxy.history:_versions", "copies=(current,)", "copies=()"),
    ),
    defence(
        "L047",
        "versions are off unless a route opens them",
        f"{_VERSIONS}test_L046_L047_versions_are_off_unless_the_route_opens_them",
        Cut("gateway.fhir.paths:_versions", "if place.type not in opened.history:", "if False:"),
        Cut("gateway.proxy.surface:Surface.check", "if found is not None and", "if False and"),
    ),
    defence(
        "L047",
        "what a history says besides is ours",
        f"{_WAYS}test_L047_what_a_history_says_besides_is_ours",
        Cut("gateway.proxy.history:_composed", 'head["total"] = len(kept)', 'head["total"] = len(kept) + len(hidden)'),
    ),
    defence(
        "L048",
        "who is withheld has nothing",
        f"{_OPERATIONS}test_L048_a_patient_who_is_hidden_has_nothing_and_is_nobody",
        Cut("gateway.proxy.everything:everything_page", "if owner.released.status != 200:", "if False:"),
    ),
    defence("L049", "nothing is exported", f"{_DOORS}test_L049_nothing_is_exported", _ANY_OPERATION),
    defence("L050", "no graph is answered", f"{_DOORS}test_L050_no_graph_is_answered", _ANY_OPERATION),
    defence(
        "L051",
        "the list of operations is closed",
        f"{_OPERATIONS}test_L051_every_other_operation_is_refused_the_same_for_everybody",
        _ANY_OPERATION,
    ),
    defence(
        "L039", "$meta is not offered", "attack/test_remains.py::test_L039_no_operation_tells_labels", _ANY_OPERATION
    ),
    defence(
        "L052",
        "who points at content owns it too",
        f"{_WAYS}test_L052_a_document_that_is_hidden_closes_what_another_opens",
        Cut("gateway.proxy.binaries:_owners", "located = await _located(asked, name) if named else []", "located = []"),
    ),
    defence(
        "L052",
        "content is never a page",
        f"{_WAYS}test_L052_content_is_never_a_page",
        Cut(
            "gateway.proxy.binaries:_content",
            "if not _MEDIA.fullmatch(media) or _RUN.fullmatch(media):",
            "if not media:",
        ),
    ),
    defence(
        "L053",
        "no Subscription is read",
        f"{_DOORS}test_L053_no_subscription_is_read",
        Put("gateway.proxy.capability:NOT_SERVED", frozenset({"AuditEvent", "Consent"})),
    ),
    defence(
        "L053",
        "nobody subscribes",
        f"{_DOORS}test_L053_nobody_subscribes {_DOORS}test_L053_nobody_subscribes_by_a_bundle",
        Put("gateway.proxy.writable:NOT_CREATED", frozenset({"AuditEvent", "Consent", "Person"})),
    ),
    defence(
        "L054",
        "a member is told by a sound consent alone",
        f"{_OPERATIONS}test_L054_every_other_outcome_is_one_answer",
        Cut(
            "gateway.proxy.matching:_consented",
            'if refusals(text, "4.0", KnownCodes()):\n        return False',
            "return True",
        ),
    ),
    defence(
        "L054",
        "a message has one form",
        "attack/test_messages.py::test_L054_a_message_of_another_form_is_refused",
        Cut("gateway.proxy.posted:_message", 'if _first(bundle) != "MessageHeader":', "if False:"),
    ),
    defence(
        "L055",
        "HEAD is GET",
        f"{_READS}test_L055_head_is_get_without_the_body {_READS}test_L055_head_of_hidden_and_absent_are_one_answer",
        Cut("gateway.fhir.paths:parse", '"GET" if method == "HEAD" else method', "method"),
    ),
    defence(
        "L056",
        "the statement is ours",
        f"{_READS}test_L056_the_statement_is_small_and_names_what_is_offered",
        Cut("gateway.proxy.exchange:carry_out", "door.capability", '(await door.upstream.look("/metadata")).body'),
    ),
    defence(
        "L057",
        "other formats are refused",
        f"{_FORMS}test_L057_L058_what_a_refused_header_held_is_nowhere",
        Cut("gateway.fhir.paths:parse", "check_accept(accept, asked)", "pass"),
    ),
    defence(
        "L058",
        "nothing compressed is taken from a client",
        f"{_FORMS}test_L057_L058_what_a_refused_header_held_is_nowhere",
        Cut("gateway.proxy.incoming:Incoming.body", '!= "identity"', '== "off"'),
    ),
    defence(
        "L058",
        "nothing compressed is taken from a server",
        f"{_UPSTREAMS}test_L058_L070_whatever_a_server_does_wrong_is_one_answer",
        Cut("gateway.proxy.upstream:Upstream._held", "if not _is_plain(response):", "if False:"),
    ),
    defence(
        "L059",
        "what can be read twice is refused",
        "attack/test_json.py::test_L059_a_record_with_two_meanings_is_not_released",
        Cut("gateway.fhir.strict:refuse_duplicates", "if closings(raw) != members", "if False"),
    ),
    defence(
        "L059",
        "a consent that can be read twice is refused",
        "attack/test_control.py::test_L059_a_consent_with_two_meanings_is_not_filed",
        Cut("consent_store.reading:_once", "if len(tree) < len(pairs):", "if False:"),
    ),
    defence(
        "L060",
        "narrative that could act is cut",
        "attack/test_narrative.py::test_L060_narrative_that_could_act_is_not_shown",
        Cut("gateway.decision.judge:_Judge._decision", "if self.shows_narrative:", "if False:"),
    ),
    defence(
        "L060",
        "a section's narrative is held to the same",
        "attack/test_narrative.py::test_L060_a_section_of_a_document_is_held_to_the_same",
        Cut("gateway.fhir.narrative:_unclean", "if isinstance(section, dict):", "if False:"),
    ),
)
