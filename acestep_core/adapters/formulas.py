"""What an adapter makes of one weight: the formula of every kind, as a function of the weight alone.

Each kind knows the new weight W' at strength 1; every strength s then means W + s (W' - W), so 0 leaves the weight as it
is. Everything is computed in fp32, on the weight's device, whatever the dtypes of the file and of the weight.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Extent(NamedTuple):
    """Size of a weight seen as a matrix: kernels of convolutions are part of a row. None: any will do."""

    rows: int | None
    columns: int | None

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> "Extent":
        """The extent of a weight of this shape; a vector is one column."""
        return cls(math.prod(shape[:1]), math.prod(shape[1:]))

    def fits(self, other: "Extent") -> bool:
        """Whether both can be the same weight."""
        return all(a is None or b is None or a == b for a, b in zip(self, other, strict=True))


class Change(Protocol):
    """What an adapter does to one weight."""

    @property
    def extent(self) -> Extent:
        """Of the weights that it was made for."""
        ...

    def difference(self, weight: Tensor) -> Tensor:
        """W' - W in fp32, shaped as the weight, which is fp32 and is not written to."""
        ...


def change_in_place(weight: Tensor, change: Change, strength: float) -> None:
    """W += strength (W' - W) in a weight of the caller's own, fp32."""
    if isinstance(change, LowRank) and change.middle is None:
        up, down = matrix(change.up, weight), matrix(change.down, weight)
        weight.view(len(weight), -1).addmm_(up, down, alpha=strength * change.scale)
    else:
        weight.add_(change.difference(weight), alpha=strength)


def changed(weight: Tensor, change: Change, strength: float) -> Tensor:
    """The weight that the change makes of another one, in its dtype; without any strength it is the weight itself."""
    if strength == 0:
        return weight
    wide = weight.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    change_in_place(wide, change, strength)
    return wide.to(weight.dtype)


def at(tensor: Tensor, weight: Tensor) -> Tensor:
    """A tensor of the file where the weight is, in fp32."""
    return tensor.to(weight.device, torch.float32)


