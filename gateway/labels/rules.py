"""What labelling goes by: the lists, the terms, the profile's switches and defaults, and what implies what.

Rules of this file
1. Everything comes from data: lists and terms from `profiles/codelists`, defaults and switches from the Policy.
2. A switch that a profile does not have is on for the stricter reading of texts, off for what only that law says.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.errors import ProfileError
from gateway.fhir.confidentiality import Confidentiality
from gateway.labels.lists import CodeIndex, parse_code_list
from gateway.labels.terms import TermIndex, parse_term_list
from gateway.policy.model import Policy, Unlabelled

SUD_WITHOUT_KNOWN_SOURCE: Final = "sud_without_known_source_is_part2"
SUD_ALWAYS: Final = "sud_is_always_part2"
UNKNOWN_SOURCE: Final = "unknown_source_is_sensitive"
TERM_RULES: Final = "term_rules"

# Specially protected information is R, general health information N (labels.md section 2, conventions of DS4P in the
# United States; SHIFT labels each of these R; sickle cell anemia by 38 USC 7332).
_SPECIALLY_PROTECTED: Final = frozenset(
    {
        "ETH",
        "SUD",
        "ETHUD",
        "OPIOIDUD",
        "HIV",
        "SPI",
        "BH",
        "MH",
        "PSY",
        "PSYTHPN",
        "SDV",
        "VIO",
        "MST",
        "STD",
        "SEX",
        "GDIS",
        "GENDER",
        "SCA",
        "DVD",
        "EMOTDIS",
        "TBOO",
        "42CFRPart2",
        "Title38Section7332",
        "HIPAAPsyNotes",
    }
)
US_IMPLIED: Final[Mapping[str, Confidentiality]] = MappingProxyType(
    dict.fromkeys(sorted(_SPECIALLY_PROTECTED), Confidentiality.R)
)


class LabelRules(msgspec.Struct, frozen=True, kw_only=True):
    """See the module. `implied`: the least confidentiality of what carries a sensitivity or policy code."""

    codes: CodeIndex
    terms: TermIndex
    unlabelled: Unlabelled
    unclassified: Confidentiality = Confidentiality.R
    implied: Mapping[str, Confidentiality] = US_IMPLIED
    sud_without_known_source_is_part2: bool = False
    unknown_source_is_sensitive: bool = False
    sud_is_always_part2: bool = False  # whatever is known of the source


def read_lists(texts: Mapping[str, bytes]) -> tuple[CodeIndex, TermIndex]:
    """Compile the files of `profiles/codelists`, text by name: `terms*.json` are term lists, others code lists.

    Raises ProfileError for a list that is not sound. Files are taken in the order of their names.
    """
    names = sorted(texts)
    terms = [name for name in names if name.startswith("terms")]
    return (
        CodeIndex(parse_code_list(texts[name], name) for name in names if name not in terms),
        TermIndex(parse_term_list(texts[name], name) for name in terms),
    )


def label_rules(
    policy: Policy, codes: CodeIndex, terms: TermIndex, implied: Mapping[str, Confidentiality] = US_IMPLIED
) -> LabelRules:
    """The rules of one profile over the gateway's lists: what is less sure than its thresholds is left out. A profile
    turns texts off with its switch `term_rules`. Raises ProfileError for a threshold of a list that nobody has."""
    switched_off = TERM_RULES in policy.switches and not policy.on(TERM_RULES)
    sure = policy.labelling
    unknown = sure.lists.keys() - codes.names - terms.names
    if unknown:
        raise ProfileError(f"no code list `{min(unknown)}`")
    return LabelRules(
        codes=codes.limited(sure.threshold, sure.lists),
        terms=TermIndex() if switched_off else terms.limited(sure.threshold, sure.lists),
        unlabelled=policy.unlabelled,
        unclassified=sure.unclassified,
        implied=implied,
        sud_without_known_source_is_part2=policy.on(SUD_WITHOUT_KNOWN_SOURCE),
        unknown_source_is_sensitive=policy.on(UNKNOWN_SOURCE),
        sud_is_always_part2=policy.on(SUD_ALWAYS),
    )
