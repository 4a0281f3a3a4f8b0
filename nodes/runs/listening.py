"""Songs that have been played, listened to with the transformer's own attention."""

from collections.abc import Sequence

from torch import Tensor

from ...acestep_core.analysis.heads import LyricHeads
from ...acestep_core.analysis.singing import Played, is_sung, lyric_maps, refuse_wordless
from ...acestep_core.errors import InvalidInputError
from ...acestep_core.networks.costs import listening_bytes
from ...acestep_core.sampling.job import require_alike, require_count
from ...acestep_core.sampling.run import SamplerParts
from ...acestep_core.sampling.settings import Settings
from ..host.runtime import Bar
from ..wires.limits import refuse_foreign
from ..wires.sockets import ConditionList, ModelHandle
from ..wires.tensors import Latent, source_of_latent
from .sampling import wired_mask


def played_songs(
    model: ModelHandle,
    conditions: ConditionList,
    latent: Latent,
    source: Latent | None,
    mask: Tensor | None,
) -> list[Played]:
    """The songs of a batch, each with what it was played from. source: None means silence, as for text2music."""
    frames = source_of_latent(latent, "latent", model.silence)
    require_count(conditions, (1, len(frames)), "conditions", len(frames))
    refuse_foreign(model, conditions)
    quiet = model.silence.frames(frames.shape[1]).to(frames)
    origin = quiet if source is None else source_of_latent(source, "source", model.silence)
    hole = wired_mask(mask, latent if source is None else source, frames.shape[1])
    wanted = {"source": (origin, 3), "mask": (hole, 2)}
    require_alike(wanted, len(frames), frames.shape[1], model.silence.channels)
    songs = []
    for place, song in enumerate(frames.split(1)):
        condition = conditions[place if len(conditions) > 1 else 0]
        refuse_wordless(condition)
        of_song = [None if part is None else part[min(place, len(part) - 1)][None] for part in (origin, hole)]
        assert of_song[0] is not None, "there is always an origin"
        songs.append(Played(song, condition, of_song[0], of_song[1]))
    return songs


def has_words(conditions: ConditionList) -> bool:
    """Whether there is a word to sing in every one of them."""
    return all(map(is_sung, conditions))


def last_moment(model: ModelHandle, steps: int) -> float:
    """The noise level of a run's last step, at which the song is nearly there. steps: 0 means those of the checkpoint."""
    return 1 / (steps or Settings().resolved(model.variant.is_turbo).steps)


def listen(
    model: ModelHandle, songs: Sequence[Played], heads: LyricHeads, moments: Sequence[float]
) -> list[list[Tensor]]:
    """Maps [heads, tokens, places] of every song at every noise level, one song after the other."""
    bar, done = Bar(len(songs) * len(moments)), 0
    managed, most = model.transformer, max(map(len, heads.values()))
    longest = max(len(song.condition.enc) for song in songs)
    room = listening_bytes(model.config, songs[0].latents.shape[1], longest, most, managed.dtype.itemsize)
    found: list[list[Tensor]] = []
    with managed.at_work(room) as transformer:
        parts = SamplerParts(transformer, model.silence, managed.dtype, managed.device)
        for song in songs:
            found.append([])
            for t in moments:
                found[-1].append(lyric_maps(parts, song, heads, t))
                done += 1
                bar.move(done, len(songs) * len(moments))
    return found


def refuse_unequal(count: int, songs: int, what: str) -> None:
    """Refuse another number of items than there are songs."""
    if count != songs:
        raise InvalidInputError(
            f"There are {count} {what} for {songs} songs.", "Connect those that belong to the same songs."
        )
