"""Handwritten digits with a small convolutional network. Stop it at any moment: run again, it goes on where it was.

Nothing here knows about Buoy. It does what a resumable PyTorch script should do anyway: it keeps everything that
the next step depends on (weights, optimizer, scheduler, position, random state) in one file, which it replaces
atomically, and it saves once more when it is asked to stop (SIGTERM).
"""
import argparse
import os
import signal
import sys

import torch
from torch import nn
from torch.nn import functional as F
from sklearn.datasets import load_digits


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 4 * 4, 128), nn.ReLU(), nn.Linear(128, 10))


def save(path, state):
    """Replaces `path` in one step: a reader, or a crash, sees the old file or the new one, never a part."""
    temporary = path + ".tmp"
    with open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "7")))
    parser.add_argument("--checkpoints", default="checkpoints")
    parser.add_argument("--model", default="model.pt")
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # the order of additions, and so the last bits, depend on it
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(arguments.seed)

    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16.0
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(arguments.seed))
    train, test = order[:1437], order[1437:]

    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=arguments.epochs)
    epoch, batch, running_loss = 0, 0, 0.0

    os.makedirs(arguments.checkpoints, exist_ok=True)
    checkpoint = os.path.join(arguments.checkpoints, "last.pt")
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        torch.set_rng_state(state["rng"])
        epoch, batch, running_loss = state["epoch"], state["batch"], state["running_loss"]
        print(f"resumed at epoch {epoch + 1}, batch {batch}", flush=True)

    def save_checkpoint():
        save(checkpoint, {
            "model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
            "rng": torch.get_rng_state(), "epoch": epoch, "batch": batch, "running_loss": running_loss})

    asked_to_stop = False

    def on_signal(*_):
        nonlocal asked_to_stop
        asked_to_stop = True

    signal.signal(signal.SIGTERM, on_signal)

    while epoch < arguments.epochs:
        model.train()
        # The order of an epoch follows from the seed and its number alone, so a resume can rebuild it.
        shuffled = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(arguments.seed + epoch))]
        batches = shuffled.split(arguments.batch_size)
        while batch < len(batches):
            index = batches[batch]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images[index]), labels[index])
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            batch += 1
            if asked_to_stop:
                save_checkpoint()
                print(f"asked to stop: saved at epoch {epoch + 1}, batch {batch}", flush=True)
                sys.exit(0)
        scheduler.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(images[test]).argmax(1) == labels[test]).float().mean().item()
        print(f"epoch={epoch + 1} loss={running_loss / len(batches):.4f} accuracy={accuracy:.4f}", flush=True)
        epoch, batch, running_loss = epoch + 1, 0, 0.0
        save_checkpoint()

    save(arguments.model, model.state_dict())
    print(f"finished: {arguments.model}", flush=True)


if __name__ == "__main__":
    main()
