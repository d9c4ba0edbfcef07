"""cp, sync, ls and rm against real S3 servers; what they decide is compared with the AWS CLI."""
import fnmatch
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time
import warnings

import pytest

from conftest import BIN, wait_for
from support.s3_server import MotoServer

ODD_NAMES = ["empty", "plain", "with space", " lead", "ümlaut", "日本/語", ".hidden", ".dot/.file", "a+b&c=d", "per%20cent", "quote'\"", "star*", "[set]",
             "a-b", "a/b", "a.b", "a0", "tab\there", "new\nline", "x" * 200 + "/" + "y" * 200, "emoji😀", "back\\slash", "#hash?query", "~tilde"]


def environment(server, **more):
    return {**server.clean_environment(), "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC", **more}


def buoy(server, *arguments, check=0, cwd=None, stdin=None, limit=60, text=True, **more):
    done = subprocess.run([BIN / "buoy", *map(str, arguments)], cwd=cwd, text=text, capture_output=True, timeout=limit, input=stdin,
                          **({} if stdin is not None else {"stdin": subprocess.DEVNULL}), env=environment(server, **more))
    assert check is None or done.returncode == check, f"{arguments}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done


def aws(server, *arguments, cwd=None):
    done = subprocess.run(["/usr/bin/aws", "--endpoint-url", server.endpoint, "s3", *map(str, arguments)], cwd=cwd, text=True, capture_output=True, timeout=120,
                          stdin=subprocess.DEVNULL, env=environment(server))
    assert done.returncode in (0, 2), done.stderr
    return done


