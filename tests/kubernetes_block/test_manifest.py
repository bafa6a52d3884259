"""Whole manifests: of each shortcut, of all together, and what wins over what."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from infrablocks.kubernetes import KubernetesJob
from infrablocks.kubernetes._manifest import job_settings
from tests.kubernetes_block.manifests import base_manifest, block, build, expected, secret_variable

LABELS = {"labels": {"team": "data"}}
WORKER = {"name": "worker", "image": "mine:1", "command": ["work"]}
SIDECAR = {"name": "proxy", "image": "proxy:1"}


def test_the_least() -> None:
    """The base manifest is what the seed's was, with what belongs to the Job in the Job's spec."""
    assert KubernetesJob.base_job_manifest() == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {}},
        "spec": {
            "backoffLimit": 0,
            "parallelism": 1,
            "completions": 1,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "prefect-job", "env": []}]}},
        },
    }
    assert build(block()) == expected()


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"image": "b:2"}, {"container": {"image": "b:2"}}),
        ({"namespace": "etl"}, {"metadata": {"namespace": "etl"}}),
        ({"name": "Nightly: ETL!"}, {"metadata": {"generateName": "nightly-etl-"}}),
        ({"command": ["sh", "-c", "exit 3"]}, {"container": {"command": ["sh", "-c", "exit 3"]}}),
        ({"labels": {"team": "data"}}, {"metadata": LABELS, "template": {"metadata": LABELS}}),
        ({"env": {"A": "1", "GONE": None}}, {"container": {"env": [{"name": "A", "value": "1"}]}}),
        ({"env": {"A": SecretStr("s")}}, {"container": {"env": [secret_variable("A")]}}),
        (
            {"env": {"A": SecretStr("s")}, "secrets": "inline"},
            {"container": {"env": [{"name": "A", "value": "s"}]}},
        ),
        ({"image_pull_policy": "IfNotPresent"}, {"container": {"imagePullPolicy": "IfNotPresent"}}),
        ({"image_pull_policy": "if_not_present"}, {"container": {"imagePullPolicy": "IfNotPresent"}}),
        ({"image_pull_policy": "ALWAYS"}, {"container": {"imagePullPolicy": "Always"}}),
        ({"service_account_name": "runner"}, {"pod": {"serviceAccountName": "runner"}}),
        ({"finished_job_ttl": 0}, {"spec": {"ttlSecondsAfterFinished": 0}}),
        ({"cpu_request": 0.5}, {"container": {"resources": {"requests": {"cpu": "0.5"}}}}),
        ({"cpu_limit": 2}, {"container": {"resources": {"limits": {"cpu": "2"}}}}),
        ({"memory_request": "64Mi"}, {"container": {"resources": {"requests": {"memory": "64Mi"}}}}),
        ({"memory_limit": "1G"}, {"container": {"resources": {"limits": {"memory": "1G"}}}}),
    ],
)
def test_each_shortcut(fields: dict[str, Any], parts: dict[str, Any]) -> None:
    """A shortcut sets its place in the manifest, and nothing else."""
    assert build(block(**fields)) == expected(**parts)


def test_everything_together() -> None:
    """All fields, over a manifest with a sidecar before our container, and a patch over them."""
    manifest = base_manifest(
        SIDECAR,
        {
            "name": "prefect-job",
            "image": "old:1",
            "env": [{"name": "OLD", "value": "1"}, {"name": "KEPT", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
            "resources": {"limits": {"nvidia.com/gpu": 1}, "requests": {"cpu": "9"}},
        },
        restartPolicy="OnFailure",
        nodeSelector={"gpu": "yes"},
    )
    manifest["metadata"] = {"namespace": "old", "labels": {"a": "1", "team": "old"}, "annotations": {"x": "y"}}
    manifest["spec"] |= {"backoffLimit": 3, "parallelism": 2, "completions": 4}
    manifest["spec"]["template"]["metadata"] = {"labels": {"b": "2"}}
    job = KubernetesJob(
        job=manifest,
        image="new:2",
        namespace="new",
        service_account_name="runner",
        image_pull_policy="never",
        finished_job_ttl=60,
        cpu_request="250m",
        memory_limit="1Gi",
        name="Everything",
        command=["run"],
        labels={"team": "data"},
        env={"OLD": None, "NEW": "2", "TOKEN": SecretStr("t0ken")},
        pod_watch_timeout_seconds=5,
        stream_output=False,
        customizations=[
            {"op": "add", "path": "/spec/template/spec/tolerations", "value": [{"key": "gpu"}]},
            {"op": "replace", "path": "/spec/completions", "value": 5},
        ],
    )
    settings = job_settings(job, {"PREFECT_API_KEY": "pnu_key", "PREFECT_HOME": "/root", "PREFECT_API_URL": "http://a"})
    assert settings.manifest == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": "new",
            "generateName": "everything-",
            "labels": {"a": "1", "team": "data"},
            "annotations": {"x": "y"},
        },
        "spec": {
            "backoffLimit": 3,
            "parallelism": 2,
            "completions": 5,
            "ttlSecondsAfterFinished": 60,
            "template": {
                "metadata": {"labels": {"b": "2", "team": "data"}},
                "spec": {
                    "restartPolicy": "OnFailure",
                    "nodeSelector": {"gpu": "yes"},
                    "serviceAccountName": "runner",
                    "tolerations": [{"key": "gpu"}],
                    "containers": [
                        {**SIDECAR, "env": []},
                        {
                            "name": "prefect-job",
                            "image": "new:2",
                            "imagePullPolicy": "Never",
                            "command": ["run"],
                            "env": [
                                secret_variable("PREFECT_API_KEY"),
                                {"name": "PREFECT_API_URL", "value": "http://a"},
                                {"name": "KEPT", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
                                {"name": "NEW", "value": "2"},
                                secret_variable("TOKEN"),
                            ],
                            "resources": {
                                "limits": {"nvidia.com/gpu": 1, "memory": "1Gi"},
                                "requests": {"cpu": "250m"},
                            },
                        },
                    ],
                },
            },
        },
    }
    assert {key: value.get_secret_value() for key, value in settings.secret_values.items()} == {
        "PREFECT_API_KEY": "pnu_key",
        "TOKEN": "t0ken",
    }
    assert (settings.namespace, settings.container, settings.start_seconds) == ("new", "prefect-job", 5.0)
    assert not settings.stream_output
    assert settings.notes == settings.warnings == ()
    assert "pnu_key" not in repr(settings)
    assert "t0ken" not in repr(settings)


def test_a_default_gives_way_to_the_manifest() -> None:
    """Image, namespace, command and name that were not given stay the manifest's own."""
    manifest = base_manifest(WORKER)
    manifest["metadata"] |= {"namespace": "etl", "name": "mine"}
    built = build(KubernetesJob(job=manifest))
    assert built["metadata"] == {"labels": {}, "namespace": "etl", "name": "mine"}
    assert built["spec"]["template"]["spec"]["containers"] == [{**WORKER, "env": []}]


