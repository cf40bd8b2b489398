"""Section F: HTTP, and what of an answer is the server's."""

from tests.attack.defences.switching import Cut, Put
from tests.attack.defences.table import Defence, defence

_WAYS, _DOOR = "attack/test_reads.py::", "e2e/test_door.py::"
_FORMS, _HTTP, _UPSTREAMS = "attack/test_forms.py::", "attack/test_http.py::", "attack/test_upstreams.py::"

ANSWERED: tuple[Defence, ...] = (
    # F -------------------------------------------------------------------------------------------------------------
    defence(
        "L061",
        "a purpose is named once",
        f"{_DOOR}test_L061_several_purposes_are_refused",
        Cut("gateway.identity.purpose:purpose_header", 'if len(found) > 1 or b"," in found[0][1]:', "if False:"),
    ),
    defence(
        "L061",
        "a purpose has to be granted",
        f"{_DOOR}test_L061_L062_no_purpose_or_one_not_granted_is_refused",
        Cut(
            "gateway.identity.purpose:effective_purpose",
            "if caller.participant.purposes is None or not",
            "if False and not",
        ),
    ),
    defence(
        "L061",
        "its header has one spelling",
        f"{_DOOR}test_L061_a_purpose_header_in_two_spellings_is_repeated",
        Cut(
            "gateway.identity.purpose:purpose_header",
            'name.lower().replace(b"_", b"-") == _NAME',
            "name.lower() == _NAME",
        ),
    ),
    defence(
        "L062",
        "no purpose is assumed",
        f"{_DOOR}test_L061_L062_no_purpose_or_one_not_granted_is_refused",
        Cut(
            "gateway.identity.purpose:effective_purpose",
            "purpose = _selected(caller, header)",
            "purpose = _selected(caller, header or 'HPAYMT')",
        ),
    ),
    defence(
        "L063",
        "an emergency needs everything that makes it one",
        "e2e/test_attestations.py::test_L063_L097_an_emergency_needs_everything_that_makes_it_one",
        Cut("gateway.identity.purpose:effective_purpose", "if is_emergency(caller, purpose):", "if False:"),
    ),
    defence(
        "L063",
        "an emergency is no word of a client",
        f"{_HTTP}test_L063_an_emergency_is_no_word_of_a_client",
        Cut(
            "gateway.identity.purpose:effective_purpose",
            "if caller.participant.purposes is None or not",
            "if False and not",
        ),
        Cut("gateway.identity.purpose:effective_purpose", "if is_emergency(caller, purpose):", "if False:"),
    ),
    defence(
        "L064",
        "no header changes the method",
        f"{_DOOR}test_L064_no_header_changes_what_is_asked",
        Cut(
            "gateway.proxy.incoming:Incoming.__init__",
            'scope["method"]',
            'dict(scope["headers"]).get(b"x-http-method-override", scope["method"].encode()).decode()',
        ),
    ),
    defence(
        "L065",
        "the server sees our headers alone",
        f"{_DOOR}test_L065_the_upstream_sees_our_headers_alone",
        Cut(
            "gateway.proxy.upstream:Upstream.look",
            "headers=self._headers",
            'headers=self._headers | {"X-Forwarded-For": "1"}',
        ),
    ),
    defence(
        "L066",
        "a path has one spelling",
        f"{_HTTP}test_L066_a_path_has_one_spelling",
        Cut("gateway.fhir.paths:_segments", "or not _RAW.fullmatch(raw_path)", ""),
        Cut("gateway.fhir.paths:_segments", 'raw_path[1:].split(b"/"))\n', 'raw_path[1:].split(b"/") if part)\n'),
        Cut(
            "gateway.fhir.paths:_segments",
            'if any(not _SEGMENT.fullmatch(segment) or not segment.strip(".") for segment in segments):',
            "if False:",
        ),
    ),
    defence(
        "L067",
        "a request with two meanings ends the connection",
        f"{_DOOR}test_L067_a_request_with_two_meanings_is_not_carried_out",
        Cut(
            "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.data_received",
            "self.send_400_response(msg)",
            "pass",
        ),
    ),
    defence(
        "L068",
        "a validator is of what is released",
        f"{_WAYS}test_L068_a_validator_does_not_move_with_what_is_hidden",
        Cut("gateway.release.seen:version_of", "cuts = [", "cuts = [] and ["),
    ),
    defence(
        "L069",
        "hidden and absent are one answer",
        f"{_DOOR}test_L069_hidden_and_absent_are_the_same_answer",
        Cut(
            "gateway.proxy.reading:not_visible",
            "compose_own(NOT_VISIBLE.status,",
            "compose_own(403 if manifest.decisions else NOT_VISIBLE.status,",
        ),
    ),
    defence(
        "L069",
        "gone and absent are one answer",
        f"{_UPSTREAMS}test_L069_gone_and_absent_are_one_answer",
        Put("gateway.proxy.upstream:_ABSENT", frozenset({404})),
    ),
    defence(
        "L070",
        "what a server says of its fault is not passed on",
        f"{_UPSTREAMS}test_L058_L070_whatever_a_server_does_wrong_is_one_answer",
        Cut(
            "gateway.proxy.upstream:Upstream.look",
            "else UpstreamFault(why=why)",
            "else UpstreamFault((await response.read()).decode('latin-1'))",
        ),
    ),
    defence(
        "L071",
        "no answer is kept by a cache",
        f"{_DOOR}test_L071_every_answer_carries_the_same_headers_and_our_own_id",
        Put("gateway.proxy.answering:CONSTANT", {}),
    ),
    defence(
        "L072",
        "a log tells no path",
        f"{_FORMS}test_L072_what_a_refused_request_held_is_nowhere",
        Cut("gateway.proxy.app:DataPlane._serve", '"/{tenant}/{route}/"', 'incoming.path.decode("latin-1")'),
    ),
    defence(
        "L073",
        "no redirect is followed",
        f"{_UPSTREAMS}test_L073_a_redirect_is_not_followed",
        Cut("gateway.proxy.upstream:Upstream.look", "allow_redirects=False", "allow_redirects=True"),
    ),
    defence(
        "L074",
        "an open server is not served",
        "e2e/test_upstreams.py::test_L074_an_open_upstream_is_not_served",
        Cut("gateway.bootstrap.planes:build", "if openness is Openness.OPEN:", "if False:"),
    ),
)
