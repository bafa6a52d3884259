"""`infrablocks run --docker`: what comes out of a container, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engines import images
from tests.processes import WAIT_SECONDS

if TYPE_CHECKING:
    from tests.cli.command_line import CommandLine
    from tests.integration.docker_cli.own_container import OwnContainer

pytestmark = pytest.mark.integration


def test_output_and_exit_code_are_the_containers_own(infrablocks: CommandLine, own: OwnContainer) -> None:
    """The streams stay apart and nothing is added to them; the container is kept, as `docker run` does."""
    done = infrablocks(*own.run("-q"), "--", "sh", "-c", "printf 'a\\n\\n b '; echo c >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "a\n\n b ", "c\n")
    assert own.exists
    assert not own.is_running


def test_success_says_nothing(infrablocks: CommandLine, own: OwnContainer) -> None:
    """Only the output is printed, and --set auto_remove=true removes the container."""
    done = infrablocks(*own.run("--set", "auto_remove=true"), "--", "echo", "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    assert not own.exists


def test_failure_is_told_in_one_line(infrablocks: CommandLine, own: OwnContainer) -> None:
    """Without -q a line on stderr says how it went."""
    done = infrablocks(*own.run(), "--", "false")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: Docker container '{own.name}' exited with status code 1.\n"


def test_command_of_the_image(infrablocks: CommandLine, own: OwnContainer) -> None:
    """Without a command the image's own runs; with one the image's entrypoint gets it."""
    run = own.run("--set", "auto_remove=true", image=images.ENTRYPOINT)
    assert infrablocks(*run).stdout == "\n"
    assert infrablocks(*run, "--", "--help", "-q").stdout == "--help -q\n"


@pytest.mark.parametrize(
    ("program", "code", "message"), [("no-such-program", 127, "not found"), ("/etc/passwd", 126, "not executable")]
)
def test_program_that_cannot_run(
    infrablocks: CommandLine, own: OwnContainer, program: str, code: int, message: str
) -> None:
    """The exit code is a shell's, one line says why, and no container is left."""
    done = infrablocks(*own.run(), "--", program)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not own.exists


@pytest.mark.differs_between_engines("the words of every refusal, and its status")
@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        ("infrablocks/none:test", ("--set", "image_pull_policy=NEVER"), "Image 'infrablocks/none:test' is not on"),
        ("127.0.0.1:9/none:test", (), "Image '127.0.0.1:9/none:test' could not be pulled: "),
        (images.BUSYBOX, ("--set", "networks=[no-such-network]"), "no-such-network"),
        pytest.param(
            *(images.BUSYBOX, ("--set", "mem_limit=1"), "emory"),
            marks=pytest.mark.denied_to_rootless("with cgroup v1 the limits of a container are dropped"),
        ),
    ],
    ids=["no image", "no registry", "no network", "memory"],
)
def test_container_that_cannot_be_made(
    infrablocks: CommandLine, own: OwnContainer, image: str, options: tuple[str, ...], message: str
) -> None:
    """The exit code is that of `docker run`, one line says why, and no container is left."""
    done = infrablocks(*own.run(*options, image=image), "--", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not own.exists


def test_time_limit(infrablocks: CommandLine, own: OwnContainer) -> None:
    """A container that takes too long is stopped, and the exit code is that of `timeout`."""
    done = infrablocks(*own.run("--timeout-seconds", "1", "--grace-seconds", "0"), "--", "sleep", "1000")
    assert done.returncode == 124
    assert not own.is_running


def test_variables_and_file(infrablocks: CommandLine, own: OwnContainer) -> None:
    """--env and --set change the block of a file as they do for a process."""
    (infrablocks.folder / "job.yaml").write_text(
        f"type: docker-container\nimage: {images.BUSYBOX}\nname: {own.name}\nauto_remove: true\n"
        "command: [sh, -c, 'echo $A $B $C']\nenv: {A: 1, B: 2, PREFECT_API_URL: 'http://prefect.example/api'}\n"
    )
    done = infrablocks("run", "job.yaml", "--env", "B=3", "--env", "C", C="here")
    assert (done.stdout, done.stderr) == ("1 3 here\n", "")
    assert infrablocks("run", "job.yaml", "--", "echo", "other").stdout == "other\n"


def test_output_that_nobody_reads_stops_the_container(infrablocks: CommandLine, own: OwnContainer) -> None:
    """`infrablocks run --docker IMAGE -- yes | head -1` ends without a word, and so does the container."""
    process = infrablocks.start(*own.run("--grace-seconds", "0"), "--", "yes")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    assert process.wait(WAIT_SECONDS) == 141
    assert process.stderr.read() == b""
    assert own.exists
    assert not own.is_running
