"""ComfyUI's networks and nodes, on given weights. Everything that knows how they are called is here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.core_nodes.install import NODE
from support.comfyui.host import Host
from support.tiny.checkpoint import stable_audio_names

STEPS, SHIFT = 8, 3.0
Weights = Mapping[str, Tensor]


class Theirs:
    """What their nodes pass on: MODEL, CLIP and VAE; and their nodes, called as ComfyUI calls them."""

    def __init__(
        self, host: Host, model: Weights, texts: Sequence[Weights], vae: Weights, dtype: torch.dtype
    ) -> None:
        """texts: of the text encoder and of the planner, keys as in their folders."""
        self._node = host.module("nodes").NODE_CLASS_MAPPINGS
        self._engine = host.module("comfy.model_management")
        loaders = host.module("comfy.sd")
        options = {"dtype": dtype}
        self.model = loaders.load_diffusion_model_state_dict(dict(model), model_options=options)
        named = [{f"model.{key}": weight for key, weight in weights.items()} for weights in texts]
        self.clip = loaders.load_text_encoder_state_dicts(
            named, clip_type=loaders.CLIPType.ACE, model_options=options
        )
        self.vae = loaders.VAE(sd=stable_audio_names(vae), dtype=dtype)
        self._codes = host.module("comfy.text_encoders.ace15").generate_audio_codes
        self._silence = host.module("comfy.ldm.ace.ace_step15").get_silence_latent
        self._bring_in()

    def _bring_in(self) -> None:
        """Everything to where it computes, as before a node's work."""
        self._engine.load_models_gpu([self.model, self.clip.patcher], force_full_load=True)
        where = {"execution_device": self.clip.patcher.load_device}
        self.clip.cond_stage_model.set_clip_options(where)

    @property
    def network(self) -> Any:
        """Transformer, condition encoder and audio codes in one."""
        return self.model.model.diffusion_model

    @property
    def planner(self) -> Any:
        """The language model, of whichever size."""
        inside = self.clip.cond_stage_model
        return getattr(inside, inside.lm_model)

    def silence(self, frames: int) -> Tensor:
        """The silence that is written into their code, [1, T, C]."""
        return self._silence(frames, "cpu").movedim(-1, -2).contiguous()

    def decoder(self, x: Tensor, t: float, enc: Tensor, context: Tensor) -> Tensor:
        """Their transformer alone, on conditions that are encoded already: x [B, T, C] -> velocity."""
        moment = torch.full((len(x),), t, device=x.device, dtype=x.dtype)
        return self.network.decoder(
            hidden_states=x,
            timestep=moment,
            timestep_r=moment,
            attention_mask=None,
            encoder_hidden_states=enc,
            encoder_attention_mask=None,
            context_latents=context,
        )

    def step(self, x: Tensor, t: float, text: Tensor, lyrics: Tensor, guided: bool) -> Callable[[], None]:
        """What their model computes in each step of text2music: x [1, T, C]; both prompts one after the other if guided."""
        latents = x.movedim(-1, -2)
        moment = torch.full((1,), t, device=x.device, dtype=x.dtype)
        silence = self._silence(x.shape[1], x.device).to(x)  # [1, C, T]

        def evaluate() -> None:
            for nothing in (False, True)[: 1 + guided]:
                self.network(
                    latents,
                    moment,
                    text,
                    lyric_embed=lyrics,
                    refer_audio=silence,
                    is_covers=False,
                    replace_with_null_embeds=nothing,
                )

        return evaluate

    def words(self, brief: Any, seconds: float) -> Any:
        """Their conditioning of a brief, without codes."""
        return first(
            self._node[NODE].execute(
                clip=self.clip,
                tags=brief.caption,
                lyrics=brief.lyrics,
                seed=1,
                bpm=brief.bpm,
                duration=seconds,
                timesignature=brief.time_signature,
                language="en",
                keyscale=brief.key,
                generate_audio_codes=False,
                cfg_scale=2.0,
                temperature=0.85,
                top_p=0.9,
                top_k=0,
                min_p=0.0,
            )
        )

    def decoded(self, latents: Tensor) -> Tensor:
        """Sound [B, 2, S] of latents [B, T, C]."""
        return self.vae.decode(latents.movedim(-1, -2)).movedim(-1, 1)

    def song(self, brief: Any, seconds: float) -> Any:
        """Their nodes from words to sound, as their template wires them."""
        positive = self.words(brief, seconds)
        (negative,) = self._node["ConditioningZeroOut"]().zero_out(positive)
        latent = first(self._node["EmptyAceStep1.5LatentAudio"].execute(seconds=seconds, batch_size=1))
        (played,) = self._node["KSampler"]().sample(
            self.model, 1, STEPS, 1.0, "euler", "simple", positive, negative, latent, 1.0
        )
        return first(self._node["VAEDecodeAudio"].execute(vae=self.vae, samples=played))

    def composed(self, prompt: Sequence[int], negative: Sequence[int], codes: int) -> list[int]:
        """Codes of one song."""
        given, away = ([[(token, 1.0) for token in ids]] for ids in (prompt, negative))
        self._bring_in()
        return self._codes(self.planner, given, away, min_tokens=codes, max_tokens=codes, seed=1)

    def read(self, prompt: Sequence[int]) -> Tensor:
        """The planner's hidden states [1, N, W] of one prompt."""
        model = self.planner
        embeds, mask, tokens, about = model.process_tokens([list(prompt)], model.execution_device)
        weights = next(model.parameters())
        answer = model.transformer(
            None,
            mask,
            embeds=embeds.to(weights.dtype),
            num_tokens=tokens,
            intermediate_output=None,
            dtype=weights.dtype,
            embeds_info=about,
        )
        return answer[0]


def first(answer: Any) -> Any:
    """The first output of a node of the newer kind."""
    return answer.args[0]
