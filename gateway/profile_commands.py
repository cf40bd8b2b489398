"""The commands `consent-gateway profiles …`: read, check, try, compare the profiles, and see what pins them.

Rules of this file
1. It parses words and prints tables a privacy officer can read; what it tells is found out below it.
2. Exit status: 0; 1 where a case fails or a change goes unnoticed; 2 a wrong name; 3 a profile that cannot be read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from gateway import bootstrap
from gateway.errors import ProfileError
from gateway.facts.answer import Shelf
from gateway.facts.cases import CaseFile, failures, read_case_file
from gateway.facts.pinning import pinning
from gateway.facts.profile_diff import Difference, case_differences, rule_differences
from gateway.policy.matching import PartyMatch
from gateway.policy.model import Policy, Rule
from gateway.policy.schema import profile_schema
from gateway.proxy.search_listing import search_lines

profiles_app = typer.Typer(help="Read, check, try and compare the profiles that decide.", no_args_is_help=True)
_err = Console(stderr=True)
_out = Console()

Profiles = Annotated[
    list[Path] | None, typer.Option("--profiles", help="A folder of your own profiles; may be given several times.")
]
Names = Annotated[list[str] | None, typer.Argument(help="Profiles; none means all.")]


@profiles_app.command("list")
def list_profiles(profiles: Profiles = None) -> None:
    """List the profiles, with what each is for."""
    table = Table("profile", "version", "title", "extends", box=None)
    for policy in shelf_of(profiles).policies.values():
        table.add_row(policy.name, policy.version, policy.title, ", ".join(policy.chain[:-1]))
    _out.print(table)


@profiles_app.command("show")
def show_profile(name: str, profiles: Profiles = None) -> None:
    """Print a profile so that it can be read aloud: every rule, what it needs, where it is written."""
    policy = policy_of(name, shelf_of(profiles))
    _out.print(f"[bold]{policy.title}[/bold] ({policy.name}, {policy.version})", policy.says, sep="\n", end="\n\n")
    for rule in policy.rules:
        _out.print(f"[bold]{rule.id}[/bold] ({rule.cite})\n  {rule.says}", highlight=False)
        _out.print(f"  {_parties(rule)}; {_data(rule, policy)}\n  {_needs(rule)}\n", highlight=False, markup=False)
    _out.print(*_told_kinds(policy), sep="\n", end="\n\n", highlight=False, markup=False)
    for switch in policy.switches.values():
        _out.print(f"switch {switch.id} = {'on' if switch.value else 'off'}: {switch.says}")


@profiles_app.command("search-parameters")
def list_search_parameters(
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="The profile whose callers are meant.")] = "base",
    types: Annotated[
        list[str] | None, typer.Option("--type", help="A resource type; may be given several times. None means all.")
    ] = None,
    profiles: Profiles = None,
) -> None:
    """List every search parameter of R4 with its class: held against what may be seen, or refused, and why."""
    shelf = shelf_of(profiles)
    policy = policy_of(name, shelf)
    whole, part = bootstrap.offers_of(policy, shelf.tools[name].elements)
    try:
        lines = list(search_lines(whole, part, policy.parts.whole_for, types or ()))
    except ValueError as wrong:
        _stop(f"`{wrong}` is no type of FHIR R4 that is searched", 2)
    for line in lines:
        _out.print(line, highlight=False, markup=False, soft_wrap=True)


@profiles_app.command("check")
def check_profiles(profiles: Profiles = None) -> None:
    """Read every profile strictly; exit 3 naming file, line and key of what is wrong."""
    shelf = shelf_of(profiles)
    _out.print(f"{len(shelf.policies)} profiles read: {', '.join(shelf.policies)}")


@profiles_app.command("schema")
def show_schema() -> None:
    """Print the JSON Schema of the profile format, as the reader itself tells it."""
    _out.print(msgspec.json.format(msgspec.json.encode(profile_schema()), indent=1).decode(), soft_wrap=True)


@profiles_app.command("test")
def try_profiles(names: Names = None, profiles: Profiles = None) -> None:
    """Ask the cases beside the profiles (`*_test.yaml`); exit 1 when one does not come out as it says."""
    shelf = shelf_of(profiles)
    passed = failed = 0
    for file in _case_files(names, shelf, profiles):
        for case in file.cases:
            wrong = list(failures(case, shelf))
            failed += bool(wrong)
            passed += not wrong
            for line in wrong:
                _out.print(f"{case.where}: {case.says}\n    {line}", highlight=False, markup=False)
    _out.print(f"{passed} passed, {failed} failed")
    if failed:
        raise typer.Exit(1)


@profiles_app.command("pins")
def show_pins(names: Names = None, profiles: Profiles = None) -> None:
    """Change every rule in every small way; exit 1 where no case notices, or a listed exception is none."""
    shelf = shelf_of(profiles)
    tried = unnoticed = 0
    for file in _case_files(names, shelf, profiles):
        found = pinning(file, shelf)
        tried += found.tried
        unnoticed += len(found.loose) + len(found.stale)
        for line in found.loose:
            _out.print(f"{file.profile}: no case notices `{line}`", highlight=False, markup=False, soft_wrap=True)
        for line in found.stale:
            _out.print(f"{file.profile}: `{line}` is noticed after all", highlight=False, markup=False, soft_wrap=True)
    _out.print(f"{tried} changes tried, {unnoticed} not as listed")
    if unnoticed:
        raise typer.Exit(1)


@profiles_app.command("diff")
def compare_profiles(
    first: str,
    second: str,
    switch: Annotated[
        list[str] | None,
        typer.Option(help="A switch of the second: NAME=on or NAME=off; may be repeated."),
    ] = None,
    profiles: Profiles = None,
) -> None:
    """Tell which rules differ between two profiles, and which cases of either come out otherwise."""
    shelf = shelf_of(profiles)
    policies = [policy_of(name, shelf) for name in (first, second)]
    choices = dict(_choice(text, policies[1]) for text in switch or ())
    _table("rule", first, second, rule_differences(policies[0], policies[1].switched(choices)))
    cases = [case for file in _case_files([first, second], shelf, profiles) for case in file.cases]
    _table("case", first, second, case_differences(cases, first, second, shelf, choices))


def _choice(text: str, policy: Policy) -> tuple[str, bool]:
    name, _, value = text.partition("=")
    if name not in policy.switches or value not in {"on", "off"}:
        _stop(f"`{text}` is no choice: NAME=on or NAME=off, of {', '.join(policy.switches)}", 2)
    return name, value == "on"


def _table(what: str, first: str, second: str, found: Iterator[Difference]) -> None:
    table, count = Table(what, first, second), 0
    for one in found:
        table.add_row(one.what, one.first, one.second)
        count += 1
    if count:
        _out.print(table, highlight=False, markup=False)
    _out.print(f"{count} differences of {what}s")


def _case_files(names: list[str] | None, shelf: Shelf, profiles: list[Path] | None) -> Iterator[CaseFile]:
    for name in names or ():
        policy_of(name, shelf)
    for file, text in bootstrap.read_case_files(profiles or ()):
        try:
            found = read_case_file(text, file)
        except ProfileError as wrong:
            _stop(wrong.message, 3)
        if not names or found.profile in names:
            yield found


def shelf_of(profiles: list[Path] | None) -> Shelf:
    """Give the compiled profiles, or stop with status 3 naming what is wrong."""
    try:
        return bootstrap.read_shelf(profiles or ())
    except ProfileError as wrong:
        _stop(wrong.message, 3)


def policy_of(name: str, shelf: Shelf) -> Policy:
    """Give one compiled profile, or stop with status 2 telling which there are."""
    if name not in shelf.policies:
        _stop(f"no profile `{name}`; there are {', '.join(shelf.policies)}", 2)
    return shelf.policies[name]


def _told_kinds(policy: Policy) -> Iterator[str]:
    """Tell the participant types there are, and what each kind that a rule speaks of stands for."""
    yield f"participant types: {', '.join(sorted(policy.types))}"
    named = {word for rule in policy.rules for side in (rule.discloser, rule.recipient) for word in _named(side)}
    for kind in sorted(named & policy.kinds.keys()):
        yield f"{kind}: {', '.join(sorted(policy.kinds[kind]))}"


def _named(match: PartyMatch) -> set[str]:
    return set(match.types or ()).union(*(_named(one) for one in match.any))


def _parties(rule: Rule) -> str:
    purposes = ", ".join(purpose.code or "" for purpose in rule.purposes) or "any purpose"
    by = f" under {' or '.join(sorted(rule.agreements))}" if rule.agreements else ""
    return f"{_party(rule.discloser)} → {_party(rule.recipient)}, {purposes}{by}"


def _party(match: PartyMatch) -> str:
    words = sorted(match.types or ())
    words += [] if match.hipaa_covered is None else ["HIPAA covered" if match.hipaa_covered else "not HIPAA covered"]
    words += [] if match.part2_program is None else ["Part 2 program" if match.part2_program else "no Part 2 program"]
    words += [" or ".join(_party(one) for one in match.any)] if match.any else []
    return ", ".join(words) or "anyone"


def _data(rule: Rule, policy: Policy) -> str:
    if rule.no_patient:
        return "what is about no patient"
    return "; ".join(policy.categories[one].says for one in sorted(rule.data)) if rule.data else "any record"


def _needs(rule: Rule) -> str:
    verb = "denies" if rule.effect == "deny" else rule.effect.value + "s"
    needs = f", if {' and '.join(rule.needs)}" if rule.needs else ""
    unless = f", unless {' or '.join(rule.unless)}" if rule.unless else ""
    guard = f", where it is known to be false that {' or '.join(rule.when_false)}" if rule.when_false else ""
    lapse = f", but where it is known to be false that {' or '.join(rule.unless_false)}" if rule.unless_false else ""
    switch = f", while switch {rule.switch} is on" if rule.switch else ""
    with_what = f"; with {', '.join(rule.obligations)}" if rule.obligations else ""
    return verb + needs + lapse + guard + unless + switch + with_what


def _stop(message: str, status: int) -> NoReturn:
    _err.print(message, style="red", highlight=False, markup=False)
    raise typer.Exit(status)
