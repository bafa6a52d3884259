"""`infrablocks doctor`: what can be used here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from infrablocks.cli import exit_codes
from infrablocks.cli.checks.finding import Finding, State
from infrablocks.cli.command import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.BROKEN: "red"}


@command()
def doctor(
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace where Kubernetes Jobs are to run.")
    ] = "default",
) -> None:
    """Say what can be used on this machine.

    Fails when something is broken. A line that begins with "warning" is no failure.
    """
    findings = list(_findings(namespace))
    if sys.stdout is not None and sys.stdout.isatty():
        _print_table(findings)
    else:
        for back_end, finding in findings:
            typer.echo(f"{finding.state.value:8} {back_end}: {finding.name}: {finding.detail}")
    if any(finding.state is State.BROKEN for _, finding in findings):
        raise typer.Exit(exit_codes.FAILED)


def _findings(namespace: str) -> Iterator[tuple[str, Finding]]:
    from infrablocks.cli.checks.back_ends import checks  # noqa: PLC0415 (they import all back ends)

    for back_end, checks_of_one in checks(namespace).items():
        for check in checks_of_one:
            yield from ((back_end, finding) for finding in _findings_of(check))


def _findings_of(check: Callable[[], Finding | Sequence[Finding]]) -> Sequence[Finding]:
    try:
        found = check()
    except Exception as error:  # noqa: BLE001 (the other checks are worth more than one that is broken itself)
        return [Finding(check.__name__, State.BROKEN, f"could not be checked: {type(error).__name__}: {error}")]
    return [found] if isinstance(found, Finding) else found


def _print_table(findings: list[tuple[str, Finding]]) -> None:
    from rich.console import Console  # noqa: PLC0415 (only for a terminal)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("", "Back end", "Check", "Finding")
    shown = ""
    for back_end, finding in findings:
        if shown and back_end != shown:
            table.add_section()
        state = Text(finding.state.value, style=_COLOURS[finding.state])
        table.add_row(state, "" if back_end == shown else back_end, finding.name, Text(finding.detail))
        shown = back_end
    Console().print(table)
