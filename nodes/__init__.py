"""The nodes, in the order of the menu."""

from comfy_api.latest import ComfyExtension, io

from . import (
    codes,
    compose,
    conditions,
    edit,
    latents,
    load,
    lora,
    sampling_extras,
    save_audio,
    splice,
    to_model,
    vae,
)
from . import load_planner as planner
from . import plan as planning
from . import sampler as sample
from .analysis import lyric_times, pick_take, region, save_lyrics, score_takes
from .host import recordings
from .variations import sheet

NODES: list[type[io.ComfyNode]] = [
    load.Load,
    lora.LoadAdapter,
    conditions.EncodeConditions,
    conditions.BatchConditions,
    latents.SilenceLatent,
    latents.ChunkMask,
    latents.Extend,
    latents.Retake,
    sample.Sampler,
    sampling_extras.SamplingExtras,
    edit.EditSong,
    to_model.ToModel,
    vae.OobleckEncode,
    vae.OobleckDecode,
    vae.ReferenceTimbre,
    codes.AudioToCodes,
    codes.CodesToLatent,
    codes.CodesFromText,
    codes.CodesToText,
    codes.SaveCodes,
    codes.LoadCodes,
    planner.LoadPlanner,
    planning.Plan,
    compose.ComposeCodes,
    planning.Understand,
    planning.Inspire,
    planning.Format,
    splice.Splice,
    region.Region,
    save_audio.SaveAudio,
    save_audio.PreviewAudio,
    lyric_times.LyricTimes,
    save_lyrics.SaveLyrics,
    score_takes.ScoreTakes,
    pick_take.PickTake,
    sheet.Sheet,
]


class AceStepGraph(ComfyExtension):
    """What ComfyUI loads."""

    def __init__(self) -> None:
        recordings.offer()  # older versions never call on_load

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES
