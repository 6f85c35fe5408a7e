"""The exit statuses of elah-run, and what signals, closed pipes and full disks do to it."""
import os
import pty
import signal
import subprocess
import sys
import time

artifact = sys.argv[1]


def status(*arguments, **options):
    options.setdefault("stdout", subprocess.DEVNULL)
    options.setdefault("stderr", subprocess.DEVNULL)
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(["elah-run", *arguments], timeout=60, check=False, **options).returncode


def expect(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: expected status {wanted}, found {found}")


expect(status(artifact, "--prompt", "a"), 0, "an answer")
expect(status(artifact), 2, "no prompt")
expect(status(artifact, "--frobnicate"), 2, "an unknown option")
expect(status("--help"), 0, "help")
expect(status(artifact + ".none", "--prompt", "a"), 66, "a missing file")
expect(status(artifact, "--prompts-file", artifact + ".none"), 66, "a missing file of prompts")
expect(status("/dev/null", "--prompt", "a"), 65, "no artifact")
expect(status(artifact, "--prompt", "a" * 40), 65, "a prompt beyond the context")
expect(status(artifact, "--tokens", "1", "--logits", "/none/x.npy"), 74, "a place that cannot be written")
with open("/dev/full", "wb") as full:
    for arguments in (["run", artifact, "--prompt", "a"], ["inspect", artifact], ["verify", artifact],
                      ["inspect", artifact, "--json"]):
        expect(status(*arguments, stdout=full), 74, f"a full disk under {arguments[0]}")
    expect(status("tokenize", artifact, stdout=full), 74, "a full disk under tokenize")

# A reader that goes away ends the writer quietly.
read, write = os.pipe()
os.close(read)
expect(status("inspect", artifact, "--json", stdout=write), -signal.SIGPIPE, "a closed pipe")
os.close(write)

# Interrupted while it waits for the next question of a conversation.
for number, wanted in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
    program = subprocess.Popen(["elah-run", artifact, "--chat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    program.stdin.write(b"hello\n")
    program.stdin.flush()
    text = b""
    while b"hello" not in text:
        text += os.read(program.stdout.fileno(), 100)
    time.sleep(0.2)
    program.send_signal(number)
    expect(program.wait(timeout=20), wanted, f"signal {number}")

# On a terminal thought is dim, without tags.
master, slave = pty.openpty()
program = subprocess.Popen(["elah-run", artifact, "--prompt", "hi"], stdin=subprocess.DEVNULL, stdout=slave,
                           stderr=subprocess.DEVNULL)
os.close(slave)
text = b""
while True:
    try:
        part = os.read(master, 1000)
    except OSError:
        break
    if not part:
        break
    text += part
program.wait(timeout=20)
if text.replace(b"\r\n", b"\n") != b"\x1b[2mhm\n\x1b[0m\nhi\n":
    sys.exit(f"on a terminal: found {text!r}")

# Cut off under the program: a message and a status, whenever it is noticed.
copy = artifact + ".copy"
with open(artifact, "rb") as file:
    whole = file.read()
with open(copy, "wb") as file:
    file.write(whole)
program = subprocess.Popen(["elah-run", copy, "--chat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
program.stdin.write(b"hello\n")
program.stdin.flush()
text = b""
while b"hello" not in text:
    text += os.read(program.stdout.fileno(), 100)
os.truncate(copy, 5000)
out, error = program.communicate(b"again\n", timeout=20)
expect(program.returncode, 74, "an artifact cut off")
if b"error: the artifact's file was c" not in error:
    sys.exit(f"an artifact cut off: found {error!r}")
