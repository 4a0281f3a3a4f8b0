"""Audio codes: melody and rhythm of a song in five numbers a second, to keep, to edit and to build on."""

import hashlib

import torch
from comfy_api.latest import io
from torch import Tensor

from ..acestep_core.errors import InvalidInputError, UnsupportedCheckpointError
from ..acestep_core.networks.costs import encoding_bytes
from ..acestep_core.sampling.context import fitted
from ..acestep_core.text.code_text import MAX_FILE_BYTES, codes_to_json, format_songs, parse_songs, read_codes
from ..acestep_core.timebase import FRAMES_PER_CODE, seconds_of
from .host.folders import files_to_load, input_file
from .host.node import Node, verdict
from .host.output_files import FreeNames
from .host.runtime import Bar, Managed, rest_device
from .wires.schema import of_files, report_output, schema
from .wires.sockets import CodeList, Codes, Model, ModelHandle
from .wires.tensors import Latent, latent_of, source_of_latent

EXTENSION, FOLDER = ".json", "codes"  # of what is saved
NO_FILE = "save codes first"


class AudioToCodes(Node):
    """A song's melody and rhythm."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "codes",
            node_id="AceGraphAudioToCodes",
            display_name="Audio to Codes (ACE-Step)",
            description="Listens to melody and rhythm of a song and forgets its sound. For a cover: Oobleck Encode, this node, "
            "Codes to Latent, and that latent as the Sampler's source.",
            search_aliases=["cover", "tokenize", "semantic tokens"],
            inputs=[
                Model.Input("model", tooltip="From Load ACE-Step; it must bring its semantic tokenizer."),
                io.Latent.Input(
                    "latent",
                    tooltip="From Oobleck Encode or a Sampler. Every song of a batch gets its codes.",
                ),
            ],
            outputs=[
                Codes.Output(
                    display_name="codes",
                    tooltip="For Codes to Latent, Encode Conditions, Understand, Save Codes.",
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, model: ModelHandle, latent: Latent) -> io.NodeOutput:
        managed = codec_of(model)
        frames = source_of_latent(latent, "latent", model.silence)
        count = -(-frames.shape[1] // FRAMES_PER_CODE)
        silence = model.silence.frames(FRAMES_PER_CODE).to(managed.device, managed.dtype)
        bar, items = Bar(len(frames)), list[Tensor]()
        with managed.at_work(coding_bytes(model, managed, count)) as codec:
            for song in frames:
                shown = song[None].to(managed.device, managed.dtype)
                items.append(codec.encode(shown, silence)[0].to(rest_device()))
                bar.move(len(items), len(frames))
        missing = count * FRAMES_PER_CODE - frames.shape[1]
        filled = (
            [f"The last code was filled up with {seconds_of(missing):g} s of silence."] if missing else []
        )
        codes = CodeList(tuple(items))
        return io.NodeOutput(codes, "\n".join([*codes.lengths(), *filled]))


class CodesToLatent(Node):
    """Codes as a source."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "codes",
            node_id="AceGraphCodesToLatent",
            display_name="Codes to Latent (ACE-Step)",
            description="Turns codes into the latent that a cover or a planned song is built on. It holds melody and rhythm only: "
            "decoded as it is, it sounds muffled.",
            search_aliases=["cover", "hints", "detokenize"],
            inputs=[
                Model.Input("model", tooltip="From Load ACE-Step; it must bring its semantic tokenizer."),
                Codes.Input(
                    "codes", tooltip="From Compose Codes, Audio to Codes, Codes from Text or Load Codes."
                ),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="For the Sampler's source."),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, model: ModelHandle, codes: CodeList) -> io.NodeOutput:
        managed = codec_of(model)
        bar, songs = Bar(len(codes.items)), list[Tensor]()
        with managed.at_work(coding_bytes(model, managed, codes.longest)) as codec:
            for item in codes.items:
                hints = codec.hints(item[None].to(managed.device), managed.dtype)
                songs.append(fitted(hints.float(), codes.longest * FRAMES_PER_CODE, model.silence))
                bar.move(len(songs), len(codes.items))
        padded = [number for number, item in enumerate(codes.items, start=1) if len(item) < codes.longest]
        what = f"Filled up with silence to the longest: song {', '.join(map(str, padded))}."
        return io.NodeOutput(
            latent_of(torch.cat(songs)), "\n".join([*codes.lengths(), *([what] if padded else [])])
        )