def test_what_is_given_wins_over_the_manifest() -> None:
    """The same fields, given with the values that are their defaults, win."""
    manifest = base_manifest(WORKER)
    manifest["metadata"] |= {"namespace": "etl", "name": "mine"}
    default = KubernetesJob()
    given = {"namespace": "default", "image": default.image, "command": default.command, "name": "other"}
    built = build(KubernetesJob(job=manifest, **given))
    assert built["metadata"] == {"labels": {}, "namespace": "default", "generateName": "other-"}
    assert built["spec"]["template"]["spec"]["containers"] == [
        {"name": "worker", "image": default.image, "command": default.command, "env": []}
    ]


def test_a_copy_gives_what_it_changes() -> None:
    """A value that a copy was given wins over the manifest too."""
    manifest = base_manifest(WORKER)
    copy = KubernetesJob(job=manifest).model_copy(update={"image": "copied:1"})
    assert copy.build_job()["spec"]["template"]["spec"]["containers"][0]["image"] == "copied:1"


def test_no_command_leaves_the_images_own() -> None:
    """An empty command sets none; also the arguments of a manifest are kept from the default one."""
    assert "command" not in build(block(command=[]))["spec"]["template"]["spec"]["containers"][0]
    worker = {"name": "worker", "image": "a", "args": ["--once"], "env": []}
    assert build(KubernetesJob(job=base_manifest(worker), name="j")) == expected(pod={"containers": [worker]})


def test_a_manifest_of_the_seed() -> None:
    """`parallelism` and `completions` of the pod's spec, where the seed had them, are moved to the Job's."""
    manifest = base_manifest()
    for name in ("parallelism", "completions", "backoffLimit"):
        del manifest["spec"][name]
    manifest["spec"]["template"]["spec"] |= {"parallelism": 1, "completions": 2}
    assert build(block(job=manifest)) == expected(spec={"completions": 2})
    manifest["spec"] |= {"completions": 3, "backoffLimit": None}
    assert build(block(job=manifest)) == expected(spec={"completions": 3})


