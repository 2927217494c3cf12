"""Layers that subtract from each window what needs no learning, and say what to add back.

All of them read observed values only: where a step is missing its target is 0 and its flag is 0.

A window, its season and its longer cycle, seen from the first step of the horizon:

     ... |--season a cycle ago--| ... |--season before--|--newest season--|   horizon
                                                        | base            |-> base again -> ...
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

PACKAGE = "seqmodel"
#: Below this a spread counts as none (scaled units).
SMALLEST = 1e-6
#: Spread of a window that never changes, in the scale of its series: not knowing better is no
#: reason to blow up whatever the network says of it.
CALM = 0.01
#: Tokens beyond this many spreads are cut: one jump in a flat window would drown all others.
LARGEST = 30.0


def _find_newest(target: Any, observed: Any) -> Any:
    """Return N x 1 newest observed values, 0 where there is none."""
    steps = target.shape[1]
    order = ops.arange(1, steps + 1, dtype=target.dtype) * observed
    # Not argmax: TensorFlow's has bit operations inside that ONNX knows nothing of.
    newest = ops.cast(order == ops.max(order, axis=1, keepdims=True), target.dtype)
    return ops.sum(newest * target * observed, axis=1, keepdims=True)


def _mean(values: Any, observed: Any) -> Any:
    """Return N x 1 means of observed values, 0 where there is none."""
    count = ops.maximum(ops.sum(observed, axis=1, keepdims=True), 1.0)
    return ops.sum(values * observed, axis=1, keepdims=True) / count


def _tile(newest: Any, horizon: int) -> Any:
    """Return N x H, the last steps of a window again and again."""
    times = -(-horizon // newest.shape[1])
    return ops.tile(newest, (1, times))[:, :horizon]


def _shift(values: Any, steps: int) -> Any:
    """Return N x L, each value where it is `steps` later, 0 in the beginning."""
    return ops.pad(values, ((0, 0), (steps, 0)))[:, : values.shape[1]]


@keras.saving.register_keras_serializable(PACKAGE)
class NormaliseByNewest(keras.layers.Layer):  # type: ignore[misc]
    """Subtracts the newest observed value, as SegRNN does (arXiv 2308.11200).

    Args:
        horizon: H (steps).
        kwargs: of the Keras layer.
    """

    def __init__(self, horizon: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.horizon = horizon

    def call(self, target: Any, observed: Any) -> tuple[Any, Any, Any]:
        """Normalise N x L values.

        Returns:
            The signal N x L x 1, the base N x H x 1 and the spread N x 1 x 1, all ones.
        """
        newest = _find_newest(target, observed)
        signal = ops.expand_dims((target - newest) * observed, -1)
        base = ops.expand_dims(ops.tile(newest, (1, self.horizon)), -1)
        return signal, base, ops.ones_like(base[:, :1])

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        return {**super().get_config(), "horizon": self.horizon}


@keras.saving.register_keras_serializable(PACKAGE)
class NormaliseBySeason(keras.layers.Layer):  # type: ignore[misc]
    """Repeats the newest season, and measures in mean absolute seasonal differences.

    The spread is the error that repeating the last season made within the window: the scale of
    MASE, of the window alone. The signal is the window's standard scores beside its differences
    from a season before, in spreads.

    Args:
        season: of the target (steps), below the lookback.
        horizon: H (steps).
        kwargs: of the Keras layer.
    """

    def __init__(self, season: int, horizon: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.season = season
        self.horizon = horizon

    def call(self, target: Any, observed: Any) -> tuple[Any, Any, Any]:
        """Normalise N x L values.

        Returns:
            The signal N x L x 2, the base N x H x 1 and the spread N x 1 x 1.
        """
        newest = _find_newest(target, observed)
        # From here on relative to the newest value: a constant window is exactly 0 then.
        values = (target - newest) * observed
        centred = (values - _mean(values, observed)) * observed
        variance = _mean(ops.square(centred), observed)
        varies = variance > SMALLEST**2
        deviation = ops.sqrt(ops.where(varies, variance, 1.0))
        paired = observed * _shift(observed, self.season)
        differences = (values - _shift(values, self.season)) * paired
        spread = _mean(ops.abs(differences), paired)
        # Without a seasonal difference the deviation is next, then a share of the series' scale.
        calm = ops.where(varies, deviation, CALM)
        spread = ops.where(spread > SMALLEST, spread, calm)
        signal = ops.stack([centred / deviation, differences / spread], axis=-1)
        base = newest + _tile(self._fill_newest_season(values, observed), self.horizon)
        return (
            ops.clip(signal, -LARGEST, LARGEST),
            ops.expand_dims(base, -1),
            ops.expand_dims(spread, -1),
        )

    def _fill_newest_season(self, values: Any, observed: Any) -> Any:
        """Return N x season, missing steps from the season before, or 0: the newest value."""
        season = self.season
        newest, seen = values[:, -season:], observed[:, -season:]
        if values.shape[1] < 2 * season:
            return newest
        return ops.where(seen > 0, newest, values[:, -2 * season : -season])

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        return {**super().get_config(), "season": self.season, "horizon": self.horizon}


@keras.saving.register_keras_serializable(PACKAGE)
class CompareCycle(keras.layers.Layer):  # type: ignore[misc]
    """Compares the newest season with the same part of the cycle, such as the same day last week.

    Args:
        season: of the target (steps).
        cycle: longer than the season (steps), at most the lookback.
        kwargs: of the Keras layer.
    """

    def __init__(self, season: int, cycle: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.season = season
        self.cycle = cycle

    def call(self, target: Any, observed: Any, base: Any, spread: Any) -> tuple[Any, Any]:
        """Compare N x L values with the base (N x H x 1), in spreads (N x 1 x 1).

        Returns:
            The step from the base to a cycle ago, N x H x 1 in scaled units, 0 where that is
            missing; and N x H x 3 in spreads: this step, what repeating the season missed a cycle
            ago, and what repeating the cycle missed then.
        """
        steps, past = np.arange(base.shape[1]) % self.cycle, target.shape[1]
        ago = past - self.cycle + steps
        seasons_before = past - self.cycle - self.season + steps % self.season
        cycles_before = past - 2 * self.cycle + steps
        at_ago, seen = ops.take(target, ago, axis=1), ops.take(observed, ago, axis=1)
        step = (at_ago - base[..., 0]) * seen
        hints = [step]
        for before in (seasons_before, cycles_before):
            if before.min() < 0:
                hints.append(ops.zeros_like(step))
                continue
            both = seen * ops.take(observed, before, axis=1)
            hints.append((at_ago - ops.take(target, before, axis=1)) * both)
        scaled = ops.stack(hints, axis=-1) / spread
        return ops.expand_dims(step, -1), ops.clip(scaled, -LARGEST, LARGEST)

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        return {**super().get_config(), "season": self.season, "cycle": self.cycle}


@keras.saving.register_keras_serializable(PACKAGE)
class LearnedCycle(keras.layers.Layer):  # type: ignore[misc]
    """A learned course of the cycle, one for all series, as CycleNet has it (arXiv 2409.18479).

    Args:
        cycle: steps of the course.
        lookback: L (steps).
        horizon: H (steps).
        kwargs: of the Keras layer.
    """

    def __init__(self, cycle: int, lookback: int, horizon: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.cycle = cycle
        self.lookback = lookback
        self.horizon = horizon

    def build(self, _shape: Any) -> None:
        """Create the course, flat at first."""
        self.course = self.add_weight(shape=(self.cycle,), initializer="zeros", name="course")

    def call(self, phase: Any) -> tuple[Any, Any]:
        """Return the course over the lookback (N x L) and the horizon (N x H x 1).

        Args:
            phase: N x 1, step of the cycle at which the horizon begins.
        """
        # A whole number of cycles is added: the remainder of a negative number differs by backend.
        whole = -(-self.lookback // self.cycle) * self.cycle
        offsets = ops.arange(whole - self.lookback, whole + self.horizon, dtype="int32")
        steps = ops.mod(ops.cast(phase, "int32") + offsets, self.cycle)
        course = ops.take(self.course, steps, axis=0)
        return course[:, : self.lookback], ops.expand_dims(course[:, self.lookback :], -1)

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        sizes = {"cycle": self.cycle, "lookback": self.lookback, "horizon": self.horizon}
        return {**super().get_config(), **sizes}
