"""The windows of training, holdout and test of a wide file, and what is forecast of a part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from seqmodel.encoding import encode_panel
from seqmodel.features import Preprocessor
from seqmodel.panel import Panel
from seqmodel.specs import PipelineSpec
from seqmodel.windowing import StoredWindows
from seqmodel.windows import index_windows

if TYPE_CHECKING:  # its import takes Keras along
    from seqmodel.predictors import Predictor

Integers = NDArray[np.int64]
#: Numbers predicted between two writes.
NUMBERS_AT_ONCE = 1 << 23


def cut_parts(panel: Panel, spec: PipelineSpec, parts: Sequence[int]) -> StoredWindows:
    """Encode a panel and list the windows of training and holdout.

    Scales are measured on training rows; the encoded rows go on to the end of the test part.
    """
    window, first = spec.window, int(panel.first[0])
    last = first + parts[0] - 1
    fitted = Preprocessor.fit(panel, spec, last)
    rows = encode_panel(fitted, panel, until=last)
    borders = {"train": (first, last), "holdout": (last, last + parts[1])}
    index = {
        part: index_windows(
            panel.first, panel.offsets, window.lookback, window.horizon, after=after, until=until
        )
        for part, (after, until) in borders.items()
    }
    return StoredWindows(fitted, rows, index["train"], index["holdout"])


@final
class Scorer:
    """Forecasts every window of a part and compares.

    Args:
        predictor: what was trained.
        panel: R rows of each of C series.
        horizon: H (steps).
    """

    def __init__(self, predictor: Predictor, panel: Panel, horizon: int) -> None:
        self.predictor, self.panel, self.horizon = predictor, panel, horizon
        self.target = panel.values["target"].reshape(len(panel.ids), -1).T

    def predict(self, cutoffs: Integers) -> NDArray[np.float32]:
        """Return N x H x C medians from N cutoffs."""
        _, found = self.predictor.predict(self.panel, cutoffs, 1)
        median = found[:, :, self.predictor.levels.index(0.5)].astype(np.float32)
        # Windows come cutoff by cutoff, series by series.
        shape = (len(cutoffs), len(self.panel.ids), self.horizon)
        return median.reshape(shape).transpose(0, 2, 1)

    def score(
        self, borders: tuple[int, int], tell: Any, files: Sequence[Path] = ()
    ) -> dict[str, float]:
        """Predict every window whose targets lie in a part, and score.

        Args:
            borders: grid numbers of the last rows before the part and of it.
            tell: gets the progress.
            files: for predictions and truth; without them nothing is written.
        """
        horizon, count = self.horizon, len(self.panel.ids)
        cutoffs = np.arange(borders[0], borders[1] - horizon + 1)
        shape = (len(cutoffs), horizon, count)
        kept = [np.lib.format.open_memmap(file, "w+", np.float32, shape) for file in files]
        sums, seen = np.zeros(2), 0
        many = max(NUMBERS_AT_ONCE // (count * horizon), 1)
        for begin in range(0, len(cutoffs), many):
            some = cutoffs[begin : begin + many]
            rows = (some - self.panel.first[0] + 1)[:, None] + np.arange(horizon)
            blocks = (self.predict(some), self.target[rows].astype(np.float32))
            for file, block in zip(kept, blocks, strict=False):
                file[begin : begin + len(some)] = block
            there = np.isfinite(blocks[1])
            error = (blocks[0].astype(np.float64) - blocks[1])[there]
            sums += (np.sum(error**2), np.sum(np.abs(error)))
            seen += int(there.sum())
            tell({"words": f"predicted {begin + len(some)} of {len(cutoffs)} cutoffs"})
        for file in kept:
            file.flush()
        mse, mae = sums / max(seen, 1)
        return {"mse": float(mse), "mae": float(mae)}
