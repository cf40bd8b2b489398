"""A case as an operator sets it up: participants, clients, agreements, relationships, attestations, consents, records.

Rules of this file
1. Only what docs/configuration.md and docs/http.md tell is written; nothing of it says what is expected, which case it
   is, what the data is called, or what can be derived.
2. Every case has its own route, server and patient: none sees another's.
3. What a case states is attested: on a read it stands in the directory, on a push the sender's token says it.
"""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.cases.realise import AT, ORGANISATIONS, PROFILES, agreements, consents, facts, participants, records_of
from tests.cases.records import Resource, condition, encounter, labelled, patient

NPI = "http://hl7.org/fhir/sid/us-npi"
CLAIM = "urn:consent-gateway:attestations"
NOT_PUSHED = frozenset({"List"})
"""Types that a push does not write (docs/http.md)."""
BOTH = "both_have_relationship_with_enrollee"


class Stage(NamedTuple):
    """One case in one direction. `name` is its route, its source and the beginning of its participants' ids."""

    name: str
    number: int
    case: dict[str, Any]
    vocabulary: dict[str, Any]
    push: bool
    base: str
    """The address of all upstream servers; this one's is beneath it."""

    @property
    def server(self) -> str:
        """The address of this case's FHIR server."""
        return f"{self.base}/{self.name}"

    @property
    def caller(self) -> str:
        """The side whose client calls."""
        return "source" if self.push else "recipient"

    def party(self, one: str) -> str:
        """The id of a participant."""
        return f"{self.name}-{one}"

    @property
    def records(self) -> list[Resource]:
        """What the case is about."""
        return records_of(self.case, self.born)

    @property
    def among(self) -> list[Resource]:
        """Records of other kinds that lie beside them, one of them another patient's."""
        return [
            {**condition("J45.20"), "id": "d1"},
            {**condition("B20"), "id": "d2"},
            {**encounter(at="program"), "id": "d3"},
            {**labelled(condition("F32.9"), "PSYTHPN"), "id": "d4"},
            {**condition("E11.9"), "id": "d5", "subject": {"reference": "Patient/p2"}},
        ]

    @property
    def born(self) -> str | None:
        """When the patient was born, if that is known."""
        years = {"adult": 44, "minor": 12}.get(self.case["subject_age"])
        return None if years is None else f"{datetime.now(UTC).year - years}-03-01"

    @property
    def held(self) -> list[Resource]:
        """What lies on the server. On a push the patients alone: the rest comes."""
        sent = [] if self.push else [*self.records, *self.among]
        birth = {"birthDate": self.born} if self.born else {}
        patients = [] if any(one["resourceType"] == "Patient" for one in sent) else [patient(**birth)]
        return [*sent, *patients, {"resourceType": "Patient", "id": "p2", "birthDate": "1970-01-01"}, *ORGANISATIONS]

    # The files -------------------------------------------------------------------------------------------------------
    def route(self, data: str) -> dict[str, Any]:
        """The route in gateway.yaml."""
        return {
            "owner": self.party("recipient" if self.push else "source"),
            "upstream": self.server,
            "source": self.name,
            "credentials": {"kind": "bearer", "token": {"file": "password"}},
            "public_url": f"{data}/t/{self.name}",
            "profile": PROFILES[self.case["seed"]],
        }

    def participants(self) -> list[dict[str, Any]]:
        """The participants in directory.yaml: both sides, and whom records, consents or agreements name."""
        named = json.dumps([self.records, self.among, consents(self.case), agreements(self.case)])
        return [
            {
                **{
                    key: value
                    for key, value in one.items()
                    if key == "hipaa_covered" or (value and key != "part2_program")
                },
                "id": self.party(one["id"]),
                "references": [f"{self.server}/Organization/{one['id']}"],
                "identifiers": [self.number_of(one["id"])],
                "purposes": [self.case["purpose"]] if one["id"] in ("source", "recipient") else [],
            }
            for one in participants(self.case)
            if one["id"] in ("source", "recipient") or f'"{one["id"]}"' in named or f"/{one['id']}" in named
        ]

    def number_of(self, one: str) -> dict[str, str]:
        """The number that an organisation is known by everywhere."""
        order = [organisation["id"] for organisation in ORGANISATIONS].index(one)
        return {"system": NPI, "value": str(10**9 + self.number * 100 + order)}

    def client(self) -> dict[str, Any]:
        """The one client of the case."""
        stated = sorted({one["fact"] for one in self.claimed()})
        return {
            "client_id": self.party("client"),
            "participant": self.party(self.caller),
            "may_break_glass": self.case["purpose"] == "ETREAT",
            **({"may_attest": stated} if stated else {}),
        }

    def agreements(self) -> list[dict[str, Any]]:
        """The agreements."""
        return [{**one, "between": [self.party(two) for two in one["between"]]} for one in agreements(self.case)]

    def relationships(self) -> list[dict[str, Any]]:
        """Whose patient it is: of both sides, or of one."""
        said = self.case["facts"].get(BOTH)
        sides = {True: ("source", "recipient"), False: ("source",)}.get(said, ())
        return [{"participant": self.party(one), "patient": {"source": self.name, "id": "p1"}} for one in sides]

    def attestations(self) -> list[dict[str, Any]]:
        """What stands in the directory of what the case states."""
        if self.push:
            return []
        about = {"by": self.party("source"), "discloser": self.party("source"), "recipient": self.party("recipient")}
        return [
            {"fact": fact, "holds": holds, **about, **whose}
            for scope, fact, holds in self._stated()
            for whose in self._whose(scope)
        ]

    def claimed(self) -> list[dict[str, Any]]:
        """What the token says of what the case states."""
        if not self.push:
            return []
        return [
            {"fact": fact, "holds": holds, **({"patient": "Patient/p1"} if scope == "subjects" else {})}
            for scope, fact, holds in self._stated()
        ]

    def _stated(self) -> list[tuple[str, str, bool]]:
        said = facts(self.case, self.vocabulary, self.records)
        found = [("exchange", fact, holds) for fact, holds in said["exchange"].items()]
        for scope in ("subjects", "resources"):
            for one in list(said[scope].values())[:1]:
                found += [(scope, fact, holds) for fact, holds in one.items() if fact != BOTH]
        return found

    def _whose(self, scope: str) -> list[dict[str, Any]]:
        if scope == "subjects":
            return [{"patient": {"source": self.name, "id": "p1"}}]
        names = [f"{one['resourceType']}/{one['id']}" for one in self.records]
        return [{"resource": {"source": self.name, "id": name}} for name in names] if scope == "resources" else [{}]

    # What is sent ----------------------------------------------------------------------------------------------------
    def claims(self) -> dict[str, Any]:
        """The claims of the client's token."""
        person = {"fhirUser": "Practitioner/9", "break_glass": {"reason": "unconscious on arrival"}}
        return {
            "client_id": self.party("client"),
            "sub": self.party("client"),
            "purpose_of_use": [self.case["purpose"]],
            **(person if self.case["purpose"] == "ETREAT" else {}),
            **({CLAIM: self.claimed()} if self.claimed() else {}),
        }

    def consents(self) -> list[Resource]:
        """The Consents, as a privacy officer files them; what ended or ends does so as far from now as in the case."""
        return [
            self._now({**one, "patient": {"reference": f"{self.server}/Patient/p1"}}) for one in consents(self.case)
        ]

    def _now(self, consent: Resource) -> Resource:
        moved = datetime.now(UTC) - datetime.fromisoformat(AT)
        text = json.dumps(consent)
        period = consent.get("provision", {}).get("period", {})
        for date in {consent["dateTime"], *(value for value in period.values() if isinstance(value, str))}:
            day = datetime.fromisoformat(date).replace(tzinfo=UTC) + moved
            text = text.replace(f'"{date}"', f'"{day.date().isoformat()}"')
        return json.loads(text)

    @property
    def can_be_pushed(self) -> bool:
        """Whether every record is of a type that a push writes."""
        return NOT_PUSHED.isdisjoint(one["resourceType"] for one in self.records)

    def pushed(self) -> dict[str, Any]:
        """The Bundle that the sender posts: it names organisations by their numbers, not as records of the receiver."""
        sent = [one for one in [*self.records, *self.among] if one.get("subject") != {"reference": "Patient/p2"}]
        return {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [
                {
                    "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{place:012d}",
                    "resource": self._by_number(one),
                    "request": {"method": "POST", "url": one["resourceType"]},
                }
                for place, one in enumerate(sent)
            ],
        }

    def _by_number(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._by_number(one) for one in value]
        if not isinstance(value, dict):
            return value
        kind, _, one = str(value.get("reference", "")).partition("/")
        if kind == "Organization":
            return {"type": "Organization", "identifier": self.number_of(one)}
        return {key: self._by_number(one) for key, one in value.items()}


def stages(cases: list[dict[str, Any]], vocabulary: dict[str, Any], base: str) -> list[Stage]:
    """Give every case in every direction that it can go."""
    found = []
    for number, case in enumerate(cases):
        found.append(Stage(f"x{number}", 2 * number, case, vocabulary, push=False, base=base))
        push = Stage(f"y{number}", 2 * number + 1, case, vocabulary, push=True, base=base)
        found += [push] if push.can_be_pushed else []
    return found
