"""Reads counters and a trace of the kernel `tile` as JSON, and says what they hold: check_trace.py COUNTERS TRACE."""

import json
import sys

counters = json.loads(open(sys.argv[1]).readlines()[-1])
copies = counters["tensorCopies"]
print(f"tensor copies: {copies['operations']}, {copies['globalRead']} bytes read, {copies['sectors']} sectors")
assert counters["instructions"]["warps"] == sum(c["warps"] for c in counters["classes"].values())
assert counters["instructions"]["warps"] == sum(c["warps"] for c in counters["forms"].values())

events = json.load(open(sys.argv[2]))
ran = {event["tid"] for event in events if event.get("name") == "runs"}
waited = {event["tid"] for event in events if event.get("name", "").startswith("waits: mbarrier.try_wait")}
print(f"warps that ran: {len(ran)}, that waited for the copy: {len(waited)}")
# A warp does one thing at a time.
for warp in ran:
    slices = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X" and e["tid"] == warp)
    assert all(a[1] <= b[0] + 1e-4 for a, b in zip(slices, slices[1:])), slices
begins = [event for event in events if event["ph"] == "b"]
assert len(begins) == len([event for event in events if event["ph"] == "e"])
for event in begins:
    print("asynchronous:", event["name"])
