"""What the same tensors are called elsewhere: by diffusers, and by stable-audio-tools."""

import re
from collections.abc import Mapping

from torch import Tensor

from support.tiny.weights import VAE_CONFIG

DIFFUSERS_NAMES = {  # official -> diffusers
    "proj_in.1.": "proj_in_conv.",
    "proj_out.1.": "proj_out_conv.",
    ".q_proj.": ".to_q.",
    ".k_proj.": ".to_k.",
    ".v_proj.": ".to_v.",
    ".o_proj.": ".to_out.0.",
    ".q_norm.": ".norm_q.",
    ".k_norm.": ".norm_k.",
}


def stable_audio_names(vae: Mapping[str, Tensor], parametrized: bool = False) -> dict[str, Tensor]:
    """The VAE's official names and shapes -> those of stable-audio-tools, in either spelling of weight norm."""
    renamed = {_stable_audio_name(key): weight for key, weight in vae.items()}
    if parametrized:
        spelling = "parametrizations.weight.original"
        renamed = {
            re.sub(r"weight_([gv])$", lambda m: f"{spelling}{'gv'.index(m[1])}", k): w
            for k, w in renamed.items()
        }
    return {key: w.flatten() if key.endswith(("alpha", "beta")) else w for key, w in renamed.items()}


def _stable_audio_name(key: str) -> str:
    side, first, *rest = key.split(".")
    stages = len(VAE_CONFIG["downsampling_ratios"])
    if first != "block":
        position = {"conv1": 0, "snake1": stages + 1, "conv2": stages + 2}[first]
        return ".".join((side, "layers", str(position), *rest))
    stage, part, *tail = rest
    units = {f"res_unit{number}": number - 1 + 2 * (side == "decoder") for number in (1, 2, 3)}
    ends = {"snake1": 3, "conv1": 4} if side == "encoder" else {"snake1": 0, "conv_t1": 1}
    if part in units:
        inner = ("snake1", "conv1", "snake2", "conv2").index(tail[0])
        tail = ["layers", str(inner), *tail[1:]]
    return ".".join((side, "layers", str(int(stage) + 1), "layers", str((units | ends)[part]), *tail))


def to_diffusers(key: str) -> str:
    """The diffusers name of an official tensor, prefixes aside."""
    for official, diffusers in DIFFUSERS_NAMES.items():
        key = key.replace(official, diffusers)
    return key
