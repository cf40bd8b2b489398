"""An explanation (`gateway.facts.explain`) in plain words, for a privacy officer to read.

Rules of this file
1. Words only: everything told stands in the explanation, with its citation.
2. A record that nothing can change says so, and by which rule.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_VERDICTS: Final = {
    "disclosed": "is disclosed",
    "masked": "is disclosed in part",
    "withheld": "is withheld",
}
_EFFECTS: Final = {"permit": "it permits", "deny": "it refuses"}
_NEVER: Final = "Nothing that a consent, an agreement or a stated fact can bring was found to change it."
_CUT_SHORT: Final = "Not everything that could be thought of was tried: ask about fewer records."


def explanation_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Tell an explanation, one line after another."""
    exchange = found["exchange"]
    parties = f"{exchange['discloser']} → {exchange['recipient']}, for {exchange['purpose']}"
    yield f"{parties}, at {found['at']}, under {found['profile']}: {found['effect']}"
    if found["whole"]:
        yield found["whole"]
    for record in found["records"]:
        yield ""
        yield from _record(record)


def _record(record: Mapping[str, Any]) -> Iterator[str]:
    whose = ", ".join(record["subjects"]) or "nobody"
    where = f" at {record['at']}" if record["at"] else ""
    yield f"{record['resource']}{where} (about {whose}) {_VERDICTS[record['verdict']]}."
    yield f"  labels: {', '.join(code or '?' for code in record['labels']) or 'none'}"
    yield from _listed("What decided:", map(_cause, record["applied"]))
    yield from _listed("Consents:", map(_consent, record["consents"]))
    if not record["consents"] and record["subjects"]:
        yield "  No consent of the patient is on file."
    yield from _listed("Rules that came near:", map(_rule, _telling(record)))
    yield from _listed("Could not be evaluated:", record["erring"])
    yield from _changes(record)


def _telling(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Of a record that is held back the permits that came near are told, of a disclosed one the denies."""
    effect = "deny" if record["verdict"] == "disclosed" else "permit"
    return [rule for rule in record["rules"] if rule["effect"] == effect]


def _changes(record: Mapping[str, Any]) -> Iterator[str]:
    yield from _listed("It would be disclosed, or more of it, if", map(_way, record["would_disclose"]))
    if record["verdict"] != "disclosed" and not record["would_disclose"]:
        barred = [f"{one['rule']} ({one['cite']}) knows no exception: {one['say']}" for one in record["barred"]]
        yield from _listed("Nothing changes it:", barred) if barred else iter((f"  {_NEVER}",))
    yield from _listed("It would be withheld, or more of it, if", map(_way, record["would_withhold"]))
    if not record["tried_all"]:
        yield f"  {_CUT_SHORT}"


def _listed(head: str, lines: Any) -> Iterator[str]:  # noqa: ANN401  any iterable of texts
    told = list(lines)
    if told:
        yield f"  {head}"
        yield from (f"    - {line}" for line in told)


def _cause(cause: Mapping[str, Any]) -> str:
    source = ", ".join(text for text in (cause["cite"], cause["consent"]) if text)
    edited = f" Held back: {', '.join(cause['edited'])}." if cause["edited"] else ""
    return f"{cause['effect']} by {cause['rule']} ({source}): {cause['say']}{edited}"


def _consent(consent: Mapping[str, Any]) -> str:
    why = [one["say"] for one in consent["why"]]
    if consent["applied"]:
        return "; ".join([f"{consent['consent']}: {_EFFECTS.get(consent['effect'], 'it speaks')}", *why])
    if consent["provisions"]:
        nearest = consent["provisions"][0]
        why += [one["say"] for one in nearest["why"]]
    return f"{consent['consent']} does not apply: {'; '.join(dict.fromkeys(why)) or 'nothing in it is about this'}"


def _rule(rule: Mapping[str, Any]) -> str:
    why = "; ".join(one["say"] for one in rule["why"])
    return f"{rule['rule']} ({rule['cite']}) would {rule['effect']}, but {why}"


def _way(way: Mapping[str, Any]) -> str:
    said = " and ".join(one["say"] for one in way["together"])
    return said if way["becomes"] != "masked" else f"{said} (then in part)"
