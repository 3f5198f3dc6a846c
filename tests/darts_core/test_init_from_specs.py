"""Which specs may start from which jobs, and what `init_from` takes by default."""

from __future__ import annotations

import re
from typing import Any

import pytest

from darts_core.configs import EvaluationConfig, RnnEvaluationConfig, RnnSearchConfig, SearchConfig
from darts_core.configs.common import RunConfig
from darts_core.configs.init_from import start_problems
from darts_core.configs.selection import perturbation_of
from darts_core.errors import ConfigError
from darts_core.genotypes import random_nasbench201, to_json

pytestmark = pytest.mark.light
JOB = "018f0000-0000-7000-8000-000000000000"
SIZES = {"channels": 16, "layers": 6}


def search(**values: Any) -> SearchConfig:
    return SearchConfig(**{"dataset": "digits", **SIZES, **values}).resolved()


def started(what: str, **values: Any) -> SearchConfig:
    return search(init_from={"job": JOB, "what": what}, **values)


def recurrent(**values: Any) -> RnnSearchConfig:
    return RnnSearchConfig(**{"dataset": "python-docs", **values}).resolved()


def evaluation(**values: Any) -> EvaluationConfig:
    return EvaluationConfig(**{"dataset": "digits", "genotype": "DARTS_V2", **SIZES, **values}).resolved()


def retrained(**values: Any) -> EvaluationConfig:
    return evaluation(init_from={"job": JOB}, **values)


def problems(spec: RunConfig, source: RunConfig, kind: str = "search") -> list[str]:
    return [str(each) for each in start_problems(spec.model_dump(mode="json"), kind, source.model_dump(mode="json"))]


def test_a_search_takes_all_by_default() -> None:
    start = search(init_from={"job": JOB}).init_from
    assert start is not None
    assert start.what == "all"
    assert search().init_from is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "random"}, "init_from: random trains nothing: leave it out"),
        ({"method": "rsps"}, "init_from.what: rsps trains no alphas: give weights"),
        ({"method": "p-darts", "epochs": 6}, "init_from: p-darts searches in stages"),
    ],
)
def test_a_method_that_cannot_start_from_a_job_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        started("all", **values)
    assert message in str(refused.value)


@pytest.mark.parametrize("what", ["weights", "alphas", "all"])
def test_a_search_starts_from_one_of_its_own_shape_whatever_its_training(what: str) -> None:
    source = search(epochs=7, seed=4, weight_lr=0.1, batch_size=32, order=2, reductions=None)
    assert problems(started(what, method="gdas"), source) == []
    assert problems(started(what, primitives=source.primitives), source) == []
    layers, reductions = source.layers, [source.layers // 3, 2 * source.layers // 3]
    assert problems(started(what, layers=layers, reductions=reductions), source) == []


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"channels": 8}, "channels"),
        ({"layers": 5}, "layers"),
        ({"reductions": [1]}, "reductions"),
        ({"stem": "half"}, "stem"),
        ({"method": "darts-minus"}, "method"),
        ({"method": "pc-darts"}, "partial_channels"),
    ],
)
def test_weights_need_the_same_network_and_alphas_do_not(values: dict[str, Any], field: str) -> None:
    source = search(channels=16)
    [problem] = problems(started("weights", **{"channels": 16, **values}), source)
    assert problem.startswith(f"{field}: is ")
    assert problem.endswith("give the same; `what`: alphas fits")
    if field not in ("method", "partial_channels"):
        assert problems(started("alphas", **{"channels": 16, **values}), source) == []


@pytest.mark.parametrize("what", ["weights", "alphas", "all"])
@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"nodes": 3}, {"nodes"}),
        ({"space": "space2"}, {"primitives"}),
        ({"space": "s1"}, {"primitives", "edges"}),
        ({"space": "nasbench201"}, {"space", "nodes", "primitives"}),
    ],
)
def test_another_space_is_refused_field_by_field(what: str, values: dict[str, Any], fields: set[str]) -> None:
    found = problems(started(what, **values), search())
    assert fields <= {problem.partition(":")[0] for problem in found}
    assert "alphas fits" not in "".join(found)


def test_alphas_of_another_meaning_are_refused_and_weights_are_not() -> None:
    for method, other in (("drnas", "darts"), ("darts", "fair-darts"), ("pc-darts", "gdas"), ("drnas", "fair-darts")):
        ours, theirs = ({"method": each, "space": "darts-no-none", "channels": 16} for each in (method, other))
        [problem] = problems(started("alphas", **ours), search(**theirs))
        assert problem == (
            f"method: {method} makes other weights of alphas than {other}: give that, or `what`: weights"
        )
    assert problems(started("weights", method="drnas"), search()) == []