@pytest.mark.parametrize("first", [True, False])
def test_a_sidecar(first: bool) -> None:
    """Our container is found by its name, wherever it stands."""
    ours = {"name": "prefect-job"}
    built = build(block(job=base_manifest(*((SIDECAR, ours) if first else (ours, SIDECAR)))))
    plain = expected()["spec"]["template"]["spec"]["containers"][0]
    sidecar = {**SIDECAR, "env": []}
    assert built["spec"]["template"]["spec"]["containers"] == ([sidecar, plain] if first else [plain, sidecar])


def test_a_sidecar_that_a_patch_adds() -> None:
    """The only container is ours, whatever its name, also when a patch puts another one before it."""
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0", "value": SIDECAR}]
    settings = job_settings(block(job=base_manifest({"name": "worker"}), customizations=patch), {})
    assert settings.container == "worker"
    assert [one["image"] for one in settings.manifest["spec"]["template"]["spec"]["containers"]] == [
        "proxy:1",
        "busybox:1.36",
    ]


def test_a_patch_that_renames_our_container() -> None:
    """The container is known under the name that it gets."""
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/name", "value": "renamed"}]
    assert job_settings(block(customizations=patch), {}).container == "renamed"


@pytest.mark.parametrize(
    ("patch", "namespace"),
    [
        ([{"op": "replace", "path": "/metadata/namespace", "value": "patched"}], "patched"),
        ([{"op": "remove", "path": "/metadata/namespace"}], "etl"),
    ],
)
def test_the_namespace_is_that_of_the_result(patch: list[dict[str, Any]], namespace: str) -> None:
    """What a patch makes of the namespace counts; one that takes it away gets the block's."""
    settings = job_settings(block(namespace="etl", customizations=patch), {})
    assert settings.namespace == settings.manifest["metadata"]["namespace"] == namespace


def test_labels_that_the_cluster_sets() -> None:
    """Labels which the API keeps for itself in pods are set on the Job only."""
    labels = {"job-name": "x", "batch.kubernetes.io/job-name": "x", "team": "data"}
    assert build(block(labels=labels)) == expected(metadata={"labels": labels}, template={"metadata": LABELS})


def test_nothing_is_shared() -> None:
    """Neither building nor changing what was built or given changes a block or its copies."""
    manifest = base_manifest()
    patch: list[dict[str, Any]] = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "1"}}]
    original = block(job=manifest, customizations=patch)
    copies = [original.copy(update={"name": "k"}), original.model_copy()]
    before = [one.model_dump() for one in (original, *copies)]
    for one in (original, *copies):
        built = one.build_job()
        built["metadata"]["annotations"]["a"] = built["metadata"]["labels"]["b"] = "2"
        built["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "B"})
    manifest["metadata"]["labels"]["c"] = "3"
    patch[0]["value"]["a"] = "4"
    copies[0].job["metadata"]["labels"]["d"] = "5"
    after = [one.model_dump() for one in (original, *copies)]
    assert after[0] == before[0]
    assert after[2] == before[2]
    assert after[1] != before[1]
    assert original.build_job() == expected(metadata={"annotations": {"a": "1"}})


def test_memory_in_thousandths() -> None:
    """Memory with the unit "m" is likely a mistake, which is said when it is built."""
    warning = "memory_limit='512m' is in thousandths of bytes: 'Mi' or 'M' are for millions of bytes."
    assert job_settings(block(memory_limit="512m"), {}).warnings == (warning,)
    with pytest.warns(UserWarning, match="in thousandths of bytes"):
        block(memory_limit="512m")._build()


def test_which_limit_of_time_counts() -> None:
    """`job_watch_timeout_seconds` limits the whole run, as `timeout_seconds` does: the lower one."""
    assert block()._time_limit() is None
    assert block(job_watch_timeout_seconds=5)._time_limit() == (5, "job_watch_timeout_seconds")
    assert block(timeout_seconds=3, job_watch_timeout_seconds=5)._time_limit() == (3, "timeout_seconds")
    assert block(timeout_seconds=7.5, job_watch_timeout_seconds=5)._time_limit() == (5, "job_watch_timeout_seconds")


class OwnDefaults(KubernetesJob):
    """A subclass with defaults of its own."""

    image: str = "subclass:1"


def test_a_subclass_with_its_own_defaults() -> None:
    """The defaults of a subclass are used, and give way to the manifest as others do."""
    assert OwnDefaults(name="j", command=["true"]).build_job() == expected(container={"image": "subclass:1"})
    built = OwnDefaults(job=base_manifest(WORKER)).build_job()
    assert built["spec"]["template"]["spec"]["containers"] == [{**WORKER, "env": []}]
