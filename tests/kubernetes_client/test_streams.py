"""Answers that are read bit by bit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

from infrablocks.kubernetes._clusters import borrowed_cluster
from infrablocks.kubernetes._errors import AccessRefused, ApiRefusal, ClusterUnreachable
from tests.kubernetes_client.api_server import JOBS, Answer, status
from tests.kubernetes_client.kubeconfigs import cluster_config
from tests.processes import WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from infrablocks.kubernetes._client import Cluster
    from tests.kubernetes_client.api_server import ApiServer

WATCH = {"watch": "true", "resourceVersion": "0"}


def test_lines_come_whole_and_the_rest_at_the_end(plain_server: ApiServer, cluster: Cluster) -> None:
    """An answer of a known length, with empty lines and a last one without an end."""
    body = b"one\n\nthree" + b"3" * 200_000 + b"\nfour"
    plain_server.answer("GET", Answer(200, body))
    stream = cluster.open_stream("/log", {}, read_seconds=WAIT_SECONDS)
    assert list(stream.lines()) == [b"one", b"", b"three" + b"3" * 200_000, b"four"]
    stream.close()
    stream.close()


def test_a_stream_that_was_read_to_its_end_leaves_the_pool_usable(plain_server: ApiServer, cluster: Cluster) -> None:
    """Its connection is closed and not given to the next call, at any number of streams."""
    for _ in range(3):
        plain_server.answer("GET /log", Answer(200, b"a line\n"))
        stream = cluster.open_stream("/log", {}, read_seconds=WAIT_SECONDS)
        assert list(stream.lines()) == [b"a line"]
        assert cluster.call("GET", "/x")["kind"] == "Echo"
        stream.end()
        stream.close()
        assert cluster.call("GET", "/x")["kind"] == "Echo"


def test_a_short_answer_needs_no_connection_of_its_own(plain_server: ApiServer, cluster: Cluster) -> None:
    """What is read ahead to its end comes over the connection of the calls, which nobody can end any more."""
    for _ in range(3):
        assert cluster.call("GET", "/x")["kind"] == "Echo"
        plain_server.answer("GET /log", Answer(200, b"one\ntwo"))
        stream = cluster.stream("/log", {}, read_seconds=WAIT_SECONDS, reads_ahead=True)
        stream.open()
        busy = threading.Event()
        plain_server.answer("GET /busy", partial(_wait, busy))
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(cluster.call, "GET", "/busy")
            plain_server.wait_for("GET /busy", 1)
            assert list(stream.lines()) == [b"one", b"two"]
            stream.end()
            stream.close()
            busy.set()
            assert other.result()["kind"] == "Echo"
        plain_server.requests.clear()
    assert plain_server.all_opened == 1


def _wait(event: threading.Event, _: object) -> None:
    event.wait(WAIT_SECONDS)


def test_a_long_answer_that_was_begun_ahead_comes_whole(plain_server: ApiServer, cluster: Cluster) -> None:
    """Its connection is not used again, as somebody may end it at any time."""
    body = b"".join(b"line %06d\n" % number for number in range(100_000))
    cluster.call("GET", "/x")
    plain_server.answer("GET /log", Answer(200, body))
    stream = cluster.stream("/log", {}, read_seconds=WAIT_SECONDS, reads_ahead=True)
    stream.open()
    assert b"".join(stream.chunks()) == body
    stream.close()
    assert cluster.call("GET", "/x")["kind"] == "Echo"
    assert plain_server.all_opened == 2


def test_what_was_read_ahead_comes_before_the_error(plain_server: ApiServer, cluster: Cluster) -> None:
    """The answer breaks off after some lines."""
    plain_server.answer("GET /log", Answer(200, b"one\n", {"Content-Length": "100", "Connection": "close"}))
    stream = cluster.stream("/log", {}, read_seconds=WAIT_SECONDS, reads_ahead=True)
    stream.open()
    chunks = stream.chunks()
    assert next(chunks) == b"one\n"
    with pytest.raises(ClusterUnreachable):
        next(chunks)
    stream.close()


def test_idle_connections_of_short_answers_are_closed(plain_server: ApiServer, cluster: Cluster) -> None:
    """After many at once, none is left open."""
    all_there = threading.Barrier(8)

    def answer(_: object) -> Answer:
        all_there.wait(WAIT_SECONDS)
        return Answer(200, b"a line\n")

    def read(_: int) -> list[bytes]:
        stream = cluster.stream("/log", {}, read_seconds=WAIT_SECONDS, reads_ahead=True)
        stream.open()
        lines = list(stream.lines())
        stream.close()
        return lines

    plain_server.answer("GET /log", answer, times=8)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [[b"a line"]] * 8
    plain_server.wait_until_closed()


def test_chunks_come_as_they_are_sent(plain_server: ApiServer, cluster: Cluster) -> None:
    """A line of a watch comes when it is there, and those that are cut into pieces are put together."""
    stream = cluster.open_stream(JOBS, WATCH, read_seconds=WAIT_SECONDS)
    plain_server.put(JOBS, "one", "a")
    lines = stream.lines()
    assert b'"name":"one"' in next(lines)
    plain_server.put(JOBS, "two", "a")
    assert b'"name":"two"' in next(lines)
    stream.close()


def test_a_stream_that_is_cut_raises(plain_server: ApiServer, cluster: Cluster) -> None:
    """Whole lines come, half a line does not; then the error says that the connection was lost."""
    stream = cluster.open_stream(JOBS, WATCH, read_seconds=WAIT_SECONDS)
    plain_server.wait_for("WATCH", 1)
    plain_server.cut("WATCH", last_words=b"whole\nhal")
    lines = stream.lines()
    assert next(lines) == b"whole"
    with pytest.raises(ClusterUnreachable, match="^Lost the connection to the Kubernetes cluster at http://127.0.0.1:"):
        next(lines)
    stream.close()


def test_silence_raises(cluster: Cluster) -> None:
    """A stream on which nothing comes for too long is given up."""
    stream = cluster.stream(JOBS, WATCH, read_seconds=0.5)
    with pytest.raises(ClusterUnreachable, match="no answer in time"):  # noqa: PT012 (its beginning may be late, too)
        stream.open()
        list(stream.lines())
    stream.close()


@pytest.mark.parametrize("tls", [False, True])
def test_another_thread_ends_a_stream_at_once(
    tls: bool, plain_server: ApiServer, server: ApiServer, certificate_folder: Path
) -> None:
    """The reader, which waits for more without a limit, comes to its end without an error."""
    one, certificates = (server, certificate_folder) if tls else (plain_server, None)
    with borrowed_cluster(cluster_config(one, certificates)) as cluster:
        stream = cluster.open_stream(JOBS, WATCH, read_seconds=None)
        seen: list[bytes] = []

        def read() -> None:
            for line in stream.lines():
                seen.append(line)  # noqa: PERF402 (one after the other, so that the first is seen)

        reader = threading.Thread(target=read)
        reader.start()
        one.put(JOBS, "one", "a")
        wait_until(lambda: seen)
        stream.end()
        reader.join(WAIT_SECONDS)
        assert not reader.is_alive()
        assert len(seen) == 1
        stream.close()


@pytest.mark.parametrize("tls", [False, True])
def test_another_thread_ends_a_stream_that_is_being_opened(
    tls: bool, plain_server: ApiServer, server: ApiServer, certificate_folder: Path
) -> None:
    """The answer to a request for a log may not begin for long; that does not keep a run from ending."""
    one, certificates = (server, certificate_folder) if tls else (plain_server, None)
    release = threading.Event()
    one.answer("GET", lambda _: release.wait(WAIT_SECONDS))
    with borrowed_cluster(cluster_config(one, certificates)) as cluster:
        stream = cluster.stream("/log", {}, read_seconds=None)
        errors: list[Exception] = []

        def read() -> None:
            try:
                stream.open()
            except ClusterUnreachable as error:
                errors.append(error)
            finally:
                stream.close()

        reader = threading.Thread(target=read)
        reader.start()
        one.wait_for("GET", 1)
        stream.end()
        reader.join(WAIT_SECONDS)
        assert [type(error) for error in errors] == [ClusterUnreachable]
        assert stream.is_ended
        release.set()


def test_a_stream_that_was_ended_before_it_is_opened(plain_server: ApiServer, cluster: Cluster) -> None:
    """It is not opened."""
    stream = cluster.stream(JOBS, WATCH, read_seconds=None)
    stream.end()
    with pytest.raises(ClusterUnreachable):
        stream.open()
    stream.close()
    assert plain_server.open_now <= 1


def test_a_refusal_is_told_when_the_stream_is_opened(plain_server: ApiServer, cluster: Cluster) -> None:
    """As for a call; the connections of calls stay as they are."""
    cluster.call("GET", "/x")
    plain_server.answer("GET", status(404, "NotFound", 'pods "x" not found'))
    with pytest.raises(ApiRefusal, match='answered 404 to GET /log: pods "x" not found'):
        cluster.open_stream("/log", {}, read_seconds=WAIT_SECONDS)
    plain_server.answer("GET", status(403, "Forbidden", "no"), times=1)
    with pytest.raises(AccessRefused):
        cluster.open_stream("/log", {}, read_seconds=WAIT_SECONDS)
    assert cluster.call("GET", "/x")["kind"] == "Echo"
