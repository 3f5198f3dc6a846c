"""Any training job by its spec."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from darts_core.configs.common import RunConfig
from darts_core.configs.selection import PerturbationConfig
from darts_core.families import FAMILIES
from darts_core.files.checkpoints import Checkpoint
from darts_core.training.control import UNCONTROLLED, Control
from darts_core.training.defaults import DATA_ROOT
from darts_core.training.init_from import Source
from darts_core.training.reports import EpochReport


def run_config(
    config: RunConfig,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
    gpus: int = 1,
    source: Source | None = None,
) -> Iterator[EpochReport]:
    """Run the loop of the spec's kind and family; arguments, reports and errors are those of `run_search`.

    source: the state that `init_from` names; of a selection, the checkpoint of its search. Recurrent
    cells train on one GPU: ConfigError for more.
    """
    family = FAMILIES[config.family]
    kind = "evaluation" if isinstance(config, family.evaluation) else "search"
    options: dict[str, Any] = {"data_root": data_root, "device": device, "resume_from": resume_from, "control": control}
    if gpus > 1:
        config.resolved().check_gpus(gpus)
        options["gpus"] = gpus
    if source is not None:
        options["source"] = source
    if isinstance(config, PerturbationConfig):
        kind = f"select-{config.select}"
    return family.run(kind, config, **options)
