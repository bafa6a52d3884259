"""Each name of `prefect.infrastructure` is in the table of the documentation, with its place here or a reason."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "migrate.md"

_ROW = re.compile(r"\| `(?P<old>[\w.]+)` \| (?:`(?P<new>[\w.]+)` )?\| (?P<note>.*?) ?\|")

_OF_WORK_POOLS = ["get_corresponding_worker_type", "generate_work_pool_base_job_template"]

# All that is public in the modules of prefect.infrastructure, in 2.0.4 and in 2.20.25.
OLD_NAMES = {
    "Infrastructure": [
        *("type", "env", "labels", "name", "command", "run", "preview", "logger", "prepare_for_flow_run"),
        *("is_using_a_runner", "publish_as_work_pool", *_OF_WORK_POOLS),
    ],
    "InfrastructureResult": ["identifier", "status_code"],
    "MIN_COMPAT_PREFECT_VERSION": [],
    "Process": ["type", "stream_output", "working_dir", "run", "kill", "preview", *_OF_WORK_POOLS],
    "ProcessResult": [],
    "CONTAINER_LABELS": [],
    "ImagePullPolicy": ["IF_NOT_PRESENT", "ALWAYS", "NEVER"],
    "BaseDockerLogin": ["login", "get_docker_client"],
    "DockerRegistry": ["username", "password", "registry_url", "reauth", "login", "get_docker_client"],
    "DockerContainer": [
        *("type", "image", "image_pull_policy", "image_registry", "networks", "network_mode", "auto_remove", "volumes"),
        *("stream_output", "mem_limit", "memswap_limit", "privileged", "run", "kill", "preview"),
        *("convert_labels_to_docker_format", "check_volume_format", *_OF_WORK_POOLS),
    ],
    "DockerContainerResult": [],
    "KubernetesImagePullPolicy": ["IF_NOT_PRESENT", "ALWAYS", "NEVER"],
    "KubernetesRestartPolicy": ["ON_FAILURE", "NEVER"],
    "KubernetesManifest": [],
    "KubernetesClusterConfig": [
        *("config", "context_name", "parse_yaml_config", "from_file", "get_api_client", "configure_client"),
    ],
    "KubernetesJob": [
        *("type", "image", "namespace", "service_account_name", "image_pull_policy", "cluster_config", "job"),
        *("customizations", "job_watch_timeout_seconds", "pod_watch_timeout_seconds", "stream_output"),
        *("finished_job_ttl", "run", "kill", "preview", "build_job", "get_client", "get_batch_client"),
        *("base_job_manifest", "job_from_file", "customize_from_file", "dict", "default_namespace", "default_image"),
        *("ensure_job_includes_all_required_components", "ensure_job_has_compatible_values"),
        *("cast_customizations_to_a_json_patch", *_OF_WORK_POOLS),
    ],
    "KubernetesJobResult": [],
    "submit_flow_run": [],
    "base_flow_run_environment": [],
    "base_flow_run_labels": [],
}

ROWS = [match.groupdict() for line in PAGE.read_text().splitlines() if (match := _ROW.match(line))]


def test_each_old_name_has_its_row() -> None:
    """The table has one row for each name."""
    expected = [name for owner, members in OLD_NAMES.items() for name in (owner, *(f"{owner}.{m}" for m in members))]

    assert sorted(row["old"] for row in ROWS) == sorted(expected)


@pytest.mark.parametrize("row", [row for row in ROWS if row["new"]], ids=lambda row: row["old"])
def test_each_new_name_is_there(row: dict[str, str]) -> None:
    """What the table names exists: a name of a module, or a field or a method of a class."""
    module, _, name = row["new"].rpartition(".")
    if name in getattr(_found(module), "model_fields", {}):
        return
    assert hasattr(_found(module), name)


def test_a_name_that_is_gone_has_a_reason() -> None:
    """Where there is no new name, the table says why."""
    assert [row["old"] for row in ROWS if not row["new"] and not row["note"]] == []


def _found(path: str) -> object:
    """Import a module, or a class of one."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)
