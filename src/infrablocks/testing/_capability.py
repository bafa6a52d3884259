"""What a back end may do without."""

from enum import Enum


class Capability(Enum):
    """A part of the contract that a back end may lack. A test class names what is lacking in `lacks`.

    Attributes:
        OUTPUT: It passes on what the workload prints, to `sys.stdout` and `sys.stderr` or to the sink `output=`.
        SEPARATE_STREAMS: It tells stdout and stderr apart.
        LIFE_CYCLE: It has `kill` and `status`, and obeys `timeout_seconds`, `on_cancel` and `grace_seconds`.
        ATTACH: It can watch a workload that an earlier run has made.
        LOGS: It can pass on what a workload has printed so far, with `logs`.
        ENDED: It still finds a workload after its end, for `status` and `attach`.
    """

    OUTPUT = "output"
    SEPARATE_STREAMS = "separate streams"
    LIFE_CYCLE = "kill and status"
    ATTACH = "attach"
    LOGS = "logs"
    ENDED = "finding what has ended"
