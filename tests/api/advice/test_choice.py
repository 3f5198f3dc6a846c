"""The choice by the ledger's rows, the plan by the hours, and their words."""

from __future__ import annotations

from typing import Any

import pytest

from api.advice.choice import Choice, choose, ledger
from api.advice.likes import EpochTime
from api.advice.plan import Plan, Training, plan
from api.advice.sentences import costs, limits, reasons
from api.schemas.advice import IntervalOut, LedgerRow
from darts_core.configs import SearchConfig
from darts_core.data.catalogue import BUILT_IN

pytestmark = pytest.mark.light


def row(method: str, accuracy: float, verdict: str = "", **fields: Any) -> LedgerRow:
    """A row of a protocol of 1,000 images."""
    given: dict[str, Any] = {
        "protocol": "small",
        "dataset": "1,000 images",
        "training_images": 1000,
        "device": "cpu",
        "space": "darts",
        "order": 1,
        "channels": 4,
        "layers": 3,
        "epochs": 5,
        "seeds": 3,
        "budget_seconds": 60,
        "seconds": 58,
        "accuracy_of": "a retraining of 5 epochs",
        "deviation": 0.5,
        "against_random": {"mean": 2.0, "low": 1.0, "high": 3.0} if verdict else None,
        "against_size": None,
        "commit": "0" * 40,
        "date": "2026-01-01",
    }
    return LedgerRow(**{**given, "method": method, "accuracy": accuracy, "verdict": verdict, **fields})


RANDOM, NOISE = row("random", 80), row("gdas", 85, "not distinguishable from random")
BEST, GOOD = row("drnas", 83, "better than random"), row("darts", 82, "better than random")


def said(choice: Choice) -> str:
    return " ".join(reasons(choice))


def test_the_most_accurate_method_is_chosen_of_those_that_are_better_than_random() -> None:
    choice = choose([RANDOM, NOISE, GOOD, BEST], 1000, 3600)
    assert choice.row is BEST
    assert choice.shown == [BEST, RANDOM]
    assert "Not distinguishable from random at this budget: gdas." in said(choice)


def test_random_cells_are_the_answer_where_no_method_is_better() -> None:
    choice = choose([RANDOM, NOISE, row("darts", 70, "worse than random")], 1000, 3600)
    assert choice.row is RANDOM
    assert choice.shown == [RANDOM]
    assert "no method is better than random cells" in said(choice)
    assert "Worse than random: darts." in said(choice)


def test_the_nearest_size_of_data_decides_then_the_budget_then_the_seeds() -> None:
    def of(name: str, images: int, **fields: Any) -> list[LedgerRow]:
        common = {"protocol": name, "training_images": images, **fields}
        return [row("random", 80, **common), row("darts", 82, "better than random", **common)]

    small, large = of("small", 1000), of("large", 50_000)
    long, sure = of("long", 1000, budget_seconds=6000), of("sure", 1000, seeds=5)
    assert choose([*small, *large], 7000, 60).row.protocol == "small"  # 7 times as many, and a seventh of the others
    assert choose([*small, *large], 8000, 60).row.protocol == "large"
    assert choose([*small, *long], 1000, 6000).row.protocol == "long"
    assert choose([*small, *sure], 1000, 60).row.protocol == "sure"
    assert [each.protocol for each in choose([*small, *large], 1000, 60).elsewhere] == ["large"]


@pytest.mark.parametrize(
    ("against_size", "expected"),
    [
        (None, "were not measured: larger cells may explain the lead"),
        ((-0.1, -1.0, 0.8), "Larger cells explain the lead"),
        ((0.2, 0.1, 0.3), "Larger cells explain most of the lead"),
        (
            (1.9, 1.0, 2.8),
            "do not explain the lead alone: the difference to random cells of the same size is +1.90 points (+1.00 to",
        ),
    ],
)
def test_what_the_size_of_the_cells_explains_is_told(
    against_size: tuple[float, float, float] | None, expected: str
) -> None:
    interval = against_size and IntervalOut(**dict(zip(("mean", "low", "high"), against_size, strict=True)))
    words = said(choose([RANDOM, row("darts", 82, "better than random", against_size=interval)], 1000, 60))
    assert expected in words
    assert "With 3 seeds an interval's ends are hardly more than the least and greatest value." in words
    assert "difference to a random cell of the space darts is +2.00 points (+1.00 to +3.00)" in words


def test_a_ledger_that_disagrees_is_named() -> None:
    def other(space: str) -> list[LedgerRow]:
        fields: dict[str, Any] = {"protocol": "other", "seeds": 2, "space": space}
        return [row("random", 80, **fields), row("drnas", 70, "worse than random", **fields)]

    assert "In other it is worse than random." in said(choose([RANDOM, BEST, *other("s1")], 1000, 60))
    # The same images and space are the same searches in part, and no second witness.
    assert choose([RANDOM, BEST, *other("darts")], 1000, 60).shown == [BEST, RANDOM]


