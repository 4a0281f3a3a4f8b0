"""Names of the VAE's tensors: both key layouts and both weight-norm spellings end in the official one."""

import re
from collections.abc import Callable, Mapping

import torch
from einops import EinopsError
from torch import Tensor

from ..networks.config import VaeConfig
from ..networks.oobleck import Oobleck
from ..networks.oobleck_layers import Conv, DownsamplingConv, PointwiseConv, UpsamplingConv

Layout = Callable[[Tensor], Tensor]

BLOCK_PARTS = {
    "encoder": ("res_unit1", "res_unit2", "res_unit3", "snake1", "conv1"),
    "decoder": ("snake1", "conv_t1", "res_unit1", "res_unit2", "res_unit3"),
}
UNIT_PARTS = ("snake1", "conv1", "snake2", "conv2")
SPELLINGS = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
NUMBERED = r"(encoder|decoder)\.layers\.(\d+)(?:\.layers\.(\d+))?(?:\.layers\.(\d+))?\.(\D.*)"
SNAKE_EPS = 1e-9


def official_name(key: str) -> str:
    """The official name of a VAE tensor in stable-audio's layout; any other key comes back respelt at most."""
    for newer, older in SPELLINGS.items():
        key = key.replace(newer, older)
    numbered = re.fullmatch(NUMBERED, key)
    if numbered is None:
        return key
    side, layer, part, unit_part, parameter = numbered.groups()
    if part is None:
        return f"{side}.{end_layer(int(layer), parameter)}.{parameter}"
    names = [side, "block", str(int(layer) - 1)]
    for position, choices in ((part, BLOCK_PARTS[side]), (unit_part, UNIT_PARTS)):
        if position is not None:
            if int(position) >= len(choices):
                return key
            names.append(choices[int(position)])
    return ".".join((*names, parameter))


def end_layer(position: int, parameter: str) -> str:
    """Which of the layers around the blocks it is: the first convolution, or the snake and convolution behind."""
    if position == 0:
        return "conv1"
    return "snake1" if parameter in ("alpha", "beta") else "conv2"


def fold(raw: Mapping[str, Tensor], config: VaeConfig, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """A checkpoint's tensors, in any layout and spelling, as the state dict of `Oobleck(config)`, read one by one.

    Convolutions get `dtype` (None: the file's), Snake stays in fp32. What is not understood keeps its name.
    """
    keys, layouts = {official_name(key): key for key in raw}, layouts_of(config)
    folded: dict[str, Tensor] = {}
    for name, key in keys.items():
        layer, _, parameter = name.rpartition(".")
        value = raw[key]
        if parameter == "alpha":
            folded[f"{layer}.frequency"] = value.float().flatten().exp()
        elif parameter == "beta":
            folded[f"{layer}.amplitude"] = value.float().flatten().exp().add(SNAKE_EPS).rsqrt()
        elif parameter == "weight_v" and f"{layer}.weight_g" in keys:
            plain = normalised(value, raw[keys[f"{layer}.weight_g"]])
            folded[f"{layer}.weight"] = arranged(plain.to(dtype or value.dtype), layouts.get(layer))
        elif parameter == "weight" and value.ndim == 3:
            folded[name] = arranged(value.to(dtype or value.dtype), layouts.get(layer))
        elif parameter != "weight_g" or f"{layer}.weight_v" not in keys:
            folded[name] = value.to(dtype or value.dtype)
    return folded


def normalised(direction: Tensor, length: Tensor) -> Tensor:
    """Weight norm undone in fp32: g * v / |v|, the norm over all dimensions but the first."""
    direction = direction.float()
    return direction * (length.float() / direction.norm(dim=(1, 2), keepdim=True))


def layouts_of(config: VaeConfig) -> dict[str, Layout]:
    """How each convolution of such a VAE, by its name, stores the weight of a checkpoint."""
    with torch.device("meta"):
        layers = dict(Oobleck(config).named_modules())
    return {
        name: layer.layout
        for name, layer in layers.items()
        if isinstance(layer, Conv | PointwiseConv | DownsamplingConv | UpsamplingConv)
    }


def arranged(weight: Tensor, layout: Layout | None) -> Tensor:
    """The weight as its layer stores it; one without a layer, or of a shape that no such layer has, stays as it is."""
    if layout is None:
        return weight
    try:
        return layout(weight).contiguous()
    except EinopsError:
        return weight
