"""The official constrained decoding, told our tokens one by one."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from acestep_core.planner.chain_of_thought import Thought, yaml_name
from acestep_core.text.tokenizer import TextTokenizer
from support.tiny.planner_text import whole

OFFICIAL = str(Path(sys.prefix) / "official")  # where make put it, away from everything else


class Official:
    """The official processor, and the little of a tokenizer that it asks for."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        if OFFICIAL not in sys.path:
            sys.path.append(OFFICIAL)
        from acestep.constrained_logits_processor import MetadataConstrainedLogitsProcessor

        self.bpe = whole(tokenizer)
        self.size = self.bpe.get_vocab_size()
        self.eos_token_id = self.bpe.token_to_id("<|im_end|>")
        self.processor = MetadataConstrainedLogitsProcessor(self, genres_vocab_path="none")

    def __len__(self) -> int:
        return self.size

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return self.bpe.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, ids: Sequence[int]) -> str:
        return self.bpe.decode(ids, skip_special_tokens=False)

    def begin_thought(self, given: Thought, fields: Sequence[str], describes: bool, longest: int) -> None:
        """First phase, with these fields in this text; or, if it describes, a whole thought and then lyrics."""
        texts = {yaml_name(name): str(value) for name, value in given.as_dict().items()}
        texts |= {"timesignature": "6"} if given.time_signature == "6/8" else {}  # theirs leaves it as it is
        self.processor.reset()
        self.processor.set_max_duration(longest)
        self.processor.set_user_metadata(texts | ({"genres": "pop"} if describes else {}))
        self.processor.set_skip_genres(not describes)
        self.processor.set_skip_caption("caption" not in fields)
        self.processor.set_skip_language("language" not in fields)
        self.processor.set_stop_at_reasoning(not describes)
        self.processor.set_generation_phase("understand" if describes else "cot")

    def begin_codes(self, seconds: float | None) -> None:
        """Second phase; None: the planner decides when the song is over."""
        self.processor.reset()
        self.processor.set_target_duration(seconds)
        self.processor.set_generation_phase("codes")

    def take(self, token: int) -> None:
        """A token was chosen."""
        self.processor.update_state(token)

    def allowed(self, logits: Tensor, ids: Sequence[int] = (0,)) -> Tensor:
        """Which tokens [V] may come after these ids. logits: [V]."""
        return self.processor(torch.tensor([list(ids)]), logits[None])[0].isfinite()

    @property
    def state(self) -> str:
        """Where their machine stands, with the states of a caption told apart."""
        rules = self.processor
        if rules.state.name != "CAPTION_VALUE":
            return rules.state.name
        if rules.caption_ending:
            return "the name after a caption"
        if rules.caption_after_newline:
            return "after a line of the caption"
        return rules.state.name if rules.accumulated_value else "the caption's first token"
