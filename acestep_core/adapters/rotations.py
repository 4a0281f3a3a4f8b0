"""Adapters that turn blocks of a weight's rows or columns: two kinds of orthogonal finetuning."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .formulas import Extent, at


@dataclass(frozen=True, slots=True, eq=False)
class TurnedInputs:
    """OFT of PEFT: blocks of the input channels are turned."""

    angles: Tensor  # [blocks, b (b - 1) / 2], the upper triangles of skew matrices
    terms: int | None  # of the series that stands for R; None: R exactly

    @property
    def block(self) -> int:
        """Channels that are turned together."""
        return (1 + math.isqrt(1 + 8 * self.angles.shape[1])) // 2

    @property
    def extent(self) -> Extent:
        """Any rows."""
        return Extent(None, self.angles.shape[0] * self.block)

    def difference(self, weight: Tensor) -> Tensor:
        """[O, I, ...]."""
        blocks = weight.reshape(len(weight), len(self.angles), self.block)
        turned = torch.einsum("o k i, k j i -> o k j", blocks, self._rotation(weight))
        return turned.reshape(weight.shape).sub_(weight)

    def _rotation(self, weight: Tensor) -> Tensor:
        """R [blocks, b, b]: (I - Q)(I + Q)^-1, or I + 2 Q + 2 Q^2 + ... + Q^n."""
        angles, size = at(self.angles, weight), self.block
        rows, columns = torch.triu_indices(size, size, 1, device=weight.device)
        skew = angles.new_zeros(len(angles), size, size)
        skew[:, rows, columns] = angles
        skew = skew - skew.mT
        one = torch.eye(size, device=weight.device)
        if self.terms is None:
            return torch.linalg.solve(one + skew, one - skew, left=False)
        last = self.terms - 1 if self.terms < 3 else max(3, self.terms - 1)  # as PEFT counts
        rotation, power = one.expand_as(skew), one
        for term in range(1, last + 1):
            power = power @ skew
            rotation = rotation + power * (1 if term == last >= 3 else 2)
        return rotation


@dataclass(frozen=True, slots=True, eq=False)
class TurnedOutputs:
    """The diagonal OFT of LyCORIS: blocks of rows are turned, and then rescaled."""

    blocks: Tensor  # [blocks, b, b]
    constraint: float  # the longest that all angles together may be, per row; 0: any
    rescale: Tensor | None

    @property
    def extent(self) -> Extent:
        """Any columns."""
        return Extent(self.blocks.shape[0] * self.blocks.shape[1], None)

    def difference(self, weight: Tensor) -> Tensor:
        """[O, I, ...]."""
        blocks = at(self.blocks, weight)
        skew, limit = blocks - blocks.mT, self.constraint * len(weight)
        if limit > 0:
            skew = skew * (limit / (skew.norm() + 1e-8)).clamp(max=1)
        one = torch.eye(blocks.shape[1], device=weight.device)
        rotation = torch.linalg.solve(one - skew, one + skew, left=False)
        turned = torch.einsum("k n m, k n i -> k m i", rotation, weight.reshape(*blocks.shape[:2], -1))
        turned = turned.reshape(weight.shape)
        if self.rescale is not None:
            turned = turned * at(self.rescale, weight).reshape(-1, *(1 for _ in weight.shape[1:]))
        return turned.sub_(weight)
