"""The command `consent-gateway`. It parses words and prints; what it prints is decided below it.

Rules of this file
1. Exit status: 0 answered; 1 a deny, with `--exit-status`; 2 the question or the command is wrong; 3 a profile, a
   setting or the gateway itself is.
2. Answers go to stdout, everything else to stderr.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console

from consent_store.store import StoreUnavailable
from gateway import bootstrap, clock
from gateway.demo.run import run
from gateway.errors import GatewayError, ProfileError, QuestionError
from gateway.facts.answer import Shelf, answer
from gateway.facts.explain import explain as explain_question
from gateway.facts.explain_text import explanation_lines
from gateway.facts.labelling import Labeller
from gateway.fhir.strict import MalformedJson
from gateway.identity.dev_issuer import development_token, new_key, public_keys
from gateway.label_command import LINES, Run, compared_with, progress, records_in, summary
from gateway.ledger.model import REQUEST_ID, Ledger
from gateway.ledger.telling import tell
from gateway.profile_commands import policy_of, profiles_app, shelf_of

T = TypeVar("T")

app = typer.Typer(
    name="consent-gateway",
    help="A reverse proxy before FHIR servers that lets through what law, agreement and the patient's consent allow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_ledger_commands = typer.Typer(help="Check the disclosure ledger.", no_args_is_help=True)
app.add_typer(profiles_app, name="profiles")
app.add_typer(_ledger_commands, name="ledger")
_INTERNAL = "the gateway could not answer"
_err = Console(stderr=True)
_out = Console()

Profiles = Annotated[
    list[Path] | None, typer.Option("--profiles", help="A folder of your own profiles; may be given several times.")
]


@app.command()
def decide(
    file: Annotated[str, typer.Argument(help="A file with one question (docs/decide.md), or - for stdin.")],
    ndjson: Annotated[bool, typer.Option("--ndjson", help="One question a line; answers in order.")] = False,  # noqa: FBT002  a flag of the command line
    exit_status: Annotated[bool, typer.Option("--exit-status", help="Exit 1 on a deny.")] = False,  # noqa: FBT002  a flag of the command line
    profiles: Profiles = None,
) -> None:
    """Answer what the proxy would do with one exchange, without an upstream."""
    shelf = shelf_of(profiles)
    raw = sys.stdin.buffer.read() if file == "-" else _read(file)
    if ndjson:
        _decide_lines(raw, shelf, exit_status=exit_status)
        return
    try:
        found = answer(raw, shelf)
    except QuestionError as wrong:
        _stop(wrong.message, 2)
    except Exception as broken:  # noqa: BLE001  the last resort: what went wrong, never what was in the question
        _stop(f"{_INTERNAL} ({type(broken).__name__})", 3)
    _print(found)
    if exit_status and found["effect"] == "deny":
        raise typer.Exit(1)


def _decide_lines(raw: bytes, shelf: Shelf, *, exit_status: bool) -> None:
    wrong_lines = denies = broken_lines = 0
    for line in raw.splitlines():
        if not line.strip():
            continue
        try:
            found = answer(line, shelf)
            denies += found["effect"] == "deny"
        except QuestionError as wrong:
            wrong_lines += 1
            found = {"id": _id_of(line), "error": wrong.message}
        except Exception as broken:  # noqa: BLE001  as above; the run goes on
            broken_lines += 1
            found = {"id": _id_of(line), "error": f"{_INTERNAL} ({type(broken).__name__})"}
        _print(found)
    if broken_lines:
        raise typer.Exit(3)
    if wrong_lines:
        raise typer.Exit(2)
    if exit_status and denies:
        raise typer.Exit(1)


def _id_of(line: bytes) -> object:
    try:
        return msgspec.json.decode(line, type=dict[str, Any]).get("id")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _print(found: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    sys.stdout.buffer.flush()


@app.command()
def label(  # noqa: PLR0913, PLR0917  the options of the command
    file: Annotated[
        str, typer.Argument(help="A resource, a Bundle, or NDJSON (by its name, or --ndjson); - for stdin.")
    ],
    profile: Annotated[str, typer.Option(help="Whose switches and defaults count.")] = "us-part2",
    ndjson: Annotated[bool, typer.Option("--ndjson", help="One resource a line, whatever the file's name.")] = False,  # noqa: FBT002  a flag of the command line
    directory: Annotated[
        Path | None, typer.Option(help="The directory: which organisations are Part 2 programs.")
    ] = None,
    context: Annotated[
        list[Path] | None,
        typer.Option(help="Records that the file refers to (encounters, organisations); held in memory."),
    ] = None,
    compare: Annotated[Path | None, typer.Option(help="The same records labelled by hand.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="How many processes label NDJSON.")] = 1,
    profiles: Profiles = None,
) -> None:
    """Write the labels of records into them, as the gateway would decide by (docs/labels.md)."""
    shelf = shelf_of(profiles)
    policy, tools = policy_of(profile, shelf), shelf.tools[profile]
    try:
        known = bootstrap.read_directory(directory, policy) if directory else None
        beside = [view for path in context or () for view in records_in(path)]
        run_of = Run(Labeller(policy, tools, known, beside), compared_with(compare), _err)
        began = time.perf_counter()
        size = _label(file, run_of, processes if ndjson or Path(file).suffix in LINES else 0)
    except ProfileError as wrong:
        _stop(wrong.message, 3)
    except QuestionError as wrong:
        _stop(wrong.message, 2)
    summary(run_of, _err, size, began)
    if run_of.unread:
        raise typer.Exit(2)


def _label(file: str, run_of: Run, processes: int) -> int:
    """Label a file to stdout, NDJSON in so many processes (0: it is one document); give its size. Raises QuestionError
    for a single document that cannot be labelled."""
    size = 0

    def advance(more: int) -> None:
        nonlocal size
        size += more
        bar.advance(task, more)

    try:
        source = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115  closed below
        with progress(_err) as bar, source:
            task = bar.add_task("", total=None if file == "-" else Path(file).stat().st_size)
            if processes:
                run_of.lines(source, sys.stdout.buffer, advance, processes)
            else:
                raw = source.read()
                sys.stdout.buffer.write(run_of.label(raw) + b"\n")
                advance(len(raw))
    except OSError:
        raise QuestionError(f"`{file}` cannot be read") from None
    except (MalformedJson, ValueError) as wrong:
        raise QuestionError(f"`{file}`: {wrong}") from None
    sys.stdout.buffer.flush()
    return size


@app.command()
def serve(config: Annotated[Path, typer.Option("--config", help="The settings file (docs/configuration.md).")]) -> None:
    """Serve the data plane and the control plane until SIGTERM."""
    try:
        bootstrap.serve(config)
    except (GatewayError, StoreUnavailable) as wrong:
        _stop(str(wrong), 3)
    except OSError as wrong:
        _stop(f"an address or a file cannot be taken: {wrong.strerror}", 3)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit after the story; non-zero if a line is wrong.")] = False,  # noqa: FBT002  a flag of the command line
    data: Annotated[Path | None, typer.Option("--data", help="Anybody's patients: a folder of R4 Bundles.")] = None,
) -> None:
    """Start an embedded FHIR server and the gateway before it, and tell a story by real requests."""
    shelf = shelf_of(None)
    try:
        status = run(
            once=once, data=data, out=_out, build=bootstrap.build, decide=lambda question: answer(question, shelf)
        )
    except (GatewayError, StoreUnavailable) as wrong:
        _stop(str(wrong), 3)
    raise typer.Exit(status)


@app.command()
def explain(
    what: Annotated[
        str, typer.Argument(help="A file with one question, or - for stdin; with --config an answer's X-Request-Id.")
    ],
    config: Annotated[
        Path | None, typer.Option("--config", help="The settings file of the gateway that answered the request.")
    ] = None,
    record: Annotated[
        list[str] | None, typer.Option("--record", help="Only this record: Type/id, or its pointer.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The explanation as JSON (docs/explain.md).")] = False,  # noqa: FBT002  a flag of the command line
    profiles: Profiles = None,
) -> None:
    """Tell a privacy officer what was decided and why, what was skipped, and what would change it (docs/explain.md).

    Of a request that was answered, what the ledger's restricted part has of it.
    """
    if config is not None:
        _explain_request(what, config)
        return
    shelf = shelf_of(profiles)
    if what != "-" and REQUEST_ID.fullmatch(what) and not Path(what).exists():
        _stop("the request of an id is told with --config", 2)
    raw = sys.stdin.buffer.read() if what == "-" else _read(what)
    try:
        found = explain_question(raw, shelf, record or ())
    except QuestionError as wrong:
        _stop(wrong.message, 2)
    except Exception as broken:  # noqa: BLE001  as with decide
        _stop(f"{_INTERNAL} ({type(broken).__name__})", 3)
    if as_json:
        _print(found)
        return
    for line in explanation_lines(found):
        _out.print(line, highlight=False, markup=False, soft_wrap=True)


def _explain_request(request_id: str, config: Path) -> None:
    attempts = _ledger(config, lambda ledger: ledger.explain(request_id))
    if not attempts:
        _stop("no request of this id is recorded", 2)
    for line in tell(attempts):
        _out.print(line, highlight=False, markup=False, soft_wrap=True)


@_ledger_commands.command("verify")
def verify_ledger(
    config: Annotated[Path, typer.Option("--config", help="The settings file of the gateway.")],
    head: Annotated[
        str, typer.Option(help="A head printed earlier; a ledger that was cut short shows against it.")
    ] = "",
) -> None:
    """Check the ledger's hash chain; exit 1 where a record does not fit."""
    found = _ledger(config, lambda ledger: ledger.verify())
    _out.print(f"{found.records} records fit; head {found.head}", highlight=False, soft_wrap=True)
    if found.broken is not None:
        _stop(f"record {found.broken} does not fit: the ledger was changed", 1)
    if head and found.head != head:
        _out.print("the head differs from the one given: records were added since, or cut off", highlight=False)


