"""What FHIR users send each other, built from the published examples: referrals, member lists, claims, encounters.

The examples are read where they lie. As clients do, what is sent together is named by `urn:uuid`, and refers so.
"""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from gateway.demo.upstream import EmbeddedUpstream
from tests.e2e.world import USER, Answer, World, embedded, world

Tree = dict[str, Any]

DIRECTORY = """\
participants:
  - {id: mercy, type: provider_general, hipaa_covered: true, references: [Organization/mercy], purposes: [TREAT]}
  - {id: state, type: dhcs, hipaa_covered: true, references: [Organization/state], purposes: [HOPERAT]}
  - {id: plan, type: mcp, hipaa_covered: true, references: [Organization/plan], purposes: [HOPERAT, HPAYMT, TREAT]}
  - {id: clinic, type: provider_general, hipaa_covered: true, references: [Organization/clinic],
     purposes: [TREAT, HPAYMT, HOPERAT]}
  - {id: program, type: provider_part2, hipaa_covered: true, part2_program: true, references: [Organization/program],
     purposes: [TREAT, HPAYMT, HOPERAT]}
  - {id: pantry, type: cbo, hipaa_covered: false, references: [Organization/pantry], purposes: [TREAT, HOPERAT]}
  - {id: ecm, type: ecm_provider_health_care, hipaa_covered: true, references: [Organization/ecm], purposes: [TREAT]}
  - {id: mco, type: mco, hipaa_covered: true, references: [Organization/mco], purposes: [CAREMGT, HPAYMT]}
  - {id: home, type: health_home_lead, hipaa_covered: true, references: [Organization/home], purposes: [CAREMGT]}
  - {id: agency, type: cma, hipaa_covered: true, references: [Organization/agency], purposes: [CAREMGT]}
agreements:
  - {type: BAA, between: [mco, home]}
  - {type: BAA, between: [home, agency]}
  - {type: BAA, between: [mco, agency]}
  - {type: SOW, between: [mco, agency], data: [contact_info, demographic]}
clients:
  - {client_id: mercy-desk, participant: mercy}
  - {client_id: state, participant: state}
  - {client_id: plan, participant: plan}
  - {client_id: clinic, participant: clinic}
  - {client_id: program, participant: program}
  - {client_id: pantry, participant: pantry}
  - {client_id: mco, participant: mco}
  - {client_id: home, participant: home}
  - {client_id: agency, participant: agency}
attestations:
  - {fact: discloser_attests_advances_treatment, by: clinic, recipient: pantry, patient: all}
  - {fact: hh_received_same_item_from_mco, by: home, discloser: home, recipient: agency, patient: all}
  - {fact: both_have_relationship_with_enrollee, by: state, discloser: state, recipient: plan, patient: all}
"""
"""Who exchanges: California's parties, then New York's."""

ROUTE = """\
      {name}:
        owner: {name}
        upstream: {base}
        source: {name}
        credentials: {{kind: basic, username: {user}, password: {{file: password}}}}
        public_url: http://{name}.example/fhir
        profile: {profile}"""
OWNERS = {
    "pantry": "us-ca-calaim",
    "plan": "us-ca-calaim",
    "ecm": "us-ca-calaim",
    "clinic": "us-ca-calaim",
    "home": "us-ny-health-home",
    "agency": "us-ny-health-home",
    "mco": "us-ny-health-home",
}


@asynccontextmanager
async def exchange(folder: Path) -> AsyncIterator[tuple[World, EmbeddedUpstream]]:
    """A gateway with a route to each recipient, `t/pantry` and so on, and the server that they share for the test."""
    async with embedded() as (upstream, base):
        more = "\n".join(
            ROUTE.format(name=name, base=base, user=USER, profile=profile) for name, profile in OWNERS.items()
        )
        async with world(folder, base, profile="us-ca-calaim", more=more, directory=DIRECTORY) as gate:
            yield gate, upstream


# Reading the examples ------------------------------------------------------------------------------------------------
def read(folder: Path, name: str) -> Tree:
    """One example, from its file."""
    return json.loads((folder / f"{name}.json").read_bytes())


def attribution(folder: Path) -> list[Tree]:
    """The member attribution list of the ATR guide: the Group, and whom and what it names, in this order."""
    kinds = ("patient", "coverage", "relatedperson", "organization", "location", "practitioner", "practitionerrole")
    records = [json.loads(file.read_bytes()) for kind in kinds for file in sorted(folder.glob(f"{kind}-*.json"))]
    return [_group(ET.parse(folder / "group-fullexample.xml").getroot()), *records]  # noqa: S314  a published example


def _group(root: ET.Element) -> Tree:
    """The Group, which is published as XML, as JSON: its members with their coverage and provider."""
    spaces = {"f": "http://hl7.org/fhir"}
    members = [
        {
            "extension": [
                {"url": one.get("url"), "valueReference": {"reference": found.get("value")}}
                for one in member.findall("f:extension", spaces)
                if (found := one.find("f:valueReference/f:reference", spaces)) is not None
            ],
            "entity": {"reference": member.find("f:entity/f:reference", spaces).get("value")},
        }
        for member in root.findall("f:member", spaces)
    ]
    owner = root.find("f:managingEntity/f:reference", spaces).get("value")
    head = {"resourceType": "Group", "id": "fullexample", "active": True, "type": "person", "actual": True}
    return head | {"managingEntity": {"reference": owner}, "member": members}


def named(tree: Any, names: dict[str, str]) -> Any:
    """A record whose references are those of its Bundle."""
    if isinstance(tree, list):
        return [named(one, names) for one in tree]
    if not isinstance(tree, dict):
        return tree
    found = {name: named(value, names) for name, value in tree.items()}
    if isinstance(tree.get("reference"), str):
        found["reference"] = names.get(tree["reference"], tree["reference"])
    return found


def together(*records: Tree, kind: str = "transaction") -> Tree:
    """A Bundle that creates these records, each named by a URN, by which the others refer to it."""
    urns = [uuid.uuid5(uuid.NAMESPACE_URL, f"{one['resourceType']}/{one['id']}").urn for one in records]
    names = {f"{one['resourceType']}/{one['id']}": urn for one, urn in zip(records, urns, strict=True)}
    entries = [
        {"fullUrl": urn, "resource": named(one, names), "request": {"method": "POST", "url": one["resourceType"]}}
        for one, urn in zip(records, urns, strict=True)
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def claims(folder: Path) -> list[Tree]:
    """The ExplanationOfBenefits of the claims guide, their references (bare ids there) with the types they mean."""
    files = sorted(folder.glob("ExplanationOfBenefit-EOB*.json"))
    return [_typed(json.loads(file.read_bytes())) for file in files]


def _typed(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_typed(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    found = {name: _typed(value) for name, value in tree.items()}
    bare = tree.get("reference")
    if isinstance(bare, str) and "/" not in bare:
        kinds = ("Patient", "Coverage", "Practitioner", "Organization")
        kind = next((one for one in kinds if bare.startswith(one)), "Organization")
        found["reference"] = f"{kind}/{bare}"
    return found


async def send(gate: World, to: str, tree: Tree, client: str, purpose: str) -> Answer:
    """Send a Bundle to a recipient."""
    return await gate.ask(f"/t/{to}/", client, purpose, method="POST", body=tree)
