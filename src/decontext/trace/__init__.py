"""What a step of an editor takes in its published size, found without weights and without a GPU."""

from decontext.trace.meter import Meter
from decontext.trace.step import WAYS, Trace, trace_editor, trace_step, trace_ways

__all__ = ["WAYS", "Meter", "Trace", "trace_editor", "trace_step", "trace_ways"]
