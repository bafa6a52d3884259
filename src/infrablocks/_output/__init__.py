"""The way of a workload's output: bytes in, whole lines out, one writer per sink."""

from infrablocks._output.cursor import OutputCursor
from infrablocks._output.output import Output
from infrablocks._output.position import OutputPosition, StreamPosition
from infrablocks._output.sinks import OutputSink, StreamName

__all__ = ["Output", "OutputCursor", "OutputPosition", "OutputSink", "StreamName", "StreamPosition"]