def tree(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def write(directory, files):
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def lines(done):
    """What was said of each file, with paths as both programs write them."""
    found = set()
    for line in done.stdout.splitlines():
        line = line.removeprefix("(dryrun) ")
        if line.startswith(("upload: ", "download: ", "copy: ", "delete: ")):
            words = line.split(" to ")
            found.add(" to ".join(word.replace(": ./", ": ") if i == 0 else word.removeprefix("./") for i, word in enumerate(words)))
    return found


@pytest.fixture(params=["radosgw", "moto"])
def server(request):
    return request.getfixturevalue(request.param)


def test_odd_names_go_there_and_back(server, tmp_path):
    bucket = server.make_bucket()
    source, back = tmp_path / "source", tmp_path / "back"
    files = {name: os.urandom(i * 37) for i, name in enumerate(ODD_NAMES)}
    if isinstance(server, MotoServer):
        del files["new\nline"]  # moto answers 404
    long = "/".join(["d" * 100] * 10)
    files[long + "/" + "e" * (1024 - len("p/") - len(long) - 1)] = b"a key of 1,024 bytes"
    write(source, files)
    with open(source / "sparse", "wb") as sparse:
        sparse.truncate(30 << 20)  # sent in parts
    files["sparse"] = bytes(30 << 20)
    for name in files:  # moto, like AWS, tells whole seconds: a file of this second would look newer than its object
        os.utime(source / name, (1_700_000_000, 1_700_000_000))
    buoy(server, "cp", "-r", source, f"s3://{bucket}/p")
    assert set(server.objects(bucket)) == {"p/" + name for name in files}
    buoy(server, "cp", "--recursive", f"s3://{bucket}/p/", back)
    assert tree(back) == files
    assert "nothing to do" in buoy(server, "sync", f"s3://{bucket}/p", back).stdout
    assert "nothing to do" in buoy(server, "sync", source, f"s3://{bucket}/p").stdout
    # Within the store.
    buoy(server, "sync", f"s3://{bucket}/p", f"s3://{bucket}/q")
    assert {key[2:] for key in server.objects(bucket, "q/")} == set(files)
    assert "nothing to do" in buoy(server, "sync", f"s3://{bucket}/p", f"s3://{bucket}/q").stdout
    summary = json.loads(buoy(server, "rm", "-r", f"s3://{bucket}/", "--json").stdout.splitlines()[-1])
    assert summary["deleted"] == 2 * len(files) and summary["failed"] == 0
    assert not server.objects(bucket)


def test_one_file_keeps_or_changes_its_name(radosgw, tmp_path):
    bucket = radosgw.make_bucket()
    (tmp_path / "file").write_bytes(b"hello")
    buoy(radosgw, "cp", "file", f"s3://{bucket}", cwd=tmp_path)
    said = buoy(radosgw, "cp", "file", f"s3://{bucket}/dir/", cwd=tmp_path)
    assert said.stdout == f"upload: ./file to s3://{bucket}/dir/file\n"
    buoy(radosgw, "cp", tmp_path / "file", f"s3://{bucket}/other")
    assert set(radosgw.objects(bucket)) == {"file", "dir/file", "other"}
    buoy(radosgw, "cp", f"s3://{bucket}/other", f"s3://{bucket}/copy")
    (tmp_path / "into").mkdir()
    buoy(radosgw, "cp", f"s3://{bucket}/copy", "into", cwd=tmp_path)
    buoy(radosgw, "cp", f"s3://{bucket}/copy", "new/deep/", cwd=tmp_path)
    buoy(radosgw, "cp", f"s3://{bucket}/copy", "named", cwd=tmp_path)
    assert [(tmp_path / name).read_bytes() for name in ("into/copy", "new/deep/copy", "named")] == [b"hello"] * 3


def test_standard_input_and_output(radosgw):
    bucket = radosgw.make_bucket()
    body = os.urandom(20 << 20)
    buoy(radosgw, "cp", "-", f"s3://{bucket}/stream", stdin=body, text=False)
    assert radosgw.get(bucket, "stream") == body
    assert buoy(radosgw, "cp", f"s3://{bucket}/stream", "-", text=False).stdout == body
    assert buoy(radosgw, "cp", f"s3://{bucket}/missing", "-", check=3).stdout == ""


FILTERS = [
    ["--exclude", "*", "--include", "*.txt"],
    ["--include", "*.txt", "--exclude", "*"],
    ["--exclude", "a/*", "--include", "a/b*"],
    ["--exclude", "*[0-9]*"],
    ["--exclude", "[!a]*", "--include", "?.txt"],
    ["--exclude", "*/*", "--include", "a/*/c*"],
]


@pytest.mark.parametrize("filters", FILTERS, ids=" ".join)
def test_filters_are_those_of_the_aws_cli(radosgw, tmp_path, filters):
    bucket = radosgw.make_bucket()
    names = ["a/b/c.txt", "a/b.txt", "a/x", "b.txt", "c1", "d/e/f2.txt", "a.txt", ".hidden.txt", "ab/c", "ü.txt"]
    write(tmp_path / "source", {name: b"x" for name in names})
    for name in ["a/b/gone.txt", "gone", "d/gone3"]:
        radosgw.put(bucket, "p/" + name, b"old")
    for command in (["sync", "--delete"], ["cp", "--recursive"]):
        words = [*command, "source", f"s3://{bucket}/p", "--dryrun", *filters]
        ours, theirs = lines(buoy(radosgw, *words, cwd=tmp_path)), lines(aws(radosgw, *words, cwd=tmp_path))
        assert ours == theirs


def test_any_pattern_is_matched_as_by_fnmatch(radosgw, tmp_path):
    bucket = radosgw.make_bucket()
    names = ["a", "ab", "b/a", "-", "!", "]", "a]b", "[", "ü", "a/b/c", "^", "a-c", "b"]
    for i, name in enumerate(names):
        write(tmp_path / str(i), {name: b""})  # "a" beside "a/b"
    chance = random.Random(1)
    warnings.simplefilter("ignore")
    for _ in range(40):
        pattern = "".join(chance.choice("ab-!]^[*?/ü") for _ in range(chance.randint(1, 6)))
        if chance.random() < 0.6:
            pattern = "[" + "".join(chance.choice("abc-!^ü") for _ in range(chance.randint(1, 5))) + "]" + chance.choice(["", "*"])
        if pattern.startswith("/"):
            continue
        i = chance.randrange(len(names))
        done = buoy(radosgw, "cp", "-r", "-n", tmp_path / str(i), f"s3://{bucket}", "--exclude=*", f"--include={pattern}")
        assert bool(lines(done)) == fnmatch.fnmatchcase(names[i], pattern), (names[i], pattern)


@pytest.mark.parametrize("options", [[], ["--size-only"], ["--exact-timestamps"], ["--delete"]], ids=lambda o: "".join(o) or "plain")
def test_sync_decides_as_the_aws_cli(radosgw, tmp_path, options):
    bucket = radosgw.make_bucket()
    here = tmp_path / "here"
    now = time.time()
    for name in ["same", "bigger", "older", "newer", "dir/same", "dir-x", "dir.x", "extra-there"]:
        radosgw.put(bucket, "p/" + name, b"12345")
    write(here, {name: b"12345" for name in ["same", "older", "newer", "dir/same", "dir-x", "dir.x", "extra-here", "dir/new"]})
    write(here, {"bigger": b"1234567"})
    for path in here.rglob("*"):
        if path.is_file():
            shift = {"older": -9999, "newer": 9999}.get(path.name, -9999 if path.name in ("dir-x", "same") else 9999)
            os.utime(path, (now + shift, now + shift))
    for words in (["here", f"s3://{bucket}/p"], [f"s3://{bucket}/p", "here"], [f"s3://{bucket}/p", f"s3://{bucket}/other"]):
        ours = lines(buoy(radosgw, "sync", *words, "--dryrun", *options, cwd=tmp_path))
        theirs = lines(aws(radosgw, "sync", *words, "--dryrun", *options, cwd=tmp_path))
        assert ours == theirs


def test_delete_removes_what_the_source_has_not(radosgw, tmp_path):
    bucket = radosgw.make_bucket()
    write(tmp_path / "here", {"a": b"1", "keep.tmp": b"2", "gone/x": b"3"})
    for key in ["a", "b/c", "d.tmp"]:
        radosgw.put(bucket, key, b"1")
    buoy(radosgw, "sync", "--delete", "--exclude", "*.tmp", f"s3://{bucket}", tmp_path / "here")
    assert set(tree(tmp_path / "here")) == {"a", "b/c", "keep.tmp"}
    buoy(radosgw, "sync", "--delete", "--exclude", "b/*", tmp_path / "here", f"s3://{bucket}")
    assert set(radosgw.objects(bucket)) == {"a", "b/c", "keep.tmp"}


def test_delete_spares_what_cannot_be_read(radosgw, tmp_path):
    bucket = radosgw.make_bucket()
    write(tmp_path / "here", {"a.csv": b"1", "private/b.csv": b"2"})
    for key in ["a.csv", "private/b.csv", "old.csv"]:
        radosgw.put(bucket, key, b"1")
    (tmp_path / "here/private").chmod(0)
    without_root = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    for filters, left in [(["--exclude", "*", "--include", "*.csv"], {"a.csv", "private/b.csv", "old.csv"}),
                          (["--exclude", "private/*"], {"a.csv", "private/b.csv"})]:
        done = subprocess.run([*without_root, BIN / "buoy", "sync", "--delete", *filters, tmp_path / "here", f"s3://{bucket}"],
                              env=environment(radosgw), text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
        assert set(radosgw.objects(bucket)) == left, done.stderr
        assert (done.returncode, "private" in done.stderr) == ((0, False) if "old.csv" not in left else (1, True)), done.stderr


def test_unchanged_tree_costs_one_listing(radosgw, fault_proxy, tmp_path):
    bucket = radosgw.make_bucket()
    write(tmp_path / "here", {f"{i % 50}/{i}": b"%d" % i for i in range(5000)})
    buoy(radosgw, "sync", "-q", tmp_path / "here", f"s3://{bucket}/p")
    proxy = fault_proxy(radosgw)
    there = radosgw.at(proxy.endpoint)

    def requests(*words):
        before = proxy.count()
        said = buoy(there, *words).stdout
        return proxy.count() - before, said

    listing, _ = requests("ls", "--recursive", f"s3://{bucket}/p/")
    assert listing <= 6  # of 1,000 keys each
    buoy(radosgw, "sync", "-q", f"s3://{bucket}/p", tmp_path / "back")
    # Up, and the other way round.
    for words in ([tmp_path / "here", f"s3://{bucket}/p"], [f"s3://{bucket}/p", tmp_path / "back"]):
        count, said = requests("sync", "--json", *words)
        assert json.loads(said)["skipped"] == 5000
        assert count == listing


def test_unsafe_keys_are_refused_and_the_rest_goes_on(radosgw, tmp_path):
    bucket = radosgw.make_bucket()
    for key in ["p/../../up", "p//abs", "p/good", "p/a", "p/a-b", "p/a/b", "p/folder/"]:
        radosgw.put(bucket, key, b"" if key.endswith("/") else b"x")
    done = buoy(radosgw, "cp", "-r", f"s3://{bucket}/p/", tmp_path / "in", check=1)
    assert set(tree(tmp_path)) == {"in/good", "in/a", "in/a-b"}
    errors = done.stderr.splitlines()
    assert len(errors) == 3
    assert sum("would leave the directory" in line for line in errors) == 2
    assert sum("a directory cannot hold both" in line for line in errors) == 1


def test_what_cannot_be_uploaded_is_named(radosgw, tmp_path):
    bucket = radosgw.make_bucket()
    write(tmp_path / "in", {"good": b"x", "real/file": b"y"})
    os.mkfifo(tmp_path / "in/fifo")
    (tmp_path / "in/link").symlink_to("real")
    (tmp_path / "in/real/loop").symlink_to("..")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "in/socket"))
    done = buoy(radosgw, "cp", "-r", tmp_path / "in", f"s3://{bucket}/")
    assert set(radosgw.objects(bucket)) == {"good", "real/file", "link/file"}
    assert {"FIFO", "socket", "above itself"} <= {word for word in ("FIFO", "socket", "above itself") if word in done.stderr}
    assert set(lines(buoy(radosgw, "cp", "-rn", "--no-follow-symlinks", "in", f"s3://{bucket}/", cwd=tmp_path))) == {
        f"upload: in/good to s3://{bucket}/good", f"upload: in/real/file to s3://{bucket}/real/file"}
    (pathlib.Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/bad\xff"))).write_bytes(b"z")
    done = buoy(radosgw, "cp", "-r", tmp_path / "in", f"s3://{bucket}/", check=1)
    assert "not UTF-8" in done.stderr


def test_ls_says_what_aws_says(radosgw):
    bucket = radosgw.make_bucket()
    for key in ["a", "dir/b", "dir/c/d", "dir2/e", "with space"]:
        radosgw.put(bucket, key, b"x" * 1500)
    for words in ([f"s3://{bucket}"], [f"s3://{bucket}/dir"], [f"s3://{bucket}/dir/"], [f"s3://{bucket}", "--recursive"],
                  [f"s3://{bucket}/dir", "--recursive", "--summarize"]):
        assert buoy(radosgw, "ls", *words).stdout == aws(radosgw, "ls", *words).stdout
    rows = [json.loads(line) for line in buoy(radosgw, "ls", f"s3://{bucket}/dir/", "--json").stdout.splitlines()]
    assert [row.get("prefix") or row["key"] for row in rows] == ["dir/c/", "dir/b"]
    assert bucket in buoy(radosgw, "ls").stdout.splitlines()
    buoy(radosgw, "ls", f"s3://{bucket}/nothing", check=3)


def test_rm_removes_what_is_asked_for(radosgw):
    bucket = radosgw.make_bucket()
    for key in ["a", "dir/", "dir/b.txt", "dir/c.bin", "dirx"]:
        radosgw.put(bucket, key, b"")
    assert len(lines(buoy(radosgw, "rm", "-r", f"s3://{bucket}/dir", "--dry-run"))) == 3
    buoy(radosgw, "rm", "-r", f"s3://{bucket}/dir", "--exclude", "*", "--include", "*.txt")
    assert set(radosgw.objects(bucket)) == {"a", "dir/", "dir/c.bin", "dirx"}
    buoy(radosgw, "rm", "-r", f"s3://{bucket}/dir")
    buoy(radosgw, "rm", f"s3://{bucket}/a")
    assert set(radosgw.objects(bucket)) == {"dirx"}
    buoy(radosgw, "rm", f"s3://{bucket}", check=2)


def test_errors_are_one_sentence_and_soon(radosgw, fault_proxy, untrusted_certificate, tmp_path):
    bucket = radosgw.make_bucket()
    write(tmp_path / "in", {f"f{i}": b"x" for i in range(30)})
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = radosgw.at(f"http://127.0.0.1:{unused.getsockname()[1]}")
    secret = "s3://no-such-bucket-anywhere/x"
    stranger = radosgw.stranger
    tls = radosgw.at(fault_proxy(radosgw, tls=untrusted_certificate).endpoint)
    nameless = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    cases = [(radosgw, secret, {}, "bucket"), (nobody, f"s3://{bucket}/x", {}, ""), (stranger, f"s3://{bucket}/x", {}, ""),
             (tls, f"s3://{bucket}/x", {}, "certificate"), (radosgw, f"s3://{bucket}/x", nameless, "credentials")]
    for server, place, more, word in cases:
        for words in (["cp", tmp_path / "in/f1", place], ["cp", "-r", tmp_path / "in", place], ["sync", tmp_path / "in", place],
                      ["cp", place, tmp_path / "out"], ["ls", place], ["rm", "-r", place]):
            begin = time.monotonic()
            done = buoy(server, *words, check=None, **more)
            assert done.returncode not in (0, 130), (words, done)
            assert len(done.stderr.strip().splitlines()) == 1, (words, done.stderr)
            assert word in done.stderr, done.stderr
            assert time.monotonic() - begin < 10, words  # a hang is what must not be


@pytest.mark.parametrize("kind", ["stale", "repeat"])
def test_answers_to_other_requests_are_not_taken(radosgw, fault_proxy, tmp_path, kind):
    """Answers that come again, before or after the right ones: nothing wrong is ever taken for right."""
    bucket = radosgw.make_bucket()
    dice = random.Random(7)
    files = {f"d{i % 5}/file {i}": dice.randbytes(1000 + i % 3) for i in range(60)} | {"large": dice.randbytes(20 << 20)}
    write(tmp_path / "from", files)
    proxy = fault_proxy(radosgw)
    rule = proxy.add(kind=kind, probability=0.2)
    through = radosgw.at(proxy.endpoint)
    buoy(through, "sync", tmp_path / "from", f"s3://{bucket}/x", limit=120)
    assert {key: radosgw.get(bucket, key) for key in radosgw.objects(bucket, "x/")} == {f"x/{name}": body for name, body in files.items()}
    buoy(through, "sync", f"s3://{bucket}/x", tmp_path / "to", limit=120)
    assert tree(tmp_path / "to") == files
    buoy(through, "sync", f"s3://{bucket}/x", f"s3://{bucket}/y", limit=120)
    assert {key: radosgw.get(bucket, key) for key in radosgw.objects(bucket, "y/")} == {f"y/{name}": body for name, body in files.items()}
    assert rule.hits > 20


def test_ctrl_c_cancels(radosgw, tmp_path):
    bucket = radosgw.make_bucket()
    (tmp_path / "big").write_bytes(os.urandom(8 << 20))
    running = subprocess.Popen([BIN / "buoy", "cp", tmp_path / "big", f"s3://{bucket}/big", "--max-bandwidth", "100KB/s"], text=True,
                               env=environment(radosgw), stderr=subprocess.PIPE)
    wait_for(lambda: "SigBlk" in (status := pathlib.Path(f"/proc/{running.pid}/status").read_text())
             and int(status.split("SigBlk:")[1].split()[0], 16) & 2, "the command listens for Ctrl-C")
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    assert "cancelled" in running.stderr.read()
    assert not radosgw.objects(bucket)
