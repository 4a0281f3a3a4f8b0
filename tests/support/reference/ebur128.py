"""FFmpeg's loudness meter, through PyAV (18 or later: before, a frame hides what was measured)."""

from fractions import Fraction
from typing import NamedTuple

import av
import av.filter
import numpy as np
from torch import Tensor

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


class Heard(NamedTuple):
    """LUFS, and the true peak as an amplitude with three digits."""

    integrated: float
    true_peak: float


def ebur128(samples: Tensor, sample_rate: int) -> Heard:
    """What FFmpeg measures of [C, S]."""
    layout = LAYOUTS[len(samples)]
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=sample_rate, format="fltp", layout=layout, time_base=Fraction(1, sample_rate)
    )
    meter, sink = graph.add("ebur128", "metadata=1:peak=true:framelog=quiet"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()

    said: dict[str, str] = {}
    for start in (*range(0, samples.shape[-1], sample_rate), None):
        if start is None:
            graph.push(None)
        else:
            piece = np.ascontiguousarray(samples[:, start : start + sample_rate].numpy())
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = sample_rate, start
            graph.push(frame)
        said |= pulled(graph)
    peaks = [float(value) for name, value in said.items() if "true_peak" in name]
    return Heard(float(said["lavfi.r128.I"]), max(peaks))


def pulled(graph: av.filter.Graph) -> dict[str, str]:
    """What the frames that are ready say; the last word counts."""
    said: dict[str, str] = {}
    while True:
        try:
            said |= graph.pull().metadata
        except (av.error.BlockingIOError, av.error.EOFError):
            return said
