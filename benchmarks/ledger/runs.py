"""Runs a ledger's searches and retrainings in processes side by side, and stores each as it ends."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.ledger.provenance import commit, processor
from benchmarks.ledger.store import Run, Store, key_of, spec_of
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.genotypes import to_json
from darts_core.training.evaluation import run_evaluation
from darts_core.training.search import run_search

Device = Literal["cpu", "cuda"]
Config = SearchConfig | EvaluationConfig


def run_missing(
    configs: Sequence[Config],
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


def _run(config: Config, images: str, data_root: Path, device: Device) -> Run:
    options: dict[str, Any] = {"data_root": data_root, "device": torch.device(device)}
    reports = run_search(config, **options) if isinstance(config, SearchConfig) else run_evaluation(config, **options)
    start = time.process_time()
    for report in reports:
        last = report
    seconds = time.process_time() - start
    spec = spec_of(config)
    return Run(
        key=key_of(spec, images),
        spec=spec,
        images=images,
        genotype=None if last.genotype is None else to_json(last.genotype),
        metrics=last.metrics,
        seconds=round(seconds, 2),
        commit=commit(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        processor=processor(),
        torch=torch.__version__,
    )


def _title(config: Config) -> str:
    if not isinstance(config, SearchConfig):
        return f"retraining, seed {config.seed}"
    return f"{config.method} in {config.space}, guard {config.guard}, seed {config.seed}"
