"""Measures the error of the second-order alpha gradient's finite difference against the exact derivative.

DARTS (arXiv:1806.09055), section 2.3, replaces a product with the mixed second derivative of the training loss by a
finite difference with the step 1e-2 / ||v||. The exact product is computed by differentiating twice in float64 at the
same weights: at the start of a second-order search and after some of its steps.

ReLU and max pooling have kinks, where the gradient jumps: a finite difference includes those within its step, the exact
derivative none. The same network with smooth functions instead shows how much of the error is theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.bilevel.architect import Architect
from darts_core.bilevel.gradients import STEP_NUMERATOR, implicit_gradient, virtual_weights
from darts_core.bilevel.step import search_step
from darts_core.data import load
from darts_core.data.batches import Batch
from darts_core.data.order import generator
from darts_core.models.supernet import SearchNetwork
from darts_core.spaces import SPACES
from darts_core.training.determinism import seeded

ETA: Final = 0.025
MOMENTUM: Final = 0.9
WEIGHT_DECAY: Final = 3e-4
GRAD_CLIP: Final = 5.0
_KIND: Final = ("steps", "kinks", "precision", "numerator")
# The paper's step, and smaller ones as far as the precision allows.
NUMERATORS: Final = {torch.float64: (STEP_NUMERATOR, 1e-4, 1e-6, 1e-8), torch.float32: (STEP_NUMERATOR, 1e-4)}
SMOOTH_NUMERATORS: Final = {torch.float64: (STEP_NUMERATOR, 1e-4)}


def measure(
    *,
    seeds: int,
    steps: int,
    channels: int,
    layers: int,
    image: int,
    batch_size: int,
    data_root: Any,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Relative errors, in the Euclidean norm over both alpha tables, at the start and after `steps` search steps.

    `implicit`: of the product itself. `gradient`: of the whole alpha gradient, which contains eta times the product.
    `cosine`: between the two alpha gradients. The reference is always float64. The images are the digits, each pixel
    repeated.
    """
    points: list[dict[str, Any]] = []
    images = _images(image, data_root)
    for seed in range(seeds):
        run = _Run(seed, images, channels, layers, batch_size)
        for after in sorted({0, steps}):
            while run.done < after:
                run.step()
            points += [{"seed": seed, "steps": after, **point} for point in run.errors()]
            say(f"seed {seed}: measured after {after} steps")
    return {
        "network": {"channels": channels, "layers": layers, "nodes": 4, "primitives": len(SPACES["darts"].primitives)},
        "images": {"dataset": "digits", "side": image, "batch_size": batch_size},
        "mean": _means(points),
        "points": points,
    }


