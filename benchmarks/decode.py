"""Measures how many images a second each decoder makes of JPEG files, beside those that a training step takes.

The files are synthetic photographs of 500x375 pixels, of about the bytes of ImageNet's. All variants take turns in each
round. `copy` reads an uncompressed copy of the images from a file that the system holds in memory: what a cache on disk
could give at most, with the shorter side at 256 pixels for crops and with the finished squares for centres.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np
import psutil
import torch
from PIL import Image
from torch import Tensor

from darts_core.configs import EvaluationConfig
from darts_core.configs.decoder import CpuDecoder
from darts_core.data.decoding import Pixels
from darts_core.data.files import FileImages, decode_file
from darts_core.data.jpegs import fitted, side_to_cut
from darts_core.training.control import UNCONTROLLED
from darts_core.training.defaults import default_device
from darts_core.training.evaluation import ImageEvaluation
from darts_core.training.evaluation_step import evaluation_step
from darts_core.training.images import DeviceData
from darts_core.training.precision import computing

PHOTOGRAPHS: Final = 16
_WIDTH, _HEIGHT, _SIDE = 500, 375, 224
_DECODERS: Final[tuple[CpuDecoder, ...]] = ("pillow", "torchvision")
_CROPS, _CENTRES = "training crops", "measured centres"
_PASSES: Final = 4  # over the files, in one timing


def photograph(seed: int) -> Pixels:
    """Smooth shapes of several sizes with grain, (375, 500, 3); the same pixels for a seed."""
    source = np.random.default_rng(seed)
    total = np.zeros((_HEIGHT, _WIDTH, 3))
    for level in range(1, 8):
        coarse = Image.fromarray(source.integers(256, size=(3 * 2**level, 4 * 2**level, 3), dtype=np.uint8))
        total += np.asarray(coarse.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC)) / 2**level
    total += source.normal(0, 12, total.shape)
    low, high = total.min(), total.max()
    pixels: Pixels = ((total - low) * (255 / (high - low))).astype(np.uint8)
    return pixels


def measure(folder: Path, *, rounds: int, batch: int, step_batch: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Images a second of every variant, and of the step of the preset `imagenet`.

    folder: empty; the files are written there. `processor_ms` is the processor time for an image, of all processes
    and threads, which other work on the machine changes far less than images a second.
    """
    paths = _write(folder, batch)
    step = _Step(folder, step_batch)
    taken: dict[tuple[str, str, str], list[_Taken]] = {}
    steps: list[_Taken] = []
    with ExitStack() as stack:
        variants = dict(_variants(folder, paths, stack))
        for number in range(-1, rounds):  # the first round starts processes and fills caches
            one = {name: _timed(run) for name, run in variants.items()}
            of_step = _timed(step)
            if number >= 0:
                for name, found in one.items():
                    taken.setdefault(name, []).append(found)
                steps.append(of_step)
                say(f"round {number + 1}/{rounds}")
    return {
        "photographs": PHOTOGRAPHS,
        "bytes": round(sum(path.stat().st_size for path in paths) / len(paths)),
        "batch": batch,
        "load": os.getloadavg()[0],
        "device": str(default_device()),
        "step": {"batch": step_batch, **_rates(steps, step_batch)},
        "decoders": [
            {"images": images, "decoder": decoder, "by": by, **_rates(found, _PASSES * batch)}
            for (images, decoder, by), found in taken.items()
        ],
    }


class _Taken(NamedTuple):
    """Seconds of a timing: those that passed, and those of processors."""

    seconds: float
    processor: float


def _rates(taken: list[_Taken], images: int) -> dict[str, float]:
    """Images a second: of the median, the slowest and the fastest round; and processor time, the median."""
    seconds = [one.seconds for one in taken]
    return {
        "median": images / median(seconds),
        "least": images / max(seconds),
        "most": images / min(seconds),
        "processor_ms": 1000 * median(one.processor for one in taken) / images,
    }


def _timed(run: Callable[[], object]) -> _Taken:
    start, processor = time.perf_counter(), _processor_seconds()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return _Taken(time.perf_counter() - start, _processor_seconds() - processor)


def _processor_seconds() -> float:
    """Of this process and of those that decode for it."""
    times = [child.cpu_times() for child in psutil.Process().children()]
    return time.process_time() + sum(one.user + one.system for one in times)


