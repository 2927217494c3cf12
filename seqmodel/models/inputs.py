"""What all networks do with their inputs: name them, embed codes, describe the series.

Every function takes the dict of all inputs there are; `close_model` keeps those that a network
has really read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from seqmodel.models.outputs.head import PACKAGE
from seqmodel.models.protocol import InputShapes
from seqmodel.specs import ModelSpec

#: How often a series is taken for one never seen, so that the network learns what to say of those.
FORGOTTEN = 0.05


def make_inputs(shapes: InputShapes) -> dict[str, Any]:
    """Return a Keras input for each of the protocol's that is there, by name."""
    lookback, horizon = shapes.lookback, shapes.horizon
    reals = {
        "past": (lookback, shapes.features),
        "known": (horizon, shapes.known),
        "static": (shapes.static,),
        "scale": (1,),
    }
    codes = {
        "past_codes": (lookback, len(shapes.past_cardinalities)),
        "known_codes": (horizon, shapes.known_codes),
        "static_codes": (len(shapes.static_cardinalities),),
        "series": (1,),
        "phase": (1,),
    }
    return {
        name: keras.Input(shape, dtype=dtype, name=name)
        for sizes, dtype in ((reals, "float32"), (codes, "int32"))
        for name, shape in sizes.items()
        if shape[-1]
    }


def close_model(inputs: dict[str, Any], outputs: Any, name: str) -> Any:
    """Return the Keras model from those of the inputs that reach the outputs.

    Whoever feeds the model then fills no array that nobody reads.
    """
    reached, open_ends = set(), [outputs]
    while open_ends:
        tensor = open_ends.pop()
        if id(tensor) in reached:
            continue
        reached.add(id(tensor))
        # Keras's own get_source_inputs walks every path, of which residual networks have 2^layers.
        operation, node, _ = tensor._keras_history  # noqa: SLF001
        open_ends += operation._inbound_nodes[node].input_tensors  # noqa: SLF001
    read = {key: tensor for key, tensor in inputs.items() if id(tensor) in reached}
    return keras.Model(read, outputs, name=name)


def make_tables(cardinalities: Sequence[int], spec: ModelSpec, of: str = "row") -> list[Any]:
    """Return one Embedding for each categorical covariate; the code 0 has a row as well.

    Args:
        cardinalities: codes of each.
        spec: its widest embedding counts.
        of: what they describe: `row`, `known` or `static`; a warm start finds them by this name.
    """
    return [
        layers.Embedding(
            count,
            min(spec.category_width, (count + 1) // 2),
            dtype="float32",
            name=f"embed_{of}_{column}",
        )
        for column, count in enumerate(cardinalities)
    ]


def embed_codes(codes: Any, tables: Sequence[Any]) -> list[Any]:
    """Return one tensor ... x width for each column of the codes (... x C) and its table."""
    return [table(codes[..., column]) for column, table in enumerate(tables)]


def read_past(
    inputs: dict[str, Any],
    shapes: InputShapes,
    spec: ModelSpec,
    tables: Sequence[Any] | None = None,
) -> Any:
    """Return the rows of the lookback, codes embedded.

    Args:
        inputs: of the network.
        shapes: of the inputs.
        spec: embeddings and their dropout count.
        tables: C, shared with `read_known`; by default new ones.

    Returns:
        N x L x F', the K known features last among the first F, then one embedding a code.
    """
    if not shapes.past_cardinalities:
        return inputs["past"]
    tables = make_tables(shapes.past_cardinalities, spec) if tables is None else tables
    embedded = embed_codes(inputs["past_codes"], tables)
    if spec.spatial_dropout:
        embedded = [layers.SpatialDropout1D(spec.spatial_dropout)(_join(embedded))]
    return layers.Concatenate()([inputs["past"], *embedded])


def read_known(
    inputs: dict[str, Any],
    shapes: InputShapes,
    spec: ModelSpec,
    tables: Sequence[Any] | None = None,
) -> Any | None:
    """Return the rows of the horizon, codes embedded.

    Args:
        inputs: of the network.
        shapes: of the inputs.
        spec: embeddings count.
        tables: C, shared with `read_past`, of which the last D are read; by default new ones.

    Returns:
        N x H x K', nothing where nothing is known.
    """
    parts = [inputs["known"]] if shapes.known else []
    if shapes.known_codes:
        count = shapes.known_codes
        tables = (
            make_tables(shapes.past_cardinalities[-count:], spec, "known")
            if tables is None
            else tables
        )
        parts += embed_codes(inputs["known_codes"], tables[-count:])
    return _join(parts) if parts else None


def read_known_past(
    inputs: dict[str, Any], shapes: InputShapes, steps: int, tables: Sequence[Any]
) -> Any:
    """Return the same features as `read_known` with the same tables, of the newest `steps` rows."""
    parts = []
    if shapes.known:
        parts.append(inputs["past"][:, -steps:, -shapes.known :])
    if shapes.known_codes:
        codes = inputs["past_codes"][:, -steps:, -shapes.known_codes :]
        parts += embed_codes(codes, tables[-shapes.known_codes :])
    return _join(parts)


def _join(parts: list[Any]) -> Any:
    return layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def describe_series(inputs: dict[str, Any], shapes: InputShapes, spec: ModelSpec) -> list[Any]:
    """Return what is constant in a series, as tensors N x width; none where there is nothing."""
    parts = [inputs["static"]] if shapes.static else []
    if shapes.static_cardinalities:
        tables = make_tables(shapes.static_cardinalities, spec, "static")
        parts += embed_codes(inputs["static_codes"], tables)
    if spec.embedding:
        series = ForgetSeries(FORGOTTEN)(inputs["series"])
        table = layers.Embedding(
            shapes.series + 1, spec.embedding, dtype="float32", name="embed_series"
        )
        parts.append(table(series)[:, 0])
    return parts


@keras.saving.register_keras_serializable(PACKAGE)
class ForgetSeries(layers.Layer):  # type: ignore[misc]
    """Turns some numbers of series into 0 in training, the number of a series never seen.

    Row 0 of the embedding would otherwise stay what chance made it, beside rows that all moved
    away together, and a new series would get a forecast that no training has seen.

    Args:
        share: of the series forgotten.
    """

    def __init__(self, share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share
        self.generator = keras.random.SeedGenerator()

    def call(self, inputs: Any, *, training: bool = False) -> Any:
        """Return N x 1 numbers of series."""
        if not training:
            return inputs
        kept = keras.random.uniform(ops.shape(inputs), seed=self.generator) >= self.share
        return inputs * ops.cast(kept, inputs.dtype)

    def compute_output_spec(self, inputs: Any, *, training: bool = False) -> Any:
        """Return shape and type of the outputs: those of the inputs."""
        del training
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what is needed to build the layer again."""
        return {**super().get_config(), "share": self.share}
