"""The command `consent-gateway`. It parses words and prints; what it prints is decided below it.

Rules of this file
1. Exit status: 0 answered; 1 a deny, with `--exit-status`; 2 the question or the command is wrong; 3 a profile, a
   setting or the gateway itself is.
2. Answers go to stdout, everything else to stderr.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console

from gateway import bootstrap
from gateway.errors import ProfileError, QuestionError
from gateway.facts.answer import Shelf, answer

app = typer.Typer(
    name="consent-gateway",
    help="A reverse proxy before FHIR servers that lets through what law, agreement and the patient's consent allow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_err = Console(stderr=True)

Profiles = Annotated[
    list[Path] | None, typer.Option("--profiles", help="A folder of your own profiles; may be given several times.")
]


@app.command()
def decide(
    file: Annotated[str, typer.Argument(help="A file with one question (docs/decide.md), or - for stdin.")],
    ndjson: Annotated[bool, typer.Option("--ndjson", help="One question a line; answers in order.")] = False,  # noqa: FBT002
    exit_status: Annotated[bool, typer.Option("--exit-status", help="Exit 1 on a deny.")] = False,  # noqa: FBT002
    profiles: Profiles = None,
) -> None:
    """Answer what the proxy would do with one exchange, without an upstream."""
    try:
        shelf = bootstrap.read_shelf(profiles or ())
    except ProfileError as wrong:
        _stop(wrong.message, 3)
    raw = sys.stdin.buffer.read() if file == "-" else _read(file)
    if ndjson:
        _decide_lines(raw, shelf, exit_status=exit_status)
        return
    try:
        found = answer(raw, shelf)
    except QuestionError as wrong:
        _stop(wrong.message, 2)
    _print(found)
    if exit_status and found["effect"] == "deny":
        raise typer.Exit(1)


def _decide_lines(raw: bytes, shelf: Shelf, *, exit_status: bool) -> None:
    wrong_lines = denies = 0
    for line in raw.splitlines():
        if not line.strip():
            continue
        try:
            found = answer(line, shelf)
            denies += found["effect"] == "deny"
        except QuestionError as wrong:
            wrong_lines += 1
            found = {"id": _id_of(line), "error": wrong.message}
        _print(found)
    if wrong_lines:
        raise typer.Exit(2)
    if exit_status and denies:
        raise typer.Exit(1)


def _id_of(line: bytes) -> object:
    try:
        return msgspec.json.decode(line, type=dict[str, Any]).get("id")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _print(found: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    sys.stdout.buffer.flush()


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
