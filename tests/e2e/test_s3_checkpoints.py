"""Checkpoints in a bucket, on a real S3 server: whatever fails, a job goes on from one whole version, and what is said is so."""
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess

import pytest

from conftest import ROOT, wait_for

MIB = 1 << 20
# Kills of a whole machine here; the unit test that is run below makes many more, of a process that only saves.
MACHINE_KILLS = int(os.environ.get("BUOY_TEST_MACHINE_KILLS", "5"))
TEST_BIN = pathlib.Path(os.environ.get("BUOY_TEST_BIN", ROOT / "build/dev/bin"))

# Prints a line for everything in the checkpoint directory, then a digest of these lines.
LOOK = """\
import hashlib, os, stat
def look(top):
    lines = []
    for where, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(where, name)
            info = os.lstat(path)
            what = "d"
            if stat.S_ISLNK(info.st_mode):
                what = "l" + os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                what = "f" + hashlib.sha256(open(path, "rb").read()).hexdigest()
            lines.append(f"{os.path.relpath(path, top)!r} {what} {info.st_mode & 0o777:o} {info.st_mtime_ns // 1000}")
    return hashlib.sha256("\\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest() + f" {len(lines)}"
"""

# What the first attempt makes, and a later one finds: save.py DIRECTORY-FOR-SIGNS. `make(c)` fills the directory c, then
# signs of the test's are waited for: "more" calls more(c), "end" ends.
KEEPER = LOOK + """\
import pathlib, random, sys, time
signs, c = pathlib.Path(sys.argv[1]), pathlib.Path("checkpoints")
%s
def wait(sign):
    while not (signs / sign).exists(): time.sleep(0.01)
if c.exists() and any(c.iterdir()):
    print("found", look(c), flush=True)
else:
    make(c)
    print("made", look(c), flush=True)
    wait("more")
    more(c)
    print("then", look(c), flush=True)
wait("end")
"""

# One directory a step, named when it is whole; every file carries the step and the hash of itself. At the start everything
# that is named must be whole.
STEPS = """\
import hashlib, os, pathlib, shutil, sys, time
c = pathlib.Path("checkpoints")
c.mkdir(exist_ok=True)
FILES = ["model", "optimizer", "schedule", "random state"]
def check(directory):
    step = int(directory.name[5:])
    for name in FILES:
        head, _, rest = (directory / name).read_bytes().partition(b"\\n")
        assert head.decode() == f"{step} {hashlib.sha256(rest).hexdigest()}", f"{directory / name} is torn"
    return step
done = [check(d) for d in c.iterdir() if not d.name.endswith(".tmp")]
step = max(done, default=0)
print(f"started at {step}", flush=True)
frozen = bytes(range(256)) * 2048
while not os.path.exists(sys.argv[1] + "/end"):
    step += 1
    new = c / f"step-{step}.tmp"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for i, name in enumerate(FILES):
        rest = os.urandom([700_000, 300_000, 10, 2_000][i]) + (frozen if i == 0 else b"")
        (new / name).write_bytes(f"{step} {hashlib.sha256(rest).hexdigest()}\\n".encode() + rest)
    new.rename(c / f"step-{step}")
    for old in c.iterdir():
        if old.name not in (f"step-{step}", f"step-{step - 1}"): shutil.rmtree(old)
    print(f"step {step}", flush=True)
    time.sleep(float(sys.argv[2]))  # what a step of training takes
"""


