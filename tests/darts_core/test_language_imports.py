"""Weights go to and from the DARTS authors' language models, and misfits are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from darts_core import load
from darts_core.configs import RnnScoreConfig
from darts_core.configs.score import ScoredCheckpoint
from darts_core.errors import CheckpointError, DataError
from darts_core.files import checkpoints
from darts_core.files.language_imports import read_authors_recurrent
from darts_core.files.language_models import TrainedLanguageModel
from darts_core.genotypes import KNOWN_RECURRENT, to_json
from darts_core.models.recurrent.language_model import RecurrentNetwork
from darts_core.scoring.text import run_text_score
from tests.support.authors_rnn import AuthorsCorpus, AuthorsModel, perplexity_of, trained

CELLS = pytest.mark.parametrize("name", ["DARTS_V1", "DARTS_V2", "ENAS"])
# Four words and <eos>.
WORDS, SIZE = 5, 8


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(5)


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    for part in ("train", "valid", "test"):
        (folder / f"{part}.txt").write_text("the cat sees it\n" * 12)
    return tmp_path / "data"


def authors(name: str, words: int = WORDS, size: int = SIZE) -> AuthorsModel:
    genotype = KNOWN_RECURRENT[name]
    return AuthorsModel(
        [(operation, source) for operation, source in genotype.recurrent], list(genotype.concat), words=words, size=size
    )


@CELLS
def test_ours_with_the_authors_weights_gives_their_logits(name: str, data_root: Path, tmp_path: Path) -> None:
    theirs = authors(name)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    found = read_authors_recurrent(
        tmp_path / "theirs.pt", KNOWN_RECURRENT[name], dataset="folder:tiny", data_root=data_root
    )
    checkpoints.save(found, tmp_path / "ours.pt")
    ours = load(tmp_path / "ours.pt")
    assert isinstance(ours, TrainedLanguageModel)
    tokens = torch.randint(0, WORDS, (9, 3))
    with torch.no_grad():
        expected = theirs(tokens, torch.zeros(3, SIZE))
        torch.testing.assert_close(ours(tokens).logits, expected, rtol=0, atol=1e-6)


TEXT = {
    "train": "a cat sees a dog\n a dog bites a cat\n the cat runs\n <unk> runs\n" * 4,
    "valid": "a dog runs\n the cat sees a dog\n",
    "test": "a dog bites a cat\n the cat runs\n a cat sees a dog\n",
}


@pytest.mark.parametrize(
    "new",
    [
        pytest.param("", id="the training text has all words, as in Penn Treebank"),
        pytest.param("the bird sings\n", id="words of the validation text come last"),
    ],
)
def test_a_model_trained_with_the_authors_numbering_keeps_its_perplexity(new: str, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "small"
    folder.mkdir(parents=True)
    for part, text in {**TEXT, "valid": TEXT["valid"] + new}.items():
        (folder / f"{part}.txt").write_text(text)
    corpus, cell = AuthorsCorpus(folder), KNOWN_RECURRENT["DARTS_V2"]
    model = trained(authors("DARTS_V2", words=len(corpus.numbers)), corpus.train, size=SIZE, epochs=40)
    theirs = perplexity_of(model, corpus.test, size=SIZE)
    assert theirs < 0.7 * len(corpus.numbers)  # it has learnt something: words by other numbers would show
    torch.save(model.state_dict(), tmp_path / "theirs.pt")
    imported = read_authors_recurrent(tmp_path / "theirs.pt", cell, dataset="folder:small", data_root=tmp_path / "data")
    assert tuple(imported["vocabulary"]) == tuple(corpus.numbers)
    given = ScoredCheckpoint(id="x", source="upload", sha256="0" * 64, format="authors", genotype=to_json(cell))
    config = RnnScoreConfig(dataset="folder:small", checkpoint=given)
    report = next(run_text_score(config, tmp_path / "theirs.pt", data_root=tmp_path / "data"))
    assert report.metrics["test_perplexity"] == pytest.approx(theirs, rel=1e-4)


def test_a_word_that_an_imported_vocabulary_without_unk_lacks_is_named(data_root: Path, tmp_path: Path) -> None:
    torch.save(authors("DARTS_V2").state_dict(), tmp_path / "theirs.pt")
    made = read_authors_recurrent(
        tmp_path / "theirs.pt", KNOWN_RECURRENT["DARTS_V2"], dataset="folder:tiny", data_root=data_root
    )
    checkpoints.save(made, tmp_path / "ours.pt")
    model = load(tmp_path / "ours.pt")
    assert isinstance(model, TrainedLanguageModel)
    with pytest.raises(DataError, match="'zebra' is not in the model's vocabulary, which has no <unk>"):
        model.prepare(["the", "zebra"])


@CELLS
def test_the_authors_with_our_weights_gives_our_logits(name: str) -> None:
    ours, theirs = RecurrentNetwork(KNOWN_RECURRENT[name], words=WORDS, size=SIZE), authors(name)
    weights = ours.state_dict()
    theirs.load_state_dict({**weights, "decoder.weight": weights["encoder.weight"]})
    tokens, hidden = torch.randint(0, WORDS, (9, 3)), torch.randn(3, SIZE)
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens, hidden), ours(tokens, hidden).logits, rtol=0, atol=1e-6)


def test_a_state_dict_is_scored_as_the_checkpoint_made_of_it(data_root: Path, tmp_path: Path) -> None:
    torch.save(authors("DARTS_V2").state_dict(), tmp_path / "theirs.pt")
    cell = KNOWN_RECURRENT["DARTS_V2"]
    made = read_authors_recurrent(tmp_path / "theirs.pt", cell, dataset="folder:tiny", data_root=data_root)
    checkpoints.save(made, tmp_path / "ours.pt")
    of_ours = ScoredCheckpoint(id="x", source="upload", sha256="0" * 64)
    of_theirs = of_ours.model_copy(update={"format": "authors", "genotype": to_json(cell)})
    reports = [
        next(run_text_score(RnnScoreConfig(dataset="folder:tiny", checkpoint=given), file, data_root=data_root))
        for given, file in ((of_ours, tmp_path / "ours.pt"), (of_theirs, tmp_path / "theirs.pt"))
    ]
    assert reports[0].metrics == reports[1].metrics
    assert reports[0].columns == 1


def test_a_misfit_is_named(data_root: Path, tmp_path: Path) -> None:
    def refused(state: object, name: str = "DARTS_V2") -> str:
        torch.save(state, tmp_path / "x.pt")
        with pytest.raises(CheckpointError) as error:
            read_authors_recurrent(tmp_path / "x.pt", KNOWN_RECURRENT[name], dataset="folder:tiny", data_root=data_root)
        return str(error.value)

    state = authors("DARTS_V2").state_dict()
    assert "the weights are of 8 nodes, the genotype has 11" in refused(state, "ENAS")
    assert "7 words, the vocabulary of folder:tiny has 5" in refused(authors("DARTS_V2", words=7).state_dict())
    assert "decoder.bias is missing" in refused({k: v for k, v in state.items() if k != "decoder.bias"})
    assert "no place for rnns.1._W0" in refused({**state, "rnns.1._W0": state["rnns.0._W0"]})
    assert "decoder.weight is not encoder.weight" in refused({**state, "decoder.weight": torch.randn(WORDS, SIZE)})
    assert "rnns.0._W0 is [8, 16], expected [16, 16]" in refused({**state, "rnns.0._W0": torch.zeros(8, 16)})


def test_their_pickled_module_is_refused_with_the_way_out(data_root: Path, tmp_path: Path) -> None:
    torch.save(authors("DARTS_V2"), tmp_path / "module.pt")
    with pytest.raises(CheckpointError, match=r"torch.save\(x.state_dict\(\)"):
        read_authors_recurrent(
            tmp_path / "module.pt", KNOWN_RECURRENT["DARTS_V2"], dataset="folder:tiny", data_root=data_root
        )
