"""Small jobs in plain shell for the tests: they save as a training script should, and cost milliseconds to start."""

# Counts to $1, one line and one atomically replaced checkpoint a step; $2 seconds between steps.
COUNTER = """\
mkdir -p checkpoints
n=$(cat checkpoints/n 2>/dev/null || echo 0)
echo "started at $n"
while [ "$n" -lt "$1" ]; do
  n=$((n + 1))
  echo "step $n"
  echo "$n" >checkpoints/n.tmp && mv checkpoints/n.tmp checkpoints/n
  sleep "${2:-0.02}"
done
echo "$n" >result.txt
"""

# Runs until it is told to stop; on SIGTERM saves where it was and ends with 0, as well-behaved scripts do.
PATIENT = """\
mkdir -p checkpoints
n=$(cat checkpoints/n 2>/dev/null || echo 0)
echo "started at $n"
trap 'echo "$n" >checkpoints/n.tmp; mv checkpoints/n.tmp checkpoints/n; echo "saved $n"; exit 0' TERM
while [ ! -e "$1" ]; do n=$((n + 1)); sleep 0.02; done
echo "finished at $n"
"""


def market(script, max_machines=8):
    """A configuration whose pool takes its machines by the given script (YAML flow text)."""
    return f"""\
pools:
  - name: local
    provider: local
    max_machines: {max_machines}
    types:
      - {{name: small, cpus: 1, memory: 512MiB, price: 1.00, spot_price: 0.30}}
    market: {{script: {script}}}
queues:
  - {{name: default, pools: [local]}}
"""
