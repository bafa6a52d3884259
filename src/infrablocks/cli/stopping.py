"""A run that ends when somebody wants it to: on a signal, or when nobody reads its output any more."""

from __future__ import annotations

import asyncio
import logging
import select
import signal
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from anyio import CancelScope, create_task_group, sleep

from infrablocks._threads import ThreadsafeEvent
from infrablocks.cli import exit_codes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import TextIO

    from infrablocks import Infrastructure

T = TypeVar("T")

logger = logging.getLogger("infrablocks.cli")

_REPEAT_SECONDS = 0.02


async def watch_until_stopped(block: Infrastructure, watch: Callable[[], Awaitable[T]]) -> T | int:
    """Run a block, or attach to a workload, to its end, or until it is stopped.

    Only for asyncio, because of the second signal.

    Args:
        block: Says what becomes of the workload when it is stopped.
        watch: Its `run`, `attach` or `logs`.

    Returns:
        What `watch` returns; or the exit code, where it was stopped.

    Raises:
        Exception: What the run raised.
    """
    return await _StoppableRun(block, watch).outcome()


class _StoppableRun(Generic[T]):
    """One run of a block, made inside the event loop."""

    def __init__(self, block: Infrastructure, watch: Callable[[], Awaitable[T]]) -> None:
        self._block = block
        self._watch = watch
        self._scope = CancelScope()
        self._task: asyncio.Task[None] | None = None
        self._results: list[T] = []
        self._error: Exception | None = None
        self._exit_code = exit_codes.NOT_RUN

    async def outcome(self) -> T | int:
        closed_output = _ClosedOutput()
        signals = _signals_received(ignored_afterwards=lambda: self._scope.cancel_called)
        with signals as next_signal, closed_output.watched():
            async with create_task_group() as tasks:
                tasks.start_soon(self._stop_on_signals, next_signal)
                tasks.start_soon(self._stop_on, closed_output)
                tasks.start_soon(self._run, tasks.cancel_scope)
        if self._error is not None:
            raise self._error
        return self._results[0] if self._results else self._exit_code

    async def _run(self, helpers: CancelScope) -> None:
        self._task = asyncio.current_task()
        try:
            with self._scope:
                self._results.append(await self._watch())
        except Exception as error:  # noqa: BLE001 (raised by `outcome`, outside of the group that would wrap it)
            self._error = error
        finally:
            helpers.cancel()

    async def _stop_on_signals(self, next_signal: Callable[[], Awaitable[signal.Signals]]) -> None:
        first = await next_signal()
        if not self._scope.cancel_called:
            self._exit_code = exit_codes.of_signal(first)
            self._say_what_happens(first)
            self._scope.cancel()
            await next_signal()
        while self._task is not None:
            # While the library ends the workload it lets no scope of anyio disturb it. It does listen to asyncio's own
            # cancellation: the grace period is over. One that comes while another is on its way would be lost.
            self._task.cancel()
            await sleep(_REPEAT_SECONDS)

    async def _stop_on(self, closed_output: _ClosedOutput) -> None:
        await closed_output.seen.wait()
        if not self._scope.cancel_called:
            self._exit_code = exit_codes.BROKEN_PIPE
            self._scope.cancel()

    def _say_what_happens(self, received: signal.Signals) -> None:
        if self._block.on_cancel == "kill":
            logger.warning(
                "%s: stopping the command, which may take %g s to end; a second signal ends it at once",
                received.name, self._block.grace_seconds,
            )  # fmt: skip


class _ClosedOutput(logging.Filter):
    """Learns from the library's own warning that what the workload prints is not read any more.

    The library then goes on with the run. At a command line that would be wrong: `infrablocks run -- yes | head -1`
    would never end. The warning is not shown, as other programs end without a word, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = ThreadsafeEvent()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Listen while the context lasts."""
        output = logging.getLogger("infrablocks.output")
        output.addFilter(self)
        try:
            yield
        finally:
            output.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or not any(_has_no_reader(stream) for stream in (sys.stdout, sys.stderr)):
            return True
        self.seen.set()
        return False


def _has_no_reader(stream: TextIO | None) -> bool:
    """Say whether a stream leads into a pipe that nobody can read any more."""
    if stream is None:
        return False
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return bool(poll.poll(0))


@contextmanager
def _signals_received(*, ignored_afterwards: Callable[[], bool]) -> Iterator[Callable[[], Awaitable[signal.Signals]]]:
    """Receive the signals that end a program, without those that whoever started it wants to be ignored (`nohup`).

    asyncio's own handlers do not do: they leave a signal to Python before anybody can have it ignored. One of many
    (Ctrl-C held down) would then end the program in another way, and with another exit code, than the first did.

    Args:
        ignored_afterwards: Says, at the end, whether the program is about to end because of a signal.

    Yields:
        Waits for the next signal, in the event loop.
    """
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.setblocking(False)

        async def next_signal() -> signal.Signals:
            return signal.Signals((await asyncio.get_running_loop().sock_recv(here, 1))[0])

        # Python writes the number of a signal there that has a handler, whatever that does.
        before = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, _left_to_next_signal) for number in _signals_that_end()}
        try:
            yield next_signal
        finally:
            for number, handler in handlers.items():
                signal.signal(number, signal.SIG_IGN if ignored_afterwards() else handler)
            signal.set_wakeup_fd(before)


def _left_to_next_signal(*_: object) -> None:
    """Do nothing: handle a signal in `next_signal` only."""


def _signals_that_end() -> list[signal.Signals]:
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    return [number for number in ends if signal.getsignal(number) is not signal.SIG_IGN]
