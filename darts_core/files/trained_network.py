"""Builds the network of an image checkpoint, ready to predict."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from darts_core.configs import EvaluationConfig
from darts_core.configs.selection import search_config_of
from darts_core.data.batches import Normaliser
from darts_core.data.order import generator
from darts_core.errors import CheckpointError
from darts_core.files.checkpoints import Checkpoint
from darts_core.genotypes import ConvolutionalGenotype, parse
from darts_core.kernels.gpu.start import enable_kernels
from darts_core.methods.registry import method_of
from darts_core.models.alpha_network import AlphaNetwork
from darts_core.models.build import build_evaluation_network, build_supernet
from darts_core.models.layout import stem_for
from darts_core.models.retrained import RetrainedNetwork
from darts_core.scoring.predict import Prediction, RawImages, predict


class TrainedNetwork(nn.Module):
    """A network with its classes and normalisation.

    `predict` takes raw images. Maps *normalised* float images (N, channels, H, W) to logits (N, classes); normalisation
    is not part of the module, so that its weights stay those of the checkpoint. `prepare` normalises uint8 images.
    `network` is the bare network, whose `state_dict` has the DARTS authors' keys.
    """

    def __init__(self, network: RetrainedNetwork | AlphaNetwork, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        self.checkpoint = checkpoint
        self.classes: tuple[str, ...] = tuple(checkpoint["classes"])
        self.normalisation = checkpoint["normalisation"]
        self.image = checkpoint["image"]
        self.genotype: ConvolutionalGenotype = parse(checkpoint["genotype"])

    def ready_on(self, device: str | torch.device) -> TrainedNetwork:
        """Move this network to the device, enable a supernet's GPU kernels, and return it."""
        device = torch.device(device)
        if isinstance(self.network, RetrainedNetwork):
            # Repeatable for the same images in the same order.
            self.network.set_noise(generator(0, "noise", device=device))
        else:
            # Predictions are computed in float32, whatever the search was.
            config = search_config_of(self.checkpoint["spec"]).resolved()
            config = config.model_copy(update={"precision": "float32", "tf32": False, "order": 1})
            size = self.image["size"]
            enable_kernels(config, device, stem=config.stem or stem_for(min(size)), size=(size[0], size[1]))
        return self.to(device)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, channels, H, W) to logits (N, classes)."""
        return self.network(x)  # type: ignore[no-any-return]

    def predict(self, images: RawImages, batch_size: int = 64) -> list[Prediction]:
        """Predict raw images, in order: files, Pillow images, or uint8 pixels.

        Scales images to the network's size. Raises DataError for an input that is not an image.
        """
        device = next(self.parameters()).device
        as_imagenet = self.checkpoint["spec"]["dataset"] == "imagenet"
        return predict(self, images, device=device, as_imagenet=as_imagenet, batch_size=batch_size)

    def prepare(self, images: Tensor) -> Tensor:
        """Normalise uint8 images (N, channels, H, W) for `forward`, on their device."""
        return Normaliser(self.normalisation["mean"], self.normalisation["std"], images.device)(images)


def trained(checkpoint: Checkpoint, path: str | Path) -> TrainedNetwork:
    """Build a checkpoint's network in evaluation mode, on the CPU. path: for messages. Raises CheckpointError."""
    try:
        network = _built(checkpoint)
        network.load_state_dict(checkpoint["weights"])
        if isinstance(network, AlphaNetwork):
            network.load_alphas(checkpoint["alphas"])
        return TrainedNetwork(network, checkpoint).eval()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: the weights do not fit the checkpoint's own spec: {error}") from error


def _built(checkpoint: Checkpoint) -> RetrainedNetwork | AlphaNetwork:
    classes, image_channels = len(checkpoint["classes"]), checkpoint["image"]["channels"]
    image_side = min(checkpoint["image"]["size"])
    if checkpoint["kind"] == "evaluation":
        evaluation = EvaluationConfig(**checkpoint["spec"])
        return build_evaluation_network(
            evaluation,
            classes=classes,
            image_channels=image_channels,
            stem=evaluation.stem or stem_for(image_side),
        )
    search = search_config_of(checkpoint["spec"]).resolved()
    method = method_of(search)
    method.load_state(checkpoint.get("method", {}))
    return build_supernet(
        search,
        classes=classes,
        image_channels=image_channels,
        stem=search.stem or stem_for(image_side),
        fused=search.fused,
        method=method,
    )
