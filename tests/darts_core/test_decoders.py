"""The decoders of image files: specs that name one, their pixels, and runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from darts_core import run_evaluation, run_score, run_search
from darts_core.configs import EnsembleConfig, EvaluationConfig, ScoreConfig, SearchConfig
from darts_core.configs.decoder import DecoderName
from darts_core.data.decoding import decode
from darts_core.data.files import FileImages, in_parts, pixels
from darts_core.data.jpegs import decoded, encoded
from darts_core.ensembles.images import run_ensemble
from darts_core.errors import CheckpointError, ConfigError, DataError
from darts_core.files.checkpoints import save
from darts_core.scoring.images import score
from darts_core.training.reports import EpochReport

CPU = torch.device("cpu")
CHECKPOINT: dict[str, Any] = {"id": "x", "source": "upload", "sha256": "0" * 64}
# Of the scaling: each program rounds its own weights and sums.
LEVELS = 1

on_each_cpu_decoder = pytest.mark.parametrize("decoder", ["pillow", "torchvision"])


def evaluation(decoder: DecoderName = "pillow", **changes: Any) -> EvaluationConfig:
    values = {"epochs": 2, "batch_size": 4, "channels": 2, "layers": 3, "train_portion": 0.7, **changes}
    return EvaluationConfig(dataset="imagenet", genotype="DARTS_V2", decoder=decoder, **values).resolved()


def search(decoder: DecoderName = "pillow") -> SearchConfig:
    small = {"epochs": 1, "batch_size": 4, "channels": 2, "layers": 3, "nodes": 1}
    return SearchConfig(dataset="imagenet", decoder=decoder, primitives=["none", "skip_connect"], **small).resolved()


def files_of(folder: Path) -> list[Path]:
    return sorted((folder / "imagenet").rglob("*.JPEG"))


def levels_apart(one: Tensor, other: Tensor) -> int:
    return int((one.int() - other.int()).abs().max())


def in_both(paths: Sequence[Path], size: int, crops: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
    """Decoded by Pillow and by torchvision."""
    pillow, torchvision = (
        FileImages(paths, size, crops=crops, decoder=decoder).decoded() for decoder in ("pillow", "torchvision")
    )
    return pillow, torchvision


def test_a_spec_without_a_decoder_has_pillow() -> None:
    assert evaluation().decoder == search().decoder == "pillow"
    assert ScoreConfig(dataset="digits", checkpoint=CHECKPOINT).decoder == "pillow"


@pytest.mark.parametrize("decoder", ["pillow", "torchvision", "nvjpeg"])
def test_a_spec_keeps_its_decoder_through_json(decoder: DecoderName) -> None:
    for spec in (evaluation(decoder), search(decoder)):
        assert type(spec).model_validate_json(spec.model_dump_json()).resolved().decoder == decoder
    measured = ScoreConfig(dataset="imagenet", decoder=decoder, checkpoint=CHECKPOINT).resolved()
    assert ScoreConfig.model_validate_json(measured.model_dump_json()).decoder == decoder


def test_an_unknown_decoder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="'pillow', 'torchvision' or 'nvjpeg'"):
        evaluation("turbojpeg")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "resolve",
    [
        lambda: SearchConfig(dataset="digits", decoder="torchvision").resolved(),
        lambda: EvaluationConfig(dataset="digits", genotype="DARTS_V2", decoder="torchvision").resolved(),
        lambda: ScoreConfig(dataset="digits", decoder="torchvision", checkpoint=CHECKPOINT).resolved(),
        lambda: EnsembleConfig(dataset="digits", decoder="torchvision", members=[CHECKPOINT] * 2).resolved(),
    ],
)
def test_a_set_that_is_not_read_file_by_file_takes_no_decoder(resolve: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match=r"'torchvision' is for imagenet.*; digits is not: leave it out") as refused:
        resolve()
    assert [problem.loc for problem in refused.value.problems] == [("decoder",)]


def test_crops_of_torchvision_are_those_of_pillow_within_rounding(imagenet_root: Path) -> None:
    paths = files_of(imagenet_root)
    pillow, torchvision = in_both(paths, 224, range(len(paths)))
    assert levels_apart(pillow, torchvision) <= LEVELS
    assert not torch.equal(pillow, torchvision)  # or the decoder need not be in a spec


@pytest.mark.parametrize("size", [224, 32, 225])
def test_centres_of_torchvision_are_those_of_pillow_within_rounding(size: int, imagenet_root: Path) -> None:
    assert levels_apart(*in_both(files_of(imagenet_root), size)) <= LEVELS


def _photo(width: int = 40, height: int = 30) -> Image.Image:
    pixels = np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    return exif


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.png", lambda path: _photo().save(path)),
        ("alpha.png", lambda path: _photo().convert("RGBA").save(path)),
        ("deep.png", lambda path: Image.fromarray(np.arange(0, 60000, 50, dtype=np.uint16).reshape(30, 40)).save(path)),
        ("cmyk.jpg", lambda path: _photo().convert("CMYK").save(path)),
        ("turned.jpg", lambda path: _photo().save(path, exif=_turned())),
        ("x.webp", lambda path: _photo().save(path)),
    ],
)
def test_all_but_plain_jpegs_have_pillows_pixels(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / name
    write(path)
    expected = np.broadcast_to(decode(path).pixels, (*decode(path).pixels.shape[:2], 3))
    file = encoded(path)
    [found] = decoded([path], [file], CPU)
    assert file.shape == found.shape
    assert np.array_equal(found.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_jpegs_are_decoded_by_torchvision(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    _photo().convert(mode).save(path)
    file = encoded(path)
    assert file.shape == (path.stat().st_size,)
    assert decoded([path], [file], CPU)[0].shape == (3, 30, 40)


def test_a_list_may_mix_both_kinds(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jpg", "b.png", "c.jpg")]
    for shade, path in enumerate(paths):
        Image.new("RGB", (20, 10), (80 * shade,) * 3).save(path)
    found = decoded(paths, [encoded(path) for path in paths], CPU)
    assert [int(image.float().mean()) for image in found] == [0, 80, 160]


def _damaged(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("whole.jpg", "short.jpg")]
    for path in paths:
        _photo(400, 300).save(path)
    paths[1].write_bytes(paths[0].read_bytes()[:2000])
    return paths


def test_a_file_that_torchvision_cannot_decode_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"short\.jpg cannot be decoded as an image \(.*replace or remove it"):
        FileImages(_damaged(tmp_path), 32, decoder="torchvision").decoded()


def test_the_broken_file_of_a_batch_is_named(tmp_path: Path) -> None:
    paths = _damaged(tmp_path)
    with pytest.raises(DataError, match=r"short\.jpg cannot be decoded"):
        decoded(paths, [encoded(path) for path in paths], CPU)


@pytest.mark.parametrize("decoder", ["torchvision", "nvjpeg"])
def test_a_file_that_is_no_image_is_named(decoder: DecoderName, tmp_path: Path) -> None:
    (tmp_path / "broken.JPEG").write_bytes(b"\xff\xd8 no image")
    with pytest.raises(DataError, match=r"broken\.JPEG cannot be decoded"):
        FileImages([tmp_path / "broken.JPEG"], 32, decoder=decoder).decoded()


@on_each_cpu_decoder
def test_an_evaluation_resumes_to_the_bit_and_scores(decoder: DecoderName, imagenet_root: Path, tmp_path: Path) -> None:
    config = evaluation(decoder)
    first, second = run_evaluation(config, data_root=imagenet_root, device=CPU)
    assert second.checkpoint["spec"]["decoder"] == decoder
    (again,) = run_evaluation(config, data_root=imagenet_root, device=CPU, resume_from=first.checkpoint)
    assert again.metrics == second.metrics
    save(second.checkpoint, tmp_path / "c.pt")
    assert score(tmp_path / "c.pt", imagenet_root, CPU).loss == second.metrics["test_loss"]
    measured = ScoreConfig(dataset="imagenet", decoder=decoder, checkpoint=CHECKPOINT, batch_size=3)
    (report,) = run_score(measured, tmp_path / "c.pt", data_root=imagenet_root, device=CPU)
    assert report.metrics["test_loss"] == pytest.approx(second.metrics["test_loss"], rel=1e-5)


@on_each_cpu_decoder
def test_a_search_runs_with_it(decoder: DecoderName, imagenet_root: Path) -> None:
    (report,) = run_search(search(decoder), data_root=imagenet_root, device=CPU)
    assert report.checkpoint["spec"]["decoder"] == decoder


def test_a_resume_with_another_decoder_is_refused_by_name(imagenet_root: Path) -> None:
    first = next(run_evaluation(evaluation(), data_root=imagenet_root, device=CPU))
    with pytest.raises(CheckpointError, match="decoder: 'pillow' there, 'torchvision' here"):
        run_evaluation(evaluation("torchvision"), data_root=imagenet_root, device=CPU, resume_from=first.checkpoint)


def test_a_checkpoint_from_before_the_field_goes_on_with_pillow(imagenet_root: Path) -> None:
    first, second = run_evaluation(evaluation(), data_root=imagenet_root, device=CPU)
    del first.checkpoint["spec"]["decoder"]
    (again,) = run_evaluation(evaluation(), data_root=imagenet_root, device=CPU, resume_from=first.checkpoint)
    assert again.metrics == second.metrics


@pytest.mark.parametrize(
    "start",
    [
        lambda file, root: run_search(search("nvjpeg"), data_root=root, device=CPU),
        lambda file, root: run_evaluation(evaluation("nvjpeg"), data_root=root, device=CPU),
        lambda file, root: next(
            run_score(
                ScoreConfig(dataset="imagenet", decoder="nvjpeg", checkpoint=CHECKPOINT),
                file,
                data_root=root,
                device=CPU,
            )
        ),
        lambda file, root: next(
            run_ensemble(
                EnsembleConfig(dataset="imagenet", decoder="nvjpeg", members=[CHECKPOINT] * 2),
                {},
                data_root=root,
                device=CPU,
            )
        ),
    ],
)
def test_nvjpeg_without_a_gpu_is_refused_before_anything_is_read(
    start: Callable[[Path, Path], Iterator[EpochReport]], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="this run computes on cpu: give 'torchvision', or run it on a GPU"):
        start(tmp_path / "none.pt", tmp_path)


def test_the_next_part_is_taken_while_the_caller_has_one(imagenet_root: Path) -> None:
    paths = files_of(imagenet_root)
    taken: list[slice] = []

    def parts() -> Iterator[slice]:
        for first in range(0, len(paths), 3):
            taken.append(slice(first, first + 3))
            yield taken[-1]

    images = FileImages(paths, 32, decoder="torchvision")
    found = []
    for number, part in enumerate(in_parts(images, parts()), start=1):
        found.append(pixels(part))
        assert len(taken) == min(number + 1, (len(paths) + 2) // 3)
    assert torch.equal(torch.cat(found), images.decoded())


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
# nvJPEG's inverse transform and upsampling of colours are its own.
MEAN_LEVELS = 3.0


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("cropped", [True, False])
def test_pixels_of_nvjpeg_are_near_those_of_pillow(cropped: bool, imagenet_root: Path) -> None:
    paths = files_of(imagenet_root)
    crops = range(len(paths)) if cropped else None
    gpu = FileImages(paths, 224, crops=crops, device=torch.device("cuda"), decoder="nvjpeg")
    expected = FileImages(paths, 224, crops=crops).decoded()
    found = gpu.decoded()
    assert found.device.type == "cuda"
    assert (found.cpu().float() - expected.float()).abs().mean() < MEAN_LEVELS
    assert torch.equal(gpu[:].decoded(), found)


@pytest.mark.gpu
@needs_gpu
def test_the_broken_file_of_nvjpegs_batch_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"short\.jpg cannot be decoded"):
        FileImages(_damaged(tmp_path), 32, device=torch.device("cuda"), decoder="nvjpeg").decoded()


@pytest.mark.gpu
@needs_gpu
def test_an_evaluation_with_nvjpeg_resumes(imagenet_root: Path) -> None:
    gpu = torch.device("cuda")
    config = evaluation("nvjpeg", deterministic=True)
    first, second = run_evaluation(config, data_root=imagenet_root, device=gpu)
    (again,) = run_evaluation(config, data_root=imagenet_root, device=gpu, resume_from=first.checkpoint)
    assert again.metrics == second.metrics