ORACLE = [row for row in ledger() if row.protocol == "oracle-cpu"]


def test_the_stored_rows_speak_for_beta_darts_and_tell_that_its_cells_are_large() -> None:
    choice = choose(ORACLE, 6000, 3600)
    assert choice.row.method == "beta-darts"
    assert "Larger cells explain most of the lead" in said(choice)
    assert [row.method for row in choice.shown] == ["beta-darts", "random"]


@pytest.mark.parametrize("images", sorted({row.training_images for row in ledger()}))
def test_rows_of_one_s_own_size_of_data_are_preferred(images: int) -> None:
    assert choose(ledger(), images, 3600).row.training_images == images


def test_what_is_not_measured_is_told() -> None:
    spec = SearchConfig(dataset="cifar10", space="nasbench201").resolved().model_dump()
    choice = choose(ORACLE, 50_000, 3600)
    words = " ".join(limits(choice, BUILT_IN["cifar10"].train, spec, ORACLE))
    assert "No row of the ledger has your 50,000 training images: the nearest has 6,000" in words
    assert "8 channels and 3 cells; this one has 16 channels and 15 cells" in words
    assert "The second order has no row" in words
    words = " ".join(limits(choice, 6000, spec, [*ORACLE, BEST.model_copy(update={"order": 2})]))
    assert "second order" not in words
    assert "No row" not in words


def of(seconds: float | None, epochs: int) -> Training:
    return Training(EpochTime(seconds, None, "as timed"), epochs)


SEARCH, SHORT, FINAL = of(60, 10), of(30, 10), of(60, 20)  # 600 s, 300 s, 1,200 s


@pytest.mark.parametrize(
    ("gpus", "hours", "expected"),
    [
        (1, 2.0, Plan(4, 1.0, 2.0)),  # 4 * 900 + 3 * 1,200 s
        (1, 1.99, Plan(3, 1.0, 1.75)),
        (1, 1.5, Plan(2, 1.0, 1.5)),
        (4, 7 / 12, Plan(4, 1.0, 7 / 12)),  # side by side: 900 + 1,200 s
        (2, 7 / 6, Plan(4, 1.0, 7 / 6)),  # two by two: 2 * 900 + 2 * 1,200 s
        (1, 0.75, Plan(1, 1.0, 0.5)),
        (64, 0.25, Plan(1, 0.5, 0.25)),  # not within one training
    ],
)
def test_a_study_is_planned_where_the_hours_allow_and_else_a_search(gpus: int, hours: float, expected: Plan) -> None:
    assert plan(SEARCH, SHORT, FINAL, gpus=gpus, hours=hours) == expected


def test_a_shortened_plan_has_the_epochs_that_fit() -> None:
    planned = plan(SEARCH, SHORT, FINAL, gpus=1, hours=0.26)
    assert (SEARCH.shortened(planned.share), FINAL.shortened(planned.share)) == (5, 10)
    assert planned.hours is not None
    assert planned.hours <= 0.26
    least = plan(SEARCH, SHORT, FINAL, gpus=1, hours=0.001)
    assert (SEARCH.shortened(least.share), FINAL.shortened(least.share)) == (1, 1)
    words = " ".join(costs(least, SEARCH, SHORT, FINAL, BEST, gpus=1, hours=0.001))
    assert "Both need an epoch at least: that takes longer than you have." in words


def test_without_a_like_job_the_presets_epochs_stay_and_the_cost_is_unknown() -> None:
    unknown = of(None, 10)
    planned = plan(unknown, unknown, unknown, gpus=4, hours=1)
    assert planned == Plan(1, 1.0, None)
    assert unknown.estimate(planned.share).seconds is None
    assert plan(SEARCH, unknown, unknown, gpus=4, hours=1 / 12) == Plan(1, 0.5, None)


def test_the_parts_of_a_study_are_told_with_how_they_were_estimated() -> None:
    found = [*costs(plan(SEARCH, SHORT, FINAL, gpus=2, hours=2), SEARCH, SHORT, FINAL, BEST, gpus=2, hours=2)]
    assert found[0].startswith(
        "4 searches, as many short retrainings and 3 final runs of the chosen cell, up to 2 side"
    )
    assert found[0].endswith(": about 70 min.")
    assert "Cost of a short retraining: about 5 min for 10 epochs: as timed." in found


def test_random_cells_cost_nothing_but_their_retrainings() -> None:
    assert plan(of(0.0, 1), SHORT, FINAL, gpus=1, hours=1.4) == Plan(4, 1.0, 4 / 3)
