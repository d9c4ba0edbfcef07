"""A plain Python loop that saves when Buoy says that it is worth it. No package is needed.

It throws darts to find π; what the next step depends on is a count and the state of the random numbers. Take its
machine away as often as you like: the result is the same digit for digit.
"""
import json
import os
import random
import signal
import sys

STEPS = int(os.environ.get("STEPS", "5000"))
CHECKPOINT = os.path.join(os.environ["BUOY_CHECKPOINT_DIR"], "state.json")
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a notice is seen in the control file as well: save_now grows


def save(state):
    with open(CHECKPOINT + ".tmp", "w") as file:
        json.dump(state, file)
    os.replace(CHECKPOINT + ".tmp", CHECKPOINT)


state = {"step": 0, "hits": 0, "random": random.Random(7).getstate()}
if os.path.exists(CHECKPOINT):
    with open(CHECKPOINT) as file:
        state = json.load(file)
    print(f"resumed at step {state['step']}", flush=True)

generator = random.Random()
generator.setstate((state["random"][0], tuple(state["random"][1]), state["random"][2]))
saved = 0
while state["step"] < STEPS:
    for _ in range(20_000):
        x, y = generator.random(), generator.random()
        state["hits"] += x * x + y * y < 1
    state["step"] += 1
    print(f"step={state['step']} pi={4 * state['hits'] / (20_000 * state['step']):.6f}", flush=True)

    # The three lines.
    control = json.load(open(os.environ["BUOY_CHECKPOINT_CONTROL"]))
    if control["save_now"] != saved:
        state["random"], saved = generator.getstate(), control["save_now"]; save(state)

    if control["reason"] == "stop":
        sys.exit(0)  # its machine will be taken: the rest is done elsewhere

with open("pi.txt", "w") as file:
    file.write(f"{4 * state['hits'] / (20_000 * STEPS)!r}\n")
