"""Counts; stands in for training. Goes on where it was: its progress is on the volume."""
import argparse
import pathlib
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
lr = parser.parse_args().lr
progress = pathlib.Path("/workspace/step")
begin = int(progress.read_text()) if progress.exists() else 0
for step in range(begin, 10_000):
    print(f"step {step} lr {lr}", flush=True)
    fresh = progress.with_suffix(".new")
    fresh.write_text(str(step + 1))
    fresh.rename(progress)
    time.sleep(1)
