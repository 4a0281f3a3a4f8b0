"""Load LoRA: an adapter of any kind into the model, the text encoder or the planner."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from comfy_api.latest import io
from comfy_execution.graph import ExecutionBlocker
from torch import nn

from ..acestep_core.adapters.adapter_file import AdapterFile, FittedAdapter
from ..acestep_core.adapters.keys import Part
from ..acestep_core.adapters.scales import AdapterScales, layers_of
from ..acestep_core.adapters.training_settings import PEFT_JSON
from ..acestep_core.errors import InvalidInputError
from ..acestep_core.planner.int8 import Int8Planner
from .host import folders
from .host.node import Node, verdict
from .host.runtime import Managed
from .wires.adapter_report import report
from .wires.schema import advanced, of_files, report_output, schema
from .wires.sockets import (
    Applied,
    Model,
    ModelHandle,
    Planner,
    PlannerHandle,
    TextEncoder,
    TextHandle,
)

Parts = Mapping[
    Part, str
]  # of a network that ComfyUI manages as one, and what their weights' names begin with there

TRANSFORMER: Parts = {Part.TRANSFORMER: ""}
CODEC: Parts = {Part.CODEC: ""}
ENCODERS: Parts = {Part.CONDITIONS: "condition_encoder.", Part.TEXT: "text."}
PLANNER: Parts = {Part.PLANNER: ""}
SOCKETS = ("model", "text_encoder", "planner")
NO_ADAPTER = "put a LoRA into models/loras"
MOST_STRENGTH, MOST_ALPHA = 10.0, 100_000.0
GROUPS = {
    "self_attn": "Factor of the strength for self-attention, by which the parts of a song follow each other.",
    "cross_attn": "Factor of the strength for cross-attention, by which a song follows caption and lyrics.",
    "mlp": "Factor of the strength for the MLPs of all layers.",
    "other": "Factor of the strength for everything else: embedders, first and last layer, norms.",
}


class Dose(NamedTuple):
    """An adapter that is fitted to the wired networks, and how strongly it acts."""

    fitted: FittedAdapter
    applied: Applied
    scales: AdapterScales

    def into(self, managed: Managed, parts: Parts) -> Managed:
        """A network with the adapter's changes, which are made when it is next loaded."""
        for part, prefix in parts.items():
            groups = self.fitted.by_strength(part, self.applied.strength, self.scales)
            managed = managed.adapted(
                {
                    acting: {prefix + weight: change for weight, change in changes.items()}
                    for acting, changes in groups.items()
                }
            )
        return managed

    def changes(self, *parts: Part) -> bool:
        """Whether the adapter has weights for one of these."""
        return any(self.fitted.changes.get(part) for part in parts)


