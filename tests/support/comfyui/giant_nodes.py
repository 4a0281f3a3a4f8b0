"""Our nodes, run on checkpoints of published size that hold nothing, on a card that exists nowhere."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from support.comfyui.fake_gpu import Watch, fake_gpu, real, replaced
from support.comfyui.giant_handles import WHOLE, Depth, Giant, giant_handles

MINUTES_10 = 600.0
RATE = 48_000


class Card:
    """The nodes with a checkpoint of full size, on the card."""

    def __init__(self, pack: Any, giant: Giant, device: torch.device, watch: Watch) -> None:
        self.nodes, self.giant, self.device, self.watch = pack.nodes, giant, device, watch

    def conditions(self, task: str = "text2music", lyrics: str = "la", **more: Any) -> Any:
        fields = {"instrumental": False, "tracks": "", "language": "en", "bpm": 0, "key": "auto"}
        fields |= {"time_signature": "auto", "duration": MINUTES_10, "caption": "slow piano"}
        node = self.nodes.conditions.EncodeConditions
        return node.execute(self.giant.text, task=task, lyrics=lyrics, **{**fields, **more}).args[0]

    def silence(self, songs: int = 1, seconds: float = MINUTES_10) -> Any:
        return self.nodes.latents.SilenceLatent.execute(self.giant.model, seconds, songs).args[0]

    def encoded(self, seconds: float) -> Any:
        audio = {"waveform": torch.empty(1, 2, int(seconds * RATE)), "sample_rate": RATE}
        return self.nodes.vae.OobleckEncode.execute(self.giant.vae, audio).args[0]

    def sampled(self, conditions: Any, source: Any, **more: Any) -> Any:
        """The latent; the card is never waited for on the way, but for pictures and the result."""
        given = {"seed": 0, "steps": 2, "guidance": 0.0, "cover_strength": 1.0, "repaint_strength": 0.5}
        given |= {"noise_strength": 0.0, **more}
        self.watch.asked = 0
        latent = self.nodes.sampler.Sampler.execute(self.giant.model, conditions, source, **given).args[0]
        assert self.watch.asked == 0
        assert latent["samples"].shape == source["samples"].shape
        assert latent["samples"].device == torch.device("cpu")
        return latent


@contextlib.contextmanager
def giant_cards(pack: ModuleType, models: Path, total_mb: float) -> Iterator[Callable[..., Card]]:
    """made("XL", variant, weights, depth) -> the nodes on a card of that size; it is gone at the end of the block."""
    schedule = pack.acestep_core.sampling.schedule
    plain_numbers = replaced(schedule, shifted=real(schedule.shifted), custom=real(schedule.custom))
    tokenizer = models / "turbo" / "official" / "Qwen3-Embedding-0.6B"

    with fake_gpu(total_mb) as device, plain_numbers, Watch(device) as watch:

        def made(size: str, variant: str = "TURBO", weights: str = "bf16", depth: Depth = WHOLE) -> Card:
            return Card(pack, giant_handles(pack, tokenizer, size, variant, weights, depth), device, watch)

        yield made