def test_only_searches_that_train_such_a_state_are_sources() -> None:
    whole, weights = started("all"), started("weights")
    assert problems(whole, search(method="rsps")) == [
        "init_from.what: the search is of method rsps, which trains no alphas: give weights"
    ]
    assert problems(weights, search(method="rsps")) == []
    assert problems(weights, search(method="random"))[0].startswith("init_from.job: is of method random, which trains")
    assert "differs from stage to stage" in problems(whole, search(method="p-darts", epochs=6))[0]
    selection = perturbation_of(search(), 3, {"select": "perturbation"})
    assert "is a selection" in problems(whole, selection)[0]
    assert problems(whole, search(), "evaluation") == [
        "init_from.job: is of kind evaluation: a search starts from a search"
    ]
    assert problems(whole, recurrent()) == ["init_from.job: is of family 'rnn', not 'cnn'"]


def test_a_recurrent_search_takes_weights_of_its_size_and_text_alone() -> None:
    text, other = "a" * 64, "b" * 64
    spec = {"hidden_size": 20, "init_from": {"job": JOB}}
    assert problems(recurrent(**spec), recurrent(hidden_size=20)) == []
    assert problems(recurrent(**spec), recurrent(hidden_size=30))[0].startswith("hidden_size: is 20")
    assert problems(recurrent(**spec, text_checksum=text), recurrent(hidden_size=20, text_checksum=other))
    alphas = {**spec, "init_from": {"job": JOB, "what": "alphas"}}
    assert problems(recurrent(**alphas, text_checksum=text), recurrent(hidden_size=30, text_checksum=other)) == []


def test_a_selection_of_a_search_that_started_from_a_job_has_no_such_field() -> None:
    selection = perturbation_of(started("all"), 3, {"select": "perturbation"})
    assert selection.init_from is None
    with pytest.raises(ConfigError, match="init_from: follows from the search in a selection: leave it out"):
        perturbation_of(search(), 3, {"select": "perturbation", "init_from": {"job": JOB}})


def test_an_evaluation_takes_weights_by_default_and_nothing_else() -> None:
    start = retrained().init_from
    assert start is not None
    assert start.what == "weights"
    for what in ("all", "alphas"):
        with pytest.raises(ConfigError, match=f"init_from.what: '{what}' is for searches: an evaluation has no alphas"):
            evaluation(init_from={"job": JOB, "what": what})


def test_an_evaluation_starts_from_one_of_the_same_network_whatever_its_data() -> None:
    assert problems(retrained(dataset="cifar10", auxiliary=True, epochs=3), evaluation(seed=4), "evaluation") == []
    for values, field in (
        ({"layers": 8}, "layers"),
        ({"channels": 8}, "channels"),
        ({"edge_skips": True}, "edge_skips"),
    ):
        [problem] = problems(retrained(**values), evaluation(), "evaluation")
        assert problem.startswith(f"{field}: is ")
    [problem] = problems(retrained(genotype="DARTS_V1"), evaluation(), "evaluation")
    assert problem == "genotype: is not the cell of init_from's job: give that one, as its spec has it"


def test_an_evaluation_starts_from_a_search_in_whose_space_its_cell_is() -> None:
    assert problems(retrained(layers=20), search(layers=8)) == []
    assert problems(retrained(), search(method="p-darts", epochs=6)) == []
    assert problems(retrained(), search(method="rsps")) == []
    assert problems(retrained(), search(method="random"))[0].startswith("init_from.job: is of method random")
    [narrow] = problems(retrained(channels=36), search())
    assert narrow == "channels: is 36, in init_from's job 16: give the same"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"space": "s2"}, "has .* on edge .*, where the supernet of init_from's job has skip_connect, sep_conv_3x3"),
        (
            {"space": "space3"},
            "has sep_conv_3x3 on edge 0 .normal., where the supernet of init_from's job has none, max",
        ),
        ({"nodes": 5}, "does not concatenate nodes 2 to 6, as the supernet"),
        ({"space": "nasbench201"}, "is a cell of another kind than those of space 'nasbench201'"),
    ],
)
def test_a_cell_that_the_supernet_lacks_is_refused(values: dict[str, Any], message: str) -> None:
    [problem] = problems(retrained(), search(**values))
    assert re.match(f"genotype: {message}", problem), problem


def test_cells_of_nasbench201_and_recurrent_ones_start_from_their_supernets() -> None:
    cell = to_json(random_nasbench201(3))
    assert problems(retrained(genotype=cell), search(space="nasbench201")) == []
    assert "is a cell of another kind than those of space 'darts'" in problems(retrained(genotype=cell), search())[0]
    values = {"dataset": "python-docs", "genotype": "DARTS_V2", "hidden_size": 20, "init_from": {"job": JOB}}
    spec = RnnEvaluationConfig(**values).resolved()
    assert problems(spec, recurrent(hidden_size=20)) == []
    assert problems(spec, recurrent(hidden_size=20, nodes=4)) == [
        "genotype: has 8 nodes, the supernet of init_from's job 4: give a cell of that search's space"
    ]
    assert problems(spec, recurrent(hidden_size=30)) == ["hidden_size: is 20, in init_from's job 30: give the same"]
