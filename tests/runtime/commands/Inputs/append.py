"""append.py RUNNER ARTIFACT PROGRAM: makes a self-contained program, as elah/artifact.h describes it."""
import os
import struct
import sys

runner, artifact = (open(path, "rb").read() for path in sys.argv[1:3])
offset = -(-len(runner) // 4096) * 4096
with open(sys.argv[3], "wb") as file:
    file.write(runner.ljust(offset, b"\0") + artifact + struct.pack("<QQ8s", offset, len(artifact), b"ELAH\r\n\x1a\n"))
os.chmod(sys.argv[3], 0o755)
