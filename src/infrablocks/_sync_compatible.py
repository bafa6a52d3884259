"""Coroutines that can also be called from a plain script."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from anyio import from_thread

from infrablocks._threads import in_event_loop, in_worker_thread, interrupted_at_awaits_only

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")


@overload
def sync_compatible(function: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Any]: ...
@overload
def sync_compatible(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]: ...
def sync_compatible(function: Callable[P, Coroutine[Any, Any, Any]]) -> Callable[P, Any]:
    """Let a coroutine function be called from anywhere.

    - Inside an event loop (asyncio or trio) the call returns an awaitable.
    - Inside an anyio worker thread it runs on that thread's loop and returns the result.
    - Elsewhere it runs to its end in an asyncio loop of its own and returns the result.

    Ctrl-C interrupts it where it awaits something, and nowhere else, so that what it has begun is ended in order.

    To a type checker it returns the result, which the classes of this library declare as awaitable as well; a function
    without a result returns Any, so that both uses are accepted.

    Args:
        function: The coroutine function, also as a method of a class.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        if in_event_loop():
            return interrupted_at_awaits_only(function, *args, **kwargs)
        bound = partial(function, *args, **kwargs)
        if in_worker_thread():
            return from_thread.run(bound)
        import asyncio  # noqa: PLC0415 (its import takes long)

        # Not anyio.run: in a thread of asyncio.to_thread it believes that it is still in the loop.
        return asyncio.run(bound())

    return call
