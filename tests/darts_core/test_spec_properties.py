"""Any legal spec builds, trains a step and can be profiled; any illegal one is refused by its field."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import annotated_types
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from darts_core import run_evaluation, run_search
from darts_core.configs import EvaluationConfig, RnnSearchConfig, SearchConfig
from darts_core.configs.common import TrainingConfig
from darts_core.errors import ConfigError
from darts_core.genotypes import Edge, Genotype, to_json
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.layout import stem_for
from darts_core.primitives import CNN_GENOTYPE_OPERATIONS, CNN_PRIMITIVES
from darts_core.profile import Shape, profile
from darts_core.spaces import SPACES
from darts_core.training.reports import EpochReport
from tests.support.sparse_cells import sparse_cells

pytestmark = pytest.mark.slow

IMAGES, BATCH, CLASSES = 10, 4, 2  # 8 of the images to train on

# The same networks each time, for a second each. The fixture gives folders that no example changes.
few = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

sides = st.integers(4, 12) | st.sampled_from([29, 32])
of_any_nodes = sorted(name for name, space in SPACES.items() if space.nodes is None)
spaces = st.sampled_from(of_any_nodes).map(lambda name: {"space": name}) | st.lists(
    st.sampled_from(CNN_PRIMITIVES), min_size=1, unique=True
).filter(lambda names: names != ["none"]).map(lambda names: {"primitives": names})


def training() -> st.SearchStrategy[dict[str, Any]]:
    """What searches and evaluations share; an epoch is one step or two."""
    return st.fixed_dictionaries(
        {
            "epochs": st.just(1),
            "batch_size": st.just(BATCH),
            "channels": st.sampled_from([2, 4, 6]),
            "layers": st.integers(3, 5),
        },
        optional={
            "seed": st.integers(0, 2**31 - 1),
            "weight_lr": st.floats(1e-4, 0.1),
            "weight_lr_min": st.floats(0, 0.01),
            "momentum": st.floats(0, 0.95),
            "weight_decay": st.floats(0, 0.01),
            "grad_clip": st.floats(0.1, 10),
            "crop_padding": st.integers(0, 4),
            "flip": st.booleans(),
            "cutout": st.integers(0, 40),
            "schedule": st.sampled_from(["cosine", "step"]),
            "accumulate": st.integers(1, BATCH // 2),
        },
    )


def search(*parts: dict[str, Any]) -> dict[str, Any]:
    """The parts together, without a number of nodes where the space fixes it."""
    spec = {name: value for part in parts for name, value in part.items()}
    if "space" in spec and SPACES[spec["space"]].nodes is not None:
        spec.pop("nodes", None)
    return spec


searches = st.builds(
    search,
    training(),
    spaces,
    st.fixed_dictionaries(
        {"nodes": st.integers(1, 6), "order": st.sampled_from([1, 2])},
        optional={"alpha_lr": st.floats(1e-4, 0.1), "alpha_weight_decay": st.floats(0, 0.01)},
    ),
)


@st.composite
def cells(draw: st.DrawFn) -> tuple[list[Edge], list[int]]:
    """The edges of a cell and what its output concatenates."""
    nodes = draw(st.integers(1, 6))
    operation = st.sampled_from(sorted(CNN_GENOTYPE_OPERATIONS))
    edges = [Edge(draw(operation), draw(st.integers(0, 1 + node))) for node in range(nodes) for _ in range(2)]
    return edges, draw(st.lists(st.sampled_from(range(2, 2 + nodes)), min_size=1, unique=True))


any_cell = cells() | sparse_cells()
genotypes = st.builds(lambda normal, reduce: Genotype.of(*normal, *reduce), any_cell, any_cell)
evaluations = st.builds(
    lambda shared, genotype, own: {**shared, "genotype": to_json(genotype), **own},
    training(),
    genotypes,
    st.fixed_dictionaries(
        {"auxiliary": st.booleans(), "train_portion": st.sampled_from([0.5, 1.0])},
        optional={
            "auxiliary_weight": st.floats(0, 1),
            "drop_path": st.floats(0, 0.9),
            "label_smoothing": st.floats(0, 0.5),
        },
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int, int], Path]:
    """(height, width, channels): a data root with `folder:images` of that size."""
    roots: dict[tuple[int, int, int], Path] = {}

    def root(height: int, width: int, channels: int) -> Path:
        key = (height, width, channels)
        if key not in roots:
            roots[key] = tmp_path_factory.mktemp("images")
            random = np.random.default_rng(0)
            for label in range(CLASSES):
                (roots[key] / "images" / str(label)).mkdir(parents=True)
                for i in range(IMAGES // CLASSES):
                    pixels = random.integers(0, 256, (height, width, channels)[: 2 + (channels > 1)], dtype=np.uint8)
                    Image.fromarray(pixels).save(roots[key] / "images" / str(label) / f"{i}.png")
        return roots[key]

    return root


def check(report: EpochReport) -> None:
    assert report.epoch == 1
    assert all(isfinite(value) for value in report.metrics.values())


def check_profile(config: TrainingConfig, genotype: Genotype, side: int, channels: int) -> None:
    """The profile of the genotype's evaluation network counts what the built one has."""
    sizes = {"channels": config.channels, "layers": config.layers, "classes": CLASSES}  # type: ignore[attr-defined]
    shape = Shape(**sizes, image=side, image_channels=channels, stem=stem_for(side))
    network = EvaluationNetwork(genotype, **sizes, image_channels=channels, stem=stem_for(side))
    assert profile(genotype, shape).parameters == sum(p.numel() for p in network.parameters())


