#!/bin/sh
# Installs the Debian packages that a task needs; asks for root only if one is missing.
#   install_packages.sh build|demo|test|s3|cloud|bench …
set -eu
build="build-essential cmake ninja-build ccache mold pkg-config libboost-dev libexpected-dev libfmt-dev \
  libgtest-dev libgmock-dev libpugixml-dev librapidcheck-dev libre2-dev libspdlog-dev libsqlite3-dev libssl-dev \
  libxxhash-dev libyaml-cpp-dev nlohmann-json3-dev libbenchmark-dev"
# Podman as it runs on most hosts (crun fails where control groups are hybrid), and what images are made of.
containers="podman runc conmon netavark aardvark-dns iptables fuse-overlayfs busybox-static"
demo="python3 python3-torch python3-sklearn libopenblas0-pthread"
# Terminals, and a machine over SSH.
workspaces="tmux openssh-server openssh-client iproute2 util-linux"
test="git python3 python3-pytest python3-pytest-xdist python3-boto3 awscli clang-format-14 clang-tidy-14 $containers $workspaces"
# A real S3 server, and a client of other people's to check it with.
s3="ceph-mon ceph-osd radosgw ceph-common uuid-runtime curl openssl python3 python3-venv awscli"
# The stand-in for AWS: machines are namespaces, volumes loop devices; AWS's own clients to check it with.
cloud="python3 python3-venv python3-pytest python3-pytest-xdist python3-botocore awscli curl iproute2 mount e2fsprogs xfsprogs \
  $containers $workspaces"
bench="python3 hyperfine awscli rclone s4cmd s3cmd"

missing=
for group in "$@"; do
  case $group in
    build) packages=$build ;;
    demo) packages=$demo ;;
    test) packages=$test ;;
    s3) packages=$s3 ;;
    cloud) packages=$cloud ;;
    bench) packages=$bench ;;
    *) echo "install_packages.sh: no such group: $group" >&2; exit 2 ;;
  esac
  for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
  as_root=sudo
  command -v sudo >/dev/null || { echo "These packages are missing; as root run: apt-get install$missing" >&2; exit 1; }
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ $as_root apt-get update && $as_root apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 ||
  { cat "$log" >&2; echo "install_packages.sh: apt-get failed" >&2; exit 1; }
