"""When each line and word of a song is sung."""

from comfy_api.latest import io
from torch import Tensor

from ...acestep_core.analysis.heads import lyric_heads
from ...acestep_core.analysis.singing import timed
from ...acestep_core.text.lrc import TimedLyrics, lrc_time, to_lrc
from ..host.node import Node
from ..runs.listening import last_moment, listen, played_songs
from ..wires.run_inputs import steps_input
from ..wires.schema import advanced, report_output, schema
from ..wires.sockets import ConditionList, Conditions, Model, ModelHandle, Times
from ..wires.tensors import Latent


class LyricTimes(Node):
    """Words with their times, out of the model's attention."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "analysis",
            node_id="AceGraphLyricTimes",
            display_name="Lyric Times (ACE-Step)",
            description="Finds out when each line and word of a song is sung, by asking the model where it looked while it played. "
            "They are the words that were asked for, not a transcript: a word that is left out gets a time all the same.",
            search_aliases=["lrc", "karaoke", "subtitles", "srt", "timestamps", "alignment"],
            inputs=[
                Model.Input("model", tooltip="The model that played the song, from Load ACE-Step."),
                Conditions.Input("conditions", tooltip="The conditions that the song was played with."),
                io.Latent.Input("latent", tooltip="The song: from the Sampler, before Oobleck Decode."),
                steps_input(
                    "Steps that the song was played with; the model listens as in the last of them. 0: auto."
                ),
                io.Latent.Input(
                    "source",
                    optional=True,
                    tooltip="What the Sampler had as source, if it was no silence: codes, a cover, a repaint.",
                ),
                io.Mask.Input("mask", optional=True, tooltip="What the Sampler had as mask, if it had one."),
                advanced(
                    io.String.Input(
                        "heads",
                        default="",
                        tooltip="For checkpoints of unpublished sizes: JSON that names attention heads by layer. Empty: auto.",
                    )
                ),
            ],
            outputs=[
                Times.Output(display_name="times", tooltip="For Save Lyrics, Save Audio and Preview Audio."),
                io.String.Output(display_name="text", tooltip="The times as LRC, one song after the other."),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelHandle,
        conditions: ConditionList,
        latent: Latent,
        steps: int,
        heads: str = "",
        source: Latent | None = None,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        songs = played_songs(model, conditions, latent, source, mask)
        wanted = lyric_heads(model.config, model.lyric_heads, heads)
        maps = listen(model, songs, wanted, [last_moment(model, steps)])
        times = tuple(timed(song, found[0]) for song, found in zip(songs, maps, strict=True))
        text = "\n".join(to_lrc(song) for song in times if song.lines)
        unsaid = [] if source else ["No source was connected, so the songs count as played from silence."]
        return io.NodeOutput(
            times, text, "\n".join((*map(lines_of, range(1, 1 + len(times)), times), *unsaid))
        )


def lines_of(number: int, song: TimedLyrics) -> str:
    """One song in words."""
    if not song.lines:
        return (
            f"Song {number}: the singing was not found, so there are no times. "
            "A song with more singing in it, or with words that the model can sing in its length, may help."
        )
    head = (
        f"Song {number}: {len(song.sung())} lines in {song.duration:g} s; the model pointed clearly at "
        f"{song.confidence:.0%} of the words."
    )
    return "\n".join(
        [head, *(f"{lrc_time(line.start)} to {lrc_time(line.end)} {line.text}" for line in song.sung(True))]
    )
