"""symbols.py HEADER LIBRARY: compares the functions declared with those exported."""
import re
import subprocess
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    declared = set(re.findall(r"ELAH_API[^;(]*?\b(elah_\w+)\(", file.read()))
listing = subprocess.run(["nm", "-D", "--defined-only", sys.argv[2]], capture_output=True, text=True, check=True).stdout
exported = {line.split()[-1].split("@")[0] for line in listing.splitlines()}
if len(declared) < 20 or declared != exported:
    sys.exit(f"only declared: {sorted(declared - exported)}; only exported: {sorted(exported - declared)}")
