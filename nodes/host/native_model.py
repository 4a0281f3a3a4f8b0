"""Our transformer as a model of ComfyUI's own kind, for its samplers, schedulers and guiders.

ComfyUI keeps one patcher for one network: a second one around the same weights would let a LoRA on the one wire change
what the other plays. So the object made here is what a transformer's patcher holds from the beginning, and our own
nodes use the network inside it.
"""

import logging
from collections.abc import Mapping
from typing import Any

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_sampling
import comfy.supported_models_base
import torch
from einops import rearrange, repeat
from torch import Tensor

from ...acestep_core.errors import InvalidInputError
from ...acestep_core.networks.config import ModelConfig
from ...acestep_core.networks.costs import sampling_bytes
from ...acestep_core.networks.dit import CrossAttended, DiffusionTransformer
from ...acestep_core.sampling.guidance import Apg, Evaluation
from ...acestep_core.sampling.settings import DISTILLED
from ...acestep_core.text.conditions import CAPTION_TOKENS, LYRIC_TOKENS
from .runtime import Managed

log = logging.getLogger("acestep-graph")

SHIFT = DISTILLED.shift
MOST_TOKENS = LYRIC_TOKENS + CAPTION_TOKENS + 1  # of a condition with one timbre
LENGTHS, SOURCE, MASK = (
    "acegraph_lengths",
    "acegraph_source",
    "acegraph_mask",
)  # beside a conditioning's tensor
SEQUENCES, CONTEXT = "acegraph_sequences", "acegraph_context"  # what the model is handed at every step
FOREIGN = ("patches", "patches_replace")  # of a transformer that attends as Stable Diffusion does

Conditioning = list[list[Any]]  # [[tensor, what goes along], ...]


class SongLatents(comfy.latent_formats.LatentFormat):
    """Latents as they are: no scaling, and no colours to preview them in."""

    latent_channels = 64
    latent_dimensions = 1


class HostConfig(comfy.supported_models_base.BASE):
    """What ComfyUI asks of a model's family: times from 1 to 0 with the shift that all checkpoints use."""

    latent_format = SongLatents
    sampling_settings = {"shift": SHIFT, "multiplier": 1.0}  # noqa: RUF012  (as the host's own are written)
    memory_usage_factor = 1.0


class NativeModel(comfy.model_base.BaseModel):
    """The transformer for ComfyUI: noisy latents, a sigma and our conditioning in, estimate of the clean ones out."""

    def __init__(self, config: ModelConfig, transformer: DiffusionTransformer, dtype: torch.dtype) -> None:
        family = HostConfig({"disable_unet_model_creation": True})
        family.set_inference_dtype(dtype, None)
        super().__init__(family, comfy.model_base.ModelType.FLOW)
        self.diffusion_model = transformer
        self.latent_format.latent_channels = config.audio_acoustic_hidden_dim
        self._config, self._dtype = config, dtype
        self._has_told = False

    def get_dtype(self) -> torch.dtype:
        """What the network computes in."""
        return self._dtype

    def memory_required(
        self, input_shape: list[int], cond_shapes: Mapping[str, list[Any]] | None = None
    ) -> int:
        """Bytes of a call with latents [rows, channels, frames], counted as for our own Sampler."""
        shapes = (cond_shapes or {}).get(SEQUENCES, ())
        tokens = max((shape[1] for shape in shapes), default=MOST_TOKENS)
        rows, frames = input_shape[0], input_shape[-1]
        return sampling_bytes(self._config, rows, frames, tokens, 1, False, self._dtype.itemsize)

    def extra_conds_shapes(self, **told: Any) -> dict[str, list[int]]:
        """Sizes of what `extra_conds` will give, before there are any latents."""
        sequences = told.get("cross_attn")
        return {} if sequences is None else {SEQUENCES: list(sequences.shape)}

    def extra_conds(self, **told: Any) -> dict[str, comfy.conds.CONDRegular]:
        """Our part of a conditioning, checked and brought to where it is used; once per run."""
        sequences, noise = told.get("cross_attn"), told["noise"]
        if sequences is None or not {LENGTHS, SOURCE, MASK} <= told.keys():
            raise InvalidInputError(
                "The conditioning was not made for this model.",
                "Connect positive and negative of To ComfyUI Model, or what other nodes made of them.",
            )
        source, mask = told[SOURCE], told[MASK]
        require_shapes(noise, source, len(sequences))
        sequences = sequences.to(noise.device, self._dtype)
        if not sequences.any():  # what ConditioningZeroOut makes
            sequences = self.diffusion_model.null_condition_emb.to(sequences).expand_as(sequences)
        context = torch.cat((source, mask.expand_as(source)), 1)
        given = {SEQUENCES: sequences, CONTEXT: context.to(noise.device, self._dtype)}
        given = {name: tensor.to(told["device"]) for name, tensor in given.items()}
        return {
            name: comfy.conds.CONDRegular(tensor)
            for name, tensor in {**given, LENGTHS: told[LENGTHS]}.items()
        }

    def _apply_model(
        self,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,  # noqa: ARG002
        c_crossattn: Tensor | None = None,  # noqa: ARG002
        control: object = None,
        transformer_options: Mapping[str, Any] | None = None,
        **conds: Tensor,
    ) -> Tensor:
        """x: [rows, channels, frames] at the sigma t [rows], the same for all -> the clean estimate."""
        self._tell_of_foreign(control, transformer_options or {})
        network: DiffusionTransformer = self.diffusion_model
        context = rearrange(conds[CONTEXT], "b c t -> b t c")
        frames = rearrange(x, "b c t -> b t c").to(context)
        lengths = conds[LENGTHS].tolist()
        rows = [row[:length] for row, length in zip(conds[SEQUENCES], lengths, strict=True)]
        velocity = network(
            frames,
            context=context,
            modulation=network.modulations(t[:1].to(context))[0],
            attended=CrossAttended(network.key_values(rows)),
            positions=network.positions(frames.shape[1], frames),
        ).cond
        velocity = rearrange(velocity, "b t c -> b c t").float()
        return self.model_sampling.calculate_denoised(t, velocity, x)

    def _tell_of_foreign(self, control: object, options: Mapping[str, Any]) -> None:
        """Say once what this network leaves unread."""
        found = [name for name in FOREIGN if options.get(name)] + ["a ControlNet"] * (control is not None)
        if found and not self._has_told:
            self._has_told = True
            log.warning("ACE-Step has no use for %s, which is left out.", ", ".join(found))


