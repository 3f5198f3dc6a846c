"""A checkpoint's network as a module of plain PyTorch, which a process without Dartboard runs with the same logits."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from darts_core import load
from darts_core.configs import EvaluationConfig, RnnEvaluationConfig
from darts_core.errors import CheckpointError
from darts_core.files import checkpoints
from darts_core.files.exports import export
from darts_core.files.loading import load_network
from darts_core.genotypes import KNOWN, KNOWN_RECURRENT, random_recurrent_genotype, to_json
from darts_core.models.build import build_evaluation_network
from darts_core.models.operations import Noise
from darts_core.models.recurrent.language_model import RecurrentNetwork
from darts_core.plain_pytorch.source import pytorch_source
from tests.support.sparse_cells import FAIR_DARTS

_WORDS: Final = ("<eos>", "<unk>", "the", "cell", "of")
_ONE_NODE: Final = "normal_concat=[2], reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])"
_NOISY: Final = f"Genotype(normal=[('noise', 0), ('sep_conv_3x3', 1)], {_ONE_NODE}"
_HOSTILE: Final = (
    *(
        '"""',
        "'''",
        "\\",
        "a\n\r\tb",
        "it's",
        'say "no"',
        "both '\"",
        "\u202egnp.exe",
        "\x1b[31m",
        "\0",
        "{0}",
        "%s",
        "#",
    ),
    '"""\nraise SystemExit\n"""',
)
# Fields of a spec or a checkpoint; `size` is of the images, height and width.
_IMAGE_CASES: Final[dict[str, dict[str, Any]]] = {
    **{name: {"genotype": name} for name in KNOWN},
    "auxiliary": {"genotype": "DARTS_V2", "auxiliary": True, "size": (32, 32)},
    "half-stem": {"genotype": "DARTS_V1", "stem": "half", "size": (13, 15)},
    "imagenet-stem": {"genotype": "PC_DARTS", "stem": "imagenet", "size": (65, 63)},
    "skips-on-edges": {"genotype": "DARTS_V2", "edge_skips": True},
    **{f"fair-darts-{name}": {"genotype": cell} for name, cell in FAIR_DARTS.items()},
    "no-reduction": {"genotype": "DARTS_V1", "reductions": []},
    "reduction-alone": {"genotype": "NASNet", "layers": 1},
    "noise": {"genotype": _NOISY},
    "nasbench201": {"genotype": "312413"},
    "nasbench201-none": {"genotype": "301002"},
    "hostile": {
        "genotype": "DARTS_V1",
        "dataset": _HOSTILE[-1],
        "classes": list(_HOSTILE),
        "metrics": dict.fromkeys(_HOSTILE, 1.0),
    },
}
_TEXT_CASES: Final[dict[str, Any]] = {
    **KNOWN_RECURRENT,
    **{f"random-{seed}": random_recurrent_genotype(seed, nodes=5) for seed in (1, 2)},
    "twelve-nodes": random_recurrent_genotype(0, nodes=12),
}
# Runs in a process that finds the standard library and torch: logits of each module for the inputs beside it.
_WITHOUT_DARTBOARD: Final = """
import importlib.util, sys
from pathlib import Path

sys.path.append(sys.argv[1])
sys.modules |= dict.fromkeys(("numpy", "safetensors"))
for name in ("darts_core", "client", "api", "dartboard"):
    assert importlib.util.find_spec(name) is None, name
import torch

torch.set_num_threads(1)
for path in map(Path, sys.argv[2:]):
    spec = importlib.util.spec_from_file_location("network", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load()
    torch.manual_seed(0)
    with torch.no_grad():
        found = network(*torch.load(path.with_suffix(".inputs")))
    torch.save(found, path.with_suffix(".logits"))
"""


