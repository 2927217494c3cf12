"""Rates, precision, devices."""

import numpy as np
import pytest

from seqmodel.errors import SpecError
from seqmodel.specs import TrainSpec

keras = pytest.importorskip("keras")

from seqmodel.training.optimising import (
    BEGIN,
    END,
    Rate,
    make_optimiser,
    use_device,
    use_precision,
)


def read(rate, steps):
    return np.array([float(rate(step)) for step in steps])


@pytest.mark.parametrize("schedule", ["constant", "cosine", "decay"])
def test_every_schedule_rises_to_its_peak_and_stays_above_zero(schedule):
    rate = Rate(0.1, schedule, steps=10, epochs=5, warm_up=5)
    found = read(rate, range(50))
    assert found[0] == pytest.approx(0.1 * BEGIN)
    assert (np.diff(found[:6]) > 0).all()
    assert found.max() == pytest.approx(0.1, rel=0.02)
    assert (found > 0).all()


def test_a_cosine_ends_at_a_hundredth_of_its_peak():
    rate = Rate(0.1, "cosine", steps=10, epochs=5, warm_up=0)
    found = read(rate, range(51))
    assert (np.diff(found) <= 0).all()
    assert found[-1] == pytest.approx(0.1 * END)


def test_a_decay_holds_two_epochs_then_falls_by_a_fifth_each():
    rate = Rate(1.0, "decay", steps=10, epochs=5, warm_up=0)
    assert read(rate, [0, 19, 20, 30, 40]) == pytest.approx([1, 1, 0.8, 0.64, 0.512])


def test_a_schedule_is_built_again_from_its_config():
    rate = Rate(0.1, "decay", steps=10, epochs=5, warm_up=5)
    again = Rate.from_config(rate.get_config())
    assert read(again, range(50)).tolist() == read(rate, range(50)).tolist()


def test_the_optimiser_clips_gradients():
    optimiser = make_optimiser(TrainSpec(clip_norm=0.5), 10, epochs=2, peak=0.1)
    assert optimiser.clipnorm == 0.5


def test_precision_is_set_back_even_after_an_error():
    before = keras.config.dtype_policy().name
    with pytest.raises(ValueError, match="mixed_bfloat16"), use_precision("mixed_bfloat16"):
        raise ValueError(keras.config.dtype_policy().name)
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize("device", ["gpu", "all_gpus"])
def test_a_gpu_that_is_not_there_is_one_sentence(device, monkeypatch):
    monkeypatch.setattr("seqmodel.training.optimising.count_gpus", lambda: 0)
    demanded = use_device(TrainSpec(device=device))
    with pytest.raises(SpecError, match=r"found no GPU .*, needed one; install"), demanded:
        pass


def test_the_cpu_may_be_asked_for():
    with use_device(TrainSpec(device="cpu")) as compiled:
        assert compiled == (keras.backend.backend() != "torch")
