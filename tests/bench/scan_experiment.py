"""Ways to take a Bundle apart, screen its codes and cut single elements, measured side by side.

    python tests/bench/scan_experiment.py ../shared/data

Every way does the same work on the same pages: `scan` finds each entry's resource and tells by its codes whether it is
sensitive, `answer` writes a Bundle without the sensitive ones and cuts one element out of every tenth that is left. On
each page the ways run one after the other in turn; times are medians of CPU time over rounds, so that whatever else the
machine does counts little. `pip install orjson pysimdjson ijson` adds ways that are no dependency of ours. What a way
refuses and whether it keeps exact text is tried, not stated. Written up in docs/decisions/0003-bundle-scan.md.
"""

import contextlib
import gc
import importlib
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gateway.decision.model import Edit, Op
from gateway.fhir.bundle import scan
from gateway.fhir.strict import closings, count_members, exact_members, tree
from gateway.release.edits import apply

ROUNDS = 9
PAGE = 20
EVERY = 10  # of the entries that are left, every tenth loses an element
CUTS = ("encounter", "meta", "text")  # the first of these that is there
HEAD, TAIL = b'{"resourceType":"Bundle","type":"searchset","entry":[', b"]}"

Codes = frozenset[tuple[str, str]]


class Found(NamedTuple):
    """One resource of a page: its exact text or its tree, and whether a code of it is sensitive."""

    what: Any
    sensitive: bool


class Way(NamedTuple):
    """One way to do it."""

    name: str
    scan: Callable[[bytes, Codes], list[Found]]
    cut: Callable[[Any], bytes]  # a resource with one element cut
    text: Callable[[Any], bytes]  # a resource whole


def answer(way: Way, found: list[Found]) -> bytes:
    """Write the page that is left."""
    left = [each.what for each in found if not each.sensitive]
    texts = (way.cut(what) if number % EVERY == 0 else way.text(what) for number, what in enumerate(left))
    return HEAD + b",".join(b'{"resource":' + text + b"}" for text in texts) + TAIL


def in_tree(node: Any, codes: Codes) -> bool:
    """Whether a tree of plain values has a sensitive code at any depth."""
    if isinstance(node, dict):
        if (node.get("system"), node.get("code")) in codes if isinstance(node.get("code"), str) else False:
            return True
        return any(in_tree(value, codes) for value in node.values() if isinstance(value, dict | list))
    return any(in_tree(value, codes) for value in node if isinstance(value, dict | list))


def cut_name(members: Any) -> str:
    """Which element is cut."""
    return next(name for name in (*CUTS, "resourceType") if name in members)


# --- the ways ---------------------------------------------------------------------------------------------------------


def views(raw: bytes, codes: Codes) -> list[Found]:
    """What the gateway does: everything a decision reads is found, not only codes."""
    entries = scan(raw).entries
    return [
        Found(entry.view, any((each.coding.system, each.coding.code) in codes for each in entry.view.codings))
        for entry in entries
        if entry.view
    ]


def view_cut(view: Any) -> bytes:
    """Cut by a listed edit on the exact text."""
    return apply(view.raw, [Edit(Op.CUT, f"/{cut_name(view.tree)}")])


RAW_BUNDLE = msgspec.json.Decoder(dict[str, msgspec.Raw])
RAW_ENTRIES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def spans(raw: bytes) -> list[bytes]:
    """The resources' exact texts by msgspec, with nothing looked at."""
    return [bytes(entry["resource"]) for entry in RAW_ENTRIES.decode(RAW_BUNDLE.decode(raw)["entry"])]


def raw_and_tree(count: Callable[[bytes], int]) -> Callable[[bytes, Codes], list[Found]]:
    """Exact spans, a tree of each, names counted by `count` and, where that differs, exactly."""

    def scanned(raw: bytes, codes: Codes) -> list[Found]:
        found = []
        for text in spans(raw):
            node = tree(text, "")
            members = count_members(node)
            if count(text) != members and exact_members(text) != members:
                raise ValueError("duplicate names")
            found.append(Found(text, in_tree(node, codes)))
        return found

    return scanned


def raw_and_hook(raw: bytes, codes: Codes) -> list[Found]:
    """Exact spans, duplicates by the standard library's hook."""
    return [Found(text, in_tree(json.loads(text, object_pairs_hook=unique), codes)) for text in spans(raw)]


CODE = re.compile(rb'"code"\s*:\s*"([^"]*)"')


