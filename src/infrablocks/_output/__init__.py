"""The way of a workload's output: bytes in, whole lines out, one writer per sink."""

from infrablocks._output.output import Output
from infrablocks._output.sinks import OutputSink, StreamName

__all__ = ["Output", "OutputSink", "StreamName"]
