"""Fails when an include points upward: each folder may include only itself and what the table lists below it."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent / "src"
# From the bottom up. A folder may include any folder above it in this list, except where FORBIDDEN says otherwise.
ORDER = ["base", "os", "net", "container", "aws", "engine", "sim", "schedule", "store", "objstore", "cloud", "api", "gateways", "control", "agent", "cli"]
# The three programs' worlds meet only in api/. The engine and all that is pure know no operating system.
FORBIDDEN = {
    "agent": {"control", "cli", "gateways"},
    "control": {"agent", "cli"},
    "cli": {"agent", "control", "gateways"},
    "engine": {"os", "net"},
    "schedule": {"os", "net"},
    "sim": {"os", "net"},
}
# Pure, and about a file of the person who types: read where that person is, without a server.
ALLOWED = {"cli": ("gateways/spotty/",)}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)

problems = []
for path in sorted(ROOT.rglob("*")):
    if path.suffix not in (".h", ".cc"):
        continue
    folder = path.relative_to(ROOT).parts[0]
    if folder not in ORDER:
        problems.append(f"{path.relative_to(ROOT.parent)}: folder '{folder}' has no place in the order (scripts/check_includes.py)")
        continue
    for target in INCLUDE.findall(path.read_text()):
        other = target.split("/")[0]
        if other not in ORDER:
            problems.append(f"{path.relative_to(ROOT.parent)}: \"{target}\" is not rooted at src/")
        elif ORDER.index(other) > ORDER.index(folder) or (
                other in FORBIDDEN.get(folder, ()) and not target.startswith(ALLOWED.get(folder, ("\0",)))):
            problems.append(f"{path.relative_to(ROOT.parent)}: {folder}/ must not include {other}/ (\"{target}\")")
if problems:
    print("\n".join(problems), file=sys.stderr)
    sys.exit(f"{len(problems)} includes break the order; see ARCHITECTURE.md")
