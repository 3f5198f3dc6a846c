"""Named, versioned sets of hyper-parameters for recurrent cells. Imports no torch.

`ptb` and `wt2` follow the DARTS paper (arXiv:1806.09055), sections A.1.2 and A.2.2, and its authors' code.
`python-docs` is ours: the same recipe scaled down to a small text and minutes on a CPU. A published preset never
changes; an improvement gets a new version.
"""

from __future__ import annotations

from typing import Final

from darts_core.presets.cnn import Presets, Values

_PTB_SEARCH: Final[Values] = {
    "epochs": 50,
    "batch_size": 256,
    "bptt": 35,
    "hidden_size": 300,
    "nodes": 8,
    "weight_lr": 20.0,
    "weight_decay": 5e-7,
    "grad_clip": 0.25,
    "dropout_word": 0.0,
    "dropout_input": 0.2,
    "dropout_cell_input": 0.75,
    "dropout_hidden": 0.25,
    "dropout_output": 0.75,
    "activation_penalty": 0.0,
    "slowness_penalty": 1e-3,
    "validation_batch_size": 10,
    "alpha_lr": 3e-3,
    "alpha_weight_decay": 1e-3,
}

_PYTHON_DOCS_SEARCH: Final[Values] = {
    **_PTB_SEARCH,
    "epochs": 2,
    "batch_size": 64,
    "bptt": 20,
    "hidden_size": 48,
    "dropout_input": 0.1,
    "dropout_cell_input": 0.2,
    "dropout_hidden": 0.1,
    "dropout_output": 0.2,
    # A hundred alpha steps in all: the paper's 3e-3, meant for thousands, would not move the alphas visibly.
    "alpha_lr": 2e-2,
    "validation_batch_size": 32,
    # Too little to share between threads, and each waits whenever the other is held up.
    "threads": 1,
}

_PTB: Final[Values] = {
    "epochs": 8000,
    "batch_size": 64,
    "bptt": 35,
    "hidden_size": 850,
    "weight_lr": 20.0,
    "weight_decay": 8e-7,
    "grad_clip": 0.25,
    "dropout_word": 0.1,
    "dropout_input": 0.2,
    "dropout_cell_input": 0.75,
    "dropout_hidden": 0.25,
    "dropout_output": 0.75,
    "activation_penalty": 0.0,
    "slowness_penalty": 1e-3,
    "averaging_patience": 5,
    "validation_batch_size": 10,
    "test_batch_size": 1,
}

_WT2: Final[Values] = {**_PTB, "hidden_size": 700, "dropout_hidden": 0.15, "weight_decay": 5e-7}

_PYTHON_DOCS: Final[Values] = {
    **_PTB,
    "epochs": 10,
    "batch_size": 20,
    "bptt": 20,
    "hidden_size": 96,
    "dropout_word": 0.05,
    "dropout_input": 0.2,
    "dropout_cell_input": 0.3,
    "dropout_hidden": 0.2,
    "dropout_output": 0.3,
    "averaging_patience": 2,
    "validation_batch_size": 32,
    "test_batch_size": 32,
    "threads": 1,
}

# Half as long with twice the columns, and less dropout: a small network overfits less.
_PYTHON_DOCS_SEARCH_2: Final[Values] = {**_PYTHON_DOCS_SEARCH, "batch_size": 128}
_PYTHON_DOCS_2: Final[Values] = {
    **_PYTHON_DOCS,
    "epochs": 10,
    "batch_size": 40,
    "dropout_word": 0.0,
    "dropout_input": 0.1,
    "dropout_cell_input": 0.2,
    "dropout_hidden": 0.1,
    "dropout_output": 0.2,
}

RNN_SEARCH_PRESETS: Final[Presets] = {
    "ptb": {1: _PTB_SEARCH},
    "python-docs": {1: _PYTHON_DOCS_SEARCH, 2: _PYTHON_DOCS_SEARCH_2},
}

RNN_EVALUATION_PRESETS: Final[Presets] = {
    "ptb": {1: _PTB},
    "ptb-short": {1: {**_PTB, "epochs": 300}},
    "wt2": {1: _WT2},
    "wt2-short": {1: {**_WT2, "epochs": 300}},
    "python-docs": {1: _PYTHON_DOCS, 2: _PYTHON_DOCS_2},
}
