"""Run a command as a process of this machine."""

from infrablocks.process.block import Process, ProcessResult

__all__ = ["Process", "ProcessResult"]
