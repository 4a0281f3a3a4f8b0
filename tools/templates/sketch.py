"""A picture that is being drawn: sounds, texts, codes, nodes and arrows, in the colours of the template list."""

import math
import random
from collections.abc import Callable

from PIL import Image, ImageDraw

WIDTH, HEIGHT, SCALE = 400, 225, 3  # drawn larger, so that edges are smooth
GROUND, OLD, INK = "#1b2029", "#77808f", "#e8ecf2"
ORANGE, TEAL, PINK, YELLOW, VIOLET = "#ff9f43", "#2ec4b6", "#f178b6", "#f4d35e", "#8f7bff"
COLOURS = (ORANGE, TEAL, PINK, YELLOW, VIOLET)
Colour = str | Callable[[float], str]


class Sketch:
    """A picture that is being drawn, in pixels of the finished one."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), GROUND)
        self._draw = ImageDraw.Draw(self.image)

    def bar(
        self, left: float, top: float, right: float, bottom: float, colour: str, radius: float = 2
    ) -> None:
        """A rectangle with round corners."""
        corners = [round(edge * SCALE) for edge in (left, top, right, bottom)]
        self._draw.rounded_rectangle(corners, radius * SCALE, fill=colour)

    def wave(
        self, left: float, right: float, middle: float, high: float, colour: Colour, shape: int = 1
    ) -> None:
        """A sound. colour: one, or what it is at a share of the way; shape: which sound."""
        count = int((right - left) / 7)
        draw = random.Random(shape)
        for place in range(count):
            share = place / max(count - 1, 1)
            swell = 0.35 + 0.65 * abs(math.sin(math.pi * (1.5 * share + 0.37 * shape)))
            tall = max(3.0, high * swell * draw.uniform(0.35, 1.0))
            ink = colour if isinstance(colour, str) else colour(share)
            self.bar(left + 7 * place, middle - tall / 2, left + 7 * place + 4, middle + tall / 2, ink)

    def words(self, left: float, right: float, top: float, lines: int, colour: Colour = INK) -> None:
        """A text."""
        draw = random.Random(lines)
        for line in range(lines):
            ink = colour if isinstance(colour, str) else colour(line / max(lines - 1, 1))
            end = left + (right - left) * draw.uniform(0.6, 1)
            self.bar(left, top + 18 * line, end, top + 18 * line + 7, ink, 3)

    def arrow(self, left: float, middle: float, down: bool = False) -> None:
        """From what was to what is."""
        tip = [(0, -9), (14, 0), (0, 9)] if not down else [(-9, 0), (0, 14), (9, 0)]
        self._draw.polygon([(SCALE * (left + x), SCALE * (middle + y)) for x, y in tip], fill=INK)

    def dots(self, left: float, top: float, columns: int, rows: int, colour: str) -> None:
        """Codes: one of each column."""
        draw = random.Random(columns)
        for column in range(columns):
            chosen = draw.randrange(rows)
            for row in range(rows):
                x, y = left + 16 * column, top + 16 * row
                self.bar(x, y, x + 10, y + 10, colour if row == chosen else "#343c4a", 3)

    def node(self, left: float, top: float, colour: str, width: float = 66, high: float = 54) -> None:
        """A node of the editor."""
        self.bar(left, top, left + width, top + high, "#343c4a", 6)
        self.bar(left, top, left + width, top + 14, colour, 6)

    def wire(self, left: float, top: float, right: float, bottom: float, colour: str = INK) -> None:
        """From node to node."""
        ends = [(round(SCALE * left), round(SCALE * top)), (round(SCALE * right), round(SCALE * bottom))]
        self._draw.line(ends, fill=colour, width=3 * SCALE)

    def plug(self, left: float, top: float, colour: str) -> None:
        """Something that a model is given: a LoRA."""
        self.bar(left, top, left + 46, top + 46, colour, 8)
        self.bar(left + 15, top + 44, left + 31, top + 60, colour, 4)
