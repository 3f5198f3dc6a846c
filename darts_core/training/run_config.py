"""Any training job by its spec."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from darts_core.configs import AnyConfig, EvaluationConfig, RnnEvaluationConfig, RnnSearchConfig
from darts_core.configs.common import check_single
from darts_core.files.checkpoints import Checkpoint
from darts_core.training.control import UNCONTROLLED, Control
from darts_core.training.defaults import DATA_ROOT
from darts_core.training.evaluation import run_evaluation
from darts_core.training.reports import EpochReport
from darts_core.training.rnn_evaluation import run_rnn_evaluation
from darts_core.training.rnn_search import run_rnn_search
from darts_core.training.search import run_search


def run_config(
    config: AnyConfig,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
    gpus: int = 1,
) -> Iterator[EpochReport]:
    """Run the loop of the spec's kind and family; arguments, reports and errors are those of `run_search`.

    Recurrent cells train on one GPU: ConfigError for more.
    """
    if isinstance(config, RnnSearchConfig | RnnEvaluationConfig):
        check_single(gpus)
    if isinstance(config, RnnSearchConfig):
        return run_rnn_search(config, data_root=data_root, device=device, resume_from=resume_from, control=control)
    if isinstance(config, RnnEvaluationConfig):
        return run_rnn_evaluation(config, data_root=data_root, device=device, resume_from=resume_from, control=control)
    run = partial(run_evaluation, config) if isinstance(config, EvaluationConfig) else partial(run_search, config)
    return run(data_root=data_root, device=device, resume_from=resume_from, control=control, gpus=gpus)
