"""Pulling: policies, credentials, digests, errors in the stream, and an end when nothing comes."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import docker
import docker.errors
import pytest
from pydantic import SecretStr

from infrablocks._threads import run_in_worker_thread
from infrablocks.docker import DockerRegistry
from infrablocks.docker._settings import RegistryCredentials
from infrablocks.docker.image_pull_policy import ImagePullPolicy
from infrablocks.exceptions import ImagePullError, InfrastructureNotAvailable
from tests.engines import images
from tests.engines.podman_service import PodmanService
from tests.engines.registry import PASSWORD, REGISTRY, USER
from tests.integration.docker_engine.driving import run, settings, until
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import ContainerEngine
    from tests.engines.registry import Registry
    from tests.integration.docker_engine.fault_proxy import FaultProxy

pytestmark = [
    pytest.mark.integration,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True),
]

CREDENTIALS = RegistryCredentials(USER, SecretStr(PASSWORD), REGISTRY)
WRONG = RegistryCredentials(USER, SecretStr("not-the-password"), REGISTRY)
ALWAYS, NEVER, IF_NOT_PRESENT = ImagePullPolicy.ALWAYS, ImagePullPolicy.NEVER, ImagePullPolicy.IF_NOT_PRESENT


@pytest.fixture
def pushed(registry: Registry, client: docker.DockerClient) -> Iterator[tuple[str, str, str]]:
    """An image of this test's own in the registry: its name, tag and digest."""
    tag = uuid.uuid4().hex
    repository = f"tests/pull-{tag[:12]}"
    digest = registry.client.push(images.busybox().with_label(tag), repository, tag)
    name = f"{REGISTRY}/{repository}"
    yield name, tag, digest
    for reference in (f"{name}:{tag}", f"{name}@{digest}"):
        with contextlib.suppress(docker.errors.NotFound, docker.errors.APIError):
            client.images.remove(reference, force=True)


@pytest.mark.differs_between_engines("which requests of a pull have the credentials")
@pytest.mark.parametrize("policy", [ALWAYS, IF_NOT_PRESENT])
@pytest.mark.parametrize("form", ["{name}:{tag}", "{name}@{digest}", "{name}:{tag}@{digest}"])
async def test_pull_with_credentials_of_the_block(
    pushed: tuple[str, str, str], test_label: str, policy: ImagePullPolicy, form: str
) -> None:
    """Every form of reference is pulled, with the block's credentials, which are written nowhere (PITFALLS 36, 37)."""
    name, tag, digest = pushed
    image = form.format(name=name, tag=tag, digest=digest)
    result = await run(settings("exit 3", image=image, policy=policy, credentials=CREDENTIALS, test_label=test_label))
    assert result.status_code == 3
    assert not Path(os.environ["DOCKER_CONFIG"]).exists()


async def test_pull_only_when_it_is_missing(pushed: tuple[str, str, str], proxy: FaultProxy, test_label: str) -> None:
    """The second run finds the image and asks no registry."""
    image = f"{pushed[0]}:{pushed[1]}"
    for _ in range(2):
        assert await run(settings("true", image=image, credentials=CREDENTIALS, test_label=test_label))
    assert await run(settings("true", image=image, policy=NEVER, test_label=test_label))
    assert proxy.count("/images/create") == 1


