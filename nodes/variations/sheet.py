"""Seeds by values: everything downstream runs once for each pair, and the player shows the songs as a table."""

from comfy_api.latest import io

from ...acestep_core.text.sheet import EXAMPLES, MOST_PAIRS, columns_of, pairs_of
from ..host.node import Node, verdict
from ..wires.schema import schema


class Sheet(Node):
    """Every seed with every value, as lists."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "sampling",
            node_id="AceGraphSheet",
            display_name="Sheet (ACE-Step)",
            description="Plays every seed with every value: what is wired behind it runs once for each pair, one after the other, "
            "and the player of Save Audio shows a table of the songs.",
            search_aliases=["grid", "xy plot", "compare", "variations", "seeds", "matrix", "acestep"],
            inputs=[
                io.String.Input(
                    "seeds",
                    default=EXAMPLES["seeds"],
                    tooltip=f"The rows: seeds with commas between them. Seeds times values may be {MOST_PAIRS}. For seeds alone, songs "
                    "of Silence Latent is faster.",
                ),
                io.String.Input(
                    "values",
                    default=EXAMPLES["values"],
                    tooltip="The columns: numbers with a dot and commas between them, for whatever value is wired to.",
                ),
            ],
            outputs=[
                io.Int.Output(display_name="seed", is_output_list=True, tooltip="For the Sampler's seed."),
                io.Float.Output(
                    display_name="value",
                    is_output_list=True,
                    tooltip="For any number, such as the Sampler's cover strength or guidance.",
                ),
                io.String.Output(
                    display_name="label",
                    is_output_list=True,
                    tooltip="The pair in words, to be shown or written. The player needs no wire for its table.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, seeds: str | None = None, values: str | None = None) -> bool | str:
        return verdict(cls, pairs_of, seeds=seeds, values=values)

    @classmethod
    def execute(cls, seeds: str, values: str) -> io.NodeOutput:
        return io.NodeOutput(*columns_of(pairs_of(seeds, values)))
