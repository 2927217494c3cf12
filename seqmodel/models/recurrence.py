"""GRU and LSTM steps on the processor: the loop over the lookback and its hand-written backward.

Everything here is feature-major, U x N instead of N x U, so that the gates of a step are contiguous
blocks of rows: slices and gate products need no copies. A batch is cut into parts that know nothing
of each other; inside one loop body the compiler then runs one part's small matrix products beside
the other's, a core each, where a single product of that size would not keep two cores busy. In
training a batch is such a part already (`seqmodel.training.stepping`).

The forward loop stores for each step not the gates but the local slopes that the backward needs, so
that the backward loop is one product of slopes and gradient, and three matrix products: the state's
gradient and the two weights', which are summed up as it goes. What is stored once is read once.

Letters: N windows (of one part), L lookback, F features, U units, G gates (3 or 4). Only
TensorFlow: the loop must write its outputs in place, which `keras.ops` cannot say for all backends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

Tensors = list[Any]


class Cell(ABC):
    """One step of a recurrent layer, forward and backward, feature-major."""

    #: Blocks of U rows of the kernels.
    gates: int
    #: Tensors carried from step to step, U x N each; the first is the output.
    states: int
    #: Slopes stored per step in the first array (blocks of U rows).
    slopes: int
    #: Further U x N tensors stored per step; the last is the state that the step began with.
    kept: int

    @abstractmethod
    def forward(
        self, states: Tensors, x: Any, a: Any, bias: Any
    ) -> tuple[Tensors, Tensors, Tensors]:
        """Make one step.

        Args:
            states: before the step, U x N each.
            x: the projected input, GU x N.
            a: the projected state, GU x N.
            bias: U x 1, added to the projected state of the last gate; GRU only.

        Returns:
            states after the step; `slopes` tensors U x N; `kept` tensors U x N.
        """

    @abstractmethod
    def backward(
        self, grads: Tensors, slopes: Any, kept: Tensors
    ) -> tuple[Any, Any, Callable[[Any], Tensors]]:
        """Undo one step.

        Args:
            grads: of the states after the step, U x N each.
            slopes: as stored, `slopes` x U x N.
            kept: as stored.

        Returns:
            gradients of `a` and of `x`, GU x N each, and what makes the gradients of the states
            before the step of that of the projected state, U x N.
        """


@final
class GRU(Cell):
    """Gates z, r, candidate; the reset gate after the matrix product (`reset_after=True`).

    The candidate's slope in x is not its slope in a. With the gates of a turned, candidate first,
    both are three neighbours of four stored blocks.
    """

    gates, states, slopes, kept = 3, 1, 4, 2

    def forward(
        self, states: Tensors, x: Any, a: Any, bias: Any
    ) -> tuple[Tensors, Tensors, Tensors]:
        """See `Cell`; in x the gates come as z, r, candidate, in a as candidate, z, r."""
        import tensorflow as tf

        (h,) = states
        units = h.shape[0]
        gates = tf.sigmoid(x[: 2 * units] + a[units:])
        z, r = gates[:units], gates[units:]
        inner = a[:units] + bias
        c = tf.tanh(x[2 * units :] + r * inner)
        slope = (1 - z) * (1 - c * c)
        # Of a: the first three; of x: the last three.
        slopes = [slope * r, (h - c) * z * (1 - z), slope * inner * r * (1 - r), slope]
        return [c + z * (h - c)], slopes, [z, h]

    def backward(
        self, grads: Tensors, slopes: Any, kept: Tensors
    ) -> tuple[Any, Any, Callable[[Any], Tensors]]:
        """See `Cell`."""
        (dh,), z = grads, kept[0]
        da, dx = _stack(dh * slopes[:3]), _stack(dh * slopes[1:])
        return da, dx, lambda projected: [dh * z + projected]


@final
class LSTM(Cell):
    """Gates i, f, candidate, o."""

    gates, states, slopes, kept = 4, 2, 4, 3

    def forward(
        self,
        states: Tensors,
        x: Any,
        a: Any,
        bias: Any,  # noqa: ARG002
    ) -> tuple[Tensors, Tensors, Tensors]:
        """See `Cell`."""
        import tensorflow as tf

        h, c = states
        units = h.shape[0]
        both = x + a
        gates = tf.sigmoid(both[: 2 * units])
        i, f = gates[:units], gates[units:]
        g, o = tf.tanh(both[2 * units : 3 * units]), tf.sigmoid(both[3 * units :])
        new = f * c + i * g
        squashed = tf.tanh(new)
        slopes = [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), squashed * o * (1 - o)]
        return [o * squashed, new], slopes, [o * (1 - squashed * squashed), f, h]

    def backward(
        self, grads: Tensors, slopes: Any, kept: Tensors
    ) -> tuple[Any, Any, Callable[[Any], Tensors]]:
        """See `Cell`."""
        import tensorflow as tf

        dh, dc = grads
        through, f, _ = kept
        dc = dc + dh * through
        da = tf.concat([_stack(dc * slopes[:3]), dh * slopes[3]], 0)
        return da, da, lambda projected: [projected, dc * f]


def _stack(blocks: Any) -> Any:
    """Return K x U x N as KU x N."""
    import tensorflow as tf

    return tf.reshape(blocks, (-1, blocks.shape[-1]))


def run_parts(
    cell: Cell,
    kernel: Any,
    recurrent: Any,
    bias: Any,
    inputs: Tensors,
    states: Tensors,
    *,
    sequences: bool,
) -> tuple[Tensors, Tensors]:
    """Run the lookback of P parts side by side; first derivatives only.

    Args:
        cell: GRU or LSTM.
        kernel: of the inputs, GU x F.
        recurrent: of the state, GU x U.
        bias: U x 1 of the cell.
        inputs: P of L x F x N.
        states: P times the cell's states, U x N each.
        sequences: whether each step's output is wanted.

    Returns:
        P of L x U x N outputs, none if not wanted; the states after the last step, as they came.
    """
    import tensorflow as tf

    parts = len(inputs)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(kernel: Any, recurrent: Any, bias: Any, *rest: Any) -> Any:
        inputs, states = list(rest[:parts]), list(rest[parts:])
        outputs, last, stored = _run_forward(
            cell, (kernel, recurrent, bias), inputs, states, sequences=sequences
        )

        def grad(*upstream: Any) -> Any:
            return _run_backward(cell, (kernel, recurrent), inputs, stored, list(upstream))

        return (*outputs, *last), grad

    flat = list(run(kernel, recurrent, bias, *inputs, *states))
    split = parts if sequences else 0
    return flat[:split], flat[split:]


def _run_forward(
    cell: Cell, weights: tuple[Any, Any, Any], inputs: Tensors, states: Tensors, *, sequences: bool
) -> tuple[Tensors, Tensors, list[Tensors]]:
    """Return each part's outputs (L x U x N), the last states, and what each part stored."""
    import tensorflow as tf

    kernel, recurrent, bias = weights
    length, shape = inputs[0].shape[0], states[0].shape
    sizes = [cell.slopes * length] + [length] * (cell.kept + sequences)

    def step(t: Any, states: Tensors, reads: Tensors, writes: Tensors) -> tuple[Tensors, Tensors]:
        after, written = [], []
        for part, read in enumerate(reads):
            before = states[part * cell.states : (part + 1) * cell.states]
            x, a = tf.matmul(kernel, read.read(t)), tf.matmul(recurrent, before[0])
            new, slopes, kept = cell.forward(before, x, a, bias)
            slots = writes[part * len(sizes) : (part + 1) * len(sizes)]
            for gate, slope in enumerate(slopes):
                slots[0] = slots[0].write(t * cell.slopes + gate, slope)
            tail = [*kept, new[0]] if sequences else kept
            written += [slots[0], *(s.write(t, v) for s, v in zip(slots[1:], tail, strict=True))]
            after += new
        return after, written

    last, arrays = _loop(step, states, inputs, [(size, shape) for size in sizes] * len(inputs))
    stored = [arrays[i : i + len(sizes)] for i in range(0, len(arrays), len(sizes))]
    outputs = [part.pop() for part in stored] if sequences else []
    for part in stored:
        part[0] = tf.reshape(part[0], (length, cell.slopes, *shape))
    return outputs, last, stored


