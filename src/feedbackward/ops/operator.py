"""One torch operator with its derivatives, right under every transform.

`torch.library.register_autograd` is what torch.compile and torch.export understand, but it knows neither forward mode
nor torch.func; a `torch.autograd.Function` knows both, but is opaque to the compiler. Both are made here from the same
rules, and a call takes the one that fits where it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch.autograd import forward_ad

from . import library as library  # loads the operators


class Operator:
    """``torch.ops.feedbackward.<name>``, callable.

    Args:
        name: The operator's name.
        fake: Its outputs for fake tensors, from its arguments.
        setup_context: ``(ctx, inputs, output)``: keeps what the derivatives need.
        backward: ``(ctx, *d_outputs)``: the gradient of every argument.
        jvp: ``(ctx, *tangents)``: the tangent of every output; None stands for a zero tangent.
        vmap: ``(info, in_dims, *arguments)``: the outputs and their batch axes.
    """

    of_native: ClassVar[dict[Any, Operator]] = {}  # what to call in place of an operator in a traced graph

    def __init__(
        self,
        name: str,
        *,
        fake: Callable[..., Any],
        setup_context: Callable[..., None],
        backward: Callable[..., Any],
        jvp: Callable[..., Any],
        vmap: Callable[..., Any],
    ) -> None:
        self.native = getattr(torch.ops.feedbackward, name).default
        self.of_native[self.native] = self
        self.__name__ = name
        qualified = f"feedbackward::{name}"
        torch.library.register_fake(qualified, fake)
        torch.library.register_autograd(qualified, backward, setup_context=setup_context)
        torch.library.register_vmap(qualified, vmap)
        rules = {
            "forward": lambda *arguments: self.native(*arguments),
            "setup_context": setup_context,
            "backward": backward,
            "jvp": nesting(jvp),
            "vmap": vmap,
        }
        self.function: Any = type(
            name, (torch.autograd.Function,), {rule: staticmethod(f) for rule, f in rules.items()}
        )

    def __call__(self, *arguments: Any) -> Any:
        """The operator's outputs."""
        if not is_transformed():
            return self.native(*arguments)
        if torch.compiler.is_compiling():
            torch._dynamo.graph_break("feedbackward: torch.func inside a compiled function runs uncompiled")
        return self.function.apply(*arguments)


def nesting(jvp: Callable[..., Any]) -> Callable[..., Any]:
    """The rule, made right for nested forward modes.

    torch runs it with forward mode off; but what it computes depends on the levels outside too, so forward mode is
    turned on again, and the saved tensors leave the tangents of this level, which the rule has as arguments, behind.
    """

    def rule(ctx: Any, *tangents: Any) -> Any:
        saved = [t if t is None else forward_ad.unpack_dual(t).primal for t in ctx.saved_tensors]
        with forward_ad._set_fwd_grad_enabled(True):
            return jvp(SimpleNamespace(saved_tensors=saved, settings=ctx.settings), *tangents)

    return rule


def is_transformed() -> bool:
    """Whether a torch.func transform or a level of forward-mode differentiation is open."""
    if forward_ad._current_level >= 0:
        return True
    if not torch._C._are_functorch_transforms_active():
        return False
    functionalize = torch._C._functorch.TransformType.Functionalize  # what a cell is traced under is no derivative
    return any(level.key() != functionalize for level in torch._C._functorch.get_interpreter_stack() or ())
