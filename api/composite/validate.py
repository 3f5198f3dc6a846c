"""Validates and resolves the specs of future children when a composite job is created."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from pydantic import BaseModel

from api.datasets.service import DatasetService
from api.http.problems import Loc, relocated
from api.schemas.ensembles import Ensembling
from darts_core.configs.common import RunConfig, known_info
from darts_core.data.catalogue import DatasetInfo
from darts_core.data.text.catalogue import TextInfo
from darts_core.errors import ConfigError, Problem
from darts_core.families import FAMILIES
from darts_core.genotypes import KNOWN, random_nasbench201, to_json
from darts_core.spaces.nasbench201 import NAME as NASBENCH201

Spec = dict[str, Any]
_ANY_CELL: Final = "DARTS_V2"
assert _ANY_CELL in KNOWN


class ChildValidator:
    """Resolves the parts of a composite job's body. Errors name fields such as `search.epochs`."""

    def __init__(self, datasets: DatasetService, family: str, gpus: int) -> None:
        self._datasets, self._family, self._gpus = datasets, FAMILIES[family], gpus
        self._infos: dict[str, DatasetInfo | TextInfo | None] = {}

    async def search(self, part: RunConfig, values: Mapping[str, Any], *, axes: str) -> Spec:
        """A search without its seed. values: the composite job's own fields, which are under `axes` in the body,
        with dots between the parts of that place.
        """
        given = _given(part)
        if taken := sorted({"seed", *values} & given.keys()):
            message = "is given for several searches at once: leave it out here"
            raise ConfigError([Problem(("search", name), message) for name in taken])
        with _at("search", axes, values, self._family.search):
            given |= values
            if given.get("dataset") is None:
                raise ConfigError([Problem(("dataset",), "is required")])
            info = await self._info(given["dataset"])
            spec = self._resolved(self._family.search, given, info)
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
        presets = self._family.evaluation_presets
        usual = self._family.preset_of(dataset, presets)
        if given.get("preset") is None and f"{usual}-short" in presets:
            given["preset"] = f"{usual}-short"
        spec, info = await self._training(place, part, search, given, 1)
        if not self._family.has_validation(spec, info):
            with _at(place):
                message = "no validation data is held out to choose cells by: give less than 1, such as 0.9"
                raise ConfigError([Problem(("train_portion",), message)])
        return spec

    async def ensemble(self, part: Ensembling, training: Spec) -> Spec:
        """The body of an ensemble of such evaluations, to be resolved once they exist."""
        with _at("ensemble"):
            if part.family not in (None, self._family.name):
                raise ConfigError([Problem(("family",), f"the members are of family {self._family.name!r}")])
            dataset = part.dataset or training["dataset"]
            part.ensemble(dataset, self._family.name)
            await self._info(dataset)
        return part.model_dump(mode="json", exclude_unset=True)

    async def _training(
        self, place: str, part: RunConfig, search: Spec, given: Spec, runs: int
    ) -> tuple[Spec, DatasetInfo | TextInfo | None]:
        with _at(place):
            if given.get("dataset") is None:
                # The search's own data, even if its name comes to denote another set.
                own = {"dataset": search["dataset"], **self._family.own_data(search)}
                given = {**own, **_without(given, "dataset")}
            info = await self._info(given["dataset"])
            given = {**self._family.retraining_of(search), **given, "genotype": _any_cell(search)}
            made = self._resolved(self._family.evaluation, given, info)
            seed = made["seed"] + runs - 1
            if seed >= 2**31:
                raise ConfigError(
                    [Problem(("seed",), f"the last of {runs} runs would have the seed {seed}: give a smaller one")]
                )
        del made["genotype"]
        return made, known_info(made, info) if not isinstance(info, TextInfo) else info

    def _resolved(self, config: type[RunConfig], given: Spec, info: DatasetInfo | TextInfo | None) -> Spec:
        if given.get("init_from") is not None:
            message = "is for a search or an evaluation alone: create that first, or leave it out"
            raise ConfigError([Problem(("init_from",), message)])
        resolved = config(**given).resolved(info)
        resolved.check_gpus(self._gpus)
        return resolved.model_dump(mode="json")

    async def _info(self, dataset: str) -> DatasetInfo | TextInfo | None:
        if dataset not in self._infos:
            self._infos[dataset] = await self._datasets.info_for(self._family, dataset)
        return self._infos[dataset]


def _any_cell(search: Spec) -> str | Spec:
    """Stands for the cell to be found: a training's validation depends only on whether it is of NAS-Bench-201."""
    return to_json(random_nasbench201(0)) if search.get("space") == NASBENCH201 else _ANY_CELL


def _given(part: BaseModel) -> Spec:
    return {name: getattr(part, name) for name in part.model_fields_set}


def _without(spec: Spec, name: str) -> Spec:
    return {key: value for key, value in spec.items() if key != name}


def _at(
    place: str, axes: str = "", values: Mapping[str, Any] | None = None, model: Any = None
) -> AbstractContextManager[None]:
    """Prefix the location of every invalid field with its place in the composite job's body.

    model: whose fields an error about an unknown one lists.
    """

    def moved(loc: Loc) -> Loc:
        own = values is not None and bool(loc) and loc[0] in values
        return (*(filter(None, axes.split(".")) if own else (place,)), *loc)

    return relocated(moved, model)
