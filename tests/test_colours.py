"""The colours of our sockets: told apart from each other and from their neighbours, also by eyes that lack a colour."""

import re
from itertools import combinations

import numpy as np
import pytest

from tools import ROOT

SOURCE = (ROOT / "web" / "colours.js").read_text(encoding="utf-8")
COLOURS = dict(re.findall(r'(ACEGRAPH_\w+): "(#[0-9a-f]{6})"', SOURCE))
NEIGHBOURS = {"LATENT": "#ff9cf9", "MASK": "#81c784", "SIGMAS": "#cdffcd"}  # of ComfyUI's dark palette
EYES = {  # Machado, Oliveira and Fernandes 2009, in linear RGB
    "all colours": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}
APART = 12  # in Lab; 2 is the least that anybody sees
DARK = "#282828"  # of nodes


def linear(colour):
    share = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(colour, eyes):
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(np.array(EYES[eyes]) @ linear(colour), 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def luminance(colour):
    return linear(colour) @ [0.2126, 0.7152, 0.0722]


def test_every_socket_of_ours_has_one():
    sockets = ROOT / "nodes" / "wires" / "sockets.py"
    kinds = set(re.findall(r'"(ACEGRAPH_\w+)"', sockets.read_text(encoding="utf-8")))
    assert kinds - set(COLOURS) == set()


@pytest.mark.parametrize("eyes", EYES)
def test_they_are_told_apart(eyes):
    every = {**COLOURS, **NEIGHBOURS}
    for one, other in combinations(every, 2):
        if one in COLOURS or other in COLOURS:
            assert np.linalg.norm(lab(every[one], eyes) - lab(every[other], eyes)) > APART, (one, other)


def test_they_stand_out_from_a_node():
    for kind, colour in COLOURS.items():
        assert (luminance(colour) + 0.05) / (luminance(DARK) + 0.05) > 2.5, kind
