"""Damped, preconditioned gradient descent of many starting points at once.

    p <- p - (C + mu diag(C))^-1 g,    g = dL/dp,    C ~ d2L/dp2

where L is a sum of squares, g its exact gradient and C its Gauss-Newton curvature 2 J'J, which may be approximate: it
shapes the step, while g alone decides where the descent ends. The damping mu shrinks after a step that lowers the loss
and grows after one that does not, which is then undone: the loss never rises. Every row of p descends on its own.

Source: D. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters" (1963).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Objective = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""p (rows, n) -> loss (rows,), gradient (rows, n), curvature (rows, n, n)."""

_LONGEST = 1.0  # largest change of one parameter in one step
_FLAT = 1e-6  # part of the largest curvature that every parameter is given at least, so that a flat one stays put
_START, _LOWEST, _HIGHEST = 1e-2, 1e-9, 1e6  # damping


def descend(
    p: Tensor,
    objective: Objective,
    steps: int,
    report: Callable[[int, Tensor], bool | None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Lower the loss of every row of p.

    Args:
        p: starting points (rows, n), float64.
        objective: loss, gradient and curvature at p.
        steps: number of steps, each with one evaluation of the objective.
        report: called with (step, loss (rows,)) after each step; a true result ends the descent.

    Returns:
        Where it ended, (rows, n), and the loss there, (rows,).
    """
    loss, gradient, curvature = objective(p)
    damping = torch.full_like(loss, _START)
    for step in range(steps):
        diagonal = curvature.diagonal(dim1=-2, dim2=-1)
        ridge = damping[:, None] * (diagonal + _FLAT * diagonal.amax(-1, keepdim=True))
        move = -torch.linalg.solve_ex(curvature + torch.diag_embed(ridge), gradient)[0]
        move = move * (_LONGEST / move.abs().amax(-1, keepdim=True)).clamp(max=1)
        tried = objective(p + move)
        lower = tried[0] < loss
        p = torch.where(lower[:, None], p + move, p)
        loss = torch.where(lower, tried[0], loss)
        gradient = torch.where(lower[:, None], tried[1], gradient)
        curvature = torch.where(lower[:, None, None], tried[2], curvature)
        damping = torch.where(lower, damping / 4, damping * 4).clamp(_LOWEST, _HIGHEST)
        if report is not None and report(step, loss):
            break
    return p, loss
