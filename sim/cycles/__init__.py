"""The cycle model: what the RTL does in time, in seconds for a whole network at any size.

It is a model of the same queues, states and tokens as ``hw/``, without data: its cycles and its
histogram of activities are those of the machine.

::

    prediction = predict(program)                    # or predict(program, MemoryModel(latency=100))
    prediction.cycles                                # from start to interrupt
    prediction.activity[Engine.CONV, 3, Activity.WAIT_WEIGHTS]
    for span in prediction.spans: ...                # when each instruction was where
    for layer in layer_times(program, prediction): ...
"""

from sim.cycles.layers import LayerTime, layer_times
from sim.cycles.prediction import FIRST_CYCLE, Prediction, Span, predict

__all__ = ["FIRST_CYCLE", "LayerTime", "Prediction", "Span", "layer_times", "predict"]
