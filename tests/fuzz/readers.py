"""What is fuzzed without a server: each reader of the gateway beside a plain one. Same reading, or refusal.

`READERS` maps a name to a function of bytes that raises where the two differ or the gateway's fails otherwise than by a
refusal of its own.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from consent_store.dates import FhirDate, parse_date
from gateway.errors import BadRequest, NotSupported
from gateway.fhir.bundle import Entry, read_document, scan
from gateway.fhir.elements import Elements
from gateway.fhir.query import build_query, parse_query
from gateway.fhir.references import Foreign, Local, parse, parse_base
from gateway.fhir.search import admit
from gateway.fhir.search_offers import Offers
from gateway.fhir.search_parameters import SearchParameters
from gateway.fhir.search_values import Amount, Moment, Text, Token, alternatives, read_value
from gateway.fhir.strict import MalformedJson, decode
from gateway.fhir.view import ResourceView, every_view, read_resource
from gateway.fhir.walk import NOT_TEXT
from tests.conftest import REPOSITORY
from tests.fuzz import naive

OWN = ("https://gateway.example/t/ehr", "http://10.0.0.1:8080/fhir")
_BASES = frozenset(map(parse_base, OWN))
_ZONES = (
    None,
    UTC,
    timezone(timedelta(hours=14)),
    timezone(timedelta(hours=-12)),
    ZoneInfo("America/New_York"),
)
_NO_PATIENT = frozenset({"Location", "Medication", "Organization", "Practitioner", "PractitionerRole"})
_KINDS = ("token", "date", "number", "quantity", "string", "uri")
_NEVER_SENT = frozenset({"_content", "_filter", "_has", "_list", "_profile", "_query", "_security", "_sort", "_source"})


class Differs(Exception):
    """The gateway reads something else than the plain reader."""


def _hold(ours: object, theirs: object, what: str) -> None:
    if not same(ours, theirs):
        raise Differs(f"{what}: {ours!r} and not {theirs!r}")


def same(one: Any, other: Any) -> bool:
    """Say whether two values are the same to the letter: a boolean is no number, 1.0 not 1.00."""
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return str(one) == str(other) if isinstance(one, Decimal) else bool(one == other)


# JSON, resources and Bundles ------------------------------------------------------------------------------------------
def json_text(raw: bytes) -> None:
    """Any JSON: both read it, to the same value, or both refuse it."""
    try:
        ours = decode(raw)
    except MalformedJson:
        ours = Differs
    try:
        theirs = naive.read_json(raw)
    except naive.Unreadable:
        theirs = Differs
    _hold(ours, theirs, "json")


def resource(raw: bytes) -> None:
    """One resource: the view is of the plain reader's tree, and skips nothing that stands in it."""
    try:
        view = read_resource(raw)
    except MalformedJson:
        return
    _whole(view, naive.read_json(raw))


def bundle(raw: bytes) -> None:
    """A Bundle: each part of the envelope and each resource is what the plain reader finds at its place."""
    try:
        found = scan(raw)
    except MalformedJson:
        return
    tree = naive.read_json(raw)
    _hold(tree["resourceType"], "Bundle", "resourceType")
    for name, said in (("type", found.type), ("id", found.id), ("total", found.total), ("timestamp", found.timestamp)):
        _hold(said or None, tree.get(name) or None, name)
    links = tuple((link["relation"], link["url"]) for link in tree.get("link") or ())
    _hold(found.links, links, "links")
    listed = tree.get("entry", [])
    _hold(len(found.entries), len(listed), "entries")
    for ours, theirs in zip(found.entries, listed, strict=True):
        _entry(ours, theirs)
    read_document(raw)


