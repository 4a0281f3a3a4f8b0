"""Adapters as PEFT and LyCORIS write them, with random numbers, and the weights that those packages make of them."""

import copy
import math
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ORACLES = str(Path(sys.prefix) / "adapter_oracles")  # where make put them, away from everything else
Named = dict[str, Tensor]


@contextmanager
def oracles() -> Iterator[None]:
    """Their modules, whose imports and class-level settings warn."""
    if ORACLES not in sys.path:
        sys.path.append(ORACLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def peft_adapter(network: nn.Module, folder: Path, config: Mapping[str, Any], kind: str = "Lora") -> Named:
    """Write a PEFT pair for the network; every weight and bias as PEFT merges it."""
    with oracles(), torch.random.fork_rng(devices=[]):
        import peft

        torch.manual_seed(1)
        settings = getattr(peft, f"{kind}Config")(**config)
        wrapped = peft.get_peft_model(copy.deepcopy(network), settings)
        for name, weight in wrapped.named_parameters():
            if weight.requires_grad:
                disturb(name, weight)
        wrapped.save_pretrained(str(folder))
        merged = wrapped.merge_and_unload()
    return {name: weight.detach() for name, weight in merged.state_dict().items()}


def disturb(name: str, weight: Tensor) -> None:
    """Random numbers, large enough that every factor counts."""
    with torch.no_grad():
        if "magnitude" in name or "dora_scale" in name:
            weight.mul_(0.5 + torch.rand_like(weight))
        elif name.endswith("alpha"):
            return
        else:
            weight.add_(0.1 * torch.randn_like(weight))


def lycoris_adapter(network: nn.Module, file: Path, algo: str, **settings: Any) -> Named:
    """Write a LyCORIS file for the network; the weights that its layers act with."""
    with oracles(), torch.random.fork_rng(devices=[]):
        from lycoris import LycorisNetwork, create_lycoris

        torch.manual_seed(2)
        wrapped = copy.deepcopy(network)
        LycorisNetwork.apply_preset({"target_module": settings.pop("targets", ["DiTBlock", "Linear"])})
        adapter = create_lycoris(wrapped, algo=algo, **settings)
        adapter.apply_to()
        adapter.train(False)
        for name, weight in adapter.named_parameters():
            disturb(name, weight)
        adapter.save_weights(str(file), None, {})
        acting = {}
        for lora in adapter.loras:
            own = lora.lora_name.removeprefix("lycoris_")
            path = next(path for path, _ in network.named_modules() if path.replace(".", "_") == own)
            acting |= {
                f"{path}.{name}": value
                for name, value in acting_layer(lora, network.get_submodule(path)).items()
            }
    return acting


@torch.no_grad()
def acting_layer(lora: Any, layer: nn.Module) -> Named:
    """The weight and bias that a wrapped layer computes with, read off its answers to unit vectors."""
    rows, columns, *kernel = layer.weight.shape
    inputs = columns * math.prod(kernel)
    units = torch.eye(inputs).view(inputs, columns, *kernel)
    nothing = lora(torch.zeros_like(units[:1])).flatten()
    answers = lora(units).reshape(inputs, rows) - nothing  # where there is a kernel, there is one place
    weight = answers.T.reshape(layer.weight.shape).contiguous()
    return {"weight": weight} if layer.bias is None else {"weight": weight, "bias": nothing}


def furthest(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """The largest difference between weights of the same names."""
    return max(float((ours[name] - weight).abs().max()) for name, weight in theirs.items())


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """Names of the weights that are not what they were."""
    return {
        name for name, weight in after.items() if name in before and not torch.equal(before[name], weight)
    }
