"""Compares a searched recurrent cell with an LSTM of equal size and with a bigram model.

The LSTM is trained by the same loop: the same batches, sequence lengths, epochs, dropouts, clipping and rule for
averaging. Each of the two picks its learning rate from the same few, by validation perplexity.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

from darts_core import run_rnn_evaluation, run_rnn_search
from darts_core.baselines.bigram import fitted_bigram
from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
from darts_core.data.text.corpus import TextData, load_text
from darts_core.data.text.windows import TextBatch, columns, window
from darts_core.errors import Diverged
from darts_core.genotypes import to_python
from darts_core.models.recurrent.language_model import LanguageModel
from darts_core.models.recurrent.lstm import LstmNetwork, lstm_parameters, size_of_equal_lstm
from darts_core.profile import LanguageShape, profile_language_model
from darts_core.training.rnn_evaluation import BuildNetwork, genotype_network
from darts_core.training.texts import perplexity

Say = Callable[[str], None]

# Around 20 (the DARTS authors) and 30 (awd-lstm).
RATES: Final = (10.0, 20.0, 40.0)


def searched(config: RnnSearchConfig, *, data_root: Path, say: Say) -> dict[str, Any]:
    """Run a search; returns its `genotype` as text and its seconds."""
    watch = _Watch()
    *_, last = run_rnn_search(config, data_root=data_root)
    assert last.genotype is not None  # set in a search's last report
    named = {"spec": last.checkpoint["spec"], "metrics": last.metrics, "genotype": to_python(last.genotype)}
    found = {**named, **watch.seconds()}
    say(f"search: {found}")
    return found


def compare(
    evaluation: RnnEvaluationConfig, *, rates: Sequence[float], seeds: Sequence[int], data_root: Path, say: Say
) -> dict[str, Any]:
    """Train the spec's cell and an LSTM of equal size from every seed, and fit a bigram model.

    rates: tried with the first seed; the best one's run is the first result, and the other seeds use it alone.
    Perplexities are on the test text, with the weights after the last epoch, which are not selected by it. Seconds,
    wall and CPU, are of whole runs with validation and test.
    """
    evaluation = evaluation.resolved()
    text = load_text(evaluation.dataset, data_root, evaluation.text_checksum)
    words = len(text.vocabulary)
    shape = LanguageShape(evaluation.hidden_size, words)
    parameters = profile_language_model(evaluation.cell(), shape).parameters
    size = size_of_equal_lstm(parameters, words)
    lstm_evaluation = evaluation.model_copy(update={"hidden_size": size})
    runs = _Runs(rates, seeds, data_root, say)
    return {
        "text": _described(evaluation, text),
        "spec": evaluation.model_dump(mode="json"),
        "bigram": _bigram(evaluation, text, say),
        "lstm": {
            "hidden_size": size,
            "parameters": lstm_parameters(size, words),
            **runs.of("lstm", lstm_evaluation, lstm_network),
        },
        "cell": {
            "hidden_size": shape.hidden_size,
            "parameters": parameters,
            **runs.of("cell", evaluation, genotype_network),
        },
    }


def lstm_network(config: RnnEvaluationConfig, words: int) -> LanguageModel:
    """An LSTM in place of the spec's genotype, with the spec's hidden size."""
    return LstmNetwork(words=words, size=config.hidden_size)


class _Runs:
    """Trainings of one network."""

    def __init__(self, rates: Sequence[float], seeds: Sequence[int], data_root: Path, say: Say) -> None:
        self._rates, self._seeds, self._data_root, self._say = rates, seeds, data_root, say

    def of(self, name: str, config: RnnEvaluationConfig, build: BuildNetwork) -> dict[str, Any]:
        """Train from each seed, at the rate with the best validation. Raises Diverged when no rate works."""
        tried = [self._tried(name, config, build, rate) for rate in self._rates]
        best = min(tried, key=lambda run: float(run["validation_perplexity"] or math.inf))
        if best["validation_perplexity"] is None:
            raise Diverged(f"{name}: at each of the rates {self._rates}: give lower ones")
        runs = [best] + [self._run(name, config, build, best["weight_lr"], seed) for seed in self._seeds[1:]]
        tests = [run["test_perplexity"] for run in runs]
        return {
            "rates": [
                {"weight_lr": r["weight_lr"], "validation_perplexity": r["validation_perplexity"]} for r in tried
            ],
            "weight_lr": best["weight_lr"],
            "runs": runs,
            "mean": mean(tests),
            "deviation": stdev(tests),
        }

    def _tried(self, name: str, config: RnnEvaluationConfig, build: BuildNetwork, rate: float) -> dict[str, Any]:
        """A run with the first seed; without perplexity when it diverges."""
        try:
            return self._run(name, config, build, rate, self._seeds[0])
        except Diverged as error:
            self._say(f"{name}: {error}")
            return {"weight_lr": rate, "validation_perplexity": None}

    def _run(
        self, name: str, config: RnnEvaluationConfig, build: BuildNetwork, rate: float, seed: int
    ) -> dict[str, Any]:
        config = config.model_copy(update={"weight_lr": rate, "seed": seed})
        watch = _Watch()
        *_, last = run_rnn_evaluation(config, data_root=self._data_root, build=build)
        measured = {metric: last.metrics[metric] for metric in ("validation_perplexity", "test_perplexity", "averaged")}
        run = {"weight_lr": rate, "seed": seed, **measured, **watch.seconds()}
        self._say(f"{name}: {run}")
        return run


class _Watch:
    def __init__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def seconds(self) -> dict[str, float]:
        wall, processor = self._start
        return {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processor}


def _described(config: RnnEvaluationConfig, text: TextData) -> dict[str, Any]:
    predicted = _batch(text, "test", config.test_batch_size).targets.numel()
    return {
        "dataset": config.dataset,
        "version": text.version,
        "checksum": text.checksum,
        "sizes": text.sizes,
        "predicted": predicted,
    }


def _bigram(config: RnnEvaluationConfig, text: TextData, say: Say) -> dict[str, Any]:
    """Fitted on the whole training text, measured on the same target words as the networks."""
    watch = _Watch()
    words = len(text.vocabulary)
    validation = _batch(text, "valid", config.validation_batch_size)
    model = fitted_bigram(text.parts["train"], words, *validation)
    run = {
        "pairs": len(model.pairs),
        "discount": model.discount,
        "validation_perplexity": perplexity(model.loss(*validation)),
        "test_perplexity": perplexity(model.loss(*_batch(text, "test", config.test_batch_size))),
        **watch.seconds(),
    }
    say(f"bigram: {run}")
    return run


def _batch(text: TextData, part: str, batch: int) -> TextBatch:
    """The networks' columns as one window."""
    rows = columns(text.parts[part], batch, part)
    return window(rows, 0, len(rows))
