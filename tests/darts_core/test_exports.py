"""Checkpoints in other formats, and read without torch."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from darts_core import load, run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.errors import CheckpointError
from darts_core.files import checkpoints
from darts_core.files.checkpoints import Checkpoint
from darts_core.files.exports import export
from darts_core.files.loading import load_network
from darts_core.files.torch_files import StoredTensor, TorchFile


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose genotype has every operation that an exporter must understand."""
    folder = tmp_path_factory.mktemp("exports")
    genotype = (
        "Genotype(normal=[('sep_conv_3x3', 0), ('dil_conv_5x5', 1), ('skip_connect', 0), ('avg_pool_3x3', 2)], "
        "normal_concat=[2, 3], reduce=[('max_pool_3x3', 0), ('skip_connect', 1), ('dil_conv_3x3', 1), "
        "('sep_conv_5x5', 2)], reduce_concat=[2, 3])"
    )
    config = EvaluationConfig(
        dataset="digits", genotype=genotype, epochs=1, channels=2, layers=3, batch_size=700, train_portion=0.9
    ).resolved()
    [report] = run_evaluation(config, data_root=folder)
    checkpoints.save(report.checkpoint, folder / "trained.pt")
    return folder / "trained.pt"


def test_onnx_gives_the_logits_of_pytorch_for_any_number_of_images(file: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    export(file, tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    network = load(file)
    for count in (1, 5):
        images = torch.randn(count, 1, 8, 8)
        [logits] = session.run(["logits"], {"images": images.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(logits, network(images).numpy(), rtol=0, atol=1e-4)


def test_onnx_of_raw_images_normalises_them_itself(file: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    export(file, tmp_path / "x.onnx", raw_images=True)
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["normalised_inside"] == "true"
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    network = load_network(file)
    [logits] = session.run(["logits"], {"images": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(logits, network(network.prepare(images)).numpy(), rtol=0, atol=1e-4)
    with pytest.raises(CheckpointError, match=r"raw images are for \.onnx"):
        export(file, tmp_path / "x.safetensors", raw_images=True)


def test_onnx_says_its_classes_and_normalisation(file: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    export(file, tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    assert set(session.get_modelmeta().custom_metadata_map) >= {"classes", "mean", "std", "normalised_inside"}


def test_safetensors_has_the_weights_bit_for_bit_and_says_whose_they_are(file: Path, tmp_path: Path) -> None:
    export(file, tmp_path / "x.safetensors")
    weights = checkpoints.read(file)["weights"]
    found = load_file(tmp_path / "x.safetensors")
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    with safe_open(tmp_path / "x.safetensors", "pt") as opened:
        metadata = opened.metadata()
    assert metadata.keys() == {"format", "dartboard"}
    assert json.loads(metadata["dartboard"])["genotype"] == checkpoints.read(file)["genotype"]


def test_a_searchs_weights_are_exported_as_well(
    search_config: Callable[..., SearchConfig], data_root: Path, tmp_path: Path
) -> None:
    report = next(iter(run_search(search_config(epochs=1), data_root=data_root)))
    checkpoints.save(report.checkpoint, tmp_path / "s.pt")
    export(tmp_path / "s.pt", tmp_path / "s.safetensors")
    assert load_file(tmp_path / "s.safetensors").keys() == report.checkpoint["weights"].keys()


@pytest.mark.parametrize("name", ["x.tflite", "x"])
def test_an_unknown_ending_is_refused(file: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"\.onnx, \.safetensors, \.py"):
        export(file, tmp_path / name)


def test_a_failed_export_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"garbage")
    with pytest.raises(CheckpointError):
        export(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_reading_a_file_without_torch_gives_torchs_values(file: Path) -> None:
    ours, theirs = TorchFile(file).value, checkpoints.read(file)
    for name in ("format", "version", "kind", "epoch", "genotype", "spec", "classes", "normalisation", "metrics"):
        assert ours[name] == theirs[name]
    shapes = {k: t.shape for k, t in ours["weights"].items() if isinstance(t, StoredTensor)}
    assert shapes == {k: tuple(t.shape) for k, t in theirs["weights"].items()}


def test_safetensors_are_written_without_torch(file: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from darts_core.files.exports import export; "
        "export(Path(sys.argv[1]), Path(sys.argv[2])); assert not {'torch', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(file), str(tmp_path / "x.safetensors")], check=True)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("boom",)


def test_a_file_with_other_objects_is_refused_by_their_name_and_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"weights": Bomb()}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"builtins\.print|__builtin__\.print"):
        TorchFile(tmp_path / "x.pt")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "program",
    [b"", b".", b"\x80\x02}", b"\x80\x02}(.", b"\x80\x02h\x07.", b"\x80\x02]}s.", pickle.dumps(1)[:-1] + b"R."],
)
def test_a_damaged_pickle_is_refused(program: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("archive/data.pkl", program)
    with pytest.raises(CheckpointError, match=r"x\.pt"):
        TorchFile(tmp_path / "x.pt")


def doubled_key(times: int) -> bytes:
    """A dictionary whose key is a pair of one pair twice, and so on: its hash would take for ever."""
    pairs = b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(times))
    return b"\x80\x02(K\x01q\x00" + pairs + b"t}h%cNs\x86." % times


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"data.pkl": doubled_key(60)}, "its pickle is malformed"),
        ({"data.pkl": b"X\x01\x00\x00\x00\xff."}, "its pickle is malformed"),
        ({"data.pkl": b"N" * (16 * 2**20 + 1)}, "more than a checkpoint needs"),
        ({"data.pkl": b"N.", "byteorder": b"little" * 100}, "big-endian"),
    ],
)
def test_a_file_made_to_keep_its_reader_busy_is_refused(members: dict[str, bytes], says: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    with pytest.raises(CheckpointError, match=says):
        TorchFile(tmp_path / "x.pt")


def test_a_compressed_file_is_refused(file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(CheckpointError, match="compressed"):
        TorchFile(tmp_path / "x.pt")


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"weights": {"w": torch.zeros(1000)}}, buffer)
    content = buffer.getvalue()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(tmp_path / "x.pt", "w") as target:
        for name in source.namelist():
            target.writestr(name, b"short" if name.endswith("data/0") else source.read(name))
    assert len(content) > 4000
    with pytest.raises(CheckpointError, match=r"damaged|larger than the file"):
        export(tmp_path / "x.pt", tmp_path / "x.safetensors")


def test_a_truncated_checkpoint_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(file.read_bytes()[:-500])
    with pytest.raises(CheckpointError):
        TorchFile(tmp_path / "x.pt")


def test_saved_checkpoints_hold_their_weights_without_gaps(file: Path) -> None:
    checkpoint: Checkpoint = checkpoints.read(file)
    assert all(t.contiguous for t in TorchFile(file).value["weights"].values())
    assert checkpoint["epoch"] == 1