def require_shapes(noise: Tensor, source: Tensor, items: int) -> None:
    """Refuse latents of another song or model than the conditioning's; ComfyUI would repeat or cut it unasked."""
    if noise.ndim != 3 or noise.shape[1:] != source.shape[1:]:
        raise InvalidInputError(
            f"The latents have the shape {list(noise.shape)}, and the conditioning is for "
            f"[songs, {source.shape[1]}, {source.shape[2]}].",
            "Connect the latent of the same To ComfyUI Model.",
        )
    if any(count not in (1, len(noise)) for count in (items, len(source))):
        raise InvalidInputError(
            f"The conditioning is for {max(items, len(source))} songs, and there are {len(noise)}.",
            "Connect the latent of the same To ComfyUI Model.",
        )


class HostGuidance:
    """Adaptive projected guidance where ComfyUI combines both branches; one for each wire.

    Samplers may ask several times at one sigma: the running difference moves on only when the sigma has fallen.
    """

    def __init__(self) -> None:
        self._sigma = 0.0
        self._before: Tensor | None = None
        self._after: Tensor | None = None

    def __call__(self, told: Mapping[str, Any]) -> Tensor:
        """told: of ComfyUI's sampler; cond and uncond are noisy latents less clean estimates, sigma * velocity."""
        if told["cond_scale"] == 1.0:
            return told["cond"]
        sigma = float(told["sigma"].max())
        first = told["model_options"].get("transformer_options", {}).get("sample_sigmas")
        if first is not None and sigma >= float(first[0]):
            self._before = None
        elif sigma < self._sigma:
            self._before = self._after
        self._sigma = sigma
        x, cond, uncond = (rearrange(told[name], "b c t -> b t c") for name in ("input", "cond", "uncond"))
        evaluation = Evaluation(x, sigma, cond / sigma, uncond / sigma)
        guided, self._after = Apg(told["cond_scale"])(evaluation, self._before)
        return sigma * rearrange(guided, "b t c -> b c t")


def wired(managed: Managed, projected: bool, shift: float) -> Any:
    """A MODEL: the patcher of the network once more, with what this wire changes.

    projected: guided as the Sampler guides, else in the plain form.
    """
    patcher = managed.patcher.clone()
    if projected:
        patcher.set_model_sampler_cfg_function(HostGuidance())
    if shift != SHIFT:
        patcher.add_object_patch("model_sampling", times_with(shift, patcher.model.model_config))
    return patcher


def times_with(shift: float, family: HostConfig) -> torch.nn.Module:
    """ComfyUI's times with another shift."""

    class Times(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
        pass

    times = Times(family)
    times.set_parameters(shift=shift, multiplier=1.0)
    return times


def conditioning_of(sequences: Tensor, lengths: Tensor, source: Tensor, mask: Tensor) -> Conditioning:
    """A CONDITIONING of sequences [1 or B, L, E] and lengths [1 or B], source [B, C, T], mask [B, 1, T]."""
    return [[sequences, {LENGTHS: lengths, SOURCE: source, MASK: mask}]]


def null_like(transformer: DiffusionTransformer, sequences: Tensor) -> Tensor:
    """The learned null condition in every place of [B, L, E]."""
    row = transformer.null_condition_emb.detach().to(sequences)
    return repeat(row, "1 1 e -> b l e", b=len(sequences), l=sequences.shape[1])
