"""Puts advice together: the choice by the ledger, the cost by the jobs that have run, and the body that starts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.advice import sentences
from api.advice.choice import RANDOM, Choice, choose, ledger
from api.advice.likes import EpochTime, LikeJobs
from api.advice.plan import Plan, Training, plan
from api.composite.validate import ChildValidator
from api.datasets.service import DatasetService
from api.db.engine import Database
from api.http.problems import ProblemError, invalid_query
from api.jobs.workers import WorkerService
from api.schemas.advice import AdviceOut, Cost
from api.schemas.jobs import JobFrame, JobKind
from api.schemas.studies import PartialRetraining, PartialSearch
from darts_core.data.catalogue import BUILT_IN, FOLDER_PREFIX, DatasetInfo
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS
from darts_core.families import CNN
from darts_core.genotypes import drawn_cell, to_json

Spec = Mapping[str, Any]
_POOL = JobFrame.model_fields["pool"].default


class Adviser:
    """Reads the ledger's rows and the jobs; changes nothing."""

    def __init__(self, database: Database, datasets: DatasetService, workers: WorkerService) -> None:
        self._datasets, self._workers, self._likes = datasets, workers, LikeJobs(database, datasets)

    async def advise(self, dataset: str, gpus: int, hours: float, pool: str) -> AdviceOut:
        """Raises ProblemError 422 for a data set that is unknown, a text or a folder, 409 while it is checked."""
        info = await self._info(dataset)
        choice = choose(ledger(), info.train, gpus * hours * 3600)
        row = choice.row
        validator = ChildValidator(self._datasets, CNN.name, 1)
        part = PartialSearch(dataset=dataset, method=row.method, space=row.space, order=row.order)
        spec = await validator.search(part, {}, axes="grid")
        short_spec = await validator.short_training("short_retrain", PartialRetraining(), spec)
        final_spec = await validator.training("final", PartialRetraining(), spec)
        search = await self._search(spec, info, pool)
        short = await self._retraining(short_spec, row.space, info, pool)
        final = await self._retraining(final_spec, row.space, info, pool)
        planned = plan(search, short, final, gpus=gpus, hours=hours)
        is_study = planned.seeds > 1
        return AdviceOut(
            dataset=dataset,
            training_images=info.train,
            gpus=gpus,
            hours=hours,
            method=row.method,
            space=row.space,
            order=row.order,
            epochs=search.shortened(planned.share),
            retraining_epochs=final.shortened(planned.share),
            seeds=list(range(planned.seeds)),
            kind="study" if is_study else "search",
            body=_body(dataset, choice, planned, search, pool),
            retraining=None if is_study else {"epochs": final.shortened(planned.share), **_in(pool)},
            rows=choice.shown,
            cost=Cost(
                search=search.estimate(planned.share),
                short_retraining=short.estimate() if is_study else None,
                retraining=final.estimate(planned.share),
                hours=planned.hours,
            ),
            sentences=[
                *sentences.reasons(choice),
                *sentences.limits(choice, info.train, spec, ledger()),
                *sentences.costs(planned, search, short, final, row, gpus=gpus, hours=hours),
                *await self._workers_missing(planned, gpus, pool),
            ],
        )

    async def _info(self, dataset: str) -> DatasetInfo:
        if dataset in BUILT_IN:
            return BUILT_IN[dataset]
        if dataset.startswith(FOLDER_PREFIX):
            upload = "upload it (`dartboard datasets add`)"
            raise invalid_query("dataset", f"only workers know how many images {dataset} has: {upload} to be advised")
        if dataset == PYTHON_DOCS or dataset in TEXT_SETS or await self._datasets.kind(dataset) == "text":
            compare = "`dartboard study --family rnn --grid method=...` compares methods on it"
            raise invalid_query("dataset", f"{dataset} is a text, and the ledger has no recurrent cells: {compare}")
        try:
            info = await self._datasets.info(dataset)
        except ProblemError as error:
            if error.status != 422:
                raise
            raise invalid_query("dataset", error.detail.removeprefix("dataset: ")) from error
        assert info is not None
        return info

    async def _search(self, spec: Spec, info: DatasetInfo, pool: str) -> Training:
        if spec["method"] == RANDOM:
            return Training(EpochTime(0.0, None, "a random cell is drawn, and nothing trained"), 1)
        return Training(await self._likes.epoch_time(JobKind.SEARCH, spec, info, pool), spec["epochs"])

    async def _retraining(self, spec: Spec, space: str, info: DatasetInfo, pool: str) -> Training:
        """Of a cell drawn from the space, in place of the one to be found."""
        whole = {**spec, "genotype": to_json(drawn_cell("cnn", 0, space=space))}
        return Training(await self._likes.epoch_time(JobKind.EVALUATION, whole, info, pool), spec["epochs"])

    async def _workers_missing(self, planned: Plan, gpus: int, pool: str) -> list[str]:
        serving = sum(worker.alive and pool in worker.pools for worker in await self._workers.list())
        if serving == 0:
            return [f"No worker serves the pool {pool} now: the job would wait."]
        if planned.seeds > 1 and serving < gpus:
            return [f"{serving} of the {gpus} workers that this counts on serve the pool {pool} now."]
        return []


def _body(dataset: str, choice: Choice, planned: Plan, search: Training, pool: str) -> dict[str, Any]:
    row = choice.row
    body: dict[str, Any] = {"dataset": dataset, "method": row.method, "space": row.space}
    if row.method != RANDOM:
        body |= {"order": row.order, "epochs": search.shortened(planned.share)}
    if planned.seeds == 1:
        return {**body, **_in(pool)}
    return {"search": body, "seeds": list(range(planned.seeds)), **_in(pool)}


def _in(pool: str) -> dict[str, str]:
    return {} if pool == _POOL else {"pool": pool}