def randomised(network: nn.Module) -> Mapping[str, Tensor]:
    """The state of a network as if trained: no statistic of BatchNorm and no bias has its first value."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.state_dict()


def save(
    path: Path, config: EvaluationConfig | RnnEvaluationConfig, weights: Mapping[str, Tensor], **said: Any
) -> Path:
    common = {"format": "dartboard", "version": 1, "kind": "evaluation", "epoch": 3, "metrics": {"test_accuracy": 0.5}}
    about = {"genotype": config.genotype, "spec": config.model_dump(mode="json")}
    rest = {"weights": dict(weights), "environment": checkpoints.UNKNOWN_ENVIRONMENT, "resume": {}}
    checkpoints.save({**common, **about, **rest, **said}, path)
    return path


def save_images(path: Path, genotype: Any, size: tuple[int, int] = (9, 8), **changes: Any) -> Path:
    """A checkpoint of an image network. changes: fields of the spec, or of the checkpoint."""
    classes, metrics = changes.pop("classes", ["cat", "dog", "owl"]), changes.pop("metrics", {"test_accuracy": 0.5})
    fields = {"layers": 6, "channels": 4, "auxiliary": False, "stem": "cifar", "dataset": "digits"}
    config = EvaluationConfig(genotype=genotype, **{**fields, **changes})
    torch.manual_seed(1)
    network = build_evaluation_network(config, classes=len(classes), image_channels=3, stem=config.stem or "cifar")
    normalisation = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.3]}
    image = {"channels": 3, "size": list(size)}
    said = {"classes": classes, "normalisation": normalisation, "image": image, "metrics": metrics}
    return save(path, config, randomised(network), **said)


def save_text(path: Path, genotype: Any, vocabulary: tuple[str, ...] = _WORDS) -> Path:
    """A checkpoint of a language model, with weights large enough to saturate its gates."""
    config = RnnEvaluationConfig(dataset="python-docs", genotype=genotype, hidden_size=16)
    torch.manual_seed(1)
    network = RecurrentNetwork(config.cell(), words=len(vocabulary), size=config.hidden_size)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    return save(path, config, network.state_dict(), vocabulary=list(vocabulary))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoint (.pt), module, weights, inputs and the module's logits of every case."""
    folder = tmp_path_factory.mktemp("plain")
    for name, fields in _IMAGE_CASES.items():
        save_images(folder / f"{name}.pt", **fields)
        torch.save((torch.randn(3, 3, *fields.get("size", (9, 8))),), folder / f"{name}.inputs")
    for name, genotype in _TEXT_CASES.items():
        save_text(folder / f"rnn-{name}.pt", to_json(genotype))
        tokens, hidden = torch.randint(len(_WORDS), (7, 3)), torch.randn(3, 16).tanh()
        torch.save((tokens, hidden), folder / f"rnn-{name}.inputs")
    files = sorted(folder.glob("*.pt"))
    for file in files:
        export(file, file.with_suffix(".py"))
    packages = str(Path(torch.__file__).parents[1])
    modules = [str(file.with_suffix(".py")) for file in files]
    # Isolated, and without `site`, which would put the checkout on the path.
    subprocess.run([sys.executable, "-ISc", _WITHOUT_DARTBOARD, packages, *modules], check=True)
    return folder


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", _IMAGE_CASES)
def test_logits_of_images_are_those_of_darts_core(name: str, exported: Path) -> None:
    network = load_network(exported / f"{name}.pt").network
    for noise in (module for module in network.modules() if isinstance(module, Noise)):
        noise.generator = None  # torch's global one, which the module draws from
    torch.manual_seed(0)
    with torch.no_grad():
        expected = network(*torch.load(exported / f"{name}.inputs"))
    assert expected.std() > 0.01
    assert_close(torch.load(exported / f"{name}.logits"), expected)


@pytest.mark.parametrize("name", _TEXT_CASES)
def test_logits_of_words_and_the_hidden_state_are_those_of_darts_core(name: str, exported: Path) -> None:
    with torch.no_grad():
        expected = load(exported / f"rnn-{name}.pt")(*torch.load(exported / f"rnn-{name}.inputs"))
        logits, hidden = torch.load(exported / f"rnn-{name}.logits")
        assert_close(logits, expected.logits)
        assert_close(hidden, expected.hidden)


