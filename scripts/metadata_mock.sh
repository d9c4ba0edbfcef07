#!/bin/sh
# Amazon's own mock of EC2's metadata service, a Go program, built once under build/. Prints its path; fails where
# there is no Go or its modules are out of reach.
set -eu
version=v1.12.0
root=$(cd "$(dirname "$0")/.." && pwd)
home=$root/build/metadata-mock
program=$home/ec2-metadata-mock-$version
if [ ! -x "$program" ]; then
  command -v go >/dev/null || { echo "metadata_mock.sh: there is no Go" >&2; exit 1; }
  mkdir -p "$home"
  # A module of its own: `go install` asks for a list of versions that not every proxy keeps.
  printf 'module metadata-mock\ngo 1.19\nrequire github.com/aws/amazon-ec2-metadata-mock %s\n' "$version" >"$home/go.mod"
  (cd "$home" && GOFLAGS=-mod=mod go build -o "$program" github.com/aws/amazon-ec2-metadata-mock/cmd) >"$home/log" 2>&1 ||
    { tail -n 15 "$home/log" >&2; exit 1; }
fi
echo "$program"
