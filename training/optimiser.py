"""Muon for the matrices of the layers, AdamW for all else."""

import torch
from torch import Tensor, nn

MUON_RATE, MUON_MOMENTUM, ADAM_RATE, DECAY = 0.02, 0.95, 2e-3, 0.01
POLYNOMIAL = (3.4445, -4.775, 2.0315)  # of the Newton-Schulz iteration that makes a matrix nearly orthogonal
ROUNDS = 4


def orthogonalised(gradient: Tensor) -> Tensor:
    """The nearest matrix with equal singular values, roughly; in bfloat16, which is exact enough and fast."""
    x = (gradient / (gradient.norm() + 1e-7)).bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    first, second, third = POLYNOMIAL
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = first * x + (second * gram + third * gram @ gram) @ x
    return (x.T if tall else x).float()


class Optimiser:
    """Both optimisers with one scale for their rates."""

    def __init__(self, model: nn.Module) -> None:
        matrices = {name: p for name, p in model.named_parameters() if is_matrix(name, p)}
        self.matrices = matrices
        self.momenta = {name: torch.zeros_like(p) for name, p in matrices.items()}
        self.others = [p for name, p in model.named_parameters() if name not in matrices and p.requires_grad]
        self.adam = torch.optim.AdamW(self.others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=DECAY)

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """Move along the gradients, and forget them."""
        for group in self.adam.param_groups:
            group["lr"] = ADAM_RATE * scale
        nn.utils.clip_grad_norm_(self.others, 1.0)
        self.adam.step()
        self.adam.zero_grad()
        rate = MUON_RATE * scale
        for name, weight in self.matrices.items():
            momentum = self.momenta[name].mul_(MUON_MOMENTUM).add_(weight.grad)
            update = orthogonalised(weight.grad + MUON_MOMENTUM * momentum)
            stretch = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
            weight.mul_(1 - DECAY * rate).add_(update, alpha=-rate * stretch)
            weight.grad = None

    def state(self) -> dict[str, object]:
        """All that a later run needs to go on exactly."""
        return {"momenta": self.momenta, "adam": self.adam.state_dict()}

    def restore(self, state: dict[str, object]) -> None:
        """Go on from a saved state."""
        for name, moment in state["momenta"].items():
            self.momenta[name].copy_(moment)
        self.adam.load_state_dict(state["adam"])


def is_matrix(name: str, weight: Tensor) -> bool:
    """Whether Muon moves it: the products inside the layers."""
    return weight.ndim == 2 and ".layers." in f".{name}" and weight.requires_grad
