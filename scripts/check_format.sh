#!/bin/sh
# Fails, naming the files, when a C++ source is not as clang-format 14 would have it.
set -eu
cd "$(dirname "$0")/.."
git ls-files '*.cc' '*.h' | xargs clang-format-14 --dry-run --Werror 2>&1 | sed -n 's/: error.*//p' | cut -d: -f1 | sort -u >build/.unformatted || true
[ ! -s build/.unformatted ] || { echo "not formatted (run 'make format'):" >&2; cat build/.unformatted >&2; exit 1; }
