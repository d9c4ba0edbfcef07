"""What the tests of a spotty.yaml share: the article's scripts, and hands for its terminals."""
import subprocess
import urllib.request

from support.terminal import Terminal

TENSORBOARD = """  tensorboard: |
    #!/bin/sh
    while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nboard' | nc -l -p {{PORT}}; done
"""
# The project needs `env: {GREETING: …}` and a volume at /workspace, where train says how far it is and is told to end.
SCRIPTS = """
scripts:
  preprocess: |
    #!/bin/sh
    mkdir -p logs
    echo "$GREETING {{WHAT}} $*" >logs/preprocess
    exit 3
  train: |
    #!/bin/sh
    echo "training begins"
    n=$(cat /workspace/steps 2>/dev/null || echo 0)
    while [ ! -e /workspace/go ]; do n=$((n + 1)); echo $n >/workspace/steps; echo step $n; sleep 0.1; done
    echo "training ends"
""" + TENSORBOARD


def give_terminals(buoy):
    """buoy.terminal(words…) runs `buoy spotty words…` in a terminal; close_terminals() ends them."""
    buoy.terminals = []

    def terminal(*words):
        buoy.terminals.append(Terminal(buoy.project, buoy.environment, buoy.command("spotty", *words)))
        return buoy.terminals[-1]

    buoy.terminal = terminal


def close_terminals(buoy):
    for each in buoy.terminals:
        each.close()


def board(address):
    """What the script tensorboard answers; None while nobody does."""
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return None


def close_connections(home):
    """Those of ssh that its commands share, and that would outlive the test."""
    for master in (home / ".spotty/ssh").glob("*"):
        subprocess.run(["ssh", "-o", f"ControlPath={master}", "-O", "exit", "any"], capture_output=True)