class Run:
    """A control plane with its checkpoints in a bucket behind a proxy, and one job."""

    def __init__(self, make_buoy, server, proxy, config=""):
        self.server, self.proxy, self.bucket = server, proxy, server.make_bucket()
        self.buoy = make_buoy(f"store: s3://{self.bucket}/buoy\n" + config, server.at(proxy.endpoint).environment)
        self.job = None

    def keeper(self, make, more="def more(c): pass"):
        self.buoy.write("job.py", KEEPER % f"{make}\n{more}")
        return self.start()

    def start(self):
        self.job = self.buoy.submit("--no-source", "--checkpoint", "checkpoints", "--", "/usr/bin/python3", self.buoy.project / "job.py",
                                    self.buoy.project, "0.25")
        return self

    def sign(self, name):
        (self.buoy.project / name).touch()

    def said(self, word):
        """What the job printed after `word`, once it did."""
        def look():
            lines = [line.split(" ", 1)[1] for line in self.buoy.run("logs", self.job).stdout.splitlines() if line.startswith(word + " ")]
            return lines[-1] if lines else None
        return wait_for(look, f"'{word}' in the log of {self.job}\n{self.buoy.run('logs', self.job).stdout[-500:]}")

    def view(self):
        return self.buoy.job(self.job)

    def why(self):
        return self.buoy.run("why", self.job).stdout

    def slots(self):
        """Version to its slot, as they are in the bucket now."""
        found = {}
        for key in self.server.objects(self.bucket):
            if "/checkpoints/log/" in key:
                line, digest = self.server.get(self.bucket, key).decode().splitlines()
                assert hashlib.sha256(line.encode()).hexdigest() == digest
                found[int(key.rpartition("/")[2])] = json.loads(line)
        return found

    def saved(self, after=0, holding=None):
        """The version that is reported, once it is later than `after` (and holds a path); it must be in the bucket."""
        def look():
            version = self.view()["last_version"]
            return version if version > after and (holding is None or holding in self.paths(version)) else None
        return wait_for(look, f"a version after {after}\n{self.why()}")

    def paths(self, version):
        slot = self.slots()[version]
        assert slot["kind"] == "commit", "what is reported is a commit"
        return {file["path"] for file in slot["files"]}

    def packs(self):
        return {key for key in self.server.objects(self.bucket) if "/checkpoints/packs/" in key}

    def reclaimed(self):
        attempts = self.view()["attempts"]
        self.buoy.run("reclaim", self.job, check=0)
        wait_for(lambda: self.view()["attempts"] == attempts + 1, "another attempt")

    def started(self, attempt):
        """The step from which the attempt's job went on."""
        def look():
            lines = [line for line in self.buoy.run("logs", self.job).stdout.splitlines() if line.startswith("started at ")]
            return int(lines[attempt - 1].split()[2]) if len(lines) >= attempt else None
        return wait_for(lambda: look() is not None, f"start {attempt}\n{self.why()}") and look()

    def finish(self):
        self.sign("end")
        view = self.buoy.wait_phase(self.job, "succeeded")
        assert view["failures"] == 0
        return view


@pytest.fixture
def start(make_buoy, radosgw, fault_proxy):
    return lambda *rules, **options: Run(make_buoy, radosgw, fault_proxy(radosgw, *rules), **options)


# ---- whole, and only what changed


LARGE = """\
def make(c):
    c.mkdir(exist_ok=True)
    dice = random.Random(1)
    (c / "model.bin").write_bytes(dice.randbytes(20 << 20))
    for name in "config", "step": (c / name).write_text(name)
    (c / "empty").touch()
"""
CLUSTERS = """\
def more(c):
    with open(c / "model.bin", "r+b") as f:
        for at in 3 << 20, 11 << 20:
            f.seek(at)
            f.write(random.Random(2).randbytes(200_000))
    (c / "step").write_text("2")
    (c / "done").touch()
"""


def test_only_changes_are_sent_again_and_all_comes_back_bit_for_bit(start):
    run = start().keeper(LARGE, CLUSTERS)
    made = run.said("made")
    first = run.saved(holding="model.bin")
    sent = sum(up for (_, path), (_, up, _) in run.proxy.counters().items() if "/packs/" in path)
    assert 20 * MIB <= sent < 21 * MIB
    run.proxy.reset_counters()
    run.sign("more")
    then = run.said("then")
    second = run.saved(after=first, holding="done")
    sent = sum(up for (_, path), (_, up, _) in run.proxy.counters().items() if "/packs/" in path)
    assert 400_000 <= sent <= 3 * MIB, "the changed parts of the file, and no more"
    assert made != then
    shown = run.buoy.run("show", run.job, check=0).stdout
    assert f"version {second}" in shown
    run.reclaimed()
    assert run.said("found") == then
    assert f"restored version {second}" in run.why()
    assert run.finish()["attempts"] == 2


ODD = """\
def make(c):
    c.mkdir(exist_ok=True)
    names = ["a b", "日本語 ключ 😀", ".hidden", "...", "-dash", "tab\\tnew\\nline", "percent%20+&=#?", "quote'\\"\\\\", "x" * 255, "é" * 127]
    for name in names: (c / name).write_text(name)
    deep = c
    for _ in range(4): deep = deep / ("d" * 200)
    deep.mkdir(parents=True)
    (deep / "file").write_text("deep")
    (c / "link").symlink_to("a b")
    (c / "dangling").symlink_to("nowhere")
    (c / "to the directory").symlink_to("d" * 200)
    (c / "empty directory").mkdir(mode=0o700)
    (c / "script").write_text("#!/bin/sh")
    (c / "script").chmod(0o750)
    with open(c / "sparse", "wb") as f:
        f.seek(1 << 30)
        f.write(b"end")
    (c / "old").write_text("old")
    os.utime(c / "old", ns=(10**18, 10**18 + 123456000))
"""


