"""For every key of the format a page that is wrong in it alone: the message names file, line, key and mistake."""

import re
from zoneinfo import ZoneInfo

import pytest

from gateway.errors import ProfileError
from gateway.policy.reading import ProfileText, read_policy
from gateway.policy.schema import profile_schema

PROFILE = """\
profile: whole
version: "1"
title: Every key of the format
says: It decides nothing that matters.
extends: []
zone: America/New_York
types: [clinic, plan]
kinds:
  provider: [clinic]
no_patient:
  says: About no patient.
  types: [Organization]
parts:
  whole_for: [plan]
  narrative: cut
  extensions: ["http://hl7.org/fhir/"]
  types:
    Claim: {remove: [item], always: [text]}
unlabelled:
  default: N
  free_text: R
  types:
    Binary: R
labelling:
  threshold: 0.5
  lists:
    listed: 0.5
  unclassified: R
default_deny:
  reason: law_other
  says: Nothing permits it.
  cite: the house
vocabularies:
  matter:
    says: Words of a matter.
    words: [arrest]
    set_aside: [cardiac arrest]
categories:
  visit:
    says: A visit.
    any:
      - types: [Encounter]
        sensitivities: [HIV]
        policies: [42CFRPart2]
        at_least: R
        unknown: false
        unread_label: false
        codes: ["http://loinc.org|1-8"]
        source:
          types: [clinic]
          kinds: [provider]
          hipaa_covered: true
          part2_program: false
          attributes:
            usda_funding: false
          any:
            - types: [plan]
        identifiers:
          systems: ["urn:x"]
          types: ["urn:x|SS"]
          words: [ssn]
          forms: [nnn-nn-nnnn]
        own: true
        words: matter
        code_words: matter
        named: [in custody]
        without:
          - types: [Claim]
  call:
    says: What a visit is.
    any:
      - is: visit
files:
  page: [visit]
switches:
  choice:
    says: A choice.
    default: true
strips:
  number:
    says: A number.
    cite: the house
    identifiers:
      words: [ssn]
    obligations: [strip_ssn]
minimum_necessary:
  few:
    says: A few elements.
    cite: the house
    to:
      types: [plan]
    purposes: [HPAYMT]
    rules: [goes]
    elements:
      Patient: [name]
  fewer:
    says: Fewer of a visit.
    cite: the house
    from:
      types: [clinic]
    data: [visit]
    elements:
      Encounter: [status]
drops: []
"""
FLOWS = """\
rules:
  - id: goes
    layer: flow
    effect: permit
    says: It goes.
    cite: the house
    from:
      types: [clinic]
    to:
      kinds: [provider]
    purposes: [TREAT]
    data: [visit]
    agreements: [BAA]
    needs: [consent_permits]
    unless_false: [required_by_law]
    switch: choice
    suspends: [other_law]
    obligations: [audit_disclosure]
    refrains: [NORDSCLCD]
    no_patient: false
  - id: stays
    layer: law
    effect: deny
    class: federal_law
    reason: law_other
    says: It stays.
    cite: the house
    unless: [recipient_is_subject]
    when_false: [calaim_purpose]
"""


def read(profile: str = PROFILE, flows: str = FLOWS) -> None:
    """Read one profile by itself."""
    texts = {"whole": ProfileText(profile, flows, "whole/profile.yaml", "whole/flows.yaml")}
    read_policy("whole", texts, ZoneInfo)


def keys(text: str) -> list[int]:
    """Give the lines that have a key."""
    return [number for number, line in enumerate(text.splitlines()) if re.match(r"\s*(- )?[\w.]+:", line)]


def twin(text: str, number: int, change: tuple[str, str]) -> str:
    """Change one line."""
    lines = text.splitlines()
    lines[number] = re.sub(change[0], change[1], lines[number], count=1)
    return "\n".join(lines) + "\n"


