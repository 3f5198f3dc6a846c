"""Weights go to and from the DARTS authors' checkpoints, and misfits are named."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from darts_core import load, run_evaluation
from darts_core.configs import EvaluationConfig
from darts_core.errors import CheckpointError
from darts_core.files import checkpoints
from darts_core.files.imports import read_authors
from darts_core.genotypes import KNOWN
from darts_core.models.evaluation_network import EvaluationNetwork
from tests.support.authors import AuthorsNetwork
from tests.support.rounding import assert_same_numbers

KINDS = pytest.mark.parametrize(
    ("name", "imagenet"), [("DARTS_V2", False), ("DARTS_V2", True), ("PC_DARTS", False), ("AmoebaNet", True)]
)


def authors(name: str = "DARTS_V2", *, imagenet: bool = False, **sizes: Any) -> AuthorsNetwork:
    """Of 4 channels, with BatchNorm statistics as training leaves them: none that a mistake could hide behind."""
    genotype = KNOWN[name]
    network = AuthorsNetwork(
        [(edge.op, edge.source) for edge in genotype.normal],
        list(genotype.normal_concat),
        [(edge.op, edge.source) for edge in genotype.reduce],
        list(genotype.reduce_concat),
        imagenet=imagenet,
        **{"c": 4, "layers": 4, "classes": 10, **sizes},
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            for statistic, low, high in ((module.running_mean, -0.5, 0.5), (module.running_var, 0.5, 1.5)):
                assert statistic is not None
                statistic.uniform_(low, high)
    return network


def images(imagenet: bool, count: int = 2) -> torch.Tensor:
    side = 224 if imagenet else 32
    return torch.randn(count, 3, side, side)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(3)


@KINDS
def test_ours_with_the_authors_weights_gives_their_logits(name: str, imagenet: bool, tmp_path: Path) -> None:
    theirs = authors(name, imagenet=imagenet).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    checkpoints.save(read_authors(tmp_path / "theirs.pt", KNOWN[name]), tmp_path / "ours.pt")
    x = images(imagenet)

    @torch.no_grad()
    def logits(network: nn.Module) -> dict[str, torch.Tensor]:
        return {"logits": network(x)}

    longest_sum = max(weight[0].numel() for weight in theirs.parameters())
    assert_same_numbers(theirs, load(tmp_path / "ours.pt"), logits, longest_sum)


@KINDS
def test_the_authors_with_our_weights_gives_our_logits_auxiliary_ones_too(name: str, imagenet: bool) -> None:
    ours = EvaluationNetwork(
        KNOWN[name], channels=4, layers=4, classes=10, auxiliary=True, stem="imagenet" if imagenet else "cifar"
    )
    theirs = authors(name, imagenet=imagenet)
    theirs.load_state_dict(ours.state_dict())
    for network in (ours, theirs):
        # The auxiliary head answers in training only, but there BatchNorm over two images magnifies every rounding.
        network.eval().training = True
    x = images(imagenet)
    with torch.no_grad():
        for found, expected in zip(ours.with_auxiliary(x), theirs(x), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("auxiliary", [True, False])
def test_sizes_are_inferred_from_the_shapes(auxiliary: bool, tmp_path: Path) -> None:
    network = authors(imagenet=True, c=6, layers=5, classes=7, auxiliary=auxiliary)
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, tmp_path / "x.pt")
    read = read_authors(tmp_path / "x.pt", KNOWN["DARTS_V2"])
    spec = EvaluationConfig(**read["spec"])
    found = (spec.channels, spec.layers, spec.auxiliary, len(read["classes"]), read["image"])
    assert found == (6, 5, auxiliary, 7, {"channels": 3, "size": [224, 224]})


def test_prefixes_of_parallel_training_and_missing_counters_do_no_harm(tmp_path: Path) -> None:
    state = {f"module.{k}": v for k, v in authors().state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "x.pt")
    weights = read_authors(tmp_path / "x.pt", KNOWN["DARTS_V2"])["weights"]
    assert weights["cells.0.preprocess0.op.2.num_batches_tracked"] == 0
    assert torch.equal(weights["classifier.weight"], state["module.classifier.weight"])


def test_a_file_of_an_old_pytorch_is_read(tmp_path: Path) -> None:
    torch.save(authors().state_dict(), tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    assert read_authors(tmp_path / "x.pt", KNOWN["DARTS_V2"])["spec"]["channels"] == 4


def test_the_first_key_that_does_not_fit_the_genotype_is_named(tmp_path: Path) -> None:
    torch.save(authors("DARTS_V2").state_dict(), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"does not fit the genotype: cells\.0\._ops\.\d+\.op\.\d"):
        read_authors(tmp_path / "x.pt", KNOWN["PC_DARTS"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("cells.1.preprocess1.op.1.weight"), r"cells\.1\.preprocess1\.op\.1\.weight is missing"),
        (lambda s: s.update({"extra.weight": torch.zeros(1)}), "no place for extra.weight"),
        (lambda s: s.update({"classifier.bias": torch.zeros(3)}), r"classifier\.bias is \[3\], expected \[10\]"),
        (lambda s: s.pop("classifier.weight"), "classifier.weight is missing"),
        (lambda s: s.pop("stem.0.weight"), "stem.0.weight is missing"),
        (lambda s: [s.pop(k) for k in list(s) if k.startswith("cells")], "no key cells.0"),
    ],
)
def test_missing_superfluous_and_misshapen_weights_are_named(change: Any, says: str, tmp_path: Path) -> None:
    state = dict(authors().state_dict())
    change(state)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=says):
        read_authors(tmp_path / "x.pt", KNOWN["DARTS_V2"])


@pytest.mark.parametrize("write", [torch.save, lambda m, p: p.write_bytes(pickle.dumps(m))])
def test_a_pickled_module_is_refused_with_the_way_to_a_state_dict(write: Any, tmp_path: Path) -> None:
    write(nn.LSTM(2, 2), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"state_dict\(\)"):
        read_authors(tmp_path / "x.pt", KNOWN["DARTS_V2"])


def test_a_recurrent_state_dict_is_refused_as_such(tmp_path: Path) -> None:
    torch.save({"encoder.weight": torch.zeros(4, 2), "rnns.0._W0": torch.zeros(4, 4)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="recurrent"):
        read_authors(tmp_path / "x.pt", KNOWN["DARTS_V2"])


def test_an_imported_checkpoint_is_nothing_to_resume_from(tmp_path: Path) -> None:
    torch.save(authors().state_dict(), tmp_path / "x.pt")
    imported = read_authors(tmp_path / "x.pt", KNOWN["DARTS_V2"])
    config = EvaluationConfig(dataset="digits", genotype="DARTS_V2").resolved()
    with pytest.raises(CheckpointError, match="imported"):
        run_evaluation(config, resume_from=imported)
