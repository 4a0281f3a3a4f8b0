"""One of several takes, whatever it is carried by."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...acestep_core.errors import InvalidInputError
from ...acestep_core.files import parse_json
from ..host.node import Node
from ..wires.limits import batch_indices
from ..wires.schema import report_output, schema
from ..wires.sockets import CodeList, Codes, Times, TimesList
from ..wires.tensors import ADAPTERS, TAKES, Audio, Latent, adapters_of, frames_of_latent, takes_of

MOST_TAKES = 4096


class PickTake(Node):
    """The best take, or any other one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "analysis",
            node_id="AceGraphPickTake",
            display_name="Pick Take (ACE-Step)",
            description="Takes one song out of a batch: its latent, its audio, its codes and its times together. By its number, or by its "
            "place in the order of Score Takes.",
            search_aliases=["select", "best of", "index", "batch"],
            inputs=[
                io.Latent.Input("latent", optional=True, tooltip="The takes as latents."),
                io.Audio.Input("audio", optional=True, tooltip="The takes as sound."),
                Codes.Input("codes", optional=True, tooltip="The takes as codes."),
                Times.Input("times", optional=True, tooltip="The takes' timed lyrics."),
                io.String.Input(
                    "order",
                    optional=True,
                    force_input=True,
                    tooltip="From Score Takes: place then counts instead of index.",
                ),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=MOST_TAKES - 1,
                    tooltip="Which take, counted from 0; best of Score Takes fits here. Not read when an order is connected.",
                ),
                io.Int.Input(
                    "place",
                    default=1,
                    min=1,
                    max=MOST_TAKES,
                    tooltip="With an order: 1 is the best take, 2 the second best. Without one it is not read.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent", tooltip="The take's latent, if latents were connected."
                ),
                io.Audio.Output(display_name="audio", tooltip="The take's sound, if audio was connected."),
                Codes.Output(display_name="codes", tooltip="The take's codes, if codes were connected."),
                Times.Output(
                    display_name="times", tooltip="The take's timed lyrics, if times were connected."
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        index: int,
        place: int,
        latent: Latent | None = None,
        audio: Audio | None = None,
        codes: CodeList | None = None,
        times: TimesList | None = None,
        order: str | None = None,
    ) -> io.NodeOutput:
        take = index if order is None else take_at(place, order_of(order))
        counts = {
            "latent": None if latent is None else len(frames_of_latent(latent, "latent")),
            "audio": None if audio is None else len(sounds_of(audio)),
            "codes": None if codes is None else len(codes.items),
            "times": None if times is None else len(times),
        }
        refuse_outside(take, {name: count for name, count in counts.items() if count is not None})
        picked = f"Take {take}, which is song {take + 1} of the batch."
        return io.NodeOutput(
            None if latent is None else latent_at(latent, take),
            None if audio is None else audio_at(audio, take),
            None if codes is None else CodeList((codes.items[take],)),
            None if times is None else (times[take],),
            picked,
        )


def order_of(text: str) -> list[int]:
    """The order that Score Takes wrote."""
    try:
        order = parse_json(text.encode())
    except ValueError:
        order = None
    if not isinstance(order, list) or not all(type(take) is int and take >= 0 for take in order):
        raise InvalidInputError(f"{text[:80]!r} is no order of takes.", "Connect order of Score Takes.")
    return order


def take_at(place: int, order: list[int]) -> int:
    """The take in a place, counted from 1."""
    if not 1 <= place <= len(order):
        raise InvalidInputError(
            f"There is no place {place} in an order of {len(order)} takes.", f"Choose 1 to {len(order)}."
        )
    return order[place - 1]


def refuse_outside(take: int, counts: dict[str, int]) -> None:
    """Refuse a take that is not there, and nothing at all."""
    if not counts:
        raise InvalidInputError(
            "There is nothing to pick a take from.", "Connect a latent, audio, codes or times."
        )
    for name, count in counts.items():
        if not 0 <= take < count:
            raise InvalidInputError(
                f"There is no take {take} in the {name}, which holds {count}.",
                f"Choose 0 to {count - 1}." if count else "Connect one that holds a take.",
            )


def latent_at(latent: Latent, take: int) -> Latent:
    """One song of a latent, with its mask and with its place in the batch, as ComfyUI notes it."""
    songs = len(latent["samples"])
    index = batch_indices(latent).get("batch_index", range(songs))
    mask = latent.get("noise_mask")
    held: dict[str, Any] = (
        {} if mask is None else {"noise_mask": mask[take : take + 1] if len(mask) == songs else mask}
    )
    return {
        **latent,
        **held,
        "samples": latent["samples"][take : take + 1],
        "batch_index": [index[take]],
        **played_with(latent, songs, take),
    }


def audio_at(audio: Audio, take: int) -> Audio:
    """One sound of a batch."""
    sounds = sounds_of(audio)
    return {**audio, "waveform": sounds[take : take + 1], **played_with(audio, len(sounds), take)}


def sounds_of(audio: Audio) -> Tensor:
    """The sounds [B, C, S] of an audio, as they are."""
    given: Tensor = audio["waveform"]
    return given if given.ndim == 3 else given[None]


def played_with(wired: Latent | Audio, songs: int, take: int) -> dict[str, Any]:
    """The adapters and the seed that this take was played with."""
    known = {ADAPTERS: adapters_of(wired, songs), TAKES: takes_of(wired, songs)}
    return {key: [each[take]] for key, each in known.items() if key in wired}
