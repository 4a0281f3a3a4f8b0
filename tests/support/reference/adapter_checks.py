"""What tests of adapter files ask: what a file adds to a network, and how it is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from acestep_core.adapters.adapted import with_adapter
from acestep_core.adapters.adapter_file import AdapterFile, FittedAdapter
from acestep_core.adapters.keys import Part
from acestep_core.checkpoints.weights import shapes_of
from acestep_core.errors import AceStepError
from support.tiny.adapters import (
    Lora,
    Named,
)

RANK = 4
Write = Callable[..., Path]  # tensors, a name and a header become a file


def fitted(
    path: Path, network: nn.Module, part: Part = Part.TRANSFORMER, alpha: float = 0.0
) -> FittedAdapter:
    return AdapterFile.open(path).fit({part: shapes_of(network.state_dict())}, alpha)


def gains(path: Path, network: nn.Module, **settings: float) -> Named:
    """What an adapter adds to each weight that it changes."""
    before, after = network.state_dict(), with_adapter(network, path, **settings).state_dict()
    return {
        name: after[name] - weight for name, weight in before.items() if not torch.equal(after[name], weight)
    }


def assert_gains(path: Path, network: nn.Module, wanted: Named, **settings: float) -> None:
    found = gains(path, network, **settings)
    assert found.keys() == wanted.keys()
    for name, gain in wanted.items():
        torch.testing.assert_close(found[name], gain, atol=1e-6, rtol=0)


def one(lora: Lora, name: str = "layers.0.self_attn.q_proj") -> Lora:
    return {name: lora[name]}


def refusal(path: Path, network: nn.Module) -> AceStepError:
    with pytest.raises(AceStepError) as caught:
        with_adapter(network, path)
    problem, remedy = str(caught.value).split("\n")
    assert problem.endswith(".")
    assert remedy.endswith(".")
    return caught.value
