"""Many windows through a network: in order, in batches of one shape, back in the series' scale."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from seqmodel.models.outputs import choose_head
from seqmodel.predicting import choose_inputs, measure_loss, predict_windows
from seqmodel.specs import OutputSpec
from tests.seqmodel.rich import make_rich_spec, make_rich_table
from tests.seqmodel.small import store_windows

OUTPUT = OutputSpec()
HORIZON = 6


class Echo:
    """Says the newest target it sees, and a unit below and above it."""

    def __init__(self, *names):
        self.inputs = [SimpleNamespace(name=name) for name in ("past", *names)]
        self.sizes, self.read = set(), set()

    def predict_on_batch(self, inputs):
        self.sizes.add(len(inputs["past"]))
        self.read |= set(inputs)
        last = inputs["past"][:, -1, :1, None] + np.array([-1, 0, 1], np.float32)
        return np.repeat(last, HORIZON, axis=1)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return store_windows(tmp_path_factory.mktemp("root"), make_rich_spec(), make_rich_table())


@pytest.mark.parametrize("batch_size", [1, 7, 64, 4096])
def test_windows_come_out_in_order_whatever_the_batch(stored, batch_size):
    network, windows = Echo(), stored.train.spread(50)
    reader = stored.reader(make_rich_spec())
    found = predict_windows(network, choose_head(OUTPUT), reader, windows, batch_size)
    assert found.shape == (50, HORIZON, 3)
    assert found.dtype == np.float64
    last = reader.read(windows).inputs["past"][:, -1, 0]
    np.testing.assert_array_equal(found[:, 0, 1], last)
    assert network.sizes == {batch_size}


def test_no_windows_make_no_forecasts(stored):
    reader, none = stored.reader(make_rich_spec()), stored.train.take(np.arange(0))
    assert predict_windows(Echo(), choose_head(OUTPUT), reader, none, 8).shape == (0, HORIZON, 3)


def test_a_network_gets_the_inputs_it_reads_and_no_others(stored):
    network = Echo("known", "series")
    batch = stored.reader(make_rich_spec()).read(stored.train.spread(3))
    assert set(choose_inputs(network, batch)) == {"past", "known", "series"}
    reader = stored.reader(make_rich_spec())
    predict_windows(network, choose_head(OUTPUT), reader, stored.train.spread(3), 2)
    assert network.read == {"past", "known", "series"}


@pytest.mark.parametrize("scale", ["last", "standard", "seasonal"])
def test_a_windows_own_scale_is_undone(tmp_path, scale):
    spec = make_rich_spec(scaling={"window": scale})
    stored = store_windows(tmp_path, spec, make_rich_table())
    reader, windows = stored.reader(spec), stored.train.spread(20)
    found = predict_windows(Echo(), choose_head(OUTPUT), reader, windows, 8)
    batch = reader.read(windows)
    assert batch.normaliser is not None
    last = batch.inputs["past"][:, -1, 0].astype(np.float64)[:, None]
    expected = last * batch.normaliser.spread + batch.normaliser.future
    np.testing.assert_allclose(found[:, :, 1], np.broadcast_to(expected, (20, HORIZON)), rtol=1e-6)


def test_a_distribution_in_the_targets_unit_is_not_scaled_back(stored):
    spec = make_rich_spec(
        output={"kind": "negative_binomial"}, scaling={"series": "mean_abs"}, model={"kind": "gru"}
    )
    head = choose_head(spec.output)
    reader = stored.reader(spec, in_target_unit=head.unit == "target")

    class Counts(Echo):
        def predict_on_batch(self, inputs):
            return np.full((len(inputs["past"]), HORIZON, 2), [40.0, 1e-6], np.float32)

    found = predict_windows(Counts(), head, reader, stored.train.spread(5), 4)
    assert (found[:, :, 1] == 40).all()


def pinball(targets, weights, quantiles):
    """Mean loss over observed targets, one by one."""
    total = 0.0
    for window, step in np.argwhere(weights > 0):
        for level, q in zip((0.1, 0.5, 0.9), quantiles[window, step], strict=True):
            error = targets[window, step] - q
            total += (level * error if error >= 0 else (level - 1) * error) / 3
    return total / (weights > 0).sum()


@pytest.mark.parametrize("batch_size", [5, 64, 1000])
def test_the_holdout_loss_is_the_mean_over_observed_targets_whatever_the_batch(stored, batch_size):
    reader, windows = stored.reader(make_rich_spec()), stored.holdout.all()
    batch = reader.read(windows)
    assert (batch.weights == 0).any()
    network = Echo()
    expected = pinball(
        batch.targets.astype(float), batch.weights, network.predict_on_batch(batch.inputs)
    )
    found = measure_loss(Echo(), choose_head(OUTPUT), reader, windows, batch_size)
    assert found == pytest.approx(expected, rel=1e-5)


def test_without_an_observed_target_the_loss_is_not_a_number(stored):
    spec = make_rich_spec()
    values = np.array(stored.rows.values)
    values[:, :2] = 0
    blind = replace(stored, rows=replace(stored.rows, values=values))
    reader = blind.reader(spec)
    assert np.isnan(measure_loss(Echo(), choose_head(OUTPUT), reader, blind.holdout.all(), 64))
