"""Pulling an image: with progress, with the errors that come in the middle of the answer, and with an end."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from infrablocks._progress import WaitProgress, tell_progress
from infrablocks._threads import cancellation_requested
from infrablocks.docker._credentials import registry_header
from infrablocks.docker._errors import EngineRefusal
from infrablocks.docker._streams import close_stream, json_lines
from infrablocks.exceptions import ImagePullError, InfrastructureError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from requests import Response

    from infrablocks.docker._client import Engine
    from infrablocks.docker._reference import ImageReference
    from infrablocks.docker._settings import RegistryCredentials

STALL_SECONDS = 300.0
"""A pull that has told nothing for so long is given up; to unpack a large layer takes some time without a word."""

# Of the socket, which is not to decide: its error would not say that a pull has stalled.
_READ_SECONDS_MORE = 30.0
_PROGRESS_SECONDS = 5.0
_LOOK_SECONDS = 0.2


def pull(
    engine: Engine,
    reference: ImageReference,
    credentials: RegistryCredentials | None,
    *,
    platform: str | None,
    logger: logging.Logger,
) -> None:
    """Pull an image; blocks.

    Args:
        engine: What is to have it.
        reference: The image. With a digest it is pulled by that, whatever its tag.
        credentials: For this pull only; None: those of the Docker configuration.
        platform: `os/architecture`, None: the engine's own.
        logger: Gets the progress.

    Raises:
        ImagePullError: It could not be had; the message has the engine's or the registry's words.
        InfrastructureNotAvailable: The engine is out of reach.
    """
    logger.info("Pulling image %s.", reference)
    parameters = {"fromImage": _name(reference), "tag": reference.digest or reference.tag or "latest"}
    if platform:
        parameters["platform"] = platform
    header = registry_header(reference, credentials)
    read_seconds = STALL_SECONDS + _READ_SECONDS_MORE
    answer = _Answer(
        lambda: engine.open_stream("POST", "/images/create", parameters, headers=header, read_seconds=read_seconds)
    )
    progress = _PullProgress(reference, logger)
    try:
        _follow(reference, answer, progress, logged_in=bool(header))
    finally:
        answer.close()
        progress.end()


def _name(reference: ImageReference) -> str:
    """Give the reference without tag and digest, as it was written: Podman has short names of its own."""
    name = str(reference).partition("@")[0]
    return name.removesuffix(f":{reference.tag}") if reference.tag else name


def _follow(reference: ImageReference, answer: _Answer, progress: _PullProgress, *, logged_in: bool) -> None:
    heard = time.monotonic()
    while not cancellation_requested():
        try:
            line = answer.lines.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            if time.monotonic() - heard < STALL_SECONDS:
                continue
            raise _not_pulled(
                reference,
                f"nothing came from the engine for {STALL_SECONDS:g} seconds",
                "Check whether it hangs, and whether it reaches the registry",
            ) from None
        heard = time.monotonic()
        if line is None:
            return
        if isinstance(line, Exception):
            raise _broken_off(reference, line, logged_in=logged_in) from line
        if problem := line.get("error") or (line.get("errorDetail") or {}).get("message"):
            words = " ".join(str(problem).split())
            raise _not_pulled(reference, words, _hint(words, logged_in=logged_in))
        progress.take(line)
    raise ImagePullError(f"The pull of image {str(reference)!r} was cancelled.")


class _Answer:
    """An answer asked for and read in a thread of its own: a cancelled run, or one whose pull stalls, does not wait.

    Attributes:
        lines: What came. The last is the error that ended it, or None.
    """

    def __init__(self, ask: Callable[[], Response]) -> None:
        self.lines: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
        self._ask = ask
        self._lock = threading.Lock()
        self._response: Response | None = None
        self._closed = False
        threading.Thread(target=self._read, name="infrablocks-docker-pull", daemon=True).start()

    def close(self) -> None:
        """Read no more. An answer that has not begun yet is closed when it does."""
        with self._lock:
            self._closed = True
            response = self._response
        if response is not None:
            close_stream(response)

    def _read(self) -> None:
        try:
            response = self._ask()
            with self._lock:
                self._response, closed = response, self._closed
            if closed:
                return close_stream(response)
            for line in json_lines(response):
                self.lines.put(line)
        except Exception as error:  # noqa: BLE001 (raised by the thread that waits)
            self.lines.put(error)
        else:
            self.lines.put(None)


def _broken_off(reference: ImageReference, error: Exception, *, logged_in: bool) -> InfrastructureError:
    """Give the error of a pull for what has ended its answer."""
    if isinstance(error, EngineRefusal):
        return _not_pulled(reference, error.answer, _hint(error.answer, logged_in=logged_in))
    if isinstance(error, InfrastructureError):
        return type(error)(str(error))  # its own traceback is of the other thread
    return _not_pulled(reference, "the engine broke the answer off", "Check whether it runs, and pull again")


def _hint(answer: str, *, logged_in: bool) -> str:
    if not any(word in answer.lower() for word in ("unauthorized", "authentication", "credentials", "denied", "401")):
        return "Check its name"
    if logged_in:
        return "The registry refused the credentials; check them"
    return "Give credentials: the block's `image_registry`, or `docker login`"


def _not_pulled(reference: ImageReference, problem: str, hint: str) -> ImagePullError:
    return ImagePullError(f"Image {str(reference)!r} could not be pulled: {problem}. {hint}.")


class _PullProgress:
    """Tells how far a pull has come: whoever listens, at each step; in the log, every few seconds."""

    def __init__(self, reference: ImageReference, logger: logging.Logger) -> None:
        self._what = f"Pulling image {reference}"
        self._logger = logger
        self._done: set[str] = set()
        self._bytes: dict[str, tuple[int, int]] = {}
        self._told = time.monotonic()

    def take(self, line: dict[str, Any]) -> None:
        layer, status = str(line.get("id") or ""), str(line.get("status") or "")
        detail = line.get("progressDetail") or {}
        if layer and status.startswith("Downloading") and detail.get("total"):
            self._bytes[layer] = (int(detail.get("current") or 0), int(detail["total"]))
        elif layer and status in {"Pull complete", "Already exists"}:
            self._done.add(layer)
        elif layer and status in {"Pulling fs layer", "Waiting"}:
            self._bytes.setdefault(layer, (0, 0))
        layers = f"{len(self._done)} of {len(self._done | self._bytes.keys())} layers"
        here = sum(total if layer in self._done else current for layer, (current, total) in self._bytes.items())
        whole = sum(total for _, total in self._bytes.values())
        tell_progress(WaitProgress(self._what, layers, here, whole))
        if time.monotonic() - self._told >= _PROGRESS_SECONDS:
            self._told = time.monotonic()
            self._logger.info("%s: %s, %.1f of %.1f MB.", self._what, layers, here / 1e6, whole / 1e6)

    def end(self) -> None:
        """Tell that the pull has ended, well or not."""
        tell_progress(WaitProgress(self._what, is_over=True))
