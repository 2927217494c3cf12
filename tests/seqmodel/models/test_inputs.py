"""What all networks do with their inputs."""

import keras
import numpy as np

from seqmodel.models.inputs import (
    ForgetSeries,
    close_model,
    describe_series,
    make_inputs,
    make_tables,
    read_known,
    read_known_past,
    read_past,
)
from seqmodel.models.protocol import InputShapes
from seqmodel.specs import ModelSpec
from tests.seqmodel.models.cases import FULL, feed, make_arrays, say

SPEC = ModelSpec()
ALWAYS = {"past", "series", "phase", "scale"}


def test_there_is_an_input_for_what_is_there():
    assert set(make_inputs(InputShapes(8, 3, 2))) == ALWAYS
    inputs, arrays = make_inputs(FULL), make_arrays()
    assert set(inputs) == set(arrays)
    for name, tensor in inputs.items():
        assert tensor.shape[1:] == arrays[name].shape[1:]
        assert tensor.dtype == arrays[name].dtype
        assert tensor.name == name


def test_a_closed_model_declares_only_what_reaches_its_outputs():
    inputs = make_inputs(FULL)
    keras.layers.Dense(3)(inputs["known"])  # built and thrown away
    model = close_model(inputs, keras.layers.Dense(3)(inputs["static"]), "small")
    assert [tensor.name for tensor in model.inputs] == ["static"]


def test_a_deep_residual_network_is_closed_at_once():
    inputs = make_inputs(FULL)
    hidden = inputs["static"]
    for _ in range(40):  # 2^40 paths
        hidden = keras.layers.Add()([hidden, hidden])
    assert len(close_model(inputs, hidden, "deep").inputs) == 1


def test_rows_are_read_the_same_before_and_after_the_cutoff():
    inputs, tables = make_inputs(FULL), make_tables(FULL.past_cardinalities, SPEC)
    past = read_past(inputs, FULL, SPEC, tables)
    before = read_known_past(inputs, FULL, FULL.horizon, tables)
    known = read_known(inputs, FULL, SPEC, tables)
    assert past.shape[1:] == (FULL.lookback, 7 + 2 + 2)  # codes of 4 and of 3 values
    assert before.shape == known.shape
    arrays = make_arrays()
    arrays["known"] = arrays["past"][:, -FULL.horizon :, -3:]
    arrays["known_codes"] = arrays["past_codes"][:, -FULL.horizon :, -1:]
    found = [say(close_model(inputs, rows, "rows"), arrays) for rows in (before, known)]
    np.testing.assert_array_equal(*found)


def test_rows_without_codes_are_passed_through():
    shapes = InputShapes(8, 3, 2)
    inputs = make_inputs(shapes)
    assert read_past(inputs, shapes, SPEC) is inputs["past"]
    assert read_known(inputs, shapes, SPEC) is None


def test_the_series_is_described_by_all_that_is_constant():
    spec = ModelSpec(embedding=5)
    widths = [part.shape[-1] for part in describe_series(make_inputs(FULL), FULL, spec)]
    assert widths == [2, 2, 3, 5]
    assert describe_series(make_inputs(FULL), InputShapes(8, 3, 2), ModelSpec()) == []


def test_an_unseen_series_has_a_row_of_its_own_that_is_nearly_nothing():
    shapes = InputShapes(8, 3, 2, series=4)
    inputs = make_inputs(shapes)
    model = close_model(inputs, describe_series(inputs, shapes, ModelSpec(embedding=5))[0], "id")
    arrays = make_arrays(shapes, count=5)
    arrays["series"] = np.arange(5, dtype=np.int32)[:, None]
    found = say(model, arrays)
    assert len({row.tobytes() for row in found}) == 5
    assert np.abs(found[0]).max() <= 0.05


def test_series_are_forgotten_in_training_alone():
    layer, series = ForgetSeries(0.25), np.arange(1, 4001, dtype=np.int32)[:, None]
    found = keras.ops.convert_to_numpy(layer(series, training=True))
    assert set((found / series).ravel()) == {0, 1}
    assert 0.2 < (found == 0).mean() < 0.3
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(series)), series)
    assert ForgetSeries.from_config(layer.get_config()).share == 0.25


def test_a_model_is_fed_by_name():
    inputs = make_inputs(FULL)
    model = close_model(inputs, keras.layers.Flatten()(inputs["known"]), "flat")
    assert list(feed(model, make_arrays())) == ["known"]