@pytest.mark.parametrize("kind", ["auths", "credHelpers", "credsStore"])
async def test_credentials_of_the_docker_configuration(
    pushed: tuple[str, str, str], test_label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Without credentials of the block those of the Docker configuration are used, helpers included."""
    folder = Path(os.environ["DOCKER_CONFIG"])
    folder.mkdir()
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    configuration = {
        "auths": {"auths": {REGISTRY: {"auth": token}}},
        "credHelpers": {"credHelpers": {REGISTRY: "infrablockstest"}},
        "credsStore": {"credsStore": "infrablockstest"},
    }[kind]
    (folder / "config.json").write_text(json.dumps(configuration))
    helper = tmp_path / "bin" / "docker-credential-infrablockstest"
    helper.parent.mkdir()
    answer = json.dumps({"ServerURL": REGISTRY, "Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\necho '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:{os.environ['PATH']}")
    result = await run(settings("exit 3", image=f"{pushed[0]}:{pushed[1]}", test_label=test_label))
    assert result.status_code == 3


@pytest.mark.differs_between_engines("a failed pull: an error answer, or words in the stream")
async def test_wrong_password(pushed: tuple[str, str, str], test_label: str) -> None:
    """The error says that the credentials were refused, without them."""
    image = f"{pushed[0]}:{pushed[1]}"
    with pytest.raises(ImagePullError, match="refused the credentials") as caught:
        await run(settings("true", image=image, credentials=WRONG, test_label=test_label))
    assert "not-the-password" not in str(caught.value)


@pytest.mark.differs_between_engines("a failed pull: an error answer, or words in the stream")
async def test_no_credentials(pushed: tuple[str, str, str], test_label: str) -> None:
    """The error says where to give them."""
    with pytest.raises(ImagePullError, match="image_registry"):
        await run(settings("true", image=f"{pushed[0]}:{pushed[1]}", test_label=test_label))


@pytest.mark.differs_between_engines("a failed pull: an error answer, or words in the stream")
@pytest.mark.parametrize("policy", list(ImagePullPolicy))
async def test_an_unknown_image(registry: Registry, engine: ContainerEngine, policy: ImagePullPolicy) -> None:
    """Each policy has a clear error, before anything is made."""
    assert registry.is_up()
    assert engine.is_up()
    image = f"{REGISTRY}/tests/no-such-image:1"
    expected = "pulls none" if policy is NEVER else "could not be pulled"
    with pytest.raises(ImagePullError, match=expected) as caught:
        await run(settings("true", image=image, policy=policy, credentials=CREDENTIALS))
    assert image in str(caught.value)


async def test_a_registry_that_is_down(engine: ContainerEngine) -> None:
    """The error has the engine's words."""
    assert engine.is_up()
    with pytest.raises(ImagePullError, match="refused|dial|connect"):
        await run(settings("true", image="127.0.0.1:9/a:1"))


async def test_always_does_not_run_a_stale_image(
    pushed: tuple[str, str, str], test_label: str, client: docker.DockerClient
) -> None:
    """A pull that fails is a failure although the engine has an image of this name (PITFALL 9)."""
    image = f"127.0.0.1:9/stale-{uuid.uuid4().hex[:8]}:1"
    client.images.get(images.BUSYBOX).tag(*image.rsplit(":", 1))
    try:
        with pytest.raises(ImagePullError):
            await run(settings("true", image=image, policy=ALWAYS, test_label=test_label))
    finally:
        client.images.remove(image)
    assert pushed


@pytest.mark.parametrize("after", ["nothing", "headers"])
async def test_a_pull_that_stalls(
    pushed: tuple[str, str, str], proxy: FaultProxy, test_label: str, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """A pull that tells nothing is given up, and the error says after how long (PITFALL 11)."""
    monkeypatch.setattr("infrablocks.docker._pull.STALL_SECONDS", 1.5)
    {"nothing": proxy.hold_answer, "headers": proxy.hold_body}[after]("/images/create")
    image = f"{pushed[0]}:{pushed[1]}"
    with pytest.raises(ImagePullError) as caught:
        await run(settings("true", image=image, credentials=CREDENTIALS, test_label=test_label))
    assert str(caught.value) == (
        f"Image {image!r} could not be pulled: nothing came from the engine for 1.5 seconds. Check whether it hangs, "
        "and whether it reaches the registry."
    )


async def test_a_pull_that_is_broken_off(pushed: tuple[str, str, str], proxy: FaultProxy, test_label: str) -> None:
    """The engine goes while it pulls: an error, and no container."""
    proxy.lose_answer("/images/create")
    with pytest.raises((ImagePullError, InfrastructureNotAvailable)):
        await run(settings("true", image=f"{pushed[0]}:{pushed[1]}", credentials=CREDENTIALS, test_label=test_label))
    assert proxy.count("/start") == 0


@pytest.mark.differs_between_engines("login at a registry without TLS: done, or 500")
@pytest.mark.parametrize("reauth", [True, False])
async def test_login(registry: Registry, proxy: FaultProxy, engine: ContainerEngine, *, reauth: bool) -> None:
    """The engine is asked each time, also by who is logged in; wrong credentials are an error without the password."""
    assert registry.is_up()
    folder = Path(os.environ["DOCKER_CONFIG"])
    folder.mkdir()
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {REGISTRY: {"auth": token}}}))
    right = DockerRegistry(username=USER, password=SecretStr(PASSWORD), registry_url=REGISTRY, reauth=reauth)
    wrong = right.model_copy(update={"password": SecretStr("not-the-password")})
    is_podman = isinstance(engine, PodmanService)
    if not is_podman:  # it answers 500 to every login at a registry without TLS; pulls work
        reply = await run_in_worker_thread(right.login)
        assert "Succeeded" in str(reply.get("Status"))
        assert PASSWORD not in str(reply)
    with pytest.raises(InfrastructureNotAvailable, match="Could not log in") as caught:
        await run_in_worker_thread(wrong.login)
    assert "not-the-password" not in str(caught.value)
    assert proxy.count("POST /auth") == (1 if is_podman else 2)


@pytest.mark.parametrize("after", ["nothing", "headers"])
async def test_a_cancelled_pull_ends_at_once(
    pushed: tuple[str, str, str], proxy: FaultProxy, test_label: str, after: str
) -> None:
    """A run that is cancelled does not wait for its pull."""
    {"nothing": proxy.hold_answer, "headers": proxy.hold_body}[after]("/images/create")
    image = f"{pushed[0]}:{pushed[1]}"
    with anyio.fail_after(WAIT_SECONDS):  # a pull that stalls is given up after five minutes
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await until(lambda: proxy.count("/images/create") > 0)
                await anyio.sleep(0.5)
                tasks.cancel_scope.cancel()

            tasks.start_soon(cancel)
            await run(settings("true", image=image, credentials=CREDENTIALS, test_label=test_label))
    assert proxy.count("POST /containers/create") == 1
