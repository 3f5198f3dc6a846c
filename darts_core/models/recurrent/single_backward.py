"""Gradients that can be taken once: what was kept for them is overwritten, or they were taken on the way forth."""

from __future__ import annotations

from typing import Any

import torch


def check_single_backward(ctx: Any) -> None:
    """At the start of a function's way back. Raises RuntimeError on the second one, or when it is to have a graph."""
    if torch.is_grad_enabled():
        raise RuntimeError("create_graph: the fast recurrent networks have first derivatives only; use a plain one")
    if getattr(ctx, "spent", False):
        raise RuntimeError("a window's gradient is taken once, which uses up what was kept of it: run it again")
    ctx.spent = True
