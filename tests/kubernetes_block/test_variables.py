"""Variables: what wins, what is secret, and what nobody gets to see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import SecretStr

from infrablocks.kubernetes._manifest import job_settings
from infrablocks.kubernetes._settings import SECRET_NAME_PLACEHOLDER
from tests.kubernetes_block.manifests import base_manifest, block, build, expected, secret_variable

if TYPE_CHECKING:
    from pathlib import Path

    from infrablocks.kubernetes import KubernetesJob

ELSEWHERE = {"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}


def with_variables(*variables: dict[str, Any], **fields: Any) -> KubernetesJob:
    return block(job=base_manifest({"name": "prefect-job", "env": list(variables)}), **fields)


def test_what_wins() -> None:
    """The block's variables win over the manifest's, and these over the Prefect settings; None takes one away."""
    job = with_variables(
        {"name": "PREFECT_A", "value": "manifest"},
        {"name": "PREFECT_B", "value": "manifest"},
        {"name": "PREFECT_C", "value": "manifest"},
        {"name": "ELSEWHERE", **ELSEWHERE},
        {"name": "GONE", **ELSEWHERE},
        {"name": "TWICE", "value": "first"},
        {"name": "TWICE", "value": "second"},
        env={"PREFECT_B": "env", "PREFECT_C": None, "PREFECT_E": None, "GONE": None, "NEW": "env"},
    )
    base = {"PREFECT_D": "setting", "PREFECT_E": "setting", "PREFECT_A": "setting"}
    assert build(job, base) == expected(
        container={
            "env": [
                {"name": "PREFECT_D", "value": "setting"},
                {"name": "PREFECT_A", "value": "manifest"},
                {"name": "PREFECT_B", "value": "env"},
                {"name": "ELSEWHERE", **ELSEWHERE},
                {"name": "TWICE", "value": "second"},
                {"name": "NEW", "value": "env"},
            ]
        }
    )


def test_only_settings_that_make_sense_elsewhere() -> None:
    """Paths of this machine and settings of a server are not passed on."""
    settings = {"PREFECT_HOME": "/root", "PREFECT_LOCAL_STORAGE_PATH": "/x", "PREFECT_SERVER_API_PORT": "1"}
    assert build(block(), settings) == expected()


def test_plain_values_of_yaml() -> None:
    """Numbers and booleans become their YAML text."""
    variables = [{"name": "A", "value": "1"}, {"name": "B", "value": "true"}, {"name": "C", "value": "1.5"}]
    assert build(block(env={"A": 1, "B": True, "C": 1.5})) == expected(container={"env": variables})


def test_what_is_secret() -> None:
    """SecretStr, and Prefect settings that hold credentials wherever they come from, go into the Secret."""
    job = with_variables(
        {"name": "PREFECT_API_AUTH_STRING", "value": "a"},
        {"name": "PREFECT_API_KEY", **ELSEWHERE},
        env={"TOKEN": SecretStr("b"), "odd name": SecretStr("c"), "..": SecretStr("d")},
    )
    settings = job_settings(job, {"PREFECT_API_DATABASE_CONNECTION_URL": "x", "PREFECT_CLIENT_CUSTOM_HEADERS": "e"})
    entries = settings.manifest["spec"]["template"]["spec"]["containers"][0]["env"]
    odd = "variable-ef5bac77998702c8"
    dots = "variable-5ec1f7e700f37c3d"
    assert entries == [
        secret_variable("PREFECT_CLIENT_CUSTOM_HEADERS"),
        secret_variable("PREFECT_API_AUTH_STRING"),
        {"name": "PREFECT_API_KEY", **ELSEWHERE},
        secret_variable("TOKEN"),
        secret_variable("odd name", odd),
        secret_variable("..", dots),
    ]
    assert {key: value.get_secret_value() for key, value in settings.secret_values.items()} == {
        "PREFECT_CLIENT_CUSTOM_HEADERS": "e",
        "PREFECT_API_AUTH_STRING": "a",
        "TOKEN": "b",
        odd: "c",
        dots: "d",
    }


@pytest.mark.parametrize(
    ("text", "written", "written_as_secret"),
    [
        ("$HOME $1 $", "$HOME $1 $", "$HOME $1 $"),
        ("kill $$", "kill $$$$", "kill $$$$"),
        ("a$$$b", "a$$$$$$b", "a$$$$$$b"),
        ("$(NAME)", "$(NAME)", "$$(NAME)"),
        ("$$(NAME)", "$$(NAME)", "$$$$(NAME)"),
    ],
)
def test_dollars(text: str, written: str, written_as_secret: str) -> None:
    """Kubernetes makes one "$" of two, so that these are doubled; `$(NAME)` does its work, but not in secrets."""
    plain = block(command=["sh", "-c", text], env={"A": text})
    variable = {"name": "A", "value": written}
    assert build(plain) == expected(container={"command": ["sh", "-c", written], "env": [variable]})
    inline = block(env={"A": SecretStr(text)}, secrets="inline")
    assert build(inline) == expected(container={"env": [{"name": "A", "value": written_as_secret}]})
    assert job_settings(block(env={"A": SecretStr(text)}), {}).secret_values == {"A": SecretStr(text)}


def test_a_secret_that_a_patch_takes_away() -> None:
    """What nothing refers to any more is not put into the Secret."""
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/env", "value": []}]
    assert job_settings(block(env={"A": SecretStr("a")}, customizations=patch), {}).secret_values == {}


def test_one_run() -> None:
    """A run marks its Job and pods, names its own Secret in it, and leaves the settings as they are."""
    own = {"name": "OWN", "valueFrom": {"secretKeyRef": {"name": "theirs", "key": "OWN"}}}
    job = with_variables(own, env={"TOKEN": SecretStr("t0ken")}, labels={"team": "data"})
    settings = job_settings(job, {})
    before = json.dumps(settings.manifest)
    made = settings.job_for_run("0f" * 16)
    run = {"infrablocks.io/run-id": "0f" * 16, "team": "data"}
    token = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": f"infrablocks-{'0f' * 16}", "key": "TOKEN"}}}
    assert made == expected(
        metadata={"labels": run, "annotations": {"infrablocks.io/container": "prefect-job"}},
        template={"metadata": {"labels": run}},
        container={"env": [own, token]},
    )
    assert json.dumps(settings.manifest) == before
    assert settings.secret_for_run("0f" * 16, {"metadata": {"name": "j-abcde", "uid": "u"}}) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"infrablocks-{'0f' * 16}",
            "namespace": "default",
            "labels": {"infrablocks.io/run-id": "0f" * 16},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j-abcde", "uid": "u"}],
        },
        "type": "Opaque",
        "data": {"TOKEN": "dDBrZW4="},
    }


def test_the_preview() -> None:
    """It is the YAML of the manifest; a comment tells of the Secret, which is shown when secrets may be."""
    job = block(env={"TOKEN": SecretStr("t0ken"), "A": "1"})
    variables = [secret_variable("TOKEN"), {"name": "A", "value": "1"}]
    text = job.preview()
    assert text.startswith("# Each run makes a Secret, under a name of its own, with: TOKEN.\napiVersion: batch/v1\n")
    assert yaml.safe_load(text) == expected(container={"env": variables})
    shown = list(yaml.safe_load_all(job.preview(show_secrets=True)))
    assert shown == [
        expected(container={"env": variables}),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET_NAME_PLACEHOLDER, "namespace": "default"},
            "type": "Opaque",
            "stringData": {"TOKEN": "t0ken"},
        },
    ]
    assert block().preview() == (
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  labels: {}\n  namespace: default\n  generateName: j-\nspec:\n"
        "  backoffLimit: 0\n  parallelism: 1\n  completions: 1\n  template:\n    spec:\n      restartPolicy: Never\n"
        "      containers:\n      - name: prefect-job\n        env: []\n        image: busybox:1.36\n        command:\n"
        "        - 'true'\n"
    )


def test_inline_secrets() -> None:
    """In the manifest, secrets are real in what is sent, and masked in what is shown."""
    patch = [
        {
            "op": "add",
            "path": "/spec/template/spec/containers/-",
            "value": {"name": "other", "env": [{"name": "PREFECT_API_KEY", "value": "patched"}]},
        }
    ]
    job = block(env={"TOKEN": SecretStr("t0ken")}, secrets="inline", customizations=patch)
    texts = [json.dumps(job.build_job()), job.preview(show_secrets=True)]
    assert all("t0ken" in text and "patched" in text for text in texts)
    masked = job.preview()
    assert "t0ken" not in masked
    assert "patched" not in masked
    assert masked.count("********") == 2
    assert job_settings(job, {}).secret_values == {}


def test_nothing_shows_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No text, file, preview or manifest of a block has one."""
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_key")
    job = block(env={"TOKEN": SecretStr("t0ken"), "PREFECT_API_AUTH_STRING": "4uth"})
    job.to_yaml(tmp_path / "job.yaml")
    texts = [repr(job), str(job), job.preview(), repr(job._build()), (tmp_path / "job.yaml").read_text()]
    texts.append(json.dumps(job.build_job()))
    assert [text for text in texts if any(secret in text for secret in ("t0ken", "pnu_key", "4uth"))] == []


@pytest.mark.parametrize("secrets", ["secret", "inline"])
def test_the_settings_in_force(monkeypatch: pytest.MonkeyPatch, secrets: str) -> None:
    """The Prefect settings of this process are passed on."""
    monkeypatch.setenv("PREFECT_API_URL", "http://server:4200/api")
    variable = {"name": "PREFECT_API_URL", "value": "http://server:4200/api"}
    assert block(secrets=secrets).build_job() == expected(container={"env": [variable]})
