"""Where in a song the words are sung, as the transformer's own attention has it."""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from ..errors import InvalidInputError
from ..networks.dit import DiffusionTransformer
from ..sampling.context import Context
from ..sampling.run import SamplerParts
from ..seeds import generator_of
from ..text.conditions import Condition
from ..text.lrc import TimedLyrics, timed_lines
from ..text.prompts import INSTRUMENTAL
from ..timebase import seconds_of
from .alignment import path_through, sharpened, token_times
from .heads import LyricHeads
from .lyric_score import of_words

SEED = 42  # of the noise, for every song the same
LONGEST_TITLE = 80


@dataclass(frozen=True, slots=True)
class Played:
    """One song as it was played."""

    latents: Tensor  # [1, T, C], finished
    condition: Condition
    source: Tensor  # [1, T, C], raw, as for the sampler
    mask: Tensor | None = None  # [1, T]: 1 = generated


def is_sung(condition: Condition) -> bool:
    """Whether there is a word to sing."""
    tokens = condition.lyrics
    return tokens is not None and bool(sung(tokens.pieces).any())


def refuse_wordless(condition: Condition) -> None:
    """Refuse a song in which nobody sings."""
    brief, tokens = condition.brief, condition.lyrics
    if tokens is None:
        raise InvalidInputError(
            "The conditions do not know where their lyrics are.", "Make them with Encode Conditions."
        )
    if not is_sung(condition):
        said = brief.lyrics.strip()[:40]
        raise InvalidInputError(
            f"The lyrics are {said!r}, so nobody sings." if said else "There are no lyrics.",
            f"Connect conditions with words to sing; {INSTRUMENTAL} and structure tags are none.",
        )


@torch.no_grad()
def lyric_maps(parts: SamplerParts, song: Played, heads: LyricHeads, t: float) -> Tensor:
    """How strongly each place of a song attends to each lyric token at the noise level t: [heads, tokens, places], fp32.

    The song is heard alone, so that no padding takes any attention.
    """
    tokens = song.condition.lyrics
    assert tokens is not None, "refuse_wordless has been asked"
    latents = song.latents.to(parts.device, torch.float32)
    noise = torch.randn(latents.shape, generator=generator_of(SEED)).to(latents)
    context = Context.of(
        song.source.to(latents),
        None if song.mask is None else song.mask.to(latents),
        [song.condition.task.silences_span],
        parts.silence,
    )
    x, rows = (part.to(parts.dtype) for part in (t * noise + (1 - t) * latents, context.rows()))
    enc = song.condition.enc.to(parts.device, parts.dtype)
    columns = slice(tokens.start, tokens.start + len(tokens.pieces))
    return cross_attention(parts.transformer, x, rows, t, [enc], heads, columns)[0]


def cross_attention(
    transformer: DiffusionTransformer,
    x: Tensor,
    context: Tensor,
    t: float,
    sequences: list[Tensor],
    heads: LyricHeads,
    columns: slice,
) -> Tensor:
    """Probabilities of some heads [B, heads, columns, places] on the CPU; layers behind the last of them are not evaluated.

    x: [B, T, C] at t, context: [B, T, 2C], sequences: [L, E] for each song; every token of a sequence takes its share, and
    only those of `columns` are kept.
    """
    modulation = transformer.modulations(torch.tensor([t], dtype=x.dtype, device=x.device))[0]
    attended, positions = transformer.key_values(sequences), transformer.positions(x.shape[1], x)
    x, maps = transformer.tokens(x, context), list[Tensor]()
    blocks = transformer.blocks()[: max(heads) + 1]
    for index, block in enumerate(blocks):
        (x,) = block.heard((x,), modulation.blocks[index], positions.for_layer(transformer.slides[index]))
        if index in heads:
            asked = block.cross_attn_norm(x)
            seen = block.cross_attn.probabilities(asked, attended[index], heads[index])
            maps.append(rearrange(seen[..., columns], "b h n m -> b h m n").cpu())
        if index + 1 < len(blocks):
            x = block.told(x, modulation.blocks[index], attended[index], None)
    return torch.cat(maps, 1)


def sung(pieces: tuple[bytes, ...]) -> Tensor:
    """[N] bool: which tokens say something that is sung, neither a structure tag nor a blank."""
    return of_words(pieces) & torch.tensor([bool(piece.strip()) for piece in pieces], dtype=torch.bool)


def timed(song: Played, maps: Tensor) -> TimedLyrics:
    """The words of a song with their times, from its maps; without lines where the singing was not found."""
    tokens, brief = song.condition.lyrics, song.condition.brief
    assert tokens is not None, "maps are of lyrics"
    seconds = seconds_of(song.latents.shape[1])
    found, words = sharpened(maps), sung(tokens.pieces)
    title = brief.caption.strip().partition("\n")[0][:LONGEST_TITLE]
    if not (found.survives & words).any():
        return TimedLyrics((), seconds, 0.0, title)
    confidence = float((found.survives & words).sum() / words.sum())
    path = path_through(-found.mean.double().numpy())
    times = token_times(path, len(tokens.pieces), seconds / maps.shape[-1])
    return TimedLyrics(timed_lines(tokens.pieces, times), seconds, confidence, title)