class _Run:
    """A search in float32 that can be inspected between two steps."""

    def __init__(self, seed: int, images: Batch, channels: int, layers: int, batch_size: int) -> None:
        self._seed, self._images, self._batch_size = seed, images, batch_size
        self._sizes = {"channels": channels, "layers": layers, "classes": 10, "image_channels": 1}
        with seeded(seed, "network"):
            self._network = SearchNetwork(SPACES["darts"].primitives, **self._sizes).train()  # type: ignore[arg-type]
        self._optimizer = torch.optim.SGD(self._network.weights(), lr=ETA, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
        self._architect = Architect(self._network, self._optimizer, order=2, lr=3e-4, weight_decay=1e-3)
        self.done = 0

    def step(self) -> None:
        training, validation = self._batches(torch.float32)
        search_step(self._network, self._architect, self._optimizer, training, validation, GRAD_CLIP)
        self.done += 1

    def errors(self) -> list[dict[str, Any]]:
        """One point per precision and step size."""
        points = []
        for smooth in (False, True):
            product, exact = self._point(torch.float64, smooth).exact()
            for dtype, numerators in (SMOOTH_NUMERATORS if smooth else NUMERATORS).items():
                point = self._point(dtype, smooth)
                for numerator in numerators:
                    implicit = point.implicit(numerator)
                    gradient = point.gradient(implicit)
                    points.append(
                        {
                            "kinks": not smooth,
                            "precision": str(dtype).removeprefix("torch."),
                            "numerator": numerator,
                            "implicit": _distance(implicit, product),
                            "gradient": _distance(gradient, exact),
                            "cosine": float(F.cosine_similarity(gradient, exact, dim=0)),
                        }
                    )
        return points

    def _point(self, dtype: torch.dtype, smooth: bool) -> _Point:
        network = self._copy(dtype)
        if smooth:
            _smoothen(network)
        return _Point(network, self._buffers(dtype), *self._batches(dtype))

    def _batches(self, dtype: torch.dtype) -> tuple[Batch, Batch]:
        """Batches of the next step, for weights and alphas, disjoint."""
        count = len(self._images.labels)
        order = torch.randperm(count, generator=generator(self._seed, "batches", self.done))
        parts = order[: self._batch_size], order[self._batch_size : 2 * self._batch_size]
        training, validation = (Batch(self._images.images[p].to(dtype), self._images.labels[p]) for p in parts)
        return training, validation

    def _copy(self, dtype: torch.dtype) -> SearchNetwork:
        copy = SearchNetwork(SPACES["darts"].primitives, **self._sizes)  # type: ignore[arg-type]
        copy.load_state_dict(self._network.state_dict())
        copy.load_alphas(dict(self._network.alphas))
        return copy.to(dtype).train()

    def _buffers(self, dtype: torch.dtype) -> list[Tensor | None]:
        state = self._optimizer.state
        return [state[w]["momentum_buffer"].to(dtype) if w in state else None for w in self._network.weights()]


class _Point:
    """The alpha gradient at one point: a network with its momentum buffers, and the two batches of a step."""

    def __init__(
        self, network: SearchNetwork, buffers: list[Tensor | None], training: Batch, validation: Batch
    ) -> None:
        self._network, self._training, self._validation = network, training, validation
        self._weights, self._alphas = network.weights(), list(network.alphas.values())
        self._virtual = virtual_weights(
            self._train_loss, self._weights, buffers, eta=ETA, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
        )
        both = torch.autograd.grad(
            self._validation_loss_at(self._virtual), [*self._alphas, *self._virtual], materialize_grads=True
        )
        self._direct, self._vector = both[: len(self._alphas)], both[len(self._alphas) :]

    def exact(self) -> tuple[Tensor, Tensor]:
        """The exact product and the alpha gradient with it, by automatic differentiation; both flat."""
        gradient = torch.autograd.grad(self._train_loss(), self._weights, create_graph=True, materialize_grads=True)
        along = torch.stack([(g * v).sum() for g, v in zip(gradient, self._vector, strict=True)]).sum()
        product = _flat(torch.autograd.grad(along, self._alphas))
        return product, self.gradient(product)

    def implicit(self, numerator: float) -> Tensor:
        """The product by finite difference, flat."""
        return _flat(
            implicit_gradient(self._train_loss, self._weights, self._alphas, self._vector, numerator=numerator)
        )

    def gradient(self, implicit: Tensor) -> Tensor:
        """The alpha gradient with this product, flat."""
        return _flat(self._direct) - ETA * implicit

    def _train_loss(self) -> Tensor:
        return F.cross_entropy(self._network(self._training.images), self._training.labels)

    def _validation_loss_at(self, weights: Sequence[Tensor]) -> Tensor:
        names = (name for name, _ in self._network.named_parameters())
        state = dict(zip(names, weights, strict=True)) | {n: b.clone() for n, b in self._network.named_buffers()}
        logits = torch.func.functional_call(self._network, state, (self._validation.images,))
        return F.cross_entropy(logits, self._validation.labels)


def _smoothen(module: nn.Module) -> None:
    """Replace ReLU and max pooling by smooth functions."""
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, nn.Softplus(beta=4.0))
        elif isinstance(child, nn.MaxPool2d):
            setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
        else:
            _smoothen(child)


def _images(side: int, data_root: Any) -> Batch:
    """The training digits with each pixel repeated to this side length, mean 0 and deviation 1; float64."""
    data = load("digits", data_root)
    assert isinstance(data.train_images, Tensor)  # few enough to fit in memory
    times = side // data.size[0]
    images = data.train_images.double().repeat_interleave(times, 2).repeat_interleave(times, 3)
    return Batch((images - images.mean()) / images.std(), data.train_labels)


def _flat(tables: Sequence[Tensor]) -> Tensor:
    return torch.cat([table.flatten() for table in tables]).double()


def _distance(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def _means(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the seeds, with the maximum."""
    rows = []
    for kind in dict.fromkeys(tuple(p[name] for name in _KIND) for p in points):
        same = [p for p in points if tuple(p[name] for name in _KIND) == kind]
        row: dict[str, Any] = dict(zip(_KIND, kind, strict=True))
        for name in ("implicit", "gradient"):
            values = [p[name] for p in same]
            row |= {name: mean(values), f"{name}_max": max(values)}
        row["cosine"] = mean(p["cosine"] for p in same)
        rows.append(row)
    return rows
