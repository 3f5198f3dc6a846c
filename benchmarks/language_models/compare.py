"""Tunes and trains a protocol's networks, and compares them with the LSTM of the same seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.language_models.protocol import Cell, LanguageModelProtocol, Setting
from benchmarks.ledger.intervals import Interval, interval, paired_difference
from benchmarks.ledger.protocol import ProtocolError
from benchmarks.ledger.sources import RunsOf
from benchmarks.ledger.store import Run
from darts_core.baselines.bigram import fitted_bigram
from darts_core.data.text.corpus import TextData
from darts_core.data.text.windows import TextBatch, columns, window
from darts_core.genotypes import parse
from darts_core.training.texts import perplexity

LSTM = "LSTM"
SEARCHED = "searched cell"


@dataclass(frozen=True)
class Row:
    """The trainings of a network, or of all random cells; perplexities with the weights after the last epoch.

    setting: the best of the grid by validation. tests: test perplexities, of a network in the order of the seeds.
    training: the mean perplexity of the last epoch's training steps, with dropout. against_lstm: the tests minus those
    of the LSTM with the same seeds. diverged: trainings that end worse than guessing a word of the vocabulary,
    which are not among the tests. seconds: processor seconds of a training.
    """

    network: str
    parameters: int
    setting: Setting
    tests: tuple[float, ...]
    test: Interval
    against_lstm: Interval | None
    validation: float
    training: float | None
    diverged: int
    seconds: float

    @property
    def verdict(self) -> str:
        """Whether the network differs from the LSTM, as far as these seeds tell."""
        if self.against_lstm is None:
            return ""
        if not self.against_lstm.excludes_zero:
            return "not distinguishable from the LSTM"
        return "better than the LSTM" if self.against_lstm.mean < 0 else "worse than the LSTM"


@dataclass(frozen=True)
class Comparison:
    """grid: validation perplexities of the first seed by setting, None where it diverged. better: how many random cells
    have a lower test perplexity than the searched cell with their setting and seed. against_random: the searched cell's
    test perplexities minus those of the random cells, pair by pair. bigram: test perplexity. predicted: test words.
    """

    rows: list[Row]
    grid: dict[str, dict[str, float | None]]
    better: int
    against_random: Interval
    bigram: float
    predicted: int


def compare(protocol: LanguageModelProtocol, text: TextData, runs_of: RunsOf) -> Comparison:
    """Raises ProtocolError where a network diverges at all rates or with a later seed, and as `runs_of` does."""
    return _Trainings(protocol, text, runs_of).compared()


class _Trainings:
    def __init__(self, protocol: LanguageModelProtocol, text: TextData, runs_of: RunsOf) -> None:
        self.protocol, self.text, self.runs_of = protocol, text, runs_of
        self.words = len(text.vocabulary)
        self.seeds = range(protocol.seeds)

    def compared(self) -> Comparison:
        protocol, named = self.protocol, self.protocol.named()
        for setting in protocol.settings:
            protocol.trained(None, setting, 0, self.words)  # a mistake in it shows before the search
        [search] = self.runs_of([protocol.searching])
        searched = parse(search.genotype or {}, "rnn")
        networks: dict[str, Cell] = {LSTM: None, **named, SEARCHED: searched}
        grid = self._grid(networks)
        chosen = {name: _best(name, trials) for name, trials in grid.items()}
        common = self._common([grid[name] for name in named])
        drawn = [(cell, common, number % protocol.seeds) for number, cell in enumerate(protocol.drawn())]
        wanted = [(cell, chosen[name], seed) for name, cell in networks.items() for seed in self.seeds]
        runs = iter(self._runs([*wanted, *((searched, common, seed) for seed in self.seeds), *drawn]))
        trained = {name: [next(runs) for _ in self.seeds] for name in networks}
        rival = [self._perplexity(next(runs)) for _ in self.seeds]
        random = list(runs)
        for name, found in trained.items():
            if not all(math.isfinite(self._perplexity(run)) for run in found):
                raise ProtocolError(f"{name} diverges with a later seed at {chosen[name]}: give lower rates")
        lstm = [self._perplexity(run) for run in trained[LSTM]]
        rows = [
            self._row(name, networks[name], chosen[name], found, None if name == LSTM else lstm)
            for name, found in trained.items()
        ]
        rows.append(self._row(f"{len(drawn)} random cells", drawn[0][0], common, random, lstm))
        pairs = [(rival[number % protocol.seeds], self._perplexity(run)) for number, run in enumerate(random)]
        bigram, predicted = self._bigram()
        return Comparison(
            rows=sorted(rows, key=lambda row: row.test.mean),
            grid={name: {str(each): _finite(value) for each, value in trials.items()} for name, trials in grid.items()},
            better=sum(theirs < ours for ours, theirs in pairs),
            against_random=interval([ours - theirs for ours, theirs in pairs if math.isfinite(theirs)]),
            bigram=bigram,
            predicted=predicted,
        )

    def _runs(self, wanted: Sequence[tuple[Cell, Setting, int]]) -> Sequence[Run]:
        return self.runs_of([self.protocol.trained(cell, setting, seed, self.words) for cell, setting, seed in wanted])

    def _perplexity(self, run: Run, part: str = "test") -> float:
        """Infinite where the training diverged, or is worse than guessing a word of the vocabulary."""
        found = run.metrics.get(f"{part}_perplexity", math.inf)
        return found if found < self.words else math.inf

    def _grid(self, networks: Mapping[str, Cell]) -> dict[str, dict[Setting, float]]:
        """Validation perplexities of all networks at all settings, with the first seed."""
        settings = self.protocol.settings
        runs = self._runs([(cell, setting, 0) for cell in networks.values() for setting in settings])
        found = iter(self._perplexity(run, "validation") for run in runs)
        return {name: {setting: next(found) for setting in settings} for name in networks}

    def _common(self, trials: Sequence[Mapping[Setting, float]]) -> Setting:
        """The setting with the lowest mean validation loss of several networks."""
        losses = {each: fmean(math.log(network[each]) for network in trials) for each in self.protocol.settings}
        return _best("a named cell", losses)

    def _row(self, name: str, cell: Cell, setting: Setting, runs: Sequence[Run], lstm: Sequence[float] | None) -> Row:
        """lstm: the LSTM's test perplexities, by seed; run i has the seed i modulo their number."""
        whole = [(number, run) for number, run in enumerate(runs) if math.isfinite(self._perplexity(run))]
        tests = tuple(self._perplexity(run) for _, run in whole)
        # An epoch that was taken back has none.
        training = [run.metrics["train_perplexity"] for _, run in whole if "train_perplexity" in run.metrics]
        others = None if lstm is None else [lstm[number % len(lstm)] for number, _ in whole]
        return Row(
            network=name,
            parameters=self.protocol.parameters(cell, self.words),
            setting=setting,
            tests=tests,
            test=interval(tests),
            against_lstm=None if others is None else paired_difference(tests, others),
            validation=fmean(run.metrics["validation_perplexity"] for _, run in whole),
            training=fmean(training) if training else None,
            diverged=len(runs) - len(whole),
            seconds=fmean(run.seconds for _, run in whole),
        )

    def _bigram(self) -> tuple[float, int]:
        """The test perplexity of a bigram model of the training text, and the number of words that it predicts: the
        networks' own.
        """
        config = self.protocol.trained(None, self.protocol.settings[0], 0, self.words)
        validation = self._batch("valid", config.validation_batch_size)
        model = fitted_bigram(self.text.parts["train"], self.words, *validation)
        test = self._batch("test", config.test_batch_size)
        return perplexity(model.loss(*test)), test.targets.numel()

    def _batch(self, part: str, batch: int) -> TextBatch:
        """The networks' columns as one window."""
        rows = columns(self.text.parts[part], batch, part)
        return window(rows, 0, len(rows))


def _best(name: str, trials: Mapping[Setting, float]) -> Setting:
    """The setting with the lowest loss or perplexity. Raises ProtocolError where all have diverged."""
    found = min(trials, key=lambda setting: trials[setting])
    if not math.isfinite(trials[found]):
        raise ProtocolError(f"{name} diverges at all of {'; '.join(map(str, trials))}: give lower rates")
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
