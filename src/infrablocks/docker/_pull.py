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
from infrablocks.exceptions import ImagePullError

if TYPE_CHECKING:
    import logging

    from requests import Response

    from infrablocks.docker._client import Engine
    from infrablocks.docker._reference import ImageReference
    from infrablocks.docker._settings import RegistryCredentials

STALL_SECONDS = 300.0
"""A pull that has told nothing for so long is given up; to unpack a large layer takes some time without a word."""

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
    try:
        response = engine.open_stream("POST", "/images/create", parameters, headers=header, read_seconds=STALL_SECONDS)
    except EngineRefusal as error:
        raise _not_pulled(reference, error.answer, logged_in=bool(header)) from error
    progress = _PullProgress(reference, logger)
    try:
        _follow(reference, response, progress, logged_in=bool(header))
    finally:
        close_stream(response)
        progress.end()


def _name(reference: ImageReference) -> str:
    """Give the reference without tag and digest, as it was written: Podman has short names of its own."""
    name = str(reference).partition("@")[0]
    return name.removesuffix(f":{reference.tag}") if reference.tag else name


def _follow(reference: ImageReference, response: Response, progress: _PullProgress, *, logged_in: bool) -> None:
    lines: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(response, lines), name="infrablocks-docker-pull", daemon=True).start()
    heard = time.monotonic()
    while not cancellation_requested():
        try:
            line = lines.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            if time.monotonic() - heard < STALL_SECONDS:
                continue
            raise _not_pulled(reference, f"nothing came for {STALL_SECONDS:g} seconds", logged_in=logged_in) from None
        heard = time.monotonic()
        if line is None:
            return
        if isinstance(line, Exception):
            raise _not_pulled(reference, "the engine broke the answer off", logged_in=logged_in) from line
        if problem := line.get("error") or (line.get("errorDetail") or {}).get("message"):
            raise _not_pulled(reference, " ".join(str(problem).split()), logged_in=logged_in)
        progress.take(line)
    raise ImagePullError(f"The pull of image {str(reference)!r} was cancelled.")


def _read(response: Response, lines: queue.SimpleQueue[dict[str, Any] | Exception | None]) -> None:
    """Read in a thread of its own, so that a cancelled run need not wait for the next word."""
    try:
        for line in json_lines(response):
            lines.put(line)
    except Exception as error:  # noqa: BLE001 (raised by the thread that waits)
        lines.put(error)
    else:
        lines.put(None)


def _not_pulled(reference: ImageReference, answer: str, *, logged_in: bool) -> ImagePullError:
    hint = "Check its name"
    if any(word in answer.lower() for word in ("unauthorized", "authentication", "credentials", "denied", "401")):
        hint = (
            "The registry refused the credentials; check them"
            if logged_in
            else "Give credentials: the block's `image_registry`, or `docker login`"
        )
    return ImagePullError(f"Image {str(reference)!r} could not be pulled: {answer}. {hint}.")


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