class CodesFromText(Node):
    """Codes that somebody wrote down."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "codes",
            node_id="AceGraphCodesFromText",
            display_name="Codes from Text (ACE-Step)",
            description="Reads codes as planners write them. What stands before and after them, such as a chain of thought, is left out.",
            search_aliases=["paste codes", "parse codes"],
            inputs=[
                io.String.Input(
                    "text",
                    multiline=True,
                    placeholder="<|audio_code_123|><|audio_code_64|>...",
                    tooltip="Codes from 0 to 63999, five for each second. Spaces, commas and line breaks between them do not matter; "
                    "a blank line begins the next song of a batch.",
                )
            ],
            outputs=[
                Codes.Output(
                    display_name="codes", tooltip="For Codes to Latent, Encode Conditions, Save Codes."
                ),
                report_output(),
            ],
        )

    @classmethod
    def validate_inputs(cls, text: str | None = None) -> bool | str:
        return verdict(cls, parse_songs, text=text)

    @classmethod
    def execute(cls, text: str) -> io.NodeOutput:
        codes = CodeList.of(parse_songs(text))
        return io.NodeOutput(codes, "\n".join(codes.lengths()))


class CodesToText(Node):
    """Codes to copy, edit or keep in a note."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "codes",
            node_id="AceGraphCodesToText",
            display_name="Codes to Text (ACE-Step)",
            description="Writes codes the way planners do, with a blank line between songs. Codes from Text reads it back.",
            search_aliases=["copy codes"],
            inputs=[Codes.Input("codes", tooltip="From Compose Codes, Audio to Codes or Load Codes.")],
            outputs=[
                io.String.Output(display_name="text", tooltip="For Preview Any, or any node that takes text.")
            ],
        )

    @classmethod
    def execute(cls, codes: CodeList) -> io.NodeOutput:
        return io.NodeOutput(format_songs(codes.numbers()))


class SaveCodes(Node):
    """Codes into a small file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "codes",
            node_id="AceGraphSaveCodes",
            display_name="Save Codes (ACE-Step)",
            description="Saves codes into the output folder as a small JSON file, which Load Codes offers again as long as it lies in the folder codes.",
            search_aliases=["export codes"],
            is_output_node=True,
            inputs=[
                Codes.Input("codes", tooltip="From Compose Codes, Audio to Codes or Codes from Text."),
                io.String.Input(
                    "filename_prefix",
                    default=f"{FOLDER}/ACE-Step",
                    tooltip="Name in the output folder; a number is added. Load Codes looks in its folder codes. %year%, %month%, %day%, %hour%, "
                    "%minute% and %second% are filled in.",
                ),
            ],
            outputs=[report_output()],
        )

    @classmethod
    def execute(cls, codes: CodeList, filename_prefix: str) -> io.NodeOutput:
        content = codes_to_json(codes.numbers()).encode()
        names = FreeNames(filename_prefix)
        (path,) = names.write(0, {EXTENSION: content})
        report = "\n".join([f"Saved as {path.name}.", *codes.lengths()])
        saved = {"filename": path.name, "subfolder": names.subfolder, "type": names.kind}
        return io.NodeOutput(report, ui={"codes": [saved]})


class LoadCodes(Node):
    """Codes out of a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "codes",
            node_id="AceGraphLoadCodes",
            display_name="Load Codes (ACE-Step)",
            description="Reads a file of Save Codes, from the folder codes of the output folder, or from the input folder, where files of others belong.",
            search_aliases=["import codes"],
            inputs=[
                of_files(
                    io.Combo.Input(
                        "file",
                        options=files_to_load(EXTENSION, FOLDER) or [NO_FILE],
                        tooltip="JSON files of the input folder, and what Save Codes put into output/codes. Press R to refresh the list.",
                    )
                )
            ],
            outputs=[
                Codes.Output(display_name="codes", tooltip="For Codes to Latent or Encode Conditions."),
                report_output(),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str | None) -> str:
        """Another value when the file has changed; ComfyUI knows by itself whether a wired name has."""
        if file is None or file == NO_FILE:
            return NO_FILE
        with input_file(file).open("rb") as opened:
            return hashlib.sha256(opened.read(MAX_FILE_BYTES + 1)).hexdigest()

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        if file == NO_FILE:
            raise InvalidInputError(
                "No file of codes is chosen.", "Run Save Codes, press R, and choose its file in the list."
            )
        codes = CodeList.of(read_codes(input_file(file)))
        return io.NodeOutput(codes, "\n".join(codes.lengths()))


def codec_of(model: ModelHandle) -> Managed:
    """The semantic tokenizer and detokenizer, if the checkpoint brings them."""
    if model.codec is None:
        raise UnsupportedCheckpointError(
            f"{model.name} brings no semantic tokenizer, which turns music into codes and back.",
            "Load a whole checkpoint; of a diffusers folder, audio_tokenizer and audio_token_detokenizer belong to it.",
        )
    return model.codec


def coding_bytes(model: ModelHandle, managed: Managed, codes: int) -> int:
    """What the codec takes beside its weights for a song of so many codes."""
    tokens = codes * (FRAMES_PER_CODE + 1)  # each group of frames and its question
    return encoding_bytes(model.config.encoder_stack, tokens, managed.dtype.itemsize)
