"""Rarely used settings of the Sampler, on a node of their own."""

from comfy_api.latest import io

from ..acestep_core.sampling.dcw import MODES, WaveletCorrection
from ..acestep_core.sampling.velocity import Filters
from .host.node import Node
from .wires.schema import schema
from .wires.sockets import Extras, ExtraSettings

NO_CORRECTION = "none"
MOST_CLAMP, MOST_EMA = 10.0, 0.95


class SamplingExtras(Node):
    """Settings that few songs need."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "sampling",
            node_id="AceGraphSamplingExtras",
            display_name="Sampling Extras (ACE-Step)",
            description="Rarely used settings of the Sampler: velocity filters, wavelet correction, the official rounding of times.",
            inputs=[
                io.Float.Input(
                    "norm_clamp",
                    default=0.0,
                    min=0.0,
                    max=MOST_CLAMP,
                    step=0.1,
                    tooltip="Longest velocity, in lengths of the noisy latent. 0: off. Tames overdriven guidance.",
                ),
                io.Float.Input(
                    "ema",
                    default=0.0,
                    min=0.0,
                    max=MOST_EMA,
                    step=0.05,
                    tooltip="Share of the previous step's velocity that is mixed in. 0: off.",
                ),
                io.Combo.Input(
                    "wavelet",
                    options=[NO_CORRECTION, *MODES],
                    default=NO_CORRECTION,
                    tooltip="Wavelet correction after every step: of the low band, the high band, both, or every frame (pix).",
                ),
                io.Float.Input(
                    "wavelet_low",
                    default=0.05,
                    min=0.0,
                    max=1.0,
                    step=0.005,
                    tooltip="Strength of the correction.",
                ),
                io.Float.Input(
                    "wavelet_high",
                    default=0.02,
                    min=0.0,
                    max=1.0,
                    step=0.005,
                    tooltip="Strength for the high band when both bands are corrected.",
                ),
                io.Boolean.Input(
                    "bf16_schedule",
                    default=False,
                    tooltip="Round the times as the official code does for a bf16 model; for comparisons with it.",
                ),
            ],
            outputs=[Extras.Output(display_name="extras", tooltip="For the Sampler.")],
        )

    @classmethod
    def execute(
        cls,
        norm_clamp: float,
        ema: float,
        wavelet: str,
        wavelet_low: float,
        wavelet_high: float,
        bf16_schedule: bool,
    ) -> io.NodeOutput:
        correction = (
            None if wavelet == NO_CORRECTION else WaveletCorrection(wavelet, wavelet_low, wavelet_high)
        )
        return io.NodeOutput(ExtraSettings(Filters(norm_clamp, ema), correction, bf16_schedule))
