"""The result of a Job."""

from __future__ import annotations

from infrablocks._results import InfrastructureResult


class KubernetesJobResult(InfrastructureResult):
    """How a Job ended.

    Its `identifier` is `<cluster id>:<namespace>:<name of the Job>:<uid of the Job>`; the status code is that of the
    container which runs the command, where a signal that ended it is 128 plus the signal's number.
    """
