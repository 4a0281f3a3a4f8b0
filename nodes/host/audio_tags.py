"""Tags of a sound file: what a player shows, and the workflow that ComfyUI's frontend reads back when the file is dropped."""

import io
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ...acestep_core.text.conditions import Condition

CONTAINERS = MappingProxyType({".flac": "flac", ".wav": "wav", ".mp3": "mp3", ".opus": "opus"})
# Bytes of tags up to which every supported frontend finds the workflow; WAV files are never searched.
ROOM = MappingProxyType({".flac": 2**23, ".wav": 0, ".mp3": 120_000, ".opus": 60_000})
ID3_NAMES = MappingProxyType({"bpm": "TBPM", "initialkey": "TKEY"})  # those that PyAV does not know by name
LONGEST_TEXT = 2**19  # characters; a FLAC file has room for 16 MiB of tags
LONGEST_TITLE = 80


def brief_tags(condition: Condition) -> dict[str, str]:
    """The brief of one song under the names that players know; what was left to the model is left out."""
    brief = condition.brief
    caption = brief.caption.strip()
    tags = {
        "title": caption.partition("\n")[0][:LONGEST_TITLE],
        "comment": caption,  # Vorbis comments call it DESCRIPTION
        "lyrics": brief.lyrics.strip(),
        "language": brief.language if brief.lyrics.strip() and not brief.instrumental else "",
        "bpm": str(brief.bpm or ""),
        "initialkey": (brief.key or "").strip(),
        "timesignature": (brief.time_signature or "").strip(),
        "tracks": ", ".join(brief.tracks),
        "task": condition.task.name,
    }
    return {name: text.replace("\0", "")[:LONGEST_TEXT] for name, text in tags.items() if text}


def adapter_tags(adapters: str) -> dict[str, str]:
    """The adapters that a song was played with."""
    return {"adapters": adapters.replace("\0", "")[:LONGEST_TEXT]} if adapters else {}


def take_tags(take: Mapping[str, str], item: int, songs: int, seconds: float) -> dict[str, str]:
    """Which song it is. take: what the sampler noted of it; item: its place in the batch, from 0."""
    noted = {name: text.replace("\0", "")[:LONGEST_TEXT] for name, text in take.items()}
    return {**noted, "take": f"{item + 1}/{songs}", "length": f"{seconds:.2f} s"}


def workflow_tags(prompt: Any, extra: Mapping[str, Any] | None) -> dict[str, str]:
    """Everything that ComfyUI hands to an output node, as JSON in ASCII, which the frontend expects."""
    given = {"workflow": None, "prompt": prompt, **(extra or {})}
    return {name: strict_json(value) for name, value in given.items() if value is not None}


def strict_json(value: Any) -> str:
    """JSON without NaN and Infinity, which Python writes and browsers refuse."""
    return json.dumps(json.loads(json.dumps(value, default=str), parse_constant=lambda _name: None))


def has_room(extension: str, tags: Mapping[str, str]) -> bool:
    """Whether the frontend would find a workflow among these tags of such a file."""
    return sum(len(name) + len(text.encode()) for name, text in tags.items()) <= ROOM[extension]


def tagged(content: Any, extension: str, tags: Mapping[str, str]) -> Any:
    """The same sound file with tags; its packets are copied and never decoded."""
    if not tags:
        return content
    import av  # noqa: PLC0415 - takes a while, and only saving needs it

    copy = io.BytesIO()
    with (
        av.open(io.BytesIO(content)) as source,
        av.open(copy, "w", format=CONTAINERS[extension], options={"fflags": "+bitexact"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.audio[0])
        holder = stream.metadata if extension == ".opus" else target.metadata
        holder.update({name_in(extension, name): text_in(extension, text) for name, text in tags.items()})
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:  # the last one only says that there are no more
                packet.stream = stream
                target.mux(packet)
    return copy.getbuffer()


def name_in(extension: str, name: str) -> str:
    """What a tag is called in such a file."""
    return ID3_NAMES.get(name, name) if extension == ".mp3" else name


def text_in(extension: str, text: str) -> str:
    """A tag's text; the frontend takes bytes after an Opus file's JSON for a part of it, unless a line ends there."""
    return f"{text}\n" if extension == ".opus" and text.startswith("{") else text