class LoadAdapter(Node):
    """Put an adapter into a model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "loaders",
            node_id="AceGraphLoadAdapter",
            display_name="Load LoRA (ACE-Step)",
            description="Puts a LoRA, DoRA, LoKr, LoHa or OFT for ACE-Step 1.5 into the model, the text encoder or the planner, whoever "
            "trained it. Put several in a row to stack them.",
            search_aliases=["lora", "lokr", "loha", "dora", "oft", "lycoris", "adapter", "peft"],
            inputs=[
                Model.Input("model", optional=True, tooltip="From Load ACE-Step, or from another Load LoRA."),
                TextEncoder.Input(
                    "text_encoder",
                    optional=True,
                    tooltip="Only for adapters that change the condition encoder as well; the report says so.",
                ),
                Planner.Input(
                    "planner", optional=True, tooltip="Only for adapters that were trained on the planner."
                ),
                of_files(
                    io.Combo.Input(
                        "adapter",
                        options=folders.adapters() or [NO_ADAPTER],
                        tooltip="Files in models/loras, and folders there as trainers write them. Press R to refresh the list.",
                    )
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-MOST_STRENGTH,
                    max=MOST_STRENGTH,
                    step=0.05,
                    tooltip="1: as it was trained. 0: not at all. Below 0: away from it.",
                ),
                *(
                    advanced(
                        io.Float.Input(
                            name,
                            default=1.0,
                            min=-MOST_STRENGTH,
                            max=MOST_STRENGTH,
                            step=0.05,
                            tooltip=tooltip,
                        )
                    )
                    for name, tooltip in GROUPS.items()
                ),
                advanced(
                    io.String.Input(
                        "layers",
                        default="",
                        tooltip="Factors by depth, such as 0-11: 0.5, 12-23: 1. The first layer is 0; layers not named keep 1.",
                    )
                ),
                advanced(
                    io.Float.Input(
                        "alpha",
                        default=0.0,
                        min=0.0,
                        max=MOST_ALPHA,
                        step=1.0,
                        tooltip="For files that have lost their alpha: what it was trained with. 0: as the file says.",
                    )
                ),
            ],
            outputs=[
                Model.Output(display_name="model", tooltip="For the Sampler, or the next Load LoRA."),
                TextEncoder.Output(display_name="text_encoder", tooltip="For Encode Conditions."),
                Planner.Output(
                    display_name="planner", tooltip="For Plan, Compose Codes, Understand, Inspire and Format."
                ),
                report_output(),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, adapter: str | None = None, **_others: object) -> str:
        """Another value when the file, or the json beside it, was written anew."""
        if adapter is None or adapter == NO_ADAPTER:
            return NO_ADAPTER
        weights = folders.adapter_of(adapter)
        files = (file for file in (weights, weights.with_name(PEFT_JSON)) if file.is_file())
        return " ".join(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)

    @classmethod
    def validate_inputs(cls, layers: str | None = None) -> bool | str:
        return verdict(cls, lambda layers: layers_of(layers), layers=layers)

    @classmethod
    def execute(  # noqa: PLR0913  (one argument per widget)
        cls,
        adapter: str,
        strength: float,
        model: ModelHandle | None = None,
        text_encoder: TextHandle | None = None,
        planner: PlannerHandle | None = None,
        self_attn: float = 1.0,
        cross_attn: float = 1.0,
        mlp: float = 1.0,
        other: float = 1.0,
        layers: str = "",
        alpha: float = 0.0,
    ) -> io.NodeOutput:
        if adapter == NO_ADAPTER:
            raise InvalidInputError(
                "No adapter is installed.",
                "Put a LoRA for ACE-Step 1.5 into models/loras, and press R to refresh.",
            )
        scales = AdapterScales(self_attn, cross_attn, mlp, other, layers_of(layers))
        networks = networks_of(model, text_encoder, planner)
        fitted = fitted_to(networks, adapter, alpha)
        dose = Dose(fitted, Applied(short_name(adapter), strength, fitted.order_matters), scales)
        handles = (dosed_model(model, dose), dosed_text(text_encoder, dose), dosed_planner(planner, dose))
        told = report(dose.applied, fitted, [handle for handle in handles if handle is not None])
        outputs = (handle or nothing(name) for handle, name in zip(handles, SOCKETS, strict=True))
        return io.NodeOutput(*outputs, told)


def networks_of(
    model: ModelHandle | None, text_encoder: TextHandle | None, planner: PlannerHandle | None
) -> list[tuple[Managed, Parts]]:
    """The networks that are wired, and what an adapter may change of each."""
    networks: list[tuple[Managed, Parts]] = []
    if model is not None:
        networks.append((model.transformer, TRANSFORMER))
        networks += [] if model.codec is None else [(model.codec, CODEC)]
    if text_encoder is not None:
        networks.append((text_encoder.encoders, ENCODERS))
    if planner is not None:
        networks.append((planner.managed, PLANNER))
    if not networks:
        raise InvalidInputError(
            "Load LoRA has nothing to put the adapter into.",
            "Connect the model of Load ACE-Step, or a planner.",
        )
    return networks


def fitted_to(networks: Iterable[tuple[Managed, Parts]], adapter: str, alpha: float) -> FittedAdapter:
    """The adapter, read for these networks; ComfyUI would only log what does not fit."""
    file = AdapterFile.open(folders.adapter_of(adapter), adapter)
    shapes = {
        part: {
            key.removeprefix(prefix): shape
            for key, shape in shapes_of(managed.network).items()
            if key.startswith(prefix)
        }
        for managed, parts in networks
        for part, prefix in parts.items()
    }
    return file.fit(shapes, alpha)


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """The weights that an adapter may change; those of a planner in int8 as they are in its file, so that it is refused."""
    if isinstance(network, Int8Planner):
        return network.shapes
    return {key: tuple(weight.shape) for key, weight in network.state_dict().items()}


def dosed_model(model: ModelHandle | None, dose: Dose) -> ModelHandle | None:
    """The model with the adapter; as it was, if the adapter is for others."""
    if model is None or not dose.changes(*TRANSFORMER, *CODEC):
        return model
    codec = None if model.codec is None else dose.into(model.codec, CODEC)
    transformer, adapters = dose.into(model.transformer, TRANSFORMER), (*model.adapters, dose.applied)
    return replace(model, transformer=transformer, codec=codec, adapters=adapters)


def dosed_text(text: TextHandle | None, dose: Dose) -> TextHandle | None:
    """The text encoder with the adapter; as it was, if the adapter is for others."""
    if text is None or not dose.changes(*ENCODERS):
        return text
    return replace(text, encoders=dose.into(text.encoders, ENCODERS), adapters=(*text.adapters, dose.applied))


def dosed_planner(planner: PlannerHandle | None, dose: Dose) -> PlannerHandle | None:
    """The planner with the adapter; as it was, if the adapter is for others."""
    if planner is None or not dose.changes(*PLANNER):
        return planner
    if isinstance(planner.managed.network, Int8Planner):
        raise InvalidInputError(
            f"{planner.name} is kept in int8, which no adapter can change.",
            "Choose another weight_dtype in Load Planner.",
        )
    return replace(
        planner, managed=dose.into(planner.managed, PLANNER), adapters=(*planner.adapters, dose.applied)
    )


def nothing(name: str) -> ExecutionBlocker:
    """What an output gives whose input is not wired: whoever asks for it is told so."""
    return ExecutionBlocker(f"Load LoRA gives no {name}, because no {name} is connected to it.")


def short_name(adapter: str) -> str:
    """An adapter's name without what all of them end with."""
    return adapter.rstrip("/").removesuffix(".safetensors").removesuffix(".sft")
