"""What a container prints arrives whole, in order and once, also when the stream is cut."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.docker_engine.driving import Lines, attach, run, settings
from tests.integration.docker_engine.fault_proxy import FaultProxy
from tests.integration.own_containers import own_containers

if TYPE_CHECKING:
    import docker

    from tests.engines import ContainerEngine
    from tests.engines.docker_daemon import DockerDaemon

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

# A thousand lines in five parts; the next part does not come before a file says so.
IN_PARTS = """
i=0
for part in 1 2 3 4 5; do
    while [ $i -lt $((part * 200)) ]; do i=$((i + 1)); echo line $i; done
    until [ -e /cut-$part ]; do sleep 0.05; done
done
"""


def known_of_log(text: str, daemon: DockerDaemon, driver: str) -> str:
    """Leave out what the engine itself loses of lines that are longer than 16 KiB, which its log has in pieces."""
    if driver == "json-file":  # a character that stands in two of them
        return "".join(character for character in text if character.isascii())
    return text.replace("\n", "") if daemon.name == "docker20" else text  # the newline


async def test_streams_are_kept_apart(engine: ContainerEngine, test_label: str) -> None:
    """stdout and stderr come on their own streams (PITFALL 25)."""
    lines = Lines()
    await run(settings("for i in 1 2 3; do echo out $i; echo err $i >&2; done", test_label=test_label), lines)
    assert engine.is_up()
    assert lines.text("stdout") == "out 1\nout 2\nout 3\n"
    assert lines.text("stderr") == "err 1\nerr 2\nerr 3\n"


@pytest.mark.differs_between_engines("long lines in the log: kept, or without their newline")
@pytest.mark.parametrize("driver", ["local", "json-file"])
async def test_bytes_are_exact(daemon: DockerDaemon, test_label: str, driver: str) -> None:
    """Blanks, empty lines, long lines, characters of several bytes and a last line without newline (23, 24)."""
    lines, again = Lines(), Lines()
    script = (
        r"printf '  blanks  \n\n\ttab\r\n'; head -c 40000 /dev/zero | tr '\0' x; echo;"
        r"for i in $(seq 20000); do printf 'äöü€'; done; echo; printf 'last'"
    )
    container = settings(script, test_label=test_label, log_config={"type": driver}, auto_remove=False)
    result = await run(container, lines)
    await attach(result.identifier, again)
    assert daemon.is_up()
    expected = "  blanks  \n\n\ttab\r\n" + "x" * 40000 + "\n" + "äöü€" * 20000 + "\nlast"
    assert lines.text("stdout") == expected
    assert known_of_log(again.text("stdout"), daemon, driver) == known_of_log(expected, daemon, driver)


async def test_what_is_not_utf8(engine: ContainerEngine, test_label: str) -> None:
    """Bytes that are no text become U+FFFD and fail nothing (PITFALL 23)."""
    lines = Lines()
    result = await run(settings(r"printf 'a\377b\n'", test_label=test_label), lines)
    assert engine.is_up()
    assert result
    assert lines.text("stdout") == "a�b\n"


@pytest.mark.differs_between_engines("the stream of a terminal: raw, or in frames")
async def test_a_terminal(engine: ContainerEngine, test_label: str) -> None:
    """A container with a terminal prints everything on stdout."""
    lines = Lines()
    await run(settings("echo out; echo err >&2", test_label=test_label, tty=True), lines)
    assert engine.is_up()
    assert lines.text("stdout") == "out\r\nerr\r\n"
    assert lines.text("stderr") == ""


async def test_much_output(engine: ContainerEngine, test_label: str) -> None:
    """All of 30 MB arrives."""
    size = 0

    def count(line: str) -> None:
        nonlocal size
        size += len(line)

    await run(
        settings("yes 0123456789012345678901234567890123456789012345678 | head -c 30000000", test_label=test_label),
        Lines(count),
    )
    assert engine.is_up()
    assert size == 30_000_000


@pytest.mark.differs_between_engines("the format of logs")
async def test_cut_streams_are_resumed(proxy: FaultProxy, client: docker.DockerClient, test_label: str) -> None:
    """1,000 numbered lines with 5 cuts arrive once, in order (PITFALL 15)."""
    cuts: list[int] = []

    def cut(line: str) -> None:
        part, rest = divmod(int(line.split()[1]) + 100, 200)
        if rest == 0:
            cuts.append(proxy.cut("/(attach|logs)"))
            (container,) = own_containers(client, test_label)
            container.exec_run(["touch", f"/cut-{part}"])

    lines = Lines(cut)
    result = await run(settings(IN_PARTS, test_label=test_label), lines)
    assert result
    assert len(cuts) == 5
    assert all(cuts)
    assert lines.text("stdout") == "".join(f"line {number}\n" for number in range(1, 1001))


async def test_all_connections_are_cut_just_before_the_end(
    proxy: FaultProxy, client: docker.DockerClient, test_label: str
) -> None:
    """What a container prints at its end arrives, although the connection was away at that moment."""

    def cut_and_end(line: str) -> None:
        if line == "running\n":
            assert proxy.cut("/attach|/events") == 2
            (container,) = own_containers(client, test_label)
            container.kill("TERM")

    script = "trap 'echo told; exit 7' TERM; echo running; while :; do sleep 0.05; done"
    lines = Lines(cut_and_end)
    result = await run(settings(script, test_label=test_label), lines)
    assert result.status_code == 7
    assert lines.text("stdout") == "running\ntold\n"


async def test_cut_with_a_log_that_cannot_be_read(
    daemon: DockerDaemon, test_label: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the log driver none, what is printed after a cut arrives, and one warning says that some may be lost."""
    script = "echo before; trap 'echo after; exit 5' TERM; while :; do echo between; sleep 0.05; done"
    between = 0  # since the run attached again: what the cut stream still held is less

    def cut_and_end(line: str) -> None:
        nonlocal between
        if line == "before\n":
            proxy.cut("/attach")
        between += proxy.count("/attach") >= 2
        if between == 10:
            (container,) = own_containers(client, test_label)
            container.kill("TERM")

    lines = Lines(cut_and_end)
    path = Path(f"/tmp/ib-{test_label[:12]}.sock")
    with (
        pytest.MonkeyPatch.context() as patch,
        FaultProxy(path, daemon.socket).serving() as proxy,
        contextlib.closing(daemon.client()) as client,
    ):
        patch.setenv("DOCKER_HOST", proxy.docker_host)
        result = await run(settings(script, test_label=test_label, log_config={"type": "none"}), lines)
    assert result.status_code == 5
    assert lines.text("stdout").replace("between\n", "") == "before\nafter\n"
    assert caplog.text.count("some of it is lost") == 1


