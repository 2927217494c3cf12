"""Sequences in memory: fit, evaluate, predict, and what is refused in one sentence."""

import numpy as np
import pytest

from seqmodel.errors import DataError
from seqmodel.scoring.class_metrics import LEAST
from seqmodel.sequences import SequenceClassifier, read_sequences

SEQUENCES, LABELS = [[1, 2, 3], [4, 5], [6]] * 40, [3, 2, 1] * 40


@pytest.fixture(scope="module")
def counting():
    """Three sequences and their lengths, again and again."""
    model = SequenceClassifier(lookback=4, units=16, learning_rate=0.01, epochs=12)
    return model.fit(SEQUENCES, LABELS)


@pytest.fixture(scope="module")
def signs():
    """Whether there is a -1: a name like any other, neither 1 nor padding. One label is lonely."""
    rng = np.random.default_rng(0)
    sequences = [rng.choice([1, 0, 2, -2], rng.integers(1, 6)).tolist() for _ in range(240)]
    for sequence in sequences[::2]:
        sequence[rng.integers(len(sequence))] = -1
    labels = [-1 in sequence for sequence in sequences]
    model = SequenceClassifier(
        kind="gru", lookback=6, units=16, learning_rate=0.02, epochs=12, class_weight="balanced"
    )
    return model.fit(sequences, labels), sequences, labels


def test_labels_come_back_as_they_were_given(counting):
    assert counting.classes == (1, 2, 3)
    assert counting.predict([[1, 2, 3], [6], [4, 5]]) == [3, 1, 2]


def test_training_sequences_are_told(counting):
    scores = counting.evaluate(SEQUENCES, LABELS)
    assert scores["accuracy"] == 1
    assert scores["loss"] < 0.1
    assert counting.history[-1][1] < counting.history[0][1]


def test_probabilities_sum_to_one_and_the_company_of_a_sequence_does_not_matter(counting):
    together = counting.predict_proba([[1, 2, 3], [4], [6, 6]])
    np.testing.assert_allclose(together.sum(axis=1), 1)
    np.testing.assert_allclose(counting.predict_proba([[4]])[0], together[1], atol=1e-6)


def test_a_sequence_longer_than_the_lookback_keeps_its_newest_elements_and_is_counted(counting):
    long = counting.predict_proba([[6, 6, 6, 1, 2, 3, 3], [1]])
    assert counting.truncated == 1
    np.testing.assert_allclose(long[0], counting.predict_proba([[1, 2, 3, 3]])[0], atol=1e-6)
    assert counting.truncated == 0


def test_an_id_never_seen_counts_as_any_other_never_seen(counting):
    said = counting.predict_proba([[77], [-5], [78]])
    np.testing.assert_array_equal(said, said[:1].repeat(3, axis=0))


def test_a_label_never_seen_is_a_miss(counting):
    scores = counting.evaluate([[1, 2, 3], [6]], [3, 99])
    assert scores["accuracy"] == 0.5
    assert scores["loss"] == pytest.approx(-np.log(LEAST) / 2, abs=0.1)


def test_negative_ids_are_names(signs):
    model, sequences, labels = signs
    assert model.classes == (False, True)
    assert model.evaluate(sequences, labels)["accuracy"] > 0.95
    assert model.predict([[1], [-1], [2, -1]]) == [False, True, True]


def test_two_labels_have_the_scores_of_a_binary_target(signs):
    model, sequences, labels = signs
    assert {"roc_auc", "average_precision"} <= set(model.evaluate(sequences, labels))


def test_a_class_with_one_example_is_learned_from():
    model = SequenceClassifier(lookback=3, units=2, epochs=1)
    model.fit([["a"], ["a", "b"], ["b", "c"], ["c"]], ["x", "x", "x", "rare"])
    assert model.classes == ("rare", "x")


@pytest.mark.parametrize(
    ("sequences", "labels", "says"),
    [
        ([[1], []], [0, 1], "found sequence 1 empty, needed one element at least; leave it out"),
        ([[1, "a"], [2]], [0, 1], "found int and str in sequence 0, needed elements of one type"),
        ([[1], [2.5]], [0, 1], "found float and int in sequence 1"),
        ([[1], [None]], [0, 1], "found NoneType and int in sequence 1"),
        ([[1], [2]], [0, 0], "found the single class 0 in all labels, needed two at least"),
        ([[1], [2]], [0], "found 2 sequences and 1 labels, needed one label each"),
        ([[1], [2]], [0, None], "found sequence 1 without a label"),
        ([[1], [2]], [1, "1"], "found the labels 1 and '1', which read alike"),
        ([], [], "found no sequence, needed one at least"),
    ],
)
def test_what_cannot_be_learned_is_refused_in_one_sentence(sequences, labels, says):
    with pytest.raises(DataError, match=says) as caught:
        SequenceClassifier(epochs=1).fit(sequences, labels)
    assert "\n" not in str(caught.value)


def test_a_wrong_knob_is_refused_before_any_data():
    with pytest.raises(ValueError, match="unitz"):
        SequenceClassifier(unitz=3)


def test_a_classifier_that_was_not_fitted_says_so():
    with pytest.raises(DataError, match="not fitted, needed one; call fit first"):
        SequenceClassifier().predict([[1]])


def test_whole_numbers_are_names_and_fractions_are_numbers():
    assert read_sequences([[1, -2], [np.int64(3)]]).to_pylist() == [["1", "-2"], ["3"]]
    assert read_sequences([np.array([0.5, 2.0])]).to_pylist() == [[0.5, 2.0]]
