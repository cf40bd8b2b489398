import json

from gateway.fhir.bundle import read_document
from gateway.fhir.references import Foreign, Urn, parse_base
from gateway.fhir.resolver import Resolver, bases_stated
from gateway.fhir.view import every_view

OWN = frozenset({parse_base("http://up.example/fhir")})


def document(*entries):
    """A Bundle of (fullUrl, resource) pairs."""
    listed = [{"resource": resource} | ({"fullUrl": url} if url else {}) for url, resource in entries]
    return read_document(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": listed}).encode())


def observation(**members):
    """An Observation."""
    return {"resourceType": "Observation", "id": "o"} | members


def answers(found, own=OWN):
    """What each reference of each view leads to: the pointers of the views."""
    resolver = Resolver(found, own)
    views = [view for outer in found.views for view in every_view(outer)]
    return [[hit.at for hit in resolver.resolve(view, ref).views] for view in views for ref in view.references]


def test_a_urn_leads_to_its_entry():
    """L007: in a Bundle urn:uuid names an entry by its fullUrl, in any letter case."""
    patient = {"resourceType": "Patient"}
    found = document(("urn:uuid:AB", patient), (None, observation(subject={"reference": "urn:uuid:ab"})))
    assert [["/entry/0/resource"]] == answers(found)
    assert Urn("urn:uuid:ab") == Resolver(found).identity(found.views[0])


def test_an_id_leads_to_its_entry_in_every_spelling():
    """Relative and absolute references meet in one entry."""
    patient = {"resourceType": "Patient", "id": "1"}
    refs = [
        {"reference": text} for text in ("Patient/1", "HTTP://up.example:80/fhir/Patient/1/_history/7", "Patient/2")
    ]
    found = document(("http://up.example/fhir/Patient/1", patient), (None, observation(focus=refs)))
    assert [["/entry/0/resource"], ["/entry/0/resource"], []] == answers(found)


def test_an_entry_of_another_server_is_not_this_servers():
    """The same type and id on another server is another resource; it is found from its own server's entries."""
    patient = {"resourceType": "Patient", "id": "1"}
    here = observation(subject={"reference": "Patient/1"})
    found = document(("http://other/Patient/1", patient), ("http://other/Observation/o", here), (None, here))
    assert [["/entry/0/resource"], []] == answers(found)
    assert Foreign(parse_base("http://other"), "Patient", "1") == Resolver(found).identity(found.views[0])
    assert frozenset({parse_base("http://other")}) == bases_stated(found)
    assert [["/entry/0/resource"], ["/entry/0/resource"]] == answers(found, bases_stated(found))


def test_contained_resources_answer_inside_their_container_alone():
    """`#p` is found from the container and its contained resources; `#` is the container; nobody else's `#p` is."""
    inside = {"resourceType": "Patient", "id": "p", "link": [{"other": {"reference": "#"}}]}
    found = document(
        (None, observation(contained=[inside], subject={"reference": "#p"})),
        (None, observation(subject={"reference": "#p"})),
    )
    resolver = Resolver(found)
    assert [["/entry/0/resource/contained/0"], ["/entry/0/resource"], []] == answers(found)
    assert resolver.is_contained(found.views[0].inner[0])
    assert resolver.identity(found.views[0].inner[0]) is None


def test_nested_bundles_are_worlds_of_their_own():
    """A fullUrl in a nested Bundle is not found from outside, nor an outer one from inside."""
    nested = json.loads(document(("urn:uuid:1", {"resourceType": "Patient"})).bundle.raw)
    nested["entry"].append(
        {"resource": observation(subject={"reference": "urn:uuid:1"}, focus=[{"reference": "urn:uuid:2"}])}
    )
    found = document(
        ("urn:uuid:2", {"resourceType": "Patient"}),
        (None, nested),
        (None, observation(subject={"reference": "urn:uuid:1"})),
    )
    assert [["/entry/1/resource/entry/0/resource"], [], []] == answers(found)


def test_all_that_answer_are_given():
    """Two entries with one fullUrl leave no way to choose: both are given."""
    patients = [("urn:uuid:1", {"resourceType": "Patient", "id": name}) for name in ("a", "b")]
    found = document(*patients, (None, observation(subject={"reference": "urn:uuid:1"})))
    assert [["/entry/0/resource", "/entry/1/resource"]] == answers(found)


def test_what_is_no_reference_leads_nowhere():
    """Entries whose fullUrl is no reference are not found by another text that is none."""
    found = document(
        ("nonsense", {"resourceType": "Patient"}), (None, observation(subject={"reference": "other nonsense"}))
    )
    assert [[]] == answers(found)