def assert_clean(*modules: Path) -> None:
    """Check with ruff, as where no project configures it."""
    chosen = ["--select=E,F,W,I,B,UP,SIM,RUF,C4,PIE,RET,S,N,A", "--ignore=E501,N812"]
    for arguments in (["format", "--check"], ["check", *chosen]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", *map(str, modules)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_modules_are_formatted_and_linted(exported: Path) -> None:
    assert_clean(*exported.glob("*.py"))


def test_a_module_holds_only_the_operations_that_its_cells_use(exported: Path) -> None:
    source = (exported / "DARTS_V1.py").read_text()
    assert "class SeparableConv(" in source
    for absent in ("class DilatedConv(", "class FactoredConv(", "class Noise(", "class Zero("):
        assert absent not in source
    assert "class NormalCell(" not in (exported / "reduction-alone.py").read_text()


def test_a_module_names_its_cell_and_its_checkpoint(exported: Path) -> None:
    source = (exported / "PC_DARTS.py").read_text()
    assert source.startswith('"""The network of PC_DARTS, in plain PyTorch.')
    assert hashlib.sha256((exported / "PC_DARTS.pt").read_bytes()).hexdigest() in source
    assert 'METRICS = {"test_accuracy": 0.5}' in source
    assert "NAS-Bench-201's cell 312413" in (exported / "nasbench201.py").read_text()


def test_the_same_checkpoint_gives_the_same_text(exported: Path) -> None:
    assert pytorch_source(exported / "NASNet.pt") == (exported / "NASNet.py").read_text()


@pytest.mark.parametrize(("name", "shape"), [("DARTS_V2", (1, 3)), ("rnn-ENAS", (1, 1, 5))])
def test_a_module_run_as_a_program_tells_its_size(name: str, shape: tuple[int, ...], exported: Path) -> None:
    done = subprocess.run([sys.executable, exported / f"{name}.py"], capture_output=True, text=True, check=True)
    count = sum(weight.numel() for weight in load(exported / f"{name}.pt").parameters())
    assert done.stdout == f"{count:,} parameters, logits of shape {shape}\n"


def module_at(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("network", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_names_of_any_text_stay_text(exported: Path) -> None:
    module = module_at(exported / "hostile.py")
    assert module.CLASSES == _HOSTILE
    assert _HOSTILE[-1] == module.DATASET
    assert dict.fromkeys(_HOSTILE, 1.0) == module.METRICS
    assert not {"\x1b", "\0", "\u202e"} & set((exported / "hostile.py").read_text())


@pytest.mark.parametrize("words", [("<eos>", *(w for w in _HOSTILE if w.split() == [w])) * 30, _HOSTILE])
def test_words_of_any_text_stay_text(words: tuple[str, ...], tmp_path: Path) -> None:
    file = save_text(tmp_path / "x.pt", "DARTS_V1", words)
    export(file, tmp_path / "x.py")
    assert words == module_at(tmp_path / "x.py").VOCABULARY


def test_weights_of_other_precisions_are_read(exported: Path) -> None:
    module = module_at(exported / "DARTS_V1.py")
    weights = checkpoints.read(exported / "DARTS_V1.pt")["weights"]
    for kind, name in ((torch.bfloat16, "BF16"), (torch.float16, "F16"), (torch.float64, "F64")):
        rounded = {k: w.to(kind) if w.is_floating_point() else w for k, w in weights.items()}
        file = exported / f"{name}.safetensors"
        save_file(rounded, file)
        found = module.read_safetensors(file)
        assert all(found[key].dtype == each.dtype and torch.equal(found[key], each) for key, each in rounded.items())
        assert torch.equal(module.load(file).classifier.weight, rounded["classifier.weight"].float())


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_file_cut_short_is_refused_by_the_module(kept: int, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes((exported / "DARTS_V1.safetensors").read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"x\.safetensors is (not a whole safetensors file|damaged: .* classifier)"):
        module_at(exported / "DARTS_V1.py").load(tmp_path / "x.safetensors")


def test_a_converted_checkpoint_is_exported_as_well(exported: Path, tmp_path: Path) -> None:
    converted = tmp_path / "x.safetensors"
    export(exported / "DARTS_V1.pt", converted)
    before = converted.read_bytes()
    assert export(converted, tmp_path / "x.py", "pytorch") == [tmp_path / "x.py", converted]
    assert converted.read_bytes() == before
    assert module_at(tmp_path / "x.py").load()


def test_the_text_is_written_without_torch(exported: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from darts_core.plain_pytorch.source import pytorch_source; "
        "pytorch_source(Path(sys.argv[1])); assert not {'torch', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(exported / "NASNet.pt")], check=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "search"}, "is a search's supernet, not the network of one cell: retrain its cell"),
        ({"kind": "ensemble"}, "is an ensemble of several networks: export the checkpoint of each member"),
        ({"kind": "other"}, "is not a usable checkpoint: kind: "),
        ({"spec": {"family": "line"}}, "of another family than cnn and rnn"),
        ({"spec": {"dataset": "digits"}}, "spec.genotype: is required"),
        ({"classes": [1]}, "classes.0: must be a valid string; got 1"),
        ({"image": {"channels": 3, "size": ["__import__('os')", 8]}}, "image.size.0: must be a valid integer"),
        ({"normalisation": {"mean": [float("nan")], "std": [1.0]}}, "normalisation.mean.0: must be a finite number"),
        ({"classes": ["cat"]}, "the weights do not fit the checkpoint's own spec"),
    ],
)
def test_a_checkpoint_without_the_network_of_one_cell_is_refused(
    changes: dict[str, Any], says: str, exported: Path, tmp_path: Path
) -> None:
    checkpoints.save({**checkpoints.read(exported / "DARTS_V1.pt"), **changes}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=re.escape(says)):
        export(tmp_path / "x.pt", tmp_path / "x.py")
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


def test_weights_alone_are_refused_with_the_way_out(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors")
    torch.save({"w": torch.zeros(2)}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        with pytest.raises(CheckpointError, match=r"does not say which network its weights are of: .*dartboard import"):
            export(tmp_path / name, tmp_path / "x.py")


@pytest.mark.parametrize("name", ["x.py", "x.safetensors"])
def test_the_checkpoint_itself_is_not_replaced(name: str, tmp_path: Path) -> None:
    file = save_images(tmp_path / name, "DARTS_V1")
    before = file.read_bytes()
    with pytest.raises(CheckpointError, match=f"{re.escape(name)} is the checkpoint itself: give another name"):
        export(file, tmp_path / "x.py")
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]
