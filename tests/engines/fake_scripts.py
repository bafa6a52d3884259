"""What fake nodes do with a pod, as its annotations say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

PREFIX = "fake.infrablocks.io/"
ENDS = ("exit", "oom-killed", "evicted", "deleted", "node-lost", "never")


@dataclass(frozen=True)
class PodScript:
    """The course of one pod. Each field is an annotation, such as ``fake.infrablocks.io/run-seconds: "2.5"``.

    Args:
        start_seconds: How long it takes from binding to the start of the containers.
        run_seconds: How long the containers run.
        exit_codes: The first container's, in the annotation with commas in between: that of the owner's first pod,
            second pod and so on; the last one stands for all that follow.
        end: What ends it, one of `ENDS`: its own exit; too much memory; the kubelet, for the node has too little; its
            removal by somebody; the loss of its node, which does nothing more from then on; nothing.
        message: The first container's termination message, or what the kubelet says of an eviction.
        restarts: How often the containers fail with exit code 1 and are started again before.
        waiting: Why the containers never start, such as ImagePullBackOff; empty if they do.
        waiting_message: The message beside it.
        stop_seconds: How long they take to stop when the pod is deleted.
        log_lines: How many lines every container writes, evenly over the time it runs.
        log_cut_after: After how many lines the node cuts a connection that asks for them; 0: never.
    """

    start_seconds: float = 0
    run_seconds: float = 1
    exit_codes: tuple[int, ...] = (0,)
    end: str = "exit"
    message: str = ""
    restarts: int = 0
    waiting: str = ""
    waiting_message: str = ""
    stop_seconds: float = 0
    log_lines: int = 3
    log_cut_after: int = 0

    @classmethod
    def of(cls, pod: Mapping[str, Any], run_seconds: float) -> Self:
        """Read a pod's annotations.

        Args:
            pod: The pod.
            run_seconds: How long it runs if it does not say.

        Raises:
            ValueError: An annotation is none of the fields, or has no value for it.
        """
        fields: dict[str, Any] = {"run_seconds": run_seconds}
        for name, value in (pod["metadata"].get("annotations") or {}).items():
            if name.startswith(PREFIX):
                field = name.removeprefix(PREFIX).replace("-", "_")
                if field not in _READ:
                    raise ValueError(f"no such annotation: {name}")
                fields[field] = _READ[field](value)
        return cls(**fields)

    def exit_code(self, pods_before: int) -> int:
        """Return the exit code of a pod whose owner has had so many others before."""
        return self.exit_codes[min(pods_before, len(self.exit_codes) - 1)]

    def seconds_of_line(self, number: int) -> float:
        """Return when a line is written, from the start of the containers."""
        return number * self.run_seconds / self.log_lines


def annotations(**fields: object) -> dict[str, str]:
    """Return the annotations for these fields of `PodScript`; exit codes may be a list."""
    texts = {
        name: ",".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in fields.items()
    }
    return {PREFIX + name.replace("_", "-"): text for name, text in texts.items()}


def _codes(text: str) -> tuple[int, ...]:
    return tuple(int(code) for code in text.split(","))


def _end(text: str) -> str:
    if text not in ENDS:
        raise ValueError(f"end is {text!r}, and not one of {', '.join(ENDS)}")
    return text


_READ: dict[str, Callable[[str], object]] = {
    "start_seconds": float,
    "run_seconds": float,
    "exit_codes": _codes,
    "end": _end,
    "message": str,
    "restarts": int,
    "waiting": str,
    "waiting_message": str,
    "stop_seconds": float,
    "log_lines": int,
    "log_cut_after": int,
}