def _write(folder: Path, count: int) -> list[Path]:
    """Files laid out as the data set imagenet, of two classes."""
    photographs = [Image.fromarray(photograph(seed)) for seed in range(PHOTOGRAPHS)]
    paths = []
    for part in ("val", "train"):
        for number in range(count):
            path = folder / "imagenet" / part / f"class{number % 2}" / f"{number:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            photographs[number % PHOTOGRAPHS].save(path, quality=94)
            paths.append(path)
    return paths[count:]


def _variants(
    folder: Path, paths: list[Path], stack: ExitStack
) -> Iterator[tuple[tuple[str, str, str], Callable[[], object]]]:
    """Each with its name: crops or centres, decoder, and what it is computed by."""
    pools: dict[str, Executor] = {
        "1 thread": ThreadPoolExecutor(1),
        "2 threads": ThreadPoolExecutor(2),
        "2 processes": ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")),
    }
    for pool in pools.values():
        stack.enter_context(pool)
    seeds = list(range(len(paths)))
    for images, crops in ((_CROPS, seeds), (_CENTRES, [None] * len(paths))):
        for decoder in _DECODERS:
            for by, pool in pools.items():
                job = _array_of if by == "2 processes" else decode_file
                yield (
                    (images, decoder, by),
                    partial(_run, pool, partial(job, size=_SIDE, decoder=decoder), paths, crops),
                )
        if default_device().type == "cuda":
            files = FileImages(paths, _SIDE, device=default_device(), decoder="nvjpeg")
            chosen = files if images == _CENTRES else files.with_crops(seeds)
            yield (images, "nvjpeg", "GPU"), partial(_decode_anew, chosen)
        copy = _copy(folder / f"{images}.npy", paths, whole=images == _CROPS)
        for by in ("1 thread", "2 threads"):
            yield (images, "copy", by), partial(_run, pools[by], partial(_from_copy, copy), seeds, crops)


def _run(pool: Executor, job: Callable[..., Any], items: list[Any], crops: list[Any]) -> None:
    """Batches, as a training loop gets them."""
    for _ in range(_PASSES):
        np.stack([np.asarray(one) for one in pool.map(job, items, crops, chunksize=len(items) // 4 or 1)])


def _array_of(path: Path, crop: int | None, *, size: int, decoder: CpuDecoder) -> Any:
    """What a process sends: torch would send a file descriptor for each image."""
    return decode_file(path, crop, size=size, decoder=decoder).numpy()


def _decode_anew(files: FileImages) -> None:
    for _ in range(_PASSES):
        files[:].decoded()


def _copy(file: Path, paths: list[Path], *, whole: bool) -> Any:
    """The images as one array that is mapped from its file: whole ones of the shorter side 256, (N, H, W, 3), or the
    central squares, (N, 3, 224, 224).
    """

    def one(path: Path) -> Pixels:
        if not whole:
            return decode_file(path, None, size=_SIDE, decoder="torchvision").numpy()
        with Image.open(path) as image:
            side = side_to_cut(_SIDE)
            return np.asarray(image.resize((side * _WIDTH // _HEIGHT, side)))

    np.save(file, np.stack([one(path) for path in paths]))
    return np.load(file, mmap_mode="r")


def _from_copy(copy: Any, number: int, crop: int | None) -> Tensor:
    pixels = torch.from_numpy(copy[number].copy())
    if crop is None:
        return pixels
    return torch.from_numpy(np.ascontiguousarray(fitted(pixels.permute(2, 0, 1), _SIDE, crop).numpy()))


class _Step:
    """The training step of the preset `imagenet` on one batch, which is decoded before."""

    def __init__(self, data_root: Path, batch: int) -> None:
        self._device = default_device()
        config = EvaluationConfig(dataset="imagenet", genotype="DARTS_V2", batch_size=batch, decoder="torchvision")
        self._config = config.resolved()
        self._run = ImageEvaluation(self._config, DeviceData.read(self._config, data_root, self._device), UNCONTROLLED)
        self._run.network.train()
        self._run.network.set_drop_path(0.0, self._run.drop_path_source)
        self._batch = self._run.feed.batch(0)

    def __call__(self) -> None:
        with computing(self._config, self._device):
            evaluation_step(self._run.network, self._run.optimizer, self._batch, self._config)