def _entry(ours: Entry, theirs: Mapping[str, Any]) -> None:
    _hold(ours.full_url, theirs.get("fullUrl"), "fullUrl")
    _hold(ours.mode, (theirs.get("search") or {}).get("mode"), "mode")
    said, answer = theirs.get("request"), theirs.get("response")
    if said is not None:
        _hold((ours.request.method, ours.request.url), (said.get("method") or "", said.get("url") or ""), "request")
    if answer is not None:
        _hold(ours.response.status, answer.get("status") or "", "status")
        _hold(ours.response.location, answer.get("location"), "location")
    for view, node in ((ours.view, theirs.get("resource")), (ours.outcome, (answer or {}).get("outcome"))):
        _hold(view is None, node is None, "a resource")
        if view is not None:
            _whole(view, node)


def _whole(view: ResourceView, tree: Any) -> None:
    """Hold a view against the tree: same value, own text, and every text, reference and coding of it found once."""
    _hold(view.tree, tree, view.at)
    _hold(naive.read_json(view.raw), tree, f"{view.at}: raw")
    _hold(view.id, tree["id"] if isinstance(tree.get("id"), str) else None, "id")
    views = every_view(view)
    texts = {one.at[len(view.at) :] + text.at for one in views for text in one.texts}
    references = {one.at[len(view.at) :] + at.at for one in views for at in one.references}
    wrong = {one.at[len(view.at) :] + at for one in views for at in one.malformed}
    for at, name, value in naive.leaves(tree):
        if isinstance(value, str) and name not in NOT_TEXT and at not in texts:
            raise Differs(f"a text is skipped at {at}")
        inside = at and isinstance(value, dict)
        if inside and isinstance(value.get("reference"), str) and "resourceType" not in value:
            held = {one.at[len(view.at) :] for one in views}
            if at not in references | held:
                raise Differs(f"a reference is skipped at {at}")
    _labels(view, tree, wrong)


def _labels(view: ResourceView, tree: Mapping[str, Any], wrong: set[str]) -> None:
    meta = tree.get("meta", {})
    labels = meta.get("security", []) if isinstance(meta, dict) else None
    if not isinstance(labels, list):
        if not wrong & {"/meta", "/meta/security"}:
            raise Differs("meta is misread")
        return
    plain = [(one.get("system"), one.get("code")) if isinstance(one, dict) else (None, None) for one in labels]
    for number, ((system, code), ours) in enumerate(zip(plain, view.security, strict=True)):
        fine = isinstance(code, str) and isinstance(system, str | None)
        if fine != (f"/meta/security/{number}" not in wrong) or (fine and (ours.system, ours.code) != (system, code)):
            raise Differs(f"label {number} is misread")


# Dates, references ----------------------------------------------------------------------------------------------------
def _date(text: str) -> FhirDate | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _plain_date(text: str) -> tuple[Any, Any] | None:
    try:
        return naive.read_date(text)
    except naive.Unreadable:
        return None


def date(raw: bytes) -> None:
    """A date: both read it, to the same span, or both refuse it; and no zone turns the span inside out."""
    text = raw.decode("utf-8", "replace")
    ours, theirs = _date(text), _plain_date(text)
    if ours is None or theirs is None:
        _hold(ours is None, theirs is None, "a date is refused by one")
        return
    _hold(ours.start, theirs[0], "start")
    if ours.end.year < 9999:
        _hold(ours.end, theirs[1], "end")
    for zone in _ZONES:
        firsts, afters = ([of(zone, wide=wide) for wide in (True, False)] for of in (ours.first, ours.after))
        if not (firsts[0] <= firsts[1] and afters[1] <= afters[0] and firsts[0] <= afters[0]):
            raise Differs(f"a span is inside out in {zone}")


def reference(raw: bytes) -> None:
    """A reference: what leads here is read as the same record, and none such is taken for another's."""
    text = raw.decode("utf-8", "replace")
    ours, theirs = parse(text, _BASES), naive.read_reference(text, OWN)
    if isinstance(ours, Local):
        _hold((ours.type, ours.id, ours.version), theirs, "reference")
    elif theirs is not None and isinstance(ours, Foreign) and ours.base is not None:
        raise Differs(f"{text!r} leads to {theirs} and is read as {ours}")


