"""Validates and resolves the specs of future children when a composite job is created."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from api.datasets.service import DatasetService
from api.http.problems import Loc, ProblemError, invalid_fields
from api.schemas.ensembles import Ensembling
from darts_core.configs import AnyConfig, config_class
from darts_core.configs.common import RunConfig, check_shares, check_single, known_info
from darts_core.configs.early import check_hessian
from darts_core.data.catalogue import DatasetInfo, preset_of
from darts_core.data.text.catalogue import TextInfo, text_preset_of
from darts_core.errors import ConfigError, Problem
from darts_core.genotypes import KNOWN
from darts_core.presets.cnn import EVALUATION_PRESETS
from darts_core.presets.rnn import RNN_EVALUATION_PRESETS
from darts_core.primitives import Family

Spec = dict[str, Any]
# Stands for the cell to be found, on which a training's validation does not depend.
_ANY_CELL: Final = "DARTS_V2"
assert _ANY_CELL in KNOWN


class ChildValidator:
    """Resolves the parts of a composite job's body. Errors name fields such as `search.epochs`."""

    def __init__(self, datasets: DatasetService, family: Family, gpus: int) -> None:
        self._datasets, self._family, self._gpus = datasets, family, gpus
        self._infos: dict[str, DatasetInfo | TextInfo | None] = {}

    async def search(self, part: RunConfig, values: Mapping[str, Any], *, axes: str) -> Spec:
        """A search without its seed. values: the composite job's own fields, which are under `axes` in the body."""
        given = _given(part)
        if taken := sorted({"seed", *values} & given.keys()):
            message = "is given for several searches at once: leave it out here"
            raise ConfigError([Problem(("search", name), message) for name in taken])
        with _at("search", axes, values):
            given |= values
            if given.get("dataset") is None:
                raise ConfigError([Problem(("dataset",), "is required")])
            info = await self._info(given["dataset"])
            spec = self._resolved(config_class("search", {"family": self._family}), given, info)
        del spec["seed"]
        return spec

    async def training(self, place: str, part: RunConfig, search: Spec, *, runs: int = 1) -> Spec:
        """An evaluation without its genotype. runs: the number of consecutive seeds used, starting at its own."""
        spec, _ = await self._training(place, part, search, _given(part), runs)
        return spec

    async def short_training(self, place: str, part: RunConfig, search: Spec) -> Spec:
        """An evaluation with the data set's `-short` preset and with validation data for the choice."""
        given = _given(part)
        dataset = given.get("dataset") or search["dataset"]
        rnn = self._family == "rnn"
        usual = (text_preset_of if rnn else preset_of)(dataset, RNN_EVALUATION_PRESETS if rnn else EVALUATION_PRESETS)
        if given.get("preset") is None and f"{usual}-short" in (RNN_EVALUATION_PRESETS if rnn else EVALUATION_PRESETS):
            given["preset"] = f"{usual}-short"
        spec, info = await self._training(place, part, search, given, 1)
        if not rnn and spec["train_portion"] == 1 and not (isinstance(info, DatasetInfo) and info.valid):
            with _at(place):
                message = "no validation data is held out to choose cells by: give less than 1, such as 0.9"
                raise ConfigError([Problem(("train_portion",), message)])
        return spec

    async def ensemble(self, part: Ensembling, training: Spec) -> Spec:
        """The body of an ensemble of such evaluations, to be resolved once they exist."""
        with _at("ensemble"):
            if part.family not in (None, self._family):
                raise ConfigError([Problem(("family",), f"the members are of family {self._family!r}")])
            dataset = part.dataset or training["dataset"]
            part.ensemble(dataset, self._family)
            await self._info(dataset)
        return part.model_dump(mode="json", exclude_unset=True)

    async def _training(
        self, place: str, part: RunConfig, search: Spec, given: Spec, runs: int
    ) -> tuple[Spec, DatasetInfo | TextInfo | None]:
        with _at(place):
            if given.get("dataset") is None:
                # The search's own data, not what its name has come to mean by then.
                own = ("dataset", "dataset_checksum", "text_checksum", "text_version")
                given = {**{name: search[name] for name in own if name in search}, **_without(given, "dataset")}
            info = await self._info(given["dataset"])
            given = {**given, "genotype": _ANY_CELL}
            made = self._resolved(config_class("evaluation", {"family": self._family}), given, info)
            seed = made["seed"] + runs - 1
            if seed >= 2**31:
                raise ConfigError(
                    [Problem(("seed",), f"the last of {runs} runs would have the seed {seed}: give a smaller one")]
                )
        del made["genotype"]
        return made, known_info(made, info) if not isinstance(info, TextInfo) else info

    def _resolved(self, config: type[AnyConfig], given: Spec, info: DatasetInfo | TextInfo | None) -> Spec:
        resolved = config(**given).resolved(info)  # type: ignore[arg-type]
        if self._family == "rnn":
            check_single(self._gpus)
        else:
            check_shares(resolved.batch_size, self._gpus)
            check_hessian(getattr(resolved, "hessian_every", None), self._gpus)
        return resolved.model_dump(mode="json")

    async def _info(self, dataset: str) -> DatasetInfo | TextInfo | None:
        if dataset not in self._infos:
            ask = self._datasets.text_info if self._family == "rnn" else self._datasets.info
            self._infos[dataset] = await ask(dataset)
        return self._infos[dataset]


def _given(part: BaseModel) -> Spec:
    return {name: getattr(part, name) for name in part.model_fields_set}


def _without(spec: Spec, name: str) -> Spec:
    return {key: value for key, value in spec.items() if key != name}


@contextmanager
def _at(place: str, axes: str = "", values: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Prefix the location of every invalid field with its place in the composite job's body."""

    def moved(loc: Loc) -> Loc:
        own = values is not None and bool(loc) and loc[0] in values
        return (*((axes,) if own and axes else () if own else (place,)), *loc)

    try:
        yield
    except ConfigError as error:
        raise ConfigError([Problem(moved(p.loc), p.msg) for p in error.problems]) from error
    except ValidationError as error:
        raise invalid_fields(error, None, moved) from error
    except ProblemError as error:
        fields = [f.model_copy(update={"loc": ["body", *moved(tuple(f.loc[1:]))]}) for f in error.errors or []]
        raise ProblemError(error.status, error.detail, errors=fields or None, headers=error.headers) from error
