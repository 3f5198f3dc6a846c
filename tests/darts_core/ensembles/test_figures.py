"""Figures of committees, against their definitions in numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from darts_core.ensembles.figures import calibration_error, disagreement, image_figures, word_figures
from darts_core.ensembles.mixing import combined, even_weights
from darts_core.ensembles.parts import halves

Array = npt.NDArray[np.float64]


def drawn(count: int = 200, classes: int = 10, *, seed: int = 0, sharp: float = 2.0) -> tuple[torch.Tensor, ...]:
    source = torch.Generator().manual_seed(seed)
    return sharp * torch.randn(count, classes, generator=source), torch.randint(classes, (count,), generator=source)


def softmax(logits: torch.Tensor) -> Array:
    powers = np.exp(logits.double().numpy() - logits.double().numpy().max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def test_accuracy_and_top_5_count_the_largest_logits() -> None:
    logits, labels = drawn()
    order = np.argsort(-logits.numpy(), axis=1)
    found = image_figures(logits, labels)
    assert found["accuracy"] == 100 * float(np.mean(order[:, 0] == labels.numpy()))
    assert found["top5"] == 100 * float(np.mean((order[:, :5] == labels.numpy()[:, None]).any(axis=1)))


def test_there_is_no_top_5_of_five_classes() -> None:
    assert "top5" not in image_figures(*drawn(classes=5))


def test_the_loss_is_the_mean_over_the_true_classes() -> None:
    logits, labels = drawn()
    given = softmax(logits)[np.arange(200), labels.numpy()]
    assert image_figures(logits, labels)["loss"] == pytest.approx(-np.log(given).mean(), rel=1e-12)


@pytest.mark.parametrize("sharp", [0.1, 2.0, 20.0])
def test_the_calibration_error_is_that_of_fifteen_bins(sharp: float) -> None:
    logits, labels = drawn(sharp=sharp)
    probabilities = softmax(logits)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels.numpy()
    expected = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(logits, labels) == pytest.approx(100 * expected, rel=1e-9)


def test_answers_that_are_always_right_and_sure_are_calibrated() -> None:
    labels = torch.arange(10)
    assert calibration_error(100 * torch.eye(10), labels) == 0


def test_disagreement_is_how_often_two_members_name_different_classes() -> None:
    outputs = [drawn(seed=seed)[0] for seed in range(3)]
    said = [output.numpy().argmax(axis=1) for output in outputs]
    assert disagreement(outputs) == [[100 * float(np.mean(a != b)) for b in said] for a in said]


def test_a_sum_is_of_logits_in_float64() -> None:
    outputs = [drawn(seed=seed)[0] for seed in range(3)]
    expected = sum(output.numpy().astype(np.float64) for output in outputs)
    assert np.array_equal(combined(outputs, [1, 1, 1], "sum").numpy(), expected)


def test_a_mean_is_of_probabilities() -> None:
    outputs = [drawn(seed=seed)[0] for seed in range(3)]
    found = combined(outputs, even_weights(3, [0, 1, 2], "mean"), "mean")
    assert np.allclose(found.exp().numpy(), np.mean([softmax(output) for output in outputs], axis=0), rtol=1e-12)


def test_a_member_of_weight_zero_says_nothing() -> None:
    first, second = drawn(seed=0)[0], drawn(seed=1)[0]
    assert torch.equal(combined([first, second], [0.0, 1.0], "mean"), second.double().log_softmax(dim=1))


def test_probabilities_that_float64_does_not_know_are_mixed_nevertheless() -> None:
    sure = torch.tensor([[0.0, -2000.0]])
    assert torch.isfinite(combined([sure, sure], [0.5, 0.5], "mean")).all()


def test_a_words_figures_are_its_mean_loss_and_the_exponential_of_it() -> None:
    given = torch.rand(50, generator=torch.Generator().manual_seed(0)).log()
    loss = -given.double().numpy().mean()
    assert word_figures(given) == {"loss": pytest.approx(loss), "perplexity": pytest.approx(np.exp(loss))}


def test_the_halves_divide_every_class_evenly_and_are_always_the_same() -> None:
    labels = torch.tensor([0] * 7 + [1] * 4 + [2])
    first, second = halves(labels)
    assert labels[first].bincount(minlength=3).tolist() == [3, 2, 0]
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(12))
    assert torch.equal(first, halves(labels)[0])
