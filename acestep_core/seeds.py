"""Random numbers: always drawn on the CPU, so that a seed means the same on every device."""

import torch


def generator_of(seed: int) -> torch.Generator:
    """A generator on the CPU; any integer is a seed, taken modulo 2**64."""
    return torch.Generator().manual_seed(seed % 2**64)
