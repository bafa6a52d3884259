"""A process that has imported the library and forks a Python program from itself for each request.

A script of its own, which `tests/python_programs.py` runs with the number of a socket. It ends when the other side of
the socket is closed.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import socket
import sys
from typing import Any

import anyio
import anyio._backends._asyncio
import anyio._backends._trio
import yaml

import infrablocks
import infrablocks.cli.app
import infrablocks.testing

MOST_BYTES = 2**17
USED_BY_PROGRAMS = (anyio, infrablocks, yaml)


class Starter:
    """Starts programs and tells how they ended.

    Args:
        requests: Where requests come from, each with the program's stdout and stderr and a pipe for its end.
    """

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until nobody can ask any more; returns in each program, too, when it has come to its end."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._requests:
                    self._tell_end(key)
                    continue
                request, files, _, _ = socket.recv_fds(self._requests, MOST_BYTES, 3)
                if not request:
                    return
                if not self._start(json.loads(request), files):
                    return

    def _start(self, program: dict[str, Any], files: list[int]) -> bool:
        *streams, end = files
        pid = os.fork()
        if not pid:
            for key in list(self._selector.get_map().values()):
                os.close(key.fd)
                if key.data is not None:
                    os.close(key.data[1])
            self._requests.detach()
            self._selector.close()
            os.close(end)
            become(program, streams)
            return False
        for file in streams:
            os.close(file)
        self._selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, end))
        self._requests.send(str(pid).encode())
        return True

    def _tell_end(self, key: selectors.SelectorKey) -> None:
        pid, end = key.data
        self._selector.unregister(key.fileobj)
        os.close(key.fd)
        status = str(os.waitpid(pid, 0)[1]).encode()
        try:
            os.write(end, status)
        except BrokenPipeError:  # nobody wants to know
            pass
        finally:
            os.close(end)


def become(program: dict[str, Any], streams: list[int]) -> None:
    """Run a program in this process, with the streams, the variables and the folder of whoever wants it."""
    for number, file in enumerate(streams, 1):
        os.dup2(file, number)
        os.close(file)
    os.chdir(program["folder"])
    os.environ.clear()
    os.environ.update(program["environment"])
    sys.argv = ["-c", *program["arguments"]]
    exec(compile(program["code"], "<program>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__" and not os.fork():  # in the background, where it is nobody's child
    gc.freeze()
    Starter(socket.socket(fileno=int(sys.argv[1]))).serve()