# Searches -------------------------------------------------------------------------------------------------------------
def query(raw: bytes) -> None:
    """A query: names and values as urllib reads them, and as they are read when we write them."""
    try:
        found = parse_query(raw)
    except BadRequest:
        return
    _hold([tuple(one) for one in found], naive.read_query(raw), "query")
    _hold([tuple(one) for one in parse_query(build_query(found))], [tuple(one) for one in found], "written again")


def value(raw: bytes) -> None:
    """A search value of the kind that the first byte chooses: each alternative says what its letters say."""
    kind, text = _KINDS[(raw[0] if raw else 0) % len(_KINDS)], raw[1:].decode("utf-8", "replace")
    listed = alternatives(text)
    if listed:
        _hold(list(listed), naive.split_escaped(text, ","), "alternatives")
    for one in listed:
        said = read_value(kind, one)
        if said is not None:
            _said(said, one)


def _said(said: object, text: str) -> None:
    parts = naive.split_escaped(text, "|")
    plain = [naive.without_escapes(part) for part in parts]
    match said:
        case Token(system=system, code=code, kind=""):
            _hold((system, code), (plain[0], plain[1]) if len(parts) == 2 else (None, plain[0]), "token")
        case Moment(prefix=prefix, date=moment):
            rest = text if text[:1].isdigit() else text[2:]
            _hold((prefix, (moment.start)), (text[:2] if rest != text else "eq", naive.read_date(rest)[0]), "date")
        case Amount(prefix=prefix, value=number, half=half, system=system, code=code):
            rest = parts[0].removeprefix(prefix)
            _hold(number, Decimal(rest), "number")
            _hold(half, Decimal((0, (5,), int(Decimal(rest).as_tuple().exponent) - 1)), "precision")
            _hold((system or "", code or ""), (plain[1], plain[2]) if len(parts) == 3 else ("", ""), "unit")
        case Text(text=words):
            if words not in (text, naive.without_escapes(text)):
                raise Differs(f"{text!r} is read as {words!r}")
        case _:
            raise Differs(f"{said!r}")


@cache
def _offers() -> Offers:
    folder = REPOSITORY / "profiles" / "fhir"
    elements = Elements.from_json((folder / "elements.json").read_bytes())
    return Offers(
        SearchParameters.from_json((folder / "search.json").read_bytes(), elements), no_patient_types=_NO_PATIENT
    )


def search(raw: bytes) -> None:
    """A whole search, `Type?query`: admitted or refused; what the self link says is the same search; nothing that is
    the gateway's own to judge is asked of the server."""
    kind, _, text = raw.partition(b"?")
    try:
        given = parse_query(text)
        plan = admit(kind.decode("latin-1"), given, _offers(), own=_BASES)
    except (BadRequest, NotSupported):
        return
    again = admit(plan.type, parse_query(build_query(plan.honoured)), _offers(), own=_BASES)
    for name in ("upstream", "anchors", "honoured", "includes", "conditions", "chains", "reverses", "sort"):
        if getattr(again, name) != getattr(plan, name):
            raise Differs(f"the self link says another search: {name}")
    asked = {naive.split_escaped(name, ":")[0].partition(".")[0] for name, _ in plan.upstream}
    if asked & _NEVER_SENT:
        raise Differs(f"asked of the server: {sorted(asked & _NEVER_SENT)}")
    if plan.anchored and not (plan.upstream or plan.chains):
        raise Differs("a search for patients' records without an anchor")


READERS: Mapping[str, Callable[[bytes], None]] = {
    "json": json_text,
    "resource": resource,
    "bundle": bundle,
    "date": date,
    "reference": reference,
    "query": query,
    "value": value,
    "search": search,
}


def broken(name: str, raw: bytes) -> str:
    """Give what is wrong with one input, "" where nothing is."""
    try:
        READERS[name](raw)
    except Exception as error:  # noqa: BLE001  whatever is raised is a finding
        return f"{type(error).__name__}: {error}"[:300]
    return ""
