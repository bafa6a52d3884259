"""The command line: ``python -m tests.engines prepare|up|down|status [NAME ...]``."""

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence

from tests.engines.catalogue import ENGINES
from tests.engines.engine import Engine
from tests.engines.packages import remove_stale_policy
from tests.engines.times import Stopwatch, note, note_failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 1 if an engine could not be brought up or down, or, for status, is not up."""
    parser = argparse.ArgumentParser(prog="python -m tests.engines", description="Real engines for integration tests.")
    parser.add_argument("command", choices=_COMMANDS, help="get what engines need; start, stop or look at them")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"some of {', '.join(ENGINES)}; without: all")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(ENGINES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    chosen = [engine for name, engine in ENGINES.items() if not options.names or name in options.names]
    return 0 if _COMMANDS[options.command](chosen) else 1


def _prepare(engines: list[Engine]) -> bool:
    remove_stale_policy()
    results = [_attempt(engine, engine.prepare) for engine in engines]
    return all(results)


def _up(engines: list[Engine]) -> bool:
    results = [_attempt(engine, engine.up) for engine in engines]
    return all(results) and _status(engines)


def _down(engines: list[Engine]) -> bool:
    for engine in engines:
        with contextlib.suppress(OSError):  # a process that ends while it is looked at
            if (used := engine.processor_seconds()) > 0:
                note(engine.name, "running", wall=None, processor=used)
    # Engines use the registry, so it goes last.
    results = [_attempt(engine, engine.down) for engine in reversed(engines)]
    return all(results)


def _status(engines: list[Engine]) -> bool:
    states = [engine.status() for engine in engines]
    for state in states:
        _say(f"{state.name:11} {'up' if state.up else 'down':5} {state.detail}")
    return all(state.up for state in states)


def _attempt(engine: Engine, action: Callable[[], None]) -> bool:
    """Do it and say how long it took; an engine that fails does not keep the others from their turn."""
    watch = Stopwatch()
    try:
        action()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told, and counts as a failure)
        _say(f"{engine.name}: {action.__name__} failed: {error}")
        note_failure(engine.name, action.__name__, error)
        return False
    watch.note(engine.name, action.__name__)
    _say(f"{engine.name}: {action.__name__} after {watch.wall:.1f} s")
    return True


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


_COMMANDS: dict[str, Callable[[list[Engine]], bool]] = {
    "prepare": _prepare,
    "up": _up,
    "down": _down,
    "status": _status,
}


def _interrupted(*_: object) -> None:
    """Have what is half done taken back, once: see `.ci/machine.py`, which sends the signal."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupted)
    sys.exit(main())