def matrix(tensor: Tensor, weight: Tensor) -> Tensor:
    """The same with all but the first dimension as columns."""
    return at(tensor, weight).flatten(1)


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """LoRA: scale * up @ down. up: [O, R, ...]; down: [R, I, ...]; middle: [R, R, kernel] between the two."""

    up: Tensor
    down: Tensor
    scale: float
    middle: Tensor | None = None

    @property
    def extent(self) -> Extent:
        """Rows of `up`, columns of `down`, times the kernel."""
        kernel = () if self.middle is None else self.middle.shape[2:]
        return Extent(self.up.shape[0], math.prod((*self.down.shape[1:], *kernel)))

    def difference(self, weight: Tensor) -> Tensor:
        """[O, I, ...]."""
        up, down = matrix(self.up, weight), matrix(self.down, weight)
        if self.middle is None:
            product = up @ down
        else:
            product = torch.einsum("m n ..., o m, n i -> o i ...", at(self.middle, weight), up, down)
        return product.mul_(self.scale).reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """One factor of LoHa or LoKr as two: left @ right, or both around a core [R, R, kernel], then left is [R, O]."""

    left: Tensor
    right: Tensor
    core: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole factor."""
        if self.core is None:
            return (self.left.shape[0], *self.right.shape[1:])
        return (self.left.shape[1], self.right.shape[1], *self.core.shape[2:])

    def whole(self, weight: Tensor) -> Tensor:
        """The factor, in fp32 where the weight is."""
        left, right = at(self.left, weight), at(self.right, weight)
        if self.core is None:
            return left @ right
        return torch.einsum("i j ..., j c, i r -> r c ...", at(self.core, weight), right, left)


Factor = Tensor | Product


def whole(factor: Factor, weight: Tensor) -> Tensor:
    """A factor of LoHa or LoKr, in fp32 where the weight is."""
    return factor.whole(weight) if isinstance(factor, Product) else at(factor, weight)


@dataclass(frozen=True, slots=True, eq=False)
class Hadamard:
    """LoHa: scale * first * second, element by element."""

    first: Product
    second: Product
    scale: float

    @property
    def extent(self) -> Extent:
        """That of each of the two."""
        return Extent.of(self.first.shape)

    def difference(self, weight: Tensor) -> Tensor:
        """[O, I, ...]."""
        product = self.first.whole(weight).mul_(self.second.whole(weight))
        return product.mul_(self.scale).reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Kronecker:
    """LoKr: scale * kron(first, second); a kernel belongs to the second alone."""

    first: Factor
    second: Factor
    scale: float
    aligned: bool = (
        True  # rows with rows; PEFT trains convolutions with kernels the other way: rows with columns
    )

    @property
    def extent(self) -> Extent:
        """The product of both."""
        first, second = Extent.of(tuple(self.first.shape)), Extent.of(tuple(self.second.shape))
        return Extent(*(a * b for a, b in zip(first, second, strict=True) if a is not None and b is not None))

    def difference(self, weight: Tensor) -> Tensor:
        """[O, I, ...]."""
        first, second = whole(self.first, weight), whole(self.second, weight).contiguous()
        if self.aligned:
            first = first.reshape(*first.shape, *(1 for _ in second.shape[first.dim() :]))
        return torch.kron(first, second).mul_(self.scale).reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """What is to be added, in full."""

    added: Tensor

    @property
    def extent(self) -> Extent:
        """Its own."""
        return Extent.of(tuple(self.added.shape))

    def difference(self, weight: Tensor) -> Tensor:
        """[O, ...]."""
        return at(self.added, weight).reshape(weight.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """The new weight, in full."""

    target: Tensor

    @property
    def extent(self) -> Extent:
        """Its own."""
        return Extent.of(tuple(self.target.shape))

    def difference(self, weight: Tensor) -> Tensor:
        """[O, ...]."""
        return at(self.target, weight).reshape(weight.shape) - weight


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """GLoRA: scale * (W @ a1 @ a2 + b1 @ b2)."""

    a1: Tensor  # [I, R, ...]
    a2: Tensor  # [R, I, ...]
    b1: Tensor  # [O, R, ...]
    b2: Tensor  # [R, I, ...]
    scale: float

    @property
    def extent(self) -> Extent:
        """That of b1 @ b2."""
        return Extent(self.b1.shape[0], math.prod(self.b2.shape[1:]))

    def difference(self, weight: Tensor) -> Tensor:
        """[O, I, ...]; the kernel stays where it is."""
        mixing = matrix(self.a1, weight) @ matrix(self.a2, weight)
        added = (matrix(self.b1, weight) @ matrix(self.b2, weight)).reshape(weight.shape)
        return torch.einsum("o i ..., i j -> o j ...", weight, mixing).add_(added).mul_(self.scale)


@dataclass(frozen=True, slots=True, eq=False)
class Decomposed:
    """DoRA: another change gives directions, and each row or column gets a length of its own."""

    direction: Change
    magnitude: Tensor  # one length for each row or column, whatever its shape
    by_columns: bool = False

    @property
    def extent(self) -> Extent:
        """That of the other change, if the lengths are as many."""
        rows, columns = self.direction.extent
        lengths = self.magnitude.numel()
        if self.by_columns:
            return Extent(rows, columns if columns is None or columns % lengths == 0 else lengths)
        return Extent(lengths, columns)

    def difference(self, weight: Tensor) -> Tensor:
        """[O, I, ...]. A direction without any length stays zero."""
        moved = self.direction.difference(weight) + weight
        kept = 1 if self.by_columns else 0
        others = [axis for axis in range(moved.dim()) if axis != kept]
        length = torch.linalg.vector_norm(moved, dim=others, keepdim=True)
        wanted = at(self.magnitude, weight).reshape(length.shape)
        tiny = 1e-20  # lengths are at most a million, and the quotient has to stay a number
        return moved.mul_(wanted / length.clamp_(min=tiny)).sub_(weight)


ADDED = (
    LowRank,
    Hadamard,
    Kronecker,
    Difference,
)  # add the same to every weight, so that their order is of no account
