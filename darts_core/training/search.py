"""Searches a convolutional cell on images. DARTS (arXiv:1806.09055), algorithm 1 and section A.1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from darts_core.configs import SearchConfig
from darts_core.configs.early import check_hessian
from darts_core.distributed.group import ALONE, Group
from darts_core.files.checkpoints import Checkpoint
from darts_core.training.control import UNCONTROLLED, Control
from darts_core.training.defaults import DATA_ROOT
from darts_core.training.image_search import ImageSearch
from darts_core.training.images import run_on_images
from darts_core.training.init_from import Source
from darts_core.training.reports import EpochReport
from darts_core.training.weight_sharing import WeightSharingSearch


def run_search(
    config: SearchConfig,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    resume_from: Checkpoint | None = None,
    control: Control = UNCONTROLLED,
    gpus: int = 1,
    group: Group = ALONE,
    source: Source | None = None,
) -> Iterator[EpochReport]:
    """Search, and report after every epoch. The next epoch starts when the next report is asked for.

    data_root: where data sets lie. device: by default a GPU if there is one. resume_from: go on behind that epoch, or
    in the middle of the next, to the same bits as an undisturbed run (same hardware and threads, `deterministic`);
    nothing is reported behind the last epoch. gpus: compute on that many, a process each, which share every batch; on
    a CPU that many processes. group: the processes that this one already computes with. source: the state that the
    spec's `init_from` names, unless the run resumes.

    The training images are cut in two by the seed: one part trains the weights, the other the alphas; validation
    images that the data set brings are left alone, so that cells can be chosen by them. Metrics:
    train_loss, train_accuracy (of the weight steps, in training mode), validation_loss, validation_accuracy (of the
    alphas' part at the epoch's end, without augmentation), weight_lr, and what
    `darts_core.genotypes.cell_diagnostics` tells of cell and alphas; with `target` the expected cost of the discrete
    network, expected_<cost>; with `hessian_every` hessian_eigenvalue, and
    eigenvalue_growth. A search that stops because the eigenvalue has grown returns the alphas and the cell of the epoch
    rolled_back_to; what it measured is of its last epoch all the same. `r-darts-ada` reports its weight_decay, and
    goes on from the epoch rolled_back_to: the next epoch begins with those since then, trained again. A guarded search
    has the signs of `darts_core.genotypes.collapse_signs` and guard_penalty, and goes on from the epoch rolled_back_to
    with its next epoch. On GPUs a search with fused cells has gpu_kernels, 1 if the kernels compute and 0 if torch's
    operations do; a warning has the cause.

    Raises at once ConfigError, DataError, CheckpointError (resume_from is of another spec, source does not fit); while
    running Stopped (when the control asks, between two steps) and Diverged.
    """
    config = config.resolved()
    check_hessian(config.hessian_every, max(gpus, group.size))
    return run_on_images(
        WeightSharingSearch if config.method == "rsps" else ImageSearch,
        "search",
        config,
        data_root=data_root,
        device=device,
        resume_from=resume_from,
        control=control,
        gpus=gpus,
        group=group,
        source=source,
    )