def raw_and_bytes(raw: bytes, codes: Codes) -> list[Found]:
    """Exact spans; a tree only where the bytes hold a sensitive code or a backslash that could hide one."""
    wanted = {code.encode() for _, code in codes}
    found = []
    for text in spans(raw):
        suspicious = b"\\" in text or not wanted.isdisjoint(CODE.findall(text))
        found.append(Found(text, suspicious and in_tree(tree(text, ""), codes)))
    return found


def text_cut(text: bytes) -> bytes:
    """Cut by a listed edit on the exact text."""
    return apply(text, [Edit(Op.CUT, f"/{cut_name(RAW_BUNDLE.decode(text))}")])


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, unless a name repeats."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("duplicate names")
    return made


def json_tree(raw: bytes, codes: Codes) -> list[Found]:
    """The standard library, trees all the way."""
    entries = json.loads(raw, object_pairs_hook=unique)["entry"]
    return [Found(entry["resource"], in_tree(entry["resource"], codes)) for entry in entries]


def json_text(node: Any) -> bytes:
    """A tree written again."""
    return json.dumps(node, ensure_ascii=False, separators=(",", ":")).encode()


def tree_cut(write: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Cut by leaving a member out of the tree."""
    return lambda node: write({name: value for name, value in node.items() if name != cut_name(node)})


TOKEN = re.compile(rb'[ \t\r\n]*+(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")|([{}\[\],:])|([-+.\w]++))')


class Node(NamedTuple):
    """A value's place in the text; members or items where it has them."""

    start: int
    end: int
    below: Any


def tokens(raw: bytes, codes: Codes) -> list[Found]:
    """A tokenizer in Python that keeps every value's place."""
    entries = dict(value_at(raw, 0).below)["entry"].below
    found = []
    for entry in entries:
        node = dict(entry.below)["resource"]
        found.append(Found((raw, node), in_nodes(raw, node, codes)))
    return found


def value_at(raw: bytes, at: int) -> Node:
    """The value that begins at a place."""
    token = TOKEN.match(raw, at)
    if token is None:
        raise ValueError("not json")
    start = token.start(token.lastindex or 0)
    if token[2] == b"{":
        return object_at(raw, start, token.end())
    if token[2] == b"[":
        return array_at(raw, start, token.end())
    return Node(start, token.end(), None)


def object_at(raw: bytes, start: int, at: int) -> Node:
    """The object that begins at `start`; `at` is after its brace."""
    members: dict[str, Node] = {}
    while (token := TOKEN.match(raw, at)) and token[2] != b"}":
        if token[2] == b",":
            at = token.end()
            continue
        name = json.loads(token[1]) if b"\\" in token[1] else token[1][1:-1].decode()
        colon = TOKEN.match(raw, token.end())
        if colon is None or colon[2] != b":" or name in members:
            raise ValueError("duplicate names, or not json")
        members[name] = value_at(raw, colon.end())
        at = members[name].end
    if token is None:
        raise ValueError("not json")
    return Node(start, token.end(), members)


def array_at(raw: bytes, start: int, at: int) -> Node:
    """The array that begins at `start`; `at` is after its bracket."""
    items: list[Node] = []
    while (token := TOKEN.match(raw, at)) and token[2] != b"]":
        if token[2] == b",":
            at = token.end()
            continue
        items.append(value_at(raw, at))
        at = items[-1].end
    if token is None:
        raise ValueError("not json")
    return Node(start, token.end(), items)


def in_nodes(raw: bytes, node: Node, codes: Codes) -> bool:
    """Whether a tree of places has a sensitive code."""
    if isinstance(node.below, dict):
        system, code = (node.below.get(name) for name in ("system", "code"))
        if system and code and system.below is None and code.below is None:
            said = tuple(json.loads(raw[each.start : each.end]) for each in (system, code))
            if said in codes:
                return True
    below = node.below.values() if isinstance(node.below, dict) else node.below or ()
    return any(in_nodes(raw, each, codes) for each in below if each.below is not None)


def node_text(what: tuple[bytes, Node]) -> bytes:
    """The text of a node."""
    raw, node = what
    return raw[node.start : node.end]


def node_cut(what: tuple[bytes, Node]) -> bytes:
    """Cut by leaving a member's place out."""
    raw, node = what
    gone = cut_name(node.below)
    left = (
        b'"%s":%s' % (name.encode(), raw[each.start : each.end]) for name, each in node.below.items() if name != gone
    )
    return b"{" + b",".join(left) + b"}"


def optional_ways() -> Iterator[Way]:
    """Ways with libraries that need not be here."""
    with contextlib.suppress(ImportError):
        orjson = importlib.import_module("orjson")

        def orjson_tree(raw: bytes, codes: Codes) -> list[Found]:
            whole = orjson.loads(raw)
            members = count_members(whole)
            if closings(raw) != members and exact_members(raw) != members:
                raise ValueError("duplicate names")
            return [Found(entry["resource"], in_tree(entry["resource"], codes)) for entry in whole["entry"]]

        yield Way("orjson, trees, names counted", orjson_tree, tree_cut(orjson.dumps), orjson.dumps)
    with contextlib.suppress(ImportError):
        simdjson = importlib.import_module("simdjson")

        def simd(raw: bytes, codes: Codes) -> list[Found]:
            parsed = simdjson.Parser().parse(raw)
            resources = [(entry["resource"].mini, entry["resource"].as_dict()) for entry in parsed["entry"]]
            return [Found(text, in_tree(node, codes)) for text, node in resources]

        yield Way("simdjson, minified spans and trees", simd, text_cut, bytes)
    with contextlib.suppress(ImportError):
        ijson = importlib.import_module("ijson")

        def events(raw: bytes, codes: Codes) -> list[Found]:
            resources = ijson.items(raw, "entry.item.resource", use_float=True)
            return [Found(node, in_tree(node, codes)) for node in resources]

        yield Way("ijson, items as trees", events, tree_cut(json_text), json_text)


WAYS = (
    Way("views (chosen)", views, view_cut, lambda view: view.raw),
    Way("msgspec Raw, tree, names counted quickly", raw_and_tree(closings), text_cut, bytes),
    Way("msgspec Raw, tree, names counted exactly", raw_and_tree(exact_members), text_cut, bytes),
    Way("msgspec Raw, json with pairs hook", raw_and_hook, text_cut, bytes),
    Way("msgspec Raw, byte screen, tree if hit", raw_and_bytes, text_cut, bytes),
    Way("json with pairs hook, trees", json_tree, tree_cut(json_text), json_text),
    Way("tokenizer in Python", tokens, node_cut, node_text),
    *optional_ways(),
)

# --- what a way refuses and keeps -------------------------------------------------------------------------------------

HOSTILE = {
    "name twice": b'{"resourceType":"A","meta":{"a":1},"meta":{}}',
    "name twice by escape": rb'{"resourceType":"A","meta":{"a":1},"m\u0065ta":{}}',
    "NaN": b'{"resourceType":"A","x":NaN}',
    "lone surrogate": rb'{"resourceType":"A","x":"\ud800"}',
    "bad utf-8": b'{"resourceType":"A","x":"\xff"}',
    "depth 10,000": b'{"resourceType":"A","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
}
EXACT = b'{"resourceType":"A","meta":{},"a":1.10,"b":1e400,"c":-0,"d":0.123456789012345678901234567890,"e":"\\u0041"}'


def page_of(resource: bytes) -> bytes:
    """A page with one resource."""
    return HEAD + b'{"resource":' + resource + b"}" + TAIL


HOSTILE_PAGES = {name: page_of(resource) for name, resource in HOSTILE.items()} | {
    "name twice in an entry": HEAD + b'{"resource":{"resourceType":"A"},"resource":{"resourceType":"B"}}' + TAIL,
    "name twice in the Bundle": page_of(b'{"resourceType":"A"}')[:-1]
    + b',"entry":[{"resource":{"resourceType":"B"}}]}',
}


def refused(way: Way) -> list[str]:
    """Which of the hostile texts a way does not accept."""
    out = []
    for name, page in HOSTILE_PAGES.items():
        try:
            way.scan(page, frozenset())
        except (ValueError, RecursionError, RuntimeError, ArithmeticError):
            out.append(name)
        except Exception as error:  # noqa: BLE001  ijson's own errors
            out.append(name if "json" in type(error).__module__ else f"{name}: {error!r}")
    return out


def keeps_text(way: Way) -> bool:
    """Whether numbers and escapes leave as they came, beside a cut and without one."""
    try:
        found = way.scan(page_of(EXACT), frozenset())[0].what
        texts = (way.text(found), way.cut(found))
    except Exception:  # noqa: BLE001  a way that cannot read it does not keep it
        return False
    parts = EXACT.split(b'"meta":{},')[1][:-1].split(b",")
    return all(part in text for text in texts for part in parts)


# --- corpus and timing ------------------------------------------------------------------------------------------------


def pages(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The pages that are measured, by corpus."""
    synthea = sorted((folder / "synthea-r4").glob("*.json"))[:6]
    for path in synthea:
        texts = spans(path.read_bytes())
        for start in (0, 2 * PAGE):
            chosen = texts[start : start + PAGE]
            yield "Synthea, 20 a page, indented", joined(chosen)
            yield "Synthea, 20 a page, compact", joined([compact(text) for text in chosen])
    largest = max((path.read_bytes() for path in (folder / "synthea-r4").glob("*.json")), key=len)
    yield "Synthea, all of the largest patient", largest
    for corpus in ("payer-bfd-v2", "shift-labelled"):
        for path in sorted((folder / corpus).glob("*.json")):
            raw = path.read_bytes()
            whole = json.loads(raw)
            if whole["resourceType"] == "Bundle" and all("resource" in e for e in whole.get("entry", [{}])):
                yield {"payer-bfd-v2": "CMS payer pages", "shift-labelled": "SHIFT, labelled"}[corpus], raw


def joined(resources: list[bytes]) -> bytes:
    """A page of these resources."""
    return HEAD + b",".join(b'{"resource":' + text + b',"search":{"mode":"match"}}' for text in resources) + TAIL


def compact(text: bytes) -> bytes:
    """The same without white space; numbers keep their text."""
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")).encode()


def sensitive_codes(folder: Path) -> Codes:
    """Some hundred codes, as many as a small list has, that a few of the records have."""
    counted: dict[tuple[str, str], int] = {}
    for path in sorted((folder / "synthea-r4").glob("*.json")):
        for entry in scan(path.read_bytes()).entries:
            for each in entry.view.codings if entry.view else ():
                if each.coding.system and each.coding.code:
                    pair = (each.coding.system, each.coding.code)
                    counted[pair] = counted.get(pair, 0) + 1
    rare = sorted(pair for pair, times in counted.items() if times <= 3)
    return frozenset(rare[:400])


class Timed(NamedTuple):
    """Microseconds of one way on one page."""

    scan: float
    answer: float


def time_page(raw: bytes, codes: Codes, usable: list[Way]) -> dict[str, Timed]:
    """Every way on one page, in turn, round after round; medians."""
    taken: dict[str, list[Timed]] = {way.name: [] for way in usable}
    for turn in range(ROUNDS + 1):
        shift = turn % len(usable)
        for way in (*usable[shift:], *usable[:shift]):
            gc.collect(0)
            began = time.process_time()
            found = way.scan(raw, codes)
            scanned = time.process_time()
            answer(way, found)
            ended = time.process_time()
            if turn:
                taken[way.name].append(Timed((scanned - began) * 1e6, (ended - scanned) * 1e6))
    return {
        name: Timed(statistics.median(t.scan for t in times), statistics.median(t.answer for t in times))
        for name, times in taken.items()
    }


def agree(raw: bytes, codes: Codes, usable: list[Way]) -> None:
    """Stop if the ways do not answer the same page with the same values."""
    answers = [json.loads(answer(way, way.scan(raw, codes))) for way in usable]
    for way, given in zip(usable, answers, strict=True):
        if given != answers[0]:
            raise SystemExit(f"{way.name} answers otherwise than {usable[0].name}")


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


def main(folder: Path) -> None:
    """Measure and print the tables of docs/decisions/0003-bundle-scan.md."""
    codes = sensitive_codes(folder)
    corpus = list(pages(folder))
    usable = list(WAYS)
    for _, raw in corpus:
        agree(raw, codes, usable)
    say("| way | keeps exact text | refuses |\n| --- | --- | --- |")
    for way in usable:
        missed = [name for name in HOSTILE_PAGES if name not in refused(way)]
        refuses = f"not {', '.join(missed)}" if missed else "all"
        say(f"| {way.name} | {'yes' if keeps_text(way) else 'no'} | {refuses} |")
    for name in dict.fromkeys(name for name, _ in corpus):
        chosen = [raw for each, raw in corpus if each == name]
        timed = [time_page(raw, codes, usable) for raw in chosen]
        entries = sum(len(spans(raw)) for raw in chosen)
        size = sum(map(len, chosen))
        say(f"\n{name}: {len(chosen)} pages, {entries} resources, {size / 1024:.0f} KiB\n")
        say("| way | scan, µs a resource | answer, µs a resource | µs a KiB | against the chosen |")
        say("| --- | ---: | ---: | ---: | ---: |")
        for way in usable:
            scans, answers = (sum(page[way.name][part] for page in timed) for part in (0, 1))
            ratio = statistics.median(sum(page[way.name]) / sum(page[usable[0].name]) for page in timed)
            whole = (scans + answers) / size * 1024
            say(f"| {way.name} | {scans / entries:.1f} | {answers / entries:.1f} | {whole:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