@settings(few, max_examples=8)
@given(spec=searches, height=sides, width=sides, channels=st.sampled_from([1, 3]))
def test_any_legal_search_builds_trains_and_finds_a_cell_that_can_be_profiled(
    spec: dict[str, Any], height: int, width: int, channels: int, folder: Callable[[int, int, int], Path]
) -> None:
    config = SearchConfig(dataset="folder:images", **spec).resolved()
    [report] = run_search(config, data_root=folder(height, width, channels))
    check(report)
    assert isinstance(report.genotype, Genotype)
    assert len(report.genotype.normal) == 2 * config.nodes
    check_profile(config, report.genotype, min(height, width), channels)


@settings(few, max_examples=20)
@given(spec=evaluations, height=sides, width=sides, channels=st.sampled_from([1, 3]))
def test_any_legal_evaluation_builds_trains_and_can_be_profiled(
    spec: dict[str, Any], height: int, width: int, channels: int, folder: Callable[[int, int, int], Path]
) -> None:
    spec["auxiliary"] &= min(height, width) >= 29  # its tower has no room on smaller ones
    config = EvaluationConfig(dataset="folder:images", **spec).resolved()
    [report] = run_evaluation(config, data_root=folder(height, width, channels))
    check(report)
    cell = config.cell()
    assert isinstance(cell, Genotype)
    check_profile(config, cell, min(height, width), channels)


def bounds_of(config: type[TrainingConfig]) -> dict[str, list[Any]]:
    """For each bounded number of a spec: values just outside of its bounds, and what is no number at all."""
    outside: dict[str, list[Any]] = {}
    for name, field in config.model_fields.items():
        values: list[Any] = []
        for limit in field.metadata:
            if isinstance(limit, annotated_types.Ge):
                values.append(limit.ge - 1)  # type: ignore[operator]
            if isinstance(limit, annotated_types.Gt):
                values.append(limit.gt)
            if isinstance(limit, annotated_types.Le):
                values.append(limit.le + 1)  # type: ignore[operator]
            if isinstance(limit, annotated_types.Lt):
                values.append(limit.lt)
        if values and field.annotation in (int, float, int | None):
            outside[name] = [*values, "many", [], nan, inf, -inf]
    return outside


CHOICES: dict[str, list[Any]] = {
    "family": ["rnn", None],
    "preset": ["nobodys", 7],
    "stem": ["pile"],
    "schedule": ["never"],
    "precision": ["float8"],
    "channels": [3, 0, 2.5],
    "flip": ["perhaps", None],
    "dataset": ["folder:../secrets", "folder:", "folder:a/b", "/etc/passwd", "a b", 3, None],
    "dataset_checksum": ["xyz"],
    "threads": [0],
    "deterministic": ["now and then"],
    "colour": ["red"],
}
ILLEGAL: dict[type[TrainingConfig], dict[str, list[Any]]] = {
    SearchConfig: {
        "space": ["space9"],
        "primitives": [[], ["none"], ["skip_connect", "skip_connect"], ["sep_conv_9x9"], "none"],
        "order": [0, 3, "second"],
        "method": ["evolution"],
        "unrolled": ["half"],
    },
    EvaluationConfig: {
        "genotype": ["DARTS_V9", {}, {"normal": []}, 4, "Genotype(normal=__import__('os'))"],
        "auxiliary": ["perhaps", None],
    },
}
LEGAL: dict[type[TrainingConfig], dict[str, Any]] = {
    SearchConfig: {"dataset": "folder:images"},
    EvaluationConfig: {"dataset": "folder:images", "genotype": "DARTS_V2"},
}


