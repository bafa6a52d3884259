"""What the API would make of a Job.

https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infrablocks.exceptions import InvalidManifest
from infrablocks.kubernetes._clusters import borrowed_cluster
from infrablocks.kubernetes._errors import BAD_REQUEST, UNPROCESSABLE, ApiRefusal

if TYPE_CHECKING:
    from infrablocks.kubernetes._settings import JobSettings


def dry_run(settings: JobSettings) -> dict[str, Any]:
    """Have the API check a Job strictly, without making it, and give its answer. Blocks.

    Raises:
        InvalidManifest: The API would refuse it for what it says.
        ApiRefusal: The API would refuse it for another reason.
        InfrastructureNotAvailable: The cluster is out of reach, or does not allow it.
    """
    path = f"/apis/batch/v1/namespaces/{settings.namespace}/jobs"
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    with borrowed_cluster(settings.cluster_config) as cluster:
        try:
            return cluster.call("POST", path, query=query, body=dict(settings.manifest))
        except ApiRefusal as error:
            if error.status in {BAD_REQUEST, UNPROCESSABLE}:
                raise InvalidManifest(f"The Kubernetes cluster would refuse the Job: {error.message}") from error
            raise
