"""Words of a profile that only the standard's tables know: types of resources, codes of labels. A misspelt one in a
refusal would refuse nothing, so it is an error (leaks.md L089)."""

from collections.abc import Iterable, Iterator

from consent_store.model import ACT_CODE, Coding
from gateway.fhir.elements import Elements
from gateway.fhir.terminology import CodeSet, code_set
from gateway.policy.matching import CategoryMatch
from gateway.policy.model import Policy


def misspelt(policy: Policy, elements: Elements) -> tuple[str, ...]:
    """Give every word of a compiled profile that is no type of R4 or no label of its kind, with its place."""
    return tuple(sorted({f"{place}: `{word}`" for place, word in _wrong(policy, elements)}))


def _wrong(policy: Policy, elements: Elements) -> Iterator[tuple[str, str]]:
    typed = {
        "no_patient.types": policy.no_patient_types,
        "parts.types": frozenset(policy.parts.types),
        "unlabelled.types": frozenset(policy.unlabelled.types),
    }
    for place, words in typed.items():
        yield from _no_types(place, words, elements)
    for category in policy.categories.values():
        for match in _every(category.any):
            at = f"categories.{category.id}"
            yield from _no_types(f"{at}.types", match.types or (), elements)
            yield from _no_labels(f"{at}.sensitivities", match.sensitivities or (), CodeSet.SENSITIVITY)
            yield from _no_labels(f"{at}.policies", match.policies or (), CodeSet.POLICY)


def _every(matches: Iterable[CategoryMatch]) -> Iterator[CategoryMatch]:
    for match in matches:
        yield match
        yield from _every(match.without)


def _no_types(place: str, words: Iterable[str], elements: Elements) -> Iterator[tuple[str, str]]:
    return ((place, word) for word in words if not elements.is_resource(word))


def _no_labels(place: str, words: Iterable[str], kind: CodeSet) -> Iterator[tuple[str, str]]:
    return ((place, word) for word in words if code_set(Coding(ACT_CODE, word)) is not kind)
