"""What each knob of the recurrent networks does; what they promise is in test_contract.py."""

import keras
import numpy as np
import pytest

from seqmodel.models.cells import LAYERS, make_recurrent
from seqmodel.specs.model import RECURRENT
from tests.seqmodel.models.cases import FULL, build, feed, make_arrays, say

ALL = {
    "units": (6, 4),
    "bidirectional": True,
    "layer_normalization": True,
    "residual": True,
    "dropout": 0.2,
    "recurrent_dropout": 0.2,
    "kernel_l2": 1e-3,
    "recurrent_l2": 1e-3,
    "embedding": 2,
}


def find_layers(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


@pytest.mark.parametrize("kind", RECURRENT)
def test_all_knobs_work_together_and_survive_saving(kind, tmp_path):
    model, path = build(kind, **ALL), tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    before, after = (say(m, make_arrays()) for m in (model, loaded))
    assert np.isfinite(before).all()
    assert before.tobytes() == after.tobytes()


def test_knobs_that_are_off_leave_no_layer():
    model = build("gru", layers=2)
    names = [type(layer).__name__ for layer in model.layers]
    assert len(find_layers(model, LAYERS["gru"])) == 2
    assert not {"Bidirectional", "LayerNormalization", "Add", "ForgetSeries"} & set(names)


def test_each_layer_has_its_width():
    found = [layer.units for layer in find_layers(build("gru", units=(7, 5, 3)), LAYERS["gru"])]
    assert found == [7, 5, 3]


def test_a_layer_read_in_both_directions_is_twice_as_wide():
    (layer,) = find_layers(build("lstm", bidirectional=True), keras.layers.Bidirectional)
    assert layer.output.shape[-1] == 12


def test_a_residual_is_added_where_the_widths_agree():
    assert len(find_layers(build("gru", units=(6, 6, 4), residual=True), keras.layers.Add)) == 1


def test_penalties_are_the_weighted_squares_of_the_kernels():
    model = build("gru", kernel_l2=0.5, recurrent_l2=0.25)
    (layer,) = find_layers(model, LAYERS["gru"])
    kernel, recurrent = (keras.ops.convert_to_numpy(w) for w in layer.get_weights()[:2])
    expected = 0.5 * (kernel**2).sum() + 0.25 * (recurrent**2).sum()
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("knob", ["dropout", "recurrent_dropout"])
def test_dropout_is_for_training_alone(knob):
    model = build("gru", **{knob: 0.5})
    inputs = feed(model, make_arrays())
    found = [keras.ops.convert_to_numpy(model(inputs, training=t)) for t in (True, False, False)]
    assert not np.array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[1], found[2])


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_stays_one_that_the_gpu_has_a_kernel_for(kind):
    layer = make_recurrent(kind, 4, return_sequences=True)
    assert layer.activation.__name__ == "tanh"
    assert getattr(layer, "recurrent_activation", keras.activations.sigmoid).__name__ == "sigmoid"
    assert getattr(layer, "reset_after", True)
    assert layer.recurrent_dropout == 0


def test_a_layer_returns_its_state_when_asked():
    rows = np.ones((2, 5, 3), np.float32)
    for kind, states in (("gru", 1), ("lstm", 2), ("rnn", 1)):
        found = make_recurrent(kind, 4, return_sequences=True, return_state=True)(rows)
        assert [tuple(part.shape) for part in found] == [(2, 5, 4)] + [(2, 4)] * states


def test_the_steps_before_the_horizon_reach_its_first_steps():
    model, arrays = build("gru"), make_arrays()
    codes = arrays["past_codes"].copy()
    codes[:, -1, -1] = (codes[:, -1, -1] + 1) % 3
    assert not np.array_equal(say(model, arrays), say(model, {**arrays, "past_codes": codes}))
    assert FULL.known_codes == 1
