"""Checks autograd functions that allow a single backward pass, because it overwrites the saved tensors."""

from __future__ import annotations

from typing import Any

import torch


def check_single_backward(ctx: Any) -> None:
    """Raise RuntimeError on a second backward pass or one with `create_graph`. Call first in `backward`."""
    if torch.is_grad_enabled():
        raise RuntimeError("create_graph: the fast recurrent networks have first derivatives only; use a plain one")
    if getattr(ctx, "spent", False):
        raise RuntimeError("a window's gradient is taken once, which uses up what was kept of it: run it again")
    ctx.spent = True
