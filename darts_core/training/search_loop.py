"""Runs a search: derives the cell after each epoch, and stops early. DARTS (arXiv:1806.09055), algorithm 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.recurrent import RecurrentArchitect
from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.configs.init_from import InitFrom
from darts_core.errors import Diverged, GenotypeError
from darts_core.files.checkpoints import Checkpoint, Kind, on_cpu
from darts_core.genotypes import AnyGenotype, cell_diagnostics, to_json
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.recurrent.language_model import RecurrentSearchNetwork
from darts_core.training.adaptive_decay import growth_rule
from darts_core.training.control import Control
from darts_core.training.early_stopping import AUTHORS, PAPERS
from darts_core.training.epoch_history import EarlyStopping
from darts_core.training.init_from import Source, start_search
from darts_core.training.loop import RunData, TrainingLoop
from darts_core.training.reports import EpochReport


class SearchLoop(TrainingLoop):
    """A loop whose step moves alphas and weights."""

    kind: ClassVar[Kind] = "search"
    config: SearchConfig | RnnSearchConfig
    network: AlphaNetwork | RecurrentSearchNetwork
    weight_optimizer: torch.optim.SGD
    architect: Architect | RecurrentArchitect

    def __init__(
        self,
        config: SearchConfig | RnnSearchConfig,
        data: RunData,
        control: Control,
        resume_from: Checkpoint | None = None,
    ) -> None:
        super().__init__(config, data, control, resume_from)
        rule = growth_rule(config)
        stops = rule if config.weight_decay_factor is None else None
        windows = PAPERS if rule is None else (AUTHORS if stops else None)
        self.early_stopping = EarlyStopping(config.stop_when, config.stop_from, windows=windows, rule=stops)

    @property
    def stopped_early(self) -> str | None:
        return self.early_stopping.stopped

    def take(self, source: Source, start: InitFrom) -> str:
        return start_search(self.network, source, start)

    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        self.network.load_state_dict(checkpoint["weights"])
        self.network.load_alphas(checkpoint["alphas"])
        self.network.method.load_state(checkpoint.get("method", {}))
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.architect.optimizer.load_state_dict(state["alpha_optimizer"])
        self.early_stopping.restore(state.get("watch"))

    def fill(self, checkpoint: Checkpoint) -> None:
        checkpoint["weights"] = on_cpu(self.network.state_dict())
        checkpoint["alphas"] = on_cpu(self.network.alphas)
        if state := self.network.method.state():
            checkpoint["method"] = on_cpu(state)
        checkpoint["strengths"] = self.network.strengths()
        checkpoint["genotype"] = to_json(self._derived())
        checkpoint["resume"] |= {
            "weight_optimizer": on_cpu(self.weight_optimizer.state_dict()),
            "alpha_optimizer": on_cpu(self.architect.optimizer.state_dict()),
            "watch": self.early_stopping.state(checkpoint["alphas"]),
        }

    def report(self, metrics: dict[str, float]) -> EpochReport:
        metrics |= self._diagnostics()
        warnings = self.early_stopping.update(metrics, on_cpu(self.network.alphas))
        if back := self.early_stopping.back:
            self.network.load_alphas(back.alphas)
            metrics |= {**self._diagnostics(), "rolled_back_to": float(back.epoch)}
        warnings += self.intervene(metrics)
        return replace(super().report(metrics), warnings=tuple(warnings))

    def intervene(self, metrics: dict[str, float]) -> list[str]:
        """Act on the metrics of the epoch, and add to them; returns warnings."""
        return []

    def _diagnostics(self) -> dict[str, float]:
        return cell_diagnostics(self._derived(), self.network.strengths())

    def _derived(self) -> AnyGenotype:
        try:
            return self.network.genotype()
        except GenotypeError as error:
            raise Diverged(
                f"epoch {self.epoch}: the alphas are not finite any more; lower alpha_lr ({error})"
            ) from error
