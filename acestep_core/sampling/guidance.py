"""Ways to push the conditional velocity away from the unconditional one. All are values; averages are passed through."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

TIME = 1  # the axis of [B, T, C] over which norms and projections run


class Evaluation(NamedTuple):
    """The network's answers with and without the conditions, at x and t. All [B, T, C]."""

    x: Tensor
    t: float
    cond: Tensor
    uncond: Tensor


class Guidance(Protocol):
    """Combines both branches; `average` is what the last call returned, None at first."""

    @property
    def scale(self) -> float:
        """How far from the unconditional velocity; 1 is the conditional one."""
        ...

    def __call__(self, both: Evaluation, average: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The guided velocity and what to pass to the next call."""
        ...

    def corrector(self, t: float) -> "Guidance":
        """The guidance for the second evaluation of a Heun step, which ends at t."""
        ...


@dataclass(frozen=True, slots=True)
class Cfg:
    """Plain classifier-free guidance."""

    scale: float

    def __call__(self, both: Evaluation, average: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Without an average of its own: what comes in goes on."""
        return both.uncond + self.scale * (both.cond - both.uncond), average

    def corrector(self, t: float) -> Guidance:  # noqa: ARG002  (the signature of every guidance)
        """The same."""
        return self


@dataclass(frozen=True, slots=True)
class Apg:
    """Adaptive projected guidance: a running difference, limited in size, without its part along the prediction."""

    scale: float
    momentum: float = -0.75
    threshold: float = 2.5
    eta: float = 0.0  # how much of the parallel part is kept

    def __call__(self, both: Evaluation, average: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """`average` is the running difference."""
        difference = both.cond - both.uncond
        if average is not None:
            difference = difference + self.momentum * average
        size = difference.norm(dim=TIME, keepdim=True)
        limited = difference * (self.threshold / size).clamp(max=1.0)

        direction = torch.nn.functional.normalize(wide(both.cond), dim=TIME)
        parallel = (wide(limited) * direction).sum(TIME, keepdim=True) * direction
        update = wide(limited) - (1 - self.eta) * parallel
        return both.cond + (self.scale - 1) * update.to(both.cond.dtype), difference

    def corrector(self, t: float) -> Guidance:  # noqa: ARG002  (the signature of every guidance)
        """Plain guidance: the running difference moves once per step."""
        return Cfg(self.scale)


@dataclass(frozen=True, slots=True)
class Adg:
    """Angle-domain guidance: turn the clean estimate of each frame away from the unconditional one."""

    scale: float
    limit: float | None = 3.14 / 6  # largest turn in radians; None: unlimited
    keeps_norm: bool = False

    def __call__(self, both: Evaluation, average: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Without an average of its own: what comes in goes on."""
        x, t, cond, uncond = both
        weight = max(self.scale - 1, 0) + 1e-3
        clean, plain = x - t * cond, x - t * uncond
        cosine = torch.nn.functional.cosine_similarity(wide(clean), wide(plain), dim=-1)
        angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos()[..., None]
        turn = weight * angle if self.limit is None else (weight * angle).clamp(-self.limit, self.limit)

        difference = clean - plain
        along = (difference * plain).sum(-1, keepdim=True) / ((plain * plain).sum(-1, keepdim=True) + 1e-8)
        across = difference - along * plain
        lever = torch.where(angle.sin() > 1e-3, turn.sin() / angle.sin(), weight)
        turned = turn.cos().to(x.dtype) * clean + across * lever.to(x.dtype)
        if self.keeps_norm:
            turned = turned * clean.norm(dim=TIME, keepdim=True) / turned.norm(dim=TIME, keepdim=True)
        return (x - turned) / t, average

    def corrector(self, t: float) -> Guidance:
        """The same, but at t = 0 there is no angle left to turn."""
        return self if t > 0 else Cfg(self.scale)


GUIDANCE = {
    "apg": Apg,
    "cfg": Cfg,
    "adg": Adg,
    "adg_w_norm": lambda scale: Adg(scale, limit=3.14 / 3, keeps_norm=True),
    "adg_wo_clip": lambda scale: Adg(scale, limit=None),
}


def wide(x: Tensor) -> Tensor:
    """In float64, where the device has it for certain."""
    return x.double() if x.device.type in ("cpu", "cuda") else x
