"""Every kind of adapter that PEFT and LyCORIS write for a transformer of ACE-Step 1.5."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from support.reference.adapter_oracles import Named, lycoris_adapter, peft_adapter

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
REST = ["linear_1", "linear_2", "time_proj", "condition_embedder"]
CONV = ["proj_in.1"]
SERIES = "use_cayley_neumann"

Write = Callable[[nn.Module, Path], Named]  # an adapter for the network; the weights that it shall have


def peft(kind: str = "Lora", targets: list[str] = ATTENTION, **settings: Any) -> Write:
    """A PEFT pair in a folder."""
    return partial(peft_adapter, config={"target_modules": targets, **settings}, kind=kind)


def lora(targets: list[str] = ATTENTION, **settings: Any) -> Write:
    """One whose alpha is not its rank."""
    return peft("Lora", targets, **{"r": 4, "lora_alpha": 3, **settings})


def lycoris(algo: str, conv: bool = False, **settings: Any) -> Write:
    """A LyCORIS file; conv: the first layer as well."""
    return partial(
        lycoris_adapter,
        algo=algo,
        targets=["Linear", *(["Conv1d"] if conv else [])],
        **{"linear_dim": 4, "conv_dim": 4, "linear_alpha": 3, "conv_alpha": 3, **settings},
    )


PEFT: dict[str, Write] = {
    "LoRA": lora(),
    "LoRA, everything": lora([*ATTENTION, *MLP, *REST, *CONV]),
    "rslora": lora([*ATTENTION, *MLP], use_rslora=True),
    "patterns": lora(
        [*ATTENTION, *MLP],
        rank_pattern={"layers.0.self_attn.q_proj": 2, "up_proj": 3},
        alpha_pattern={"v_proj": 9, "layers.1.mlp.up_proj": 5},
    ),
    "patterns and rslora": lora(rank_pattern={r".*\.1\.cross_attn.*": 2}, use_rslora=True),
    "all biases": lora(bias="all"),
    "layers in full": lora(modules_to_save=["condition_embedder"]),
    "DoRA": lora([*ATTENTION, *MLP], use_dora=True),
    "DoRA, rslora, conv": lora([*ATTENTION, *CONV], use_dora=True, use_rslora=True),
    "LoHa": peft("LoHa", r=4, alpha=3),
    "LoHa, conv": peft("LoHa", [*ATTENTION, *CONV], r=4, alpha=3, use_effective_conv2d=True),
    "LoKr": peft("LoKr", [*ATTENTION, *MLP], r=2, alpha=3),
    "LoKr, both whole": peft("LoKr", [*ATTENTION, *MLP], r=64, alpha=3),
    "LoKr, both factored": peft("LoKr", r=2, alpha=3, decompose_both=True),
    "LoKr, conv whole": peft("LoKr", [*ATTENTION, *CONV], r=64, alpha=3),
    "LoKr, conv factored": peft("LoKr", [*ATTENTION, *CONV], r=2, alpha=3, use_effective_conv2d=True),
    "LoKr, patterns": peft(
        "LoKr", MLP, r=64, alpha=3, rank_pattern={"up_proj": 2}, alpha_pattern={"gate_proj": 8}
    ),
    "OFT": peft("OFT", r=0, oft_block_size=8),
    "OFT, exact": peft("OFT", r=0, oft_block_size=8, **{SERIES: False}),
    **{
        f"OFT, {n} terms": peft("OFT", r=0, oft_block_size=8, num_cayley_neumann_terms=n)
        for n in (2, 3, 4, 7)
    },
}
LYCORIS: dict[str, Write] = {
    "LoRA": lycoris("lora"),
    "LoCon": lycoris("lora", conv=True),
    "LoCon with a core": lycoris("lora", conv=True, use_tucker=True),
    "rslora": lycoris("lora", linear_dim=2, rs_lora=True),
    "scalar": lycoris("lora", use_scalar=True),
    "LoHa": lycoris("loha"),
    "LoHa with cores": lycoris("loha", conv=True, use_tucker=True),
    "LoKr": lycoris("lokr", linear_dim=2),
    "LoKr, whole": lycoris("lokr", full_matrix=True),
    "LoKr, both factored": lycoris("lokr", linear_dim=1, decompose_both=True, factor=4),
    "LoKr, conv whole": lycoris("lokr", conv=True, conv_dim=400, full_matrix=True),
    "LoKr with a core": lycoris("lokr", conv=True, conv_dim=1, use_tucker=True, factor=4),
    "DoRA of rows": lycoris("lora", dora_wd=True),
    "DoRA of columns": lycoris("lora", dora_wd=True, wd_on_output=False),
    "DoRA of columns, conv": lycoris("lora", conv=True, dora_wd=True, wd_on_output=False),
    "LoHa, DoRA of rows": lycoris("loha", dora_wd=True),
    "LoKr, DoRA of rows": lycoris("lokr", linear_dim=2, dora_wd=True),
    "LoKr, DoRA of columns": lycoris("lokr", linear_dim=2, dora_wd=True, wd_on_output=False),
    "GLoRA": lycoris("glora", conv=True),
    "diag-OFT": lycoris("diag-oft"),
    "diag-OFT, constraint": lycoris("diag-oft", constraint=0.01),
    "diag-OFT, rescaled": lycoris("diag-oft", conv=True, rescaled=True),
    "full": lycoris("full", conv=True),
}
