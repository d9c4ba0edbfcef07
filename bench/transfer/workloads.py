"""What is moved. A workload prepares, gives a command for a tool, checks that the work was done, and cleans up."""
import os
import pathlib
import shutil
import subprocess

from tools import Floor

BUCKET = "bench"
AN_HOUR = 3600


class Scale:
    def __init__(self, quick):
        self.big = (64 if quick else 1024) << 20
        self.files, self.file_size = (100 if quick else 2_000), 256 << 10
        self.listed = 2_500 if quick else 100_000


def make_input(directory, scale):
    """Random content; everything an hour old, so that a sync by time finds nothing to do."""
    (directory / "small").mkdir()
    (directory / "listed").mkdir()
    with open(directory / "big", "wb") as file:
        for _ in range(scale.big >> 20):
            file.write(os.urandom(1 << 20))
    for n in range(scale.files):
        (directory / "small" / f"{n:06}").write_bytes(os.urandom(scale.file_size))
    for n in range(scale.listed):
        (directory / "listed" / f"{n:06}").write_bytes(b"0123456789")
    old = (directory / "big").stat().st_mtime - AN_HOUR
    for path in [directory / "big", *(directory / "small").iterdir(), *(directory / "listed").iterdir()]:
        os.utime(path, (old, old))


class Workload:
    """`server` is an S3Server that also has empty(bucket), and `keeps`: whether it gives back the bytes that it got."""
    name = ""

    def __init__(self, server, directory, scale):
        self.server, self.directory, self.scale = server, directory, scale

    def prepare(self):
        """Once, not measured."""

    def command(self, tool):
        raise NotImplementedError

    def check(self, tool):
        """None, or what is wrong with the result of the command."""

    def clean(self, tool):
        """After each command."""

    def floor(self, *words):
        done = subprocess.run([Floor.program, *map(str, words)], env=self.server.clean_environment(), text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    def expect(self, prefix, count, size):
        """The server has that many objects of that size each."""
        found = self.server.objects(BUCKET, prefix)
        wrong = [key for key, (bytes_, _) in found.items() if bytes_ != size]
        return None if len(found) == count and not wrong else f"{len(found)} objects, {len(wrong)} of a wrong size"


class Up(Workload):
    name = "one file up"

    def place(self, tool):
        return f"{tool.name.replace(' ', '-').replace(',', '')}/big"

    def command(self, tool):
        return tool.up(str(self.directory / "big"), f"{BUCKET}/{self.place(tool)}")

    def check(self, tool):
        return None if tool.name == "sha256 alone" else self.expect(self.place(tool), 1, self.scale.big)

    def clean(self, tool):
        self.server.empty(BUCKET)


class Down(Workload):
    name = "one file down"

    def prepare(self):
        self.server.empty(BUCKET)
        self.floor("put", self.directory / "big", f"{BUCKET}/source/big")
        self.out = self.directory / "out"

    def command(self, tool):
        return tool.down(f"{BUCKET}/source/big", str(self.out))

    def check(self, tool):
        if not self.out.is_file() or self.out.stat().st_size != self.scale.big:
            return "the file is not there or not whole"
        if self.server.keeps and subprocess.run(["cmp", "-s", self.out, self.directory / "big"]).returncode != 0:
            return "the content is wrong"
        return None

    def clean(self, tool):
        self.out.unlink(missing_ok=True)


class UpMany(Workload):
    name = "many files up"

    def place(self, tool):
        return f"many/{tool.name.replace(' ', '-').replace(',', '')}"

    def command(self, tool):
        return tool.up_many(str(self.directory / "small"), f"{BUCKET}/{self.place(tool)}")

    def check(self, tool):
        return self.expect(self.place(tool) + "/", self.scale.files, self.scale.file_size)

    def clean(self, tool):
        self.server.empty(BUCKET)


class DownMany(Workload):
    name = "many files down"

    def prepare(self):
        self.server.empty(BUCKET)
        self.floor("put-dir", self.directory / "small", f"{BUCKET}/many")
        self.out = self.directory / "out"

    def command(self, tool):
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        return tool.down_many(f"{BUCKET}/many", str(self.out))

    def check(self, tool):
        files = [path for path in pathlib.Path(self.out).rglob("*") if path.is_file()]
        whole = [path for path in files if path.stat().st_size == self.scale.file_size]
        return None if len(whole) == len(files) == self.scale.files else f"{len(files)} files, {len(whole)} of them whole"

    def clean(self, tool):
        shutil.rmtree(self.out, ignore_errors=True)


class SameMany(DownMany):
    """The objects are there already; nothing may be sent."""
    name = "unchanged files"

    def command(self, tool):
        return tool.same(str(self.directory / "small"), f"{BUCKET}/many")

    def check(self, tool):
        return self.expect("many/", self.scale.files, self.scale.file_size)


class List(Workload):
    name = "listing"

    def prepare(self):
        if len(self.server.objects("listed", "l/")) != self.scale.listed:
            self.floor("put-dir", self.directory / "listed", "listed/l")

    def command(self, tool):
        return tool.list("listed/l")


class SameListed(List):
    name = "unchanged small files"

    def command(self, tool):
        return tool.same(str(self.directory / "listed"), "listed/l")


WORKLOADS = [Up, Down, UpMany, DownMany, SameMany, List, SameListed]
