"""Codes for the oracle: spellings, purposes, actions, labels, classes, codes, each as the digest words it."""

from consent_store.model import Coding
from gateway.fhir import v3_tables

REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
LEVELS = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
LOINC = "http://loinc.org"
RESEARCH = (REASON, "HRESCH")
AUTHORISATION = ("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth")
ORDER = "ULMNRV"
# The spellings that the made consents use, and no more.
SYSTEMS = {
    "urn:oid:2.16.840.1.113883.5.8": REASON,
    "http://hl7.org/fhir/v3/ActReason": REASON,
    "urn:oid:2.16.840.1.113883.5.4": ACT,
    "http://hl7.org/fhir/v3/ActCode": ACT,
    "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw": ACT,
    "urn:oid:2.16.840.1.113883.5.25": LEVELS,
    "http://hl7.org/fhir/v3/Confidentiality": LEVELS,
    "http://hl7.org/fhir/consentscope": SCOPES,
    "http://hl7.org/fhir/consentaction": ACTIONS,
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
}
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
PROVENANCE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
ROLES = {
    (PARTICIPATION, "IRCP"): "recipient",
    (PARTICIPATION, "PRCP"): "recipient",
    ("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "GRANTEE"): "recipient",
    (PARTICIPATION, "CST"): "custodian",
    (PROVENANCE, "performer"): "discloser",
    (PARTICIPATION, "AUT"): "author",
    (PROVENANCE, "author"): "author",
}
CLUSTERS = [{"ETH", "SUD", "ETHUD", "OPIOIDUD"}, {"PSY", "MH", "BH", "EMOTDIS"}, {"SDV", "VIO", "MST"}]
# Tag of a law, the sensitivity that describes the same records, and what the tag covers where it is carried.
TAGS = {"42CFRPart2": ("SUD", CLUSTERS[0]), "HIPAAPsyNotes": ("PSYTHPN", {"PSYTHPN"})}


def spelled(one: Coding) -> tuple[str | None, str | None]:
    """A coding in its one spelling: known systems, codes in upper case where listed so, retired levels as ActCode."""
    system, code = SYSTEMS.get(one.system, one.system), one.code
    if code is None or system not in (REASON, ACT, LEVELS):
        return system, code
    tables = {REASON: [v3_tables.PURPOSES], ACT: [v3_tables.SENSITIVITIES, v3_tables.POLICIES], LEVELS: [ORDER]}
    listed = {known.lower(): known for table in tables[system] for known in table}
    code = listed.get(code.lower(), code)
    if system == LEVELS and code in ("ETH", "HIV", "PSY", "SDV"):
        return ACT, code
    return system, code


def purpose(asked: Coding, rule: Coding) -> str:
    """A purpose of v3-ActReason covers what is under it, any other only itself; without a system it may be."""
    wanted, listed = spelled(asked), spelled(rule)
    if listed[1] is None:
        return "?"
    if listed[0] is None:
        meant = spelled(Coding(REASON, listed[1]))
        known = meant[1] in v3_tables.PURPOSES
        return "?" if listed[1] == wanted[1] or not known or purpose_under(wanted, meant) else "no"
    return "yes" if purpose_under(wanted, listed) else "no"


def purpose_under(below: tuple, above: tuple) -> bool:
    """Whether a purpose is another or stands under it, by walking up the published tree."""
    if below[0] != above[0] or below[1] is None:
        return False
    if below[1] == above[1]:
        return True
    parents = v3_tables.PURPOSES.get(below[1], ()) if below[0] == REASON else ()
    return any(purpose_under((REASON, parent), above) for parent in parents)


def action(asked: str, concept) -> str:
    """To disclose and to access are one; a forbidden use may stand for a disclosure; what is unknown cannot be told."""
    alike = {"disclose", "access"}
    found = []
    for one in concept:
        system, code = spelled(one)
        known = code in ("collect", "access", "use", "disclose", "correct")
        same = code == asked or (code in alike and asked in alike)
        if not known:
            found.append("?")
        elif system != ACTIONS:
            found.append("no" if system is None and not same else "?")
        elif same:
            found.append("yes")
        else:
            found.append("?" if code == "use" and asked in alike else "no")
    return either_of(found) if found else "?"


def either_of(found: list[str]) -> str:
    """Alternatives."""
    return "yes" if "yes" in found else "?" if "?" in found else "no"


def under(code: str, ancestor: str) -> bool:
    """Whether a sensitivity is another or stands under it, by walking up the published tree."""
    return code == ancestor or any(under(one, ancestor) for one in v3_tables.SENSITIVITIES.get(code, ()))


def alike(carried: str, denied: str) -> bool:
    """Whether a deny of one sensitivity reaches another: under it, over it, or in the cluster of what is under it."""
    if under(carried, denied) or under(denied, carried):
        return True
    beneath = [code for code in v3_tables.SENSITIVITIES if under(code, denied)]
    return any(carried in cluster and not cluster.isdisjoint(beneath) for cluster in CLUSTERS)


def kind(one: tuple) -> str:
    """What a label is: a level, a sensitivity, a tag of a law, or something else."""
    system, code = one
    if system == LEVELS and code in ORDER:
        return "level"
    if system == ACT and code in v3_tables.SENSITIVITIES:
        return "sensitivity"
    return "tag" if system == ACT and code in v3_tables.POLICIES else "other"


def permits(listed, labels) -> str:
    """Every sensitivity and tag covered; without any, confidentiality at or below the highest listed, or, for normal
    data, a listed label of no known kind that it carries."""
    if labels.unknown:
        return "?"
    stated = [spelled(one) for one in listed]
    covering = [code for system, code in stated if kind((system, code)) == "sensitivity"]
    tags = [code for system, code in stated if kind((system, code)) == "tag"]
    if labels.sensitivities or labels.policies:
        for one in labels.sensitivities:
            by_tag = any(tag in TAGS and tag in labels.policies and one in TAGS[tag][1] for tag in tags)
            if not by_tag and not any(under(one, code) for code in covering):
                return "no"
        for tag in labels.policies:
            described = tag in TAGS and any(under(TAGS[tag][0], code) for code in covering)
            if tag not in tags and not described:
                return "no"
        return "yes"
    levels = [ORDER.index(code) for system, code in stated if kind((system, code)) == "level"]
    if any(labels.confidentiality <= level for level in levels):
        return "yes"
    others = [one for one in stated if kind(one) == "other"]
    carried = any((label.system, label.code) in others for label in labels.labels)
    return "yes" if carried and labels.confidentiality <= ORDER.index("N") else "no"


def denies(listed, labels) -> str:  # noqa: PLR0911  as the rule is written
    """Any label: confidentiality at or above, a sensitivity under, over or beside a listed one, a tag, or itself."""
    for system, code in map(spelled, listed):
        what = kind((system, code))
        if what == "level" and labels.confidentiality >= ORDER.index(code):
            return "yes"
        if what == "sensitivity":
            if any(alike(carried, code) for carried in labels.sensitivities):
                return "yes"
            if any(tag in labels.policies and alike(described, code) for tag, (described, _) in TAGS.items()):
                return "yes"
        if what == "tag" and code in labels.policies:
            return "yes"
        if code == "HIPAAPsyNotes" and what == "tag" and "PSYTHPN" in labels.sensitivities:
            return "yes"
        if what == "other" and any((label.system, label.code) == (system, code) for label in labels.labels):
            return "yes"
    return "?" if labels.unknown else "no"


def ordinary(labels) -> str:
    """Whether a record is normal data."""
    if labels.unknown:
        return "?"
    special = labels.sensitivities or labels.policies or labels.confidentiality > ORDER.index("N")
    return "no" if special else "yes"


def plain(uri: str) -> str:
    """A URI without scheme and version."""
    return uri.split("|", maxsplit=1)[0].rsplit("://", maxsplit=1)[-1].rstrip("/")


def of_class(one: Coding, resource: dict) -> str:
    """A class is a type of resource, a profile it claims, or the type of a document."""
    what, code = resource["resourceType"], one.code
    documents = document_types(resource)
    if code is None:
        return "?"
    if one.system is None:
        return "?" if code == what or code in [document for _, document in documents] else "no"
    if plain(one.system) in ("hl7.org/fhir/resource-types", "hl7.org/fhir/fhir-types"):
        whole = code == "Resource" or (code == "DomainResource" and what not in ("Binary", "Bundle", "Parameters"))
        return "yes" if whole or code == what else "no"
    profile = plain(code)
    if plain(one.system) == "hl7.org/fhir/StructureDefinition" and "/" not in code:
        profile = f"hl7.org/fhir/StructureDefinition/{code}"
    claimed = [plain(uri) for uri in resource.get("meta", {}).get("profile", [])]
    if profile in claimed or profile == f"hl7.org/fhir/StructureDefinition/{what}":
        return "yes"
    return "yes" if spelled(one) in documents else "no"


def document_types(resource: dict) -> list[tuple]:
    """The type of a document, and the media types of what is attached."""
    found = []
    if resource["resourceType"] in ("DocumentReference", "Composition"):
        found += [spelled(coding(one)) for one in resource.get("type", {}).get("coding", [])]
    media = [one.get("attachment", {}).get("contentType") for one in resource.get("content", [])]
    return found + [("urn:ietf:bcp:13", one) for one in media if one]


def coding(one: dict) -> Coding:
    """A Coding of JSON."""
    return Coding(one.get("system"), one.get("code"))


def codings(node) -> list[tuple]:
    """Every coding anywhere in a resource, labels in meta left out."""
    if isinstance(node, list):
        return [found for one in node for found in codings(one)]
    if not isinstance(node, dict):
        return []
    own = [spelled(coding(one)) for one in node.get("coding", [])]
    return own + [found for name, one in node.items() if name != "meta" for found in codings(one)]


def coded(concepts, resource: dict) -> str:
    """A listed code is anywhere in the resource; without a system on either side it may be."""
    carried = codings(resource)
    found = []
    for concept in concepts:
        if not any(one.code for one in concept):
            found.append("?")
        for one in concept:
            system, code = spelled(one)
            if code is None:
                continue
            if system is not None and (system, code) in carried:
                found.append("yes")
            elif any(other == code and None in (system, place) for place, other in carried):
                found.append("?")
    return either_of(found)
