"""What a task lets the network see of existing music: a source, and a mask of what to generate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..silence import Silence
from ..timebase import seconds_of


@dataclass(frozen=True, slots=True)
class Context:
    """One batch of tasks. They differ only in these tensors."""

    source: Tensor  # [B, T, C] latents
    mask: Tensor  # [B, T, 1]: 1 = generate, 0 = keep

    @classmethod
    def of(cls, source: Tensor, mask: Tensor | None, silenced: Sequence[bool], silence: Silence) -> "Context":
        """source: raw [B, T, C]; mask: [B, T], above 0.5 counts as 1, None means everywhere.

        Song i loses its source inside the mask where `silenced[i]` says so (repaint, extend) and keeps it otherwise.
        """
        hard = torch.ones(source.shape[:2]) if mask is None else (mask > 0.5).float()
        hard = hard.to(source)[..., None]
        hole = hard.bool() & torch.tensor(silenced, device=source.device)[:, None, None]
        return cls(torch.where(hole, silence.frames(source.shape[1]).to(source), source), hard)

    def silent(self, silence: Silence) -> "Context":
        """The same mask over silence: what text2music sees, and what a weak cover goes on with."""
        return replace(
            self, source=silence.frames(self.source.shape[1]).to(self.source).expand_as(self.source)
        )

    def rows(self) -> Tensor:
        """[B, T, 2C]: the source's channels, then the mask once per channel."""
        return torch.cat((self.source, self.mask.expand_as(self.source)), -1)


def extended(latents: Tensor, left: int, right: int, silence: Silence) -> tuple[Tensor, Tensor]:
    """A song [B, T, C] with silent frames added on both sides, and the mask [B, T'] of what was added."""
    require_room(left, right)
    batch, frames = latents.shape[:2]
    mask = torch.ones(batch, left + frames + right)
    mask[:, left : left + frames] = 0
    longer = silence.frames(mask.shape[1]).to(latents).repeat(batch, 1, 1)
    longer[:, left : left + frames] = latents
    return longer, mask


def require_room(left: int, right: int) -> None:
    """Refuse to extend a song by no frame at all, or by fewer."""
    if left < 0 or right < 0 or left + right == 0:
        raise InvalidInputError(
            f"The song would be extended by {seconds_of(left):g} s before and {seconds_of(right):g} s after.",
            "Set at least one of the two to 0.04 s or more, and none below 0.",
        )


def at_least(frames: int, latents: Tensor, silence: Silence) -> Tensor:
    """The latents [B, T, C], followed by the first frames of silence where they are shorter."""
    missing = max(0, frames - latents.shape[1])
    return torch.cat((latents, silence.frames(missing).to(latents).expand(len(latents), -1, -1)), 1)


def fitted(hints: Tensor, frames: int, silence: Silence) -> Tensor:
    """Hints [B, T', C] cut to so many frames, or filled up with the first frames of silence."""
    return at_least(frames, hints, silence)[:, :frames]
