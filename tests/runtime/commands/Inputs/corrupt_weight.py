"""corrupt_weight.py FILE WEIGHT OFFSET BYTES: turns the signs of bytes of a weight, given by its index or its name.

The manifest is read as far as that needs it: field 9, weights, of which 1 is the name and 2 the offset."""
import struct
import sys


def fields(data):
    """Number and value of each field of a protobuf message."""
    place = 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, varint()
            continue
        size = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        yield tag >> 3, data[place : place + size]
        place += size


path, which, offset, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with open(path, "r+b") as file:
    header = file.read(4096)
    manifest_offset, manifest_size = struct.unpack_from("<QQ", header, 24)
    section_count = struct.unpack_from("<I", header, 12)[0]
    sections = [struct.unpack_from("<IIQQ", header, 72 + 24 * i) for i in range(section_count)]
    section = next(place for kind, _, place, _ in sections if kind == 1)
    file.seek(manifest_offset)
    weights = [dict(fields(value)) for number, value in fields(file.read(manifest_size)) if number == 9]
    names = [weight.get(1, b"").decode() for weight in weights]
    weight = weights[int(which) if which.isdigit() else names.index(which)]
    file.seek(section + weight.get(2, 0) + offset)
    content = file.read(count)
    file.seek(section + weight.get(2, 0) + offset)
    file.write(bytes(byte ^ 0x80 for byte in content))