async def test_no_byte_of_the_log_is_fetched(proxy: FaultProxy, test_label: str) -> None:
    """Without streaming nobody asks for the log (PITFALL 28)."""
    lines = Lines()
    await run(settings("echo hi", stream_output=False, test_label=test_label), lines)
    assert lines.lines == []
    assert proxy.count("/(attach|logs)") == 0


async def test_requests_of_a_run(proxy: FaultProxy, test_label: str) -> None:
    """A run has at most five requests of its own; the version, the events and the lists belong to all runs together."""
    begun = time.monotonic()
    await run(settings("echo hi", test_label=test_label, name=f"requests-{test_label}"))
    own = [request for request in proxy.requests if not re.search("/version|/events|/containers/json", request)]
    assert [request.split("?")[0].rpartition("/")[2] for request in own[:3]] == ["create", "attach", "start"]
    assert len(own) <= 5
    assert proxy.count("/containers/json") <= (time.monotonic() - begun) / 3  # the first one after three seconds


@pytest.mark.differs_between_engines("the format of logs")
async def test_attach_gives_the_output_from_the_beginning(engine: ContainerEngine, test_label: str) -> None:
    """A container that another agent made is watched to the same result and output."""
    first, second = Lines(), Lines()
    script = "echo one; echo two >&2; exit 3"
    result = await run(settings(script, auto_remove=False, test_label=test_label), first)
    again = await attach(result.identifier, second)
    assert engine.is_up()
    assert again == result
    assert (second.text("stdout"), second.text("stderr")) == ("one\n", "two\n")
