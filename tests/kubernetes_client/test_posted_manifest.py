"""What a run sends to the API: what the user wrote, also what nobody here knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infrablocks.exceptions import WorkloadCreationError
from infrablocks.kubernetes import KubernetesJob
from tests.kubernetes_client.api_server import JOBS, Answer, status
from tests.kubernetes_client.kubeconfigs import cluster_config

if TYPE_CHECKING:
    from tests.kubernetes_client.api_server import ApiServer

NEW: dict[str, Any] = {"Level_1": [1, 2.5, None, {"empty": {}, "list": [], "no": False}], "text": "ünï", "zero": 0}


def test_fields_of_tomorrow(plain_server: ApiServer) -> None:
    """Fields that no client library knows yet are in the request as they are in the manifest or in a customization."""
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {}, "fieldOfTomorrow": NEW},
        "spec": {
            "fieldOfTomorrow": NEW,
            "completions": 1,
            "parallelism": 1,
            "template": {
                "metadata": {"fieldOfTomorrow": NEW},
                "spec": {
                    "fieldOfTomorrow": NEW,
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "busybox", "env": [], "fieldOfTomorrow": NEW}],
                },
            },
        },
        "fieldOfTomorrow": NEW,
    }
    patch = [{"op": "add", "path": "/spec/patchOfTomorrow", "value": NEW}]
    plain_server.answer("POST .*/selfsubjectrulesreviews", Answer(200, {"status": {"incomplete": True}}))
    plain_server.answer(f"POST {JOBS}", status(422, "Invalid", "not today"))
    block = KubernetesJob(
        job=job,
        command=["true"],
        customizations=patch,
        namespace="default",
        cluster_config=cluster_config(plain_server),
    )
    with pytest.raises(WorkloadCreationError, match="not today"):
        block.run()
    (body,) = (request.body for request in plain_server.requests if request.line == f"POST {JOBS}")
    spec, template = body["spec"], body["spec"]["template"]
    pod = template["spec"]
    places = [body, body["metadata"], spec, template["metadata"], pod, pod["containers"][0]]
    assert [place["fieldOfTomorrow"] for place in places] == [NEW] * 6
    assert spec["patchOfTomorrow"] == NEW
