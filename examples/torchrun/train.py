"""Handwritten digits, trained by several processes together (DistributedDataParallel), one on each machine of a gang.

Started by torchrun, as on any cluster. Nothing here knows about Buoy: the first process saves, all of them go on from
what it saved last. When a machine is lost the others lose their connections and end; they are started again together.
"""
import argparse
import datetime
import os

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

BATCH = 48  # over all processes


def save(path, state):
    """Replaces `path` in one step: a reader, or a crash, sees the old file or the new one, never a part."""
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--save-every", type=int, default=50)
    parser.add_argument("--checkpoints", default="checkpoints")
    parser.add_argument("--model", default="model.pt")
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # the order of additions, and so the last bits, depend on it
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(7)
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
    rank, processes = dist.get_rank(), dist.get_world_size()

    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32) / 16.0
    labels = torch.tensor(digits.target)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    os.makedirs(arguments.checkpoints, exist_ok=True)
    checkpoint = os.path.join(arguments.checkpoints, "last.pt")
    step = 0
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
        print(f"rank {rank} of {processes} resumed at step {step}", flush=True)
    # Without that argument gradients are grouped anew after the first step, and a resume adds them in another order.
    together = DistributedDataParallel(model, find_unused_parameters=True)

    while step < arguments.steps:
        # The samples of a step follow from its number alone, so a resume can rebuild it.
        drawn = torch.randint(len(labels), (BATCH,), generator=torch.Generator().manual_seed(step))
        mine = drawn[rank::processes]
        optimizer.zero_grad()
        loss = F.cross_entropy(together(images[mine]), labels[mine])
        loss.backward()  # gradients are averaged over all processes here
        optimizer.step()
        step += 1
        if step % arguments.save_every == 0 and rank == 0:
            save(checkpoint, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step})
            print(f"step={step} loss={loss.item():.4f}", flush=True)

    if rank == 0:
        save(arguments.model, model.state_dict())
        print(f"finished: {arguments.model}", flush=True)
    dist.barrier()


if __name__ == "__main__":
    main()