def _run_backward(
    cell: Cell,
    kernels: tuple[Any, Any],
    inputs: Tensors,
    stored: list[Tensors],
    upstream: Tensors,
) -> Tensors:
    """Return the gradients of kernel, recurrent kernel, bias, inputs and first states."""
    import tensorflow as tf

    parts, (length, features, windows) = len(inputs), inputs[0].shape
    kernel, recurrent = (tf.transpose(weight) for weight in kernels)  # once, not each step
    units = recurrent.shape[0]
    each = 1 + cell.kept + 1
    outputs = upstream[: len(upstream) - parts * cell.states]
    reads = [array for part, x in enumerate(inputs) for array in (*stored[part], x)]

    def step(i: Any, carry: Tensors, reads: Tensors, writes: Tensors) -> tuple[Tensors, Tensors]:
        t = length - 1 - i
        states, sums = carry[: parts * cell.states], carry[parts * cell.states :]
        before, added, written = [], [], []
        for part in range(parts):
            grads = states[part * cell.states : (part + 1) * cell.states]
            slopes, *kept, x = (r.read(t) for r in reads[part * each : (part + 1) * each])
            if outputs:
                grads = [grads[0] + reads[parts * each + part].read(t), *grads[1:]]
            da, dx, finish = cell.backward(grads, slopes, kept)
            before += finish(tf.matmul(recurrent, da))
            steps = [
                tf.matmul(dx, x, transpose_b=True),
                tf.matmul(da, kept[-1], transpose_b=True),
                tf.reduce_sum(da[:units], 1),
            ]
            added += [s + d for s, d in zip(sums[3 * part : 3 * part + 3], steps, strict=True)]
            written.append(writes[part].write(t, tf.matmul(kernel, dx)))
        return before + added, written

    rows = cell.gates * units
    zeros = [tf.zeros((rows, features)), tf.zeros((rows, units)), tf.zeros((units,))]
    carry = upstream[len(outputs) :] + zeros * parts
    shapes = [(length, (features, windows))] * parts
    carry, dinputs = _loop(step, carry, reads + outputs, shapes)
    sums = carry[parts * cell.states :]
    dkernel, drecurrent, dbias = (tf.add_n(sums[i::3]) for i in range(3))
    return [dkernel, drecurrent, dbias[:, None], *dinputs, *carry[: parts * cell.states]]


def _loop(
    step: Callable[..., tuple[Tensors, Tensors]],
    carry: Tensors,
    reads: Tensors,
    writes: list[tuple[int, Any]],
) -> tuple[Tensors, Tensors]:
    """Run `step` along the first axis of `reads`; return the carry and the stacked writes."""
    import tensorflow as tf

    length = reads[0].shape[0]
    sources = [
        tf.TensorArray(r.dtype, length, clear_after_read=False, element_shape=r.shape[1:]).unstack(
            r
        )
        for r in reads
    ]
    targets = [tf.TensorArray(tf.float32, size, element_shape=shape) for size, shape in writes]

    def body(t: Any, carry: Tensors, targets: Tensors) -> tuple[Any, Tensors, Tensors]:
        carry, targets = step(t, carry, sources, targets)
        return t + 1, carry, targets

    _, carry, targets = tf.while_loop(
        lambda t, *_: t < length, body, (0, carry, targets), maximum_iterations=length
    )
    return carry, [target.stack() for target in targets]
