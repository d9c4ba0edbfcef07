"""make bench-checkpoints: what a save to S3 costs, the first one and one of which little has changed, and what it takes
from training that uses every core, beside what a bare client takes that only sends the same bytes.

Prints a table and writes build/bench-checkpoints.json. Needs what `make bench-transfer` needs.
"""
import argparse
import hashlib
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests")]
from s3_server import RadosGateway  # noqa: E402

BIN = ROOT / "build/release/bin"
MIB = 1 << 20
CLUSTER = 4 * MIB  # what changes lies together, as the rows of an embedding or the layers that are trained


def write_model(path, size):
    block = os.urandom(MIB)
    with open(path, "wb") as out:
        for number in range(size // MIB):
            out.write(number.to_bytes(8, "little") + block[8:])


def change(path, size, part, seed):
    pick = random.Random(seed)
    clusters = pick.sample(range(size // CLUSTER), max(1, round(size * part / CLUSTER)))
    with open(path, "r+b") as out:
        for cluster in clusters:
            out.seek(cluster * CLUSTER)
            out.write(os.urandom(CLUSTER))
    return len(clusters) * CLUSTER


def saves(server, bucket, size, rounds):
    """Medians of the first save and of a second one with 5 % changed; a fresh model each round."""
    first, second = [], []
    for number in range(rounds):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="buoy-save-", dir="/dev/shm"))
        try:
            write_model(directory / "model.bin", size)
            process = subprocess.Popen([BIN / "buoy_checkpoint_save", f"s3://{bucket}/saves", directory], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=server.clean_environment())
            first.append(json.loads(process.stdout.readline()))
            changed = change(directory / "model.bin", size, 0.05, number)
            process.stdin.write("again\n")
            process.stdin.flush()
            second.append(json.loads(process.stdout.readline()) | {"changed": changed})
            process.stdin.close()
            if process.wait() != 0:
                sys.exit("the save failed")
        finally:
            shutil.rmtree(directory)
    middle = lambda runs, key: statistics.median(run[key] for run in runs)
    return {"first_s": middle(first, "seconds"), "second_s": middle(second, "seconds"),
            "time_ratio": middle(second, "seconds") / middle(first, "seconds"),
            "bytes_ratio": middle(second, "sent") / size, "rounds": rounds}


def training_step(rounds):
    """Work for one core that fits its cache."""
    data = bytes(64 << 10)
    for _ in range(rounds):
        data = hashlib.blake2b(data).digest() * 1024
    return len(data)


def train(rounds):
    """Seconds that all cores need for so much work each."""
    begin = time.monotonic()
    workers = [multiprocessing.Process(target=training_step, args=(rounds,)) for _ in range(os.cpu_count())]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.monotonic() - begin


def beside(command, environment, rounds):
    """Seconds of training while a client sends all the time; `command` is started again whenever it ends."""
    stop = multiprocessing.Event()

    def send():
        while not stop.is_set():
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            while process.poll() is None and not stop.wait(0.01):
                pass
            process.kill()
            process.wait()

    sender = multiprocessing.get_context("fork").Process(target=send)
    sender.start()
    try:
        return train(rounds)
    finally:
        stop.set()
        sender.join()


def interference(server, bucket, size, rounds, work):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="buoy-beside-", dir="/dev/shm"))
    try:
        write_model(directory / "model.bin", size)
        save = [BIN / "buoy_checkpoint_save", f"s3://{bucket}/beside", directory, "--endless"]
        floor = [BIN / "buoy_floor_s3", "put", directory / "model.bin", f"{bucket}/floor"]
        alone, with_save, with_floor = [], [], []
        for _ in range(rounds):
            alone.append(train(work))
            with_floor.append(beside(floor, server.clean_environment(), work))
            with_save.append(beside(save, server.clean_environment(), work))
        alone, with_save, with_floor = map(statistics.median, (alone, with_save, with_floor))
        return {"alone_s": alone, "beside_floor_s": with_floor, "beside_save_s": with_save,
                "save_to_floor": with_save / with_floor, "rounds": rounds}
    finally:
        shutil.rmtree(directory)


def with_server(measure):
    """A server of its own for each: one that is full would block, and its clients would cost nothing."""
    server = RadosGateway(memory=12 << 30)
    try:
        return measure(server, server.make_bucket())
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small and once: does it work?")
    options = parser.parse_args()
    size, rounds, work = (64 * MIB, 1, 5_000) if options.quick else (1024 * MIB, 5, 60_000)
    os.environ["BUOY_S3_PAYLOAD_SIGNING"] = "never"  # plain HTTP on loopback, as the floor's
    result = {"save": with_server(lambda *at: saves(*at, size, rounds)),
              "beside": with_server(lambda *at: interference(*at, size // 4, rounds, work))}
    save, other = result["save"], result["beside"]
    print(f"{size // MIB} MiB to radosgw, medians of {rounds}")
    print(f"  first save                      {save['first_s']:7.2f} s")
    print(f"  second save, 5 % changed        {save['second_s']:7.2f} s   {save['time_ratio']:.2f} of the time, {save['bytes_ratio']:.3f} of the bytes")
    print(f"  training on all cores, alone    {other['alone_s']:7.2f} s")
    print(f"  … beside a bare client          {other['beside_floor_s']:7.2f} s")
    print(f"  … beside endless saves          {other['beside_save_s']:7.2f} s   {other['save_to_floor']:.3f} of the bare client's")
    (ROOT / "build/bench-checkpoints.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