def test_odd_names_links_holes_modes_and_times(start):
    run = start().keeper(ODD, 'def more(c): (c / "done").touch()')
    run.said("made")
    run.sign("more")
    then = run.said("then")
    run.saved(holding="done")
    sent = sum(up for _, up, _ in run.proxy.counters().values())
    assert sent < 20 * MIB, "holes are not sent"
    run.reclaimed()
    assert run.said("found") == then
    run.finish()


MANY = """\
def make(c):
    for i in range(%d):
        if i %% 1000 == 0: (c / str(i // 1000)).mkdir(parents=True)
        (c / str(i // 1000) / str(i)).write_text(f"content {i}" * (i %% 7))
    (c / "done").touch()
"""


def test_thousands_of_small_files(start):
    files = int(os.environ.get("BUOY_TEST_FILES", "20000"))
    run = start().keeper(MANY % files)
    made = run.said("made")
    run.sign("more")
    run.saved(holding="done")
    assert run.proxy.count(path="/packs/") < 60, "few requests for many files"
    run.reclaimed()
    assert run.said("found") == made
    run.finish()


CHURN = """\
import threading
def make(c):
    c.mkdir(exist_ok=True)
    (c / "constant").write_bytes(random.Random(3).randbytes(2 << 20))
def more(c):
    log = open(c / "log", "a")
    n = 0
    while not (signs / "enough").exists():
        n += 1
        log.write(f"line {n}\\n" * 500)
        log.flush()
        (c / f"comes-and-goes-{n}").write_bytes(b"x" * 300_000)
        if n > 2: (c / f"comes-and-goes-{n - 2}").unlink()
        time.sleep(0.002)
    log.close()
    (c / "done").touch()
"""


def test_files_that_grow_and_vanish_while_they_are_read(start):
    run = start().keeper(CHURN, "")
    run.said("made")
    version = run.saved(holding="constant")
    run.sign("more")
    # It never holds still: nothing is torn, and that nothing is saved is told.
    wait_for(lambda: "could not save" in run.why() or run.view()["last_version"] > version, "something to be told")
    run.sign("enough")
    then = run.said("then")
    run.saved(after=version, holding="done")
    run.reclaimed()
    assert run.said("found") == then
    run.finish()


# ---- killed


def steps_in(slot):
    return max((int(file["path"].split("/")[0][5:]) for file in slot["files"] if ".tmp" not in file["path"]), default=0)


def test_machines_killed_at_random_moments_leave_whole_versions(start):
    run = start()
    run.buoy.write("job.py", STEPS)
    run.start()
    dice = random.Random()
    version = 0
    for attempt in range(1, MACHINE_KILLS + 1):
        version = run.saved(after=version)
        # A random amount of work, not of time: so many answers before the kill.
        for _ in range(dice.randrange(20)):
            run.buoy.run("ps")
        version = run.view()["last_version"]
        acknowledged = steps_in(run.slots()[version])
        for pid in run.buoy.hosts():
            os.kill(pid, signal.SIGKILL)
        assert run.started(attempt + 1) >= acknowledged > 0, "not older than what was reported as saved"
    run.finish()


# ---- by a process that only saves: many more kills, and two at once


def run_unit_tests(server, pattern, **environment):
    program = TEST_BIN / "objstore_test"
    assert program.exists(), f"{program} is missing: make unit-test builds it, BUOY_TEST_BIN says where"
    place = f"s3://{server.make_bucket()}/a prefix"
    done = subprocess.run([program, f"--gtest_filter={pattern}"], text=True, capture_output=True, timeout=7200, stdin=subprocess.DEVNULL,
                          env={**server.clean_environment(), "BUOY_TEST_S3": place, **environment})
    assert done.returncode == 0 and "SKIPPED" not in done.stdout, done.stdout[-4000:] + done.stderr[-2000:]
    assert "PASSED" in done.stdout and "[  PASSED  ] 0 tests" not in done.stdout


@pytest.mark.parametrize("name", ["radosgw", "moto"])
def test_the_store_keeps_its_promises_on_each_server(request, name):
    # moto looks first and then writes, so that of many who put at once several win.
    unless = "-*OneOfManyWins*" if name == "moto" else ""
    run_unit_tests(request.getfixturevalue(name), "Stores/StoreConformance*/s3" + unless)