def _ledger(config: Path, ask: Callable[[Ledger], Awaitable[T]]) -> T:
    try:
        return asyncio.run(bootstrap.with_ledger(bootstrap.ledger_file(config), ask))
    except GatewayError as wrong:
        _stop(wrong.message, 3)


@app.command()
def token(  # noqa: PLR0913, PLR0917  each an option
    client: Annotated[str, typer.Option(help="The client_id, as the directory registers it.")],
    audience: Annotated[str, typer.Option(help="The audience that the gateway's issuer entry asks for.")],
    key: Annotated[Path, typer.Option(help="The development issuer's private key; made where there is none.")],
    purpose: Annotated[list[str] | None, typer.Option(help="A purpose of use the token grants.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="patient_app, privacy_officer or operator.")] = None,
    patient: Annotated[str, typer.Option(help="Whose app this is, such as Patient/rosa.")] = "",
    claims: Annotated[str, typer.Option(help="More claims, as a JSON object.")] = "{}",
    jwks: Annotated[Path | None, typer.Option(help="Where to write the key set that `jwks_file` names.")] = None,
) -> None:
    """Sign a token of the development issuer, for trying things out; never for data of real people."""
    if not key.exists():
        bootstrap.write_private(key, new_key())
    private = _read(str(key)).decode()
    if jwks is not None:
        jwks.write_text(public_keys(private), encoding="utf-8")
    try:
        more = msgspec.json.decode(claims, type=dict[str, Any])
    except msgspec.DecodeError:
        _stop("--claims is not a JSON object", 2)
    signed = development_token(
        private,
        client_id=client,
        audience=audience,
        at=clock.now(),
        purposes=purpose,
        roles=role or (),
        patient=patient,
        more=more,
    )
    sys.stdout.write(signed + "\n")


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError:
        _stop(f"`{file}` cannot be read", 2)


def _stop(message: str, status: int) -> NoReturn:
    _err.print(message, style="red", highlight=False, markup=False)
    raise typer.Exit(status)


if __name__ == "__main__":
    app()
