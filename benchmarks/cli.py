"""`dartboard bench ...`: benchmarks, each against a baseline in the same run."""

from __future__ import annotations

import typer

from benchmarks.commands.advice import advice
from benchmarks.commands.asha import asha
from benchmarks.commands.chaos import chaos
from benchmarks.commands.collapse import collapse
from benchmarks.commands.decode import decode
from benchmarks.commands.evaluation_step import evaluation_step
from benchmarks.commands.fairness import fairness
from benchmarks.commands.first_step import first_step
from benchmarks.commands.fleet import fleet
from benchmarks.commands.gpu_kernels import gpu_kernels
from benchmarks.commands.language_models import language_models
from benchmarks.commands.latency import latency
from benchmarks.commands.ledger import ledger
from benchmarks.commands.memory import memory
from benchmarks.commands.oracle import oracle
from benchmarks.commands.overhead import overhead
from benchmarks.commands.preemption import preemption
from benchmarks.commands.random_cells import random_cells
from benchmarks.commands.ranking import ranking
from benchmarks.commands.regret import regret
from benchmarks.commands.rnn_step import rnn_step
from benchmarks.commands.search_step import search_step
from benchmarks.commands.second_order_error import second_order_error
from benchmarks.commands.study import study
from benchmarks.commands.target import target
from benchmarks.commands.watchers import watchers
from benchmarks.commands.worst_bodies import worst_bodies

app = typer.Typer(help="Benchmarks; every figure is a ratio to a baseline in the same run.", no_args_is_help=True)
_COMMANDS = (
    oracle,
    ledger,
    advice,
    ranking,
    regret,
    asha,
    collapse,
    overhead,
    random_cells,
    second_order_error,
    language_models,
    chaos,
    study,
    fleet,
    preemption,
    fairness,
    first_step,
    rnn_step,
    search_step,
    evaluation_step,
    decode,
    gpu_kernels,
    memory,
    target,
    latency,
    watchers,
    worst_bodies,
)
for _command in _COMMANDS:
    app.command()(_command)
