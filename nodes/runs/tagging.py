"""What the files of a batch say of themselves: tags of each song, its timed lyrics, and the workflow that plays it alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...acestep_core.errors import InvalidInputError
from ...acestep_core.text.lrc import to_lrc
from ..host.audio_tags import adapter_tags, brief_tags, workflow_tags
from ..host.takes import own_workflow
from ..wires.sockets import ConditionList, TimesList


def one_each(conditions: ConditionList | None, adapters: Sequence[str]) -> list[dict[str, str]]:
    """Tags of each song. adapters: in words, those that each was played with."""
    songs, briefs = len(adapters), [brief_tags(condition) for condition in conditions or ()]
    if len(briefs) not in (0, 1, songs):
        raise InvalidInputError(
            f"{songs} songs came with {len(briefs)} conditions.",
            "Connect the conditions that the songs were made with.",
        )
    every = briefs if len(briefs) == songs else (briefs or [{}]) * songs
    return [{**brief, **adapter_tags(words)} for brief, words in zip(every, adapters, strict=True)]


def lyrics_of(times: TimesList, songs: int) -> list[str]:
    """Timed lyrics of each song as LRC; empty where there are none."""
    if len(times) not in (0, songs):
        raise InvalidInputError(
            f"{songs} songs came with the times of {len(times)}.",
            "Connect the times of the latent that these songs were decoded from.",
        )
    return [to_lrc(song) if song.lines else "" for song in times] or [""] * songs


def workflow_of(hidden: Any, takes: Sequence[Mapping[str, str]], item: int) -> Mapping[str, str]:
    """The graph that is running, as ComfyUI hands it to output nodes, and as it would play this song alone."""
    if not hidden:
        return {}
    seeds = [int(take["seed"]) for take in takes if "seed" in take]
    known = seeds if len(seeds) == len(takes) else []
    return workflow_tags(*own_workflow(hidden.prompt, hidden.extra_pnginfo or {}, known, item))
