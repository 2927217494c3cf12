"""Losses for TensorBoard, an event file a training."""

from __future__ import annotations

from types import ModuleType
from typing import Any, final

from seqmodel.errors import SpecError
from seqmodel.store.store import Store


@final
class EventLog:
    """Writes the figures of each epoch of one version.

    Args:
        store: the data root.
        pipeline: whose training it is.
        version: in the making.

    Raises:
        SpecError: if TensorFlow or TensorBoard is not installed.
    """

    def __init__(self, store: Store, pipeline: str, version: str) -> None:
        self._tf = _import_tensorflow()
        place = store.path(f"{pipeline}/tensorboard/{version}")
        self._writer: Any = self._tf.summary.create_file_writer(str(place))

    def write(self, epoch: int, figures: dict[str, float]) -> None:
        """Write the figures of an epoch, by name."""
        with self._writer.as_default():
            for name, value in figures.items():
                self._tf.summary.scalar(name, value, step=epoch)
        self._writer.flush()


def _import_tensorflow() -> ModuleType:
    try:
        import tensorboard  # noqa: F401 - the summaries are its own
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise SpecError(
            f"found train.tensorboard without the package {error.name}, needed tensorflow and"
            " tensorboard; install them or take the knob out"
        ) from None
    module: ModuleType = tf
    return module