def test_commits_killed_at_random_moments_and_at_every_crash_point(radosgw):
    """BUOY_TEST_KILLS=1000 for as many as the project promises."""
    run_unit_tests(radosgw, "Stores/CheckpointCrash.*Kills*/s3:Stores/CheckpointCrash.EveryCrashPoint/s3")


def test_a_fenced_attempt_and_its_successor_save_at_once(radosgw):
    run_unit_tests(radosgw, "Stores/CheckpointCrash.AReplaced*/s3")


# ---- trouble


def test_a_store_that_is_gone_for_a_while(start):
    run = start()
    run.buoy.write("job.py", STEPS)
    run.start()
    version = run.saved()
    run.proxy.outage()
    version = run.view()["last_version"]
    step = int(run.said("step"))
    wait_for(lambda: int(run.said("step")) > step + 8, "8 more steps: training goes on")
    assert run.view()["last_version"] == version, "nothing is called durable that is not"
    assert run.view()["phase"] == "running"
    run.proxy.restore()
    later = run.saved(after=version)
    acknowledged = steps_in(run.slots()[later])
    assert acknowledged > step
    run.reclaimed()
    assert run.started(2) >= acknowledged
    run.finish()


@pytest.mark.parametrize("fault", [{"kind": "slow_down"}, {"kind": "fail_after"}, {"kind": "cut", "at": -1}], ids=["503", "500 after the effect", "cut answers"])
def test_a_store_of_which_a_third_of_the_requests_fails(start, fault):
    run = start({**fault, "probability": 0.3, "seed": 3})
    run.buoy.write("job.py", STEPS)
    run.start()
    version = 0
    for _ in range(4):
        version = run.saved(after=version)
    acknowledged = steps_in(run.slots()[version])
    run.reclaimed()
    assert run.started(2) >= acknowledged
    assert sum(bool(e.faults) for e in run.proxy.exchanges()) > 10
    run.finish()


def test_a_store_that_is_gone_when_the_next_attempt_begins(start):
    run = start().keeper(LARGE)
    made = run.said("made")
    run.saved(holding="model.bin")
    run.proxy.outage()
    run.reclaimed()
    wait_for(lambda: "attempt 2 starts" in run.why(), "the attempt to begin")
    run.proxy.restore()
    assert run.said("found") == made
    run.finish()


def test_a_store_that_is_full(start):
    run = start().keeper('def make(c):\n    c.mkdir(exist_ok=True)\n    (c / "small").write_bytes(random.randbytes(300_000))',
                         'def more(c):\n    (c / "large").write_bytes(random.randbytes(6 << 20))')
    run.said("made")
    version = run.saved(holding="small")
    run.server.set_quota(run.bucket, 2 * MIB)
    run.sign("more")
    then = run.said("then")
    wait_for(lambda: "QuotaExceeded" in run.why(), "the failed save to be told")
    assert run.view()["last_version"] == version and run.view()["phase"] == "running"
    run.server.set_quota(run.bucket, None)
    run.saved(after=version, holding="large")
    run.reclaimed()
    assert run.said("found") == then
    run.finish()


# ---- wrong bytes


def test_bytes_corrupted_on_their_way_are_read_again(start):
    run = start().keeper(LARGE)
    made = run.said("made")
    version = run.saved(holding="model.bin")
    faults = [run.proxy.add(kind="corrupt", method="GET", path=f"/checkpoints/{what}/", first=1, at=100) for what in ("log", "packs")]
    run.reclaimed()
    assert run.said("found") == made
    assert [fault.hits for fault in faults] == [1, 1] and f"restored version {version}" in run.why()
    run.finish()


def test_bytes_corrupted_in_the_store_mean_the_version_before_and_are_told(start):
    run = start().keeper('def make(c):\n    c.mkdir(exist_ok=True)\n    (c / "a").write_bytes(random.randbytes(3 << 20))',
                         'def more(c):\n    (c / "b").write_bytes(random.randbytes(2 << 20))')
    made = run.said("made")
    first = run.saved(holding="a")
    before = run.packs()
    run.sign("more")
    run.said("then")
    second = run.saved(after=first, holding="b")
    for key in run.packs() - before:
        content = bytearray(run.server.get(run.bucket, key))
        content[len(content) // 2] ^= 1
        run.server.put(run.bucket, key, bytes(content))
    run.reclaimed()
    assert run.said("found") == made
    assert f"version {second}" in run.why() and "damaged" in run.why() and f"restored version {first}" in run.why()
    run.finish()
