"""Timed lyrics into files."""

from collections.abc import Callable
from types import MappingProxyType

from comfy_api.latest import io

from ...acestep_core.text.lrc import TimedLyrics, to_json, to_lrc, to_srt
from ..host.node import Node
from ..host.output_files import FreeNames
from ..host.runtime import stop_if_asked
from ..wires.schema import advanced, report_output, schema
from ..wires.sockets import Times, TimesList

Written = Callable[[TimedLyrics, bool], str]
FORMS = MappingProxyType[str, tuple[str, Written]](  # what is offered: file ending, and what is written
    {
        "lrc": (".lrc", lambda song, tags: to_lrc(song, tags=tags)),
        "lrc by word": (".lrc", lambda song, tags: to_lrc(song, by_word=True, tags=tags)),
        "srt": (".srt", to_srt),
        "json": (".json", to_json),
    }
)


class SaveLyrics(Node):
    """Times as a file that players, editors or programs read."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "analysis",
            node_id="AceGraphSaveLyrics",
            display_name="Save Lyrics (ACE-Step)",
            description="Saves the timed lyrics of every song of a batch into the output folder: for music players, karaoke, subtitles or "
            "programs. Save Audio writes them beside the song and into it when its times are connected.",
            search_aliases=["lrc", "karaoke", "subtitles", "srt", "export lyrics"],
            is_output_node=True,
            inputs=[
                Times.Input("times", tooltip="From Lyric Times."),
                io.String.Input(
                    "filename_prefix",
                    default="audio/ACE-Step",
                    tooltip="Name in the output folder, with folders if you like; a number is added, nothing is ever overwritten. "
                    "%year%, %month%, %day%, %hour%, %minute%, %second% and %batch_num% are filled in.",
                ),
                io.Combo.Input(
                    "form",
                    options=list(FORMS),
                    default="lrc",
                    tooltip="lrc: lines, for music players. lrc by word: for karaoke players. srt: subtitles for a video. "
                    "json: everything, for programs.",
                ),
                advanced(
                    io.Boolean.Input(
                        "structure_tags",
                        default=False,
                        tooltip="Write lines such as [Verse] as well. Players may be confused by their brackets.",
                    )
                ),
            ],
            outputs=[
                io.String.Output(display_name="text", tooltip="What was written, one song after the other."),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls, times: TimesList, filename_prefix: str, form: str, structure_tags: bool = False
    ) -> io.NodeOutput:
        extension, write = FORMS[form]
        names, texts, report = FreeNames(filename_prefix), list[str](), list[str]()
        for item, song in enumerate(times):
            stop_if_asked()
            if not song.lines:
                report.append(f"Song {item + 1}: the singing was not found, so there is no file.")
                continue
            texts.append(write(song, structure_tags))
            (path,) = names.write(item, {extension: texts[-1].encode()})
            report.append(f"{path.name}: {len(song.sung(structure_tags))} lines as {form}.")
        return io.NodeOutput("\n".join(texts), "\n".join(report))
