"""Runs searches and trainings in processes side by side, and stores each as it ends."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.language_models.lstm import LstmEvaluationConfig, lstm_network
from benchmarks.ledger.provenance import commit, processor
from benchmarks.ledger.store import Run, Store, key_of, spec_of
from darts_core.configs import AnyConfig, EvaluationConfig, RnnEvaluationConfig, RnnSearchConfig, SearchConfig
from darts_core.errors import Diverged
from darts_core.genotypes import to_json
from darts_core.training.evaluation import run_evaluation
from darts_core.training.reports import EpochReport
from darts_core.training.rnn_evaluation import run_rnn_evaluation
from darts_core.training.rnn_search import run_rnn_search
from darts_core.training.search import run_search

Device = Literal["cpu", "cuda"]


def run_missing(
    configs: Sequence[AnyConfig],
    *,
    store: Store,
    images: str,
    data_root: Path,
    device: Device,
    processes: int,
    say: Callable[[str], None],
) -> list[Run]:
    """Run those that the store lacks; all runs, in the order of the resolved configs. Raises as run_search does.

    images: checksum of the data set.
    """
    wanted = {key_of(spec_of(config), images): config for config in configs}
    missing = {key: config for key, config in wanted.items() if store.get(key) is None}
    say(f"{len(wanted) - len(missing)} of {len(wanted)} runs are stored")
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_run, config, images, data_root, device): config for config in missing.values()}
        try:
            for number, ended in enumerate(as_completed(running), start=1):
                run = ended.result()
                store.add(run)
                say(f"{number}/{len(missing)} {_title(running[ended])}: {run.seconds:.1f} processor seconds")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    runs = [store.get(key_of(spec_of(config), images)) for config in configs]
    return [run for run in runs if run is not None]


def _run(config: AnyConfig, images: str, data_root: Path, device: Device) -> Run:
    metrics, genotype = {}, None
    start = time.process_time()
    try:
        for report in _reports(config, {"data_root": data_root, "device": torch.device(device)}):
            metrics, genotype = report.metrics, report.genotype
    except Diverged:
        if not isinstance(config, RnnEvaluationConfig):
            raise
        metrics = {}
    seconds = time.process_time() - start
    spec = spec_of(config)
    return Run(
        key=key_of(spec, images),
        spec=spec,
        images=images,
        genotype=None if genotype is None else to_json(genotype),
        metrics=metrics,
        seconds=round(seconds, 2),
        commit=commit(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        processor=processor(),
        torch=torch.__version__,
    )


def _reports(config: AnyConfig, options: dict[str, Any]) -> Iterator[EpochReport]:
    match config:
        case SearchConfig():
            return run_search(config, **options)
        case EvaluationConfig():
            return run_evaluation(config, **options)
        case RnnSearchConfig():
            return run_rnn_search(config, **options)
        case LstmEvaluationConfig():
            return run_rnn_evaluation(config, **options, build=lstm_network)
        case RnnEvaluationConfig():
            return run_rnn_evaluation(config, **options)


def _title(config: AnyConfig) -> str:
    match config:
        case SearchConfig():
            return f"{config.method} in {config.space}, guard {config.guard}, seed {config.seed}"
        case RnnSearchConfig():
            return f"{config.method} in {config.space}, seed {config.seed}"
        case EvaluationConfig():
            return f"retraining, seed {config.seed}"
        case LstmEvaluationConfig():
            return f"LSTM, rate {config.weight_lr:g}, seed {config.seed}"
        case RnnEvaluationConfig():
            return f"{config.cell()}, rate {config.weight_lr:g}, seed {config.seed}"
