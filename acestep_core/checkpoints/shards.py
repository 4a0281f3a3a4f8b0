"""A folder's weights in one file, or in shards with an index beside them."""

from pathlib import Path

from ..errors import UnsupportedCheckpointError
from ..files import is_file, read_json
from .tensor_file import DOWNLOAD_AGAIN, TensorFile, few
from .weights import Weights


def open_folder(folder: Path, stem: str) -> Weights:
    """The tensors of `<stem>.safetensors`, or of the shards that `<stem>.safetensors.index.json` names."""
    whole, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if is_file(whole):
        return Weights.open(whole)
    if not is_file(index):
        raise UnsupportedCheckpointError(
            f"{folder} holds neither {whole.name} nor {index.name}.",
            "Download the folder's .safetensors files as well.",
        )
    shard_of = shards_named_in(index)
    shards = [TensorFile(folder / name) for name in sorted(set(shard_of.values()))]
    if absent := [shard.path.name for shard in shards if not is_file(shard.path)]:
        raise UnsupportedCheckpointError(
            f"{folder} lacks {few(absent)} of its {len(shards)} shards.", "Download the missing shards."
        )
    held = {(name, shard.path.name) for shard in shards for name in shard.names}
    if lost := set(shard_of.items()) - held:
        raise UnsupportedCheckpointError(
            f"{index.name} names {few(name for name, _ in lost)}, which the shards do not hold.",
            "Download index and shards again; they are of different versions.",
        )
    return Weights.of(shards)


def shards_named_in(index: Path) -> dict[str, str]:
    """Tensor name -> file name of its shard, as an index says."""
    mapped = read_json(index).get("weight_map")
    shard_of = {str(key): str(name) for key, name in mapped.items()} if isinstance(mapped, dict) else {}
    if not shard_of or any(Path(name).name != name for name in shard_of.values()):
        raise UnsupportedCheckpointError(f"{index} does not say which shard holds what.", DOWNLOAD_AGAIN)
    return shard_of