def test_the_whole_page_is_read():
    """Nothing is wrong with it."""
    read()


def test_the_page_has_every_key_of_the_format():
    """A key that the reader learns is missed here until it has its twins."""

    def asked(schema: dict) -> set[str]:
        found = set(schema.get("properties", {}))
        inner = [*schema.get("properties", {}).values(), *schema.get("oneOf", ())]
        inner += [one for key in ("items", "additionalProperties") if isinstance(one := schema.get(key), dict)]
        return found.union(*(asked(one) for one in inner))

    written = {re.match(r"\s*(?:- )?([\w.]+):", line)[1] for text in (PROFILE, FLOWS) for line in text.splitlines()
               if re.match(r"\s*(?:- )?[\w.]+:", line)}  # fmt: skip
    written |= {"remove", "always"}  # in one line
    known = set().union(*(asked(one) for one in profile_schema()["$defs"].values()))

    assert set() == known - written


MISSPELT = [("profile", number) for number in keys(PROFILE)] + [("flows", number) for number in keys(FLOWS)]


def refusal(**texts: str) -> str | None:
    """Give what is told of a page, None where it is read."""
    try:
        read(**texts)
    except ProfileError as told:
        return told.message
    return None


# Names that an author chooses: another one is another name, and an error only where the first is used.
CHOSEN = {"Claimx", "Binaryx", "listedx", "pagex", "numberx", "fewx", "Patientx", "providerx", "visitx", "choicex"}
CHOSEN |= {"fewerx", "callx", "Encounterx", "matterx"}
# What is told where the key that is missed belongs to what its neighbours make.
MISSED = re.compile(
    r"whole/(profile|flows)\.yaml:\d+: [\w.\[\]]+: "
    r"(is missing|.* is not one of|recognises nothing|names no elements|has no way of being recognised|has no words)"
    r"|parts, unlabelled and default_deny must be stated"
)


@pytest.mark.parametrize(("file", "number"), MISSPELT)
def test_a_misspelt_key_is_named_with_file_and_line(file, number):
    """Each key in turn, with a letter more: told as unknown where it stands, or what it stood for as missing."""
    wrong = twin(PROFILE if file == "profile" else FLOWS, number, (r"^(\s*(?:- )?)([\w.]+):", r"\1\2x:"))
    name = re.match(r"\s*(?:- )?([\w.]+):", wrong.splitlines()[number])[1]
    told = refusal(**{file: wrong})

    assert told is not None or name in CHOSEN
    if told is not None:
        at_its_place = f"whole/{file}.yaml:{number + 1}: " in told and name in told
        assert at_its_place or MISSED.search(told), told


