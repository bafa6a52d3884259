"""Pods that the API server will never take, whoever asks how often: the run fails at the first look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from infrablocks.kubernetes import _start
from tests.integration.kubernetes_run.driving import Jobs, in_pod, run_all

if TYPE_CHECKING:
    from tests.integration.kubernetes_run.driving import Story

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


def cluster_words(story: Story) -> str:
    """Give what a message says about why a Job cannot start, without the name of the pod, which is random."""
    _, cannot, words = story.message.partition(" cannot start. The cluster says: ")
    return words.partition("is forbidden: ")[2].partition(". Put that right")[0] if cannot else story.message


async def test_final_rejections(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a LimitRange, or with a class that is missing, the run fails at once and says what is wrong."""
    monkeypatch.setattr(_start, "_TOLERANCE_SECONDS", math.inf)  # what may heal is waited for to the limit of the start
    limits = [
        {"type": "Container", "min": {"cpu": "5m"}, "max": {"memory": "64Mi"}, "maxLimitRequestRatio": {"cpu": "2"}}
    ]
    jobs.create("limitranges", {"metadata": {"name": "narrow"}, "spec": {"limits": limits}})
    fitting = {"cpu_request": "10m", "cpu_limit": "10m", "memory_request": "8Mi", "memory_limit": "32Mi"}
    unfit: dict[str, dict[str, Any]] = {
        "too much": {"memory_limit": "128Mi"},
        "too little": {"cpu_request": "1m", "cpu_limit": "1m"},
        "too far apart": {"cpu_limit": "1"},
        "no PriorityClass": {"customizations": in_pod(priorityClassName="nope")},
        "no RuntimeClass": {"customizations": in_pod(runtimeClassName="nope")},
    }
    blocks = {name: jobs.block("true", **{**fitting, **fields}) for name, fields in unfit.items()}
    stories = await run_all({**blocks, "fits": jobs.block("echo fits", **fitting)})
    assert stories.pop("fits").summary == (0, "Completed", "fits\n")
    assert {name: story.summary for name, story in stories.items()} == dict.fromkeys(unfit, (-1, "ConfigError", ""))
    assert {name: cluster_words(story) for name, story in stories.items()} == {
        "too much": "maximum memory usage per Container is 64Mi, but limit is 128Mi",
        "too little": "minimum cpu usage per Container is 5m, but request is 1m",
        "too far apart": "cpu max limit to request ratio per Container is 2, but provided ratio is 100.000000",
        "no PriorityClass": "no PriorityClass with name nope was found",
        "no RuntimeClass": 'pod rejected: RuntimeClass "nope" not found',
    }
    assert len(jobs.named("jobs")) == 1  # that of the run that fits
