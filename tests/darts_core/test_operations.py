from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from darts_core.models.dilated import DilatedDepthwise
from darts_core.models.operations import FactorizedReduce, Identity, StridedPointwise, operation
from darts_core.primitives import CNN_GENOTYPE_OPERATIONS

OPERATIONS = sorted(CNN_GENOTYPE_OPERATIONS | {"none"})


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 1)])
@pytest.mark.parametrize("search", [True, False])
def test_every_operation_keeps_channels_and_divides_the_size_rounded_up(
    name: str, stride: int, size: tuple[int, int], search: bool
) -> None:
    out = operation(name, 4, stride, search=search)(torch.randn(2, 4, *size))
    assert out.shape == (2, 4, -(-size[0] // stride), -(-size[1] // stride))


def test_search_operations_have_no_affine_batchnorm_and_evaluation_operations_only_affine_ones() -> None:
    for name in OPERATIONS:
        for search in (True, False):
            norms = [m for m in operation(name, 4, 2, search=search).modules() if isinstance(m, nn.BatchNorm2d)]
            assert all(norm.affine is not search for norm in norms), name


@pytest.mark.parametrize("name", ["max_pool_3x3", "avg_pool_3x3"])
def test_pools_are_normalised_in_search_and_bare_in_evaluation(name: str) -> None:
    assert any(isinstance(m, nn.BatchNorm2d) for m in operation(name, 4, 1, search=True).modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in operation(name, 4, 1, search=False).modules())


def test_average_pool_does_not_count_its_padding() -> None:
    ones = torch.ones(1, 2, 4, 4)
    assert torch.equal(operation("avg_pool_3x3", 2, 1, search=False)(ones), ones)


def test_skip_is_an_identity_at_stride_one_only() -> None:
    assert isinstance(operation("skip_connect", 4, 1, search=True), Identity)
    assert isinstance(operation("skip_connect", 4, 2, search=True), FactorizedReduce)


def test_none_at_stride_two_is_the_strided_zero_map() -> None:
    assert torch.equal(operation("none", 2, 2, search=True)(torch.randn(1, 2, 5, 5)), torch.zeros(1, 2, 3, 3))


def test_factorized_reduce_pads_the_shifted_half_of_an_odd_image_with_zeros() -> None:
    reduce = FactorizedReduce(1, 2, affine=False).eval()
    nn.init.ones_(reduce.conv_1.weight)
    nn.init.ones_(reduce.conv_2.weight)
    image = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    direct, shifted = reduce(image)[0] * (1 + reduce.bn.eps) ** 0.5
    torch.testing.assert_close(direct, torch.tensor([[1.0, 3.0], [7.0, 9.0]]))
    torch.testing.assert_close(shifted, torch.tensor([[5.0, 0.0], [0.0, 0.0]]))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 6), (5, 9), (1, 2)])
def test_dilated_depthwise_equals_torchs_own_convolution_and_its_gradients(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    ours = DilatedDepthwise(3, kernel, stride).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    plain = F.conv2d(x, ours.weight, stride=stride, padding=kernel - 1, dilation=2, groups=3)
    out = ours(x)
    torch.testing.assert_close(out, plain, rtol=0, atol=1e-12)
    towards = torch.randn_like(plain)
    for a, b in zip(
        torch.autograd.grad(out, (x, ours.weight), towards),
        torch.autograd.grad(plain, (x, ours.weight), towards),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("inputs", [1, 4, 15, 16])
def test_strided_pointwise_has_the_gradients_of_the_plain_convolution_with_few_channels(inputs: int) -> None:
    """In the memory layout and the sizes at which oneDNN's own kernel writes past its memory."""
    torch.manual_seed(0)
    convolution = StridedPointwise(inputs, 4)
    x = torch.randn(2, inputs, 65, 64)
    expected = F.conv2d(x, convolution.weight, stride=2)
    wanted = torch.autograd.grad(expected.square().sum(), convolution.weight)[0]
    convolution.to(memory_format=torch.channels_last)
    out = convolution(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(
        torch.autograd.grad(out.square().sum(), convolution.weight)[0], wanted, rtol=1e-4, atol=1e-2
    )