@pytest.mark.parametrize(("file", "number"), MISSPELT)
def test_a_value_of_another_kind_is_named_with_file_and_line(file, number):
    """Each key in turn, with a mapping where a value or list is meant, or a value where a mapping is."""
    text = PROFILE if file == "profile" else FLOWS
    line = text.splitlines()[number]
    if line.rstrip().endswith(":"):
        return  # what is below it has its own turn
    wrong = twin(text, number, (r":\s.*$", ": {of: another kind}"))
    with pytest.raises(ProfileError) as told:
        read(**{file: wrong})

    assert f"whole/{file}.yaml:{number + 1}: " in told.value.message


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("profile", ("zone: America/New_York", "zone: Nowhere"), "no zone `Nowhere`"),
        ("profile", ("kinds:\n  provider: [clinic]", "kinds:\n  provider: [clinik]"), "`clinik` is not one of"),
        ("profile", ("narrative: cut", "narrative: some"), "`some` is not one of cut, keep"),
        ("profile", ("default: N", "default: X"), "`X` is not one of"),
        ("profile", ("threshold: 0.5", "threshold: 2"), "a number from 0 to 1"),
        ("profile", ("reason: law_other", "reason: law"), "`law` is not one of"),
        ("profile", ("at_least: R", "at_least: Q"), "`Q` is not one of"),
        ("profile", ('"http://loinc.org|1-8"', '"1-8"'), "a code is `system|code`"),
        ("profile", ("usda_funding: false", "usda_fund: false"), "`usda_fund` is not one of"),
        ("profile", ("unknown: false", "unknown: no"), "must be true or false"),
        ("profile", ("unread_label: false", "unread_label: no"), "must be true or false"),
        ("profile", ("        words: matter", "        words: matters"), "`matters` is not one of"),
        ("profile", ("named: [in custody]", "named: [In custody]"), "words are small letters and digits"),
        ("profile", ("set_aside: [cardiac arrest]", "set_aside: [x-y]"), "words are small letters and digits"),
        ("profile", ("forms: [nnn-nn-nnnn]", "forms: [ddd-dd]"), "a form is digits"),
        ("profile", ("words: [arrest]", "words: []"), "has no words"),
        ("profile", ("- is: visit", "- is: visits"), "`visits` is not one of"),
        ("profile", ("data: [visit]", "data: [visits]"), "`visits` is not one of"),
        ("profile", ("rules: [goes]", "rules: [goes]\n    data: [visit]"), "rules or data, not both"),
        ("profile", ("page: [visit]", "page: [visits]"), "`visits` is not one of"),
        ("profile", ("drops: []", "drops: [nothing]"), "no rule `nothing` to drop"),
        ("profile", ("extends: []", "extends: [nobody]"), "no profile `nobody`"),
        ("profile", ("types: [clinic, plan]", "types: [clinic, clinic]"), "stands twice"),
        ("flows", ("layer: flow", "layer: floor"), "`floor` is not one of"),
        ("flows", ("effect: permit", "effect: permits"), "`permits` is not one of"),
        ("flows", ("types: [clinic]", "types: [clinik]"), "`clinik` is not one of"),
        ("flows", ("kinds: [provider]", "kinds: [providers]"), "`providers` is not one of"),
        ("flows", ("purposes: [TREAT]", "purposes: [TREATS]"), "`TREATS` is no purpose of use"),
        ("flows", ("data: [visit]", "data: [visits]"), "`visits` is not one of"),
        ("flows", ("agreements: [BAA]", "agreements: [NDA]"), "`NDA` is not one of BAA, CNDA, DEAA, QSOA, SOW"),
        ("flows", ("needs: [consent_permits]", "needs: [consent]"), "`consent` is not one of"),
        ("flows", ("unless_false: [required_by_law]", "unless_false: [required]"), "`required` is not one of"),
        ("flows", ("switch: choice", "switch: choices"), "`choices` is not one of"),
        ("flows", ("suspends: [other_law]", "suspends: [federal_law]"), "federal_law is never suspended"),
        ("flows", ("class: federal_law", "class: federal"), "`federal` is not one of"),
        ("flows", ("unless: [recipient_is_subject]", "unless: [subject]"), "`subject` is not one of"),
        ("flows", ("when_false: [calaim_purpose]", "when_false: [purpose]"), "`purpose` is not one of"),
        ("flows", ("id: stays", "id: goes"), "rule `goes` stands twice"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_named(file, change, told):
    """A value that nothing knows does not load, and what is told says which, and where."""
    text = PROFILE if file == "profile" else FLOWS
    assert change[0] in text
    with pytest.raises(ProfileError) as wrong:
        read(**{file: text.replace(*change, 1)})

    assert told in wrong.value.message


@pytest.mark.parametrize("key", ["needs", "unless_false", "suspends"])
def test_a_key_of_another_effect_is_unknown(key):
    """What a deny does not have is no part of it, and is never passed over."""
    with pytest.raises(ProfileError, match=rf"rules\[1\]\.{key}: unknown key|is not one of") as told:
        read(flows=FLOWS + f"    {key}: [other_law]\n")

    assert "whole/flows.yaml:" in told.value.message
