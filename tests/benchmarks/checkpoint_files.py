"""The files of a Hugging Face checkpoint: safetensors shards and their index. Python's standard library only."""
import json
import math
import os
import struct

BYTES = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1}


def size_of(dtype, shape):
    return BYTES[dtype] * math.prod(shape)


def header_bytes(tensors):
    """The head of a safetensors file that holds `tensors`, [(name, dtype, shape)], one behind the other."""
    entries = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, dtype, shape in tensors:
        end = offset + size_of(dtype, shape)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, offset


def write_shard(path, tensors, write_data=None):
    """Writes a shard. Without write_data(file, tensor) its body is a hole: the file has its size but takes no space."""
    head, size = header_bytes(tensors)
    with open(path, "wb") as file:
        file.write(head)
        if write_data is None:
            file.truncate(len(head) + size)
            return
        for tensor in tensors:
            write_data(file, tensor)
        assert file.tell() == len(head) + size


def split(tensors, limit):
    """Cuts the list into shards of at most `limit` bytes."""
    shards, size = [[]], 0
    for tensor in tensors:
        bytes_of_tensor = size_of(tensor[1], tensor[2])
        if shards[-1] and size + bytes_of_tensor > limit:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += bytes_of_tensor
    return shards


def split_into(tensors, count):
    """Cuts the list into `count` shards with the smallest limit that does it."""
    total = sum(size_of(dtype, shape) for _, dtype, shape in tensors)
    low, high = total // count, total
    while low < high:
        middle = (low + high) // 2
        if len(split(tensors, middle)) > count:
            low = middle + 1
        else:
            high = middle
    shards = split(tensors, low)
    assert len(shards) == count, f"cannot cut {len(tensors)} tensors into {count} shards"
    return shards


def write_checkpoint(folder, shards, write_data=None):
    """Writes shards under the names that transformers gives them, and the index of more than one."""
    os.makedirs(folder, exist_ok=True)
    if len(shards) == 1:
        write_shard(os.path.join(folder, "model.safetensors"), shards[0], write_data)
        return
    weight_map, total = {}, 0
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):06}.safetensors"
        write_shard(os.path.join(folder, name), shard, write_data)
        for tensor, dtype, shape in shard:
            weight_map[tensor] = name
            total += size_of(dtype, shape)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    write_json(os.path.join(folder, "model.safetensors.index.json"), index)


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")