def mutations(config: type[TrainingConfig]) -> st.SearchStrategy[tuple[str, Any]]:
    """A field of this spec and a value that it cannot have."""
    illegal = {**bounds_of(config), **CHOICES, **ILLEGAL[config]}
    return st.sampled_from(sorted(illegal)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from([*bounds_of(config).get(name, []), *illegal[name]]))
    )


def refused_fields(config: type[TrainingConfig], spec: dict[str, Any]) -> set[str]:
    try:
        config(**spec).resolved()
    except ValidationError as error:
        return {str(problem["loc"][0]) for problem in error.errors()}
    except ConfigError as error:
        return {str(problem.loc[0]) for problem in error.problems}
    return set()


@pytest.mark.parametrize("config", [SearchConfig, EvaluationConfig])
@settings(few, max_examples=80)
@given(data=st.data())
def test_any_illegal_value_is_refused_by_the_name_of_its_field(
    config: type[TrainingConfig], data: st.DataObject
) -> None:
    assert refused_fields(config, LEGAL[config]) == set()
    name, value = data.draw(mutations(config))
    assert refused_fields(config, {**LEGAL[config], name: value}) == {name}


@pytest.mark.parametrize("config", [SearchConfig, EvaluationConfig])
@settings(few, max_examples=50)
@given(data=st.data())
def test_two_illegal_numbers_are_refused_at_once(config: type[TrainingConfig], data: st.DataObject) -> None:
    outside = bounds_of(config)
    names = data.draw(st.lists(st.sampled_from(sorted(outside)), min_size=2, max_size=2, unique=True))
    spec = {name: data.draw(st.sampled_from(outside[name])) for name in names}
    assert refused_fields(config, {**LEGAL[config], **spec}) == set(names)


@pytest.mark.parametrize(
    ("config", "spec", "field"),
    [
        (SearchConfig, {"dataset": "digits", "batch_size": 800}, "batch_size"),
        (SearchConfig, {"space": "space2", "primitives": ["skip_connect"]}, "primitives"),
        (SearchConfig, {"unrolled": True, "order": 1}, "unrolled"),
        (EvaluationConfig, {"dataset": "digits", "auxiliary": True}, "auxiliary"),
        (EvaluationConfig, {"dataset": "digits", "train_portion": 0.001}, "batch_size"),
    ],
)
def test_values_that_do_not_go_together_are_refused_by_name(
    config: type[TrainingConfig], spec: dict[str, Any], field: str
) -> None:
    assert refused_fields(config, {**LEGAL[config], **spec}) == {field}


@pytest.mark.parametrize("config", [SearchConfig, EvaluationConfig])
def test_every_bounded_number_is_among_the_mutations(config: type[TrainingConfig]) -> None:
    """Or the properties above would hold of nothing."""
    assert {"channels", "layers", "epochs", "batch_size", "seed", "momentum", "cutout"} <= bounds_of(config).keys()


@pytest.mark.parametrize("config", [SearchConfig, RnnSearchConfig])
@pytest.mark.parametrize(
    ("given", "order"),
    [({}, 1), ({"unrolled": True}, 2), ({"unrolled": "false"}, 1), ({"unrolled": True, "order": 2}, 2)],
)
def test_unrolled_is_another_way_to_give_the_order_and_is_in_no_spec(
    config: type[SearchConfig | RnnSearchConfig], given: dict[str, Any], order: int
) -> None:
    spec = config(dataset="folder:mine", **given)
    assert spec.model_dump(exclude_unset=True).get("order", 1) == order
    resolved = spec.resolved()
    assert resolved.order == order
    assert "unrolled" not in resolved.model_dump()
