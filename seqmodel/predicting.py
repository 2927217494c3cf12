"""A network over many windows, batch by batch, all of one shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqmodel.feeding import pad_batches
from seqmodel.gathering import Batch, Inputs, WindowReader
from seqmodel.models.outputs.head import Head
from seqmodel.windows import Windows


def choose_inputs(model: Any, batch: Batch) -> Inputs:
    """Return those arrays of a batch that a network reads."""
    return {tensor.name: batch.inputs[tensor.name] for tensor in model.inputs}


def predict_batches(
    model: Any, reader: WindowReader, windows: Windows, batch_size: int
) -> Iterator[tuple[Batch, NDArray[np.float32], int]]:
    """Yield each batch, its parameters N x H x P, and how many of its windows count."""
    for chosen, count in pad_batches(windows, batch_size):
        batch = reader.read(chosen)
        yield batch, np.asarray(model.predict_on_batch(choose_inputs(model, batch))), count


def predict_windows(
    model: Any, head: Head, reader: WindowReader, windows: Windows, batch_size: int
) -> NDArray[np.float64]:
    """Predict some windows.

    Returns:
        N x H x Q ascending quantiles in the scale of the series, or in the target's unit where
        the head speaks of it; N x H x K probabilities of classes.
    """
    cut = reader.cut
    found = np.empty((len(windows), cut.horizon, head.columns))
    done = 0
    for batch, parameters, count in predict_batches(model, reader, windows, batch_size):
        said = head.say(parameters)
        if head.unit == "scaled":
            said = batch.inverse(said)
        found[done : done + count] = said[:count]
        done += count
    return found


def measure_loss(
    model: Any, head: Head, reader: WindowReader, windows: Windows, batch_size: int
) -> float:
    """Return the mean loss over the observed targets of some windows, NaN without any."""
    total, weighed = 0.0, 0.0
    for batch, parameters, count in predict_batches(model, reader, windows, batch_size):
        weights = batch.weights[:count]
        weight = float(weights.sum(dtype=np.float64))
        if weight:
            found = head.measure(batch.targets[:count], parameters[:count], weights)
            total, weighed = total + found * weight, weighed + weight
    return total / weighed if weighed else float("nan")
