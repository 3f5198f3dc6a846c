"""Compares the estimated memory of recurrent jobs with the peak of their steps and measurings.

Each job runs in a process of its own, on random words.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch

from benchmarks.memory import Peak
from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
from darts_core.data.text.corpus import TextData
from darts_core.data.text.windows import Span
from darts_core.training.control import UNCONTROLLED
from darts_core.training.rnn_evaluation import RnnEvaluation
from darts_core.training.rnn_search import RnnSearch
from darts_core.training.text_memory import longest_window, text_need_of
from darts_core.training.texts import DeviceText

_CPU: Final = torch.device("cpu")


@dataclass(frozen=True)
class Job:
    """values: of its spec. words: in the vocabulary."""

    name: str
    kind: type[RnnSearchConfig] | type[RnnEvaluationConfig]
    values: dict[str, Any]
    words: int

    def config(self) -> RnnSearchConfig | RnnEvaluationConfig:
        return self.kind(**{"dataset": "folder:random", "threads": 1, **self.values}).resolved()


_PTB: Final = 10_000
JOBS: Final = (
    Job("search, 300 units, batch 256", RnnSearchConfig, {"preset": "ptb"}, _PTB),
    Job(
        "search, second order, 200 units, batch 64",
        RnnSearchConfig,
        {"preset": "ptb", "order": 2, "hidden_size": 200, "batch_size": 64},
        _PTB,
    ),
    Job("DARTS_V2, 850 units, batch 64", RnnEvaluationConfig, {"preset": "ptb", "genotype": "DARTS_V2"}, _PTB),
    Job("ENAS, 700 units, batch 64", RnnEvaluationConfig, {"preset": "wt2", "genotype": "ENAS"}, 33_278),
)


def compare() -> Iterator[dict[str, Any]]:
    """For each job its name, and bytes: estimate and peak of the resident memory beyond the process's own."""
    for place, job in enumerate(JOBS):
        config = job.config()
        estimate = text_need_of(config, job.words, _CPU, longest_window(config)).of(_columns(config))
        command = [sys.executable, "-m", __name__, str(place)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        yield {"job": job.name, "estimate": estimate, "peak": int(done.stdout.splitlines()[-1])}


def _columns(config: RnnSearchConfig | RnnEvaluationConfig) -> int:
    return config.batch_size if isinstance(config, RnnSearchConfig) else config.part_size


def _run(job: Job, config: RnnSearchConfig | RnnEvaluationConfig) -> None:
    """Short steps until there is all that later ones find, then one on the longest window; each with a measuring."""
    rows = longest_window(config) + 2
    sizes = {"train": config.batch_size, "valid": config.validation_batch_size, "test": 64}
    if isinstance(config, RnnSearchConfig):
        sizes["valid"] = max(config.batch_size, config.validation_batch_size)
    parts = {name: torch.randint(job.words, (rows * columns,)) for name, columns in sizes.items()}
    vocabulary = tuple(map(str, range(job.words)))
    data = DeviceText(TextData(parts, dict.fromkeys(parts, 0), vocabulary, "0" * 64, None), _CPU)
    run: RnnSearch | RnnEvaluation
    if isinstance(config, RnnSearchConfig):
        run = RnnSearch(config, data, UNCONTROLLED)
    else:
        run = RnnEvaluation(config, data, UNCONTROLLED)
    run.epoch = run.steps_done = 1
    run.network.train()
    run.begin_epoch()
    short = Span(0, 2)
    run.spans = [short, short, short, Span(0, longest_window(config))]
    for number in range(len(run.spans)):
        run.step(number)
        if isinstance(run, RnnEvaluation):
            run.best = {}  # the present model becomes the best
        run.measure()
        if number == 0 and isinstance(run, RnnEvaluation):
            run._use_optimizer("asgd")  # which keeps averages from its second step on


def _main(job: Job) -> None:
    torch.set_num_threads(1)
    config = job.config()
    small = {"hidden_size": 4, "bptt": 4, "batch_size": 4}
    if isinstance(config, RnnEvaluationConfig):
        small["small_batch_size"] = 4
    # Torch's one-time allocations do not belong to the network.
    _run(Job(job.name, job.kind, {}, 5), config.model_copy(update=small))
    peak = Peak()
    _run(job, config)
    sys.stdout.write(f"{peak.bytes()}\n")


if __name__ == "__main__":
    _main(JOBS[int(sys.argv[1])])
