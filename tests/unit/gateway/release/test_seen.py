"""The last shape of an answer: our own version ids, validators, and pages put together."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.model import Decision, Verdict
from gateway.proxy.validators import Validators
from gateway.release.compose import ReleasedEntry, compose_own, compose_searchset
from gateway.release.released import Manifest
from gateway.release.seen import etag_of, relinked, version_of, with_own_versions, with_version
from gateway.release.uniting import manifest_of_shown, name_of, read_page


def record(id_="o", version="7", updated="2026-01-01T00:00:00Z", **more) -> bytes:
    """A released observation."""
    tree = {"resourceType": "Observation", "id": id_, "meta": {"versionId": version, "lastUpdated": updated}, **more}
    return json.dumps(tree, separators=(",", ":")).encode()


@given(st.text(max_size=9), st.text(max_size=9))
def test_L068_a_version_is_of_what_is_seen_alone(one, other):
    """The server's number and date make no difference, and a difference in anything else does."""
    assert version_of(record(version=one)) == version_of(record(version=other, updated="1999-01-01T00:00:00Z"))
    assert (one == other) is (version_of(record(note=one)) == version_of(record(note=other)))


def test_a_version_id_is_of_the_grammar_of_ids_and_of_one_length():
    """R4 datatypes: id."""
    found = {version_of(record(note=str(number))) for number in range(50)}
    assert (50, {40}) == (len(found), {len(one) for one in found})
    assert all(one.isalnum() and one.isascii() for one in found)


def test_our_version_id_stands_in_place_of_the_servers_and_nowhere_else():
    """A record without one gets none; the replaced one is told by the same digest."""
    fresh = with_version(record())
    assert version_of(record()) == json.loads(fresh)["meta"]["versionId"] == version_of(fresh)
    bare = b'{"resourceType":"Observation","id":"o"}'
    assert bare == with_version(bare)


def decision(name: str, verdict: Verdict = Verdict.DISCLOSED, at: str = "") -> Decision:
    """A decision on one record."""
    return Decision(at=at, resource=name, subjects=(), categories=(), verdict=verdict)


def page(*names: str, hidden: tuple[str, ...] = ()):
    """A released searchset of these observations, and what was withheld beside them."""
    entries = [ReleasedEntry(f"http://g/Observation/{name}", record(name), "match") for name in names]
    told = [decision(f"Observation/{name}", at=f"/entry/{n}/resource") for n, name in enumerate(names)]
    told += [decision(f"Observation/{n}", Verdict.WITHHELD, f"/entry/{len(names)}/resource") for n in hidden]
    links = [("self", "http://g/Observation?x=1"), ("next", "http://g/Observation?x=1&_cursor=c")]
    manifest = Manifest(decisions=tuple(told))
    return compose_searchset(entries, bundle_id="b", links=links, total=None, headers={}, manifest=manifest)


def test_a_version_id_that_becomes_ours_is_an_edit_that_the_decision_lists():
    """Law 5; records of other types keep theirs."""
    changed = with_own_versions(page("a", "b"), frozenset({"Observation"}), searchset=True)
    assert [["/meta/versionId"]] * 2 == [[edit.path for edit in one.edits] for one in changed.manifest.decisions]
    assert [version_of(record("a")), version_of(record("b"))] == [
        json.loads(entry.resource)["meta"]["versionId"] for entry in read_page(changed).entries
    ]
    untouched = page("a")
    assert untouched is with_own_versions(untouched, frozenset({"Claim"}), searchset=True)


def test_links_are_written_anew_and_entries_stay_as_they_are():
    """What a client asked to see stands in every link of a page."""
    changed = read_page(relinked(page("a"), lambda url: url + "&_summary=true"))
    assert ["http://g/Observation?x=1&_summary=true", "http://g/Observation?x=1&_cursor=c&_summary=true"] == [
        link.url for link in changed.link
    ]
    assert record("a") == changed.entries[0].resource


def test_law_7_what_is_not_shown_is_not_told_as_disclosed():
    """Of several pages: the shown once, the withheld all, the rest not at all."""
    pages = [page("a", "b", hidden=("h",)), page("b", "c")]
    manifest = manifest_of_shown([one.manifest for one in pages], ["Observation/a", "Observation/b"])
    assert ("Observation/a", "Observation/b") == manifest.disclosed
    assert ("Observation/h",) == manifest.withheld
    assert 3 == len(manifest.decisions) == len({one.at for one in manifest.decisions})
    assert "Observation/a" == name_of(record("a"))


def held(validators: Validators, *, whole: bool = False):
    """A read's answer with validators."""
    return validators.hold(compose_own(200, {}, record()), whole=whole, record=record())


def test_L068_a_tag_is_compared_weakly_and_alone():
    """RFC 9110 sections 8.8.3.2 and 13.1.2: a list, `*`, with and without W/; a date beside it is not read."""
    tag = etag_of(record())
    for line in (tag, tag.removeprefix("W/"), f'"a", {tag}', "*"):
        assert 304 == held(Validators((line,))).status
    assert 304 == held(Validators(('"a"', tag))).status
    late = "Sat, 01 Jan 2050 00:00:00 GMT"
    assert 200 == held(Validators(('"a"',), late), whole=True).status
    assert 404 == Validators(("*",)).hold(compose_own(404, {}, b""), whole=True, record=b"").status


def test_L068_dates_are_told_to_who_gets_records_whole():
    """For others a date tells of what they do not see."""
    assert "Thu, 01 Jan 2026 00:00:00 GMT" == held(Validators(), whole=True).headers["Last-Modified"]
    assert {"ETag"} == set(held(Validators()).headers)
    at, before = "Thu, 01 Jan 2026 00:00:00 GMT", "Wed, 31 Dec 2025 23:59:59 GMT"
    answers = [
        held(Validators((), said), whole=whole).status for said in (at, before, "soon") for whole in (True, False)
    ]
    assert [304, 200, 200, 200, 200, 200] == answers
