"""Inputs: from paths, buckets and other jobs; replicated or sharded; linked, downloaded through the cache, or streamed."""
import hashlib
import os
import re

import pytest
from conftest import wait_for
from jobs import PATIENT
from s3 import fault_proxy, radosgw  # noqa: F401  (fixtures)

LIST = 'cd "$BUOY_INPUT_DATA/" && for f in $(find . -type f -o -type l | sort); do echo "got $f $(cat $f)"; done\n'


def got(log):
    return {line.split()[1].removeprefix("./"): line.split()[2] for line in log.splitlines() if line.startswith("got ")}


def history(buoy, job):
    return buoy.run("why", job, check=0).stdout


def make_files(buoy, names="abcde"):
    for name in names:
        buoy.write(f"data/{name}.txt", f"content-{name}\n")


def test_paths_are_linked_or_downloaded(buoy):
    make_files(buoy)
    buoy.write("buoy.yaml", f"""\
name: x
run: |
  test -L "$BUOY_INPUT_DATA" && echo linked
  test -L "$BUOY_INPUT_COPY" || echo copied
  {LIST}
inputs:
  data: ./data
  copy: {{from: ./data, mode: download}}
""")
    out = buoy.run("run", check=0).stdout
    assert "linked" in out and "copied" in out
    assert got(out) == {f"{name}.txt": f"content-{name}" for name in "abcde"}


def test_shards_go_to_the_machines_in_byte_order(buoy):
    make_files(buoy)
    buoy.write("buoy.yaml", """\
name: x
machines: 2
run: for f in $BUOY_INPUT_DATA/*; do echo "rank $RANK has $(basename $f)"; done
inputs:
  data: {from: ./data, distribution: sharded}
""")
    out = buoy.run("run", check=0).stdout
    shares = {(words[words.index("rank") + 1], words[-1]) for words in map(str.split, out.splitlines()) if "has" in words}
    assert shares == {("0", "a.txt"), ("1", "b.txt"), ("0", "c.txt"), ("1", "d.txt"), ("0", "e.txt")}


def test_the_second_attempt_finds_its_inputs_in_the_cache(buoy):
    make_files(buoy)
    buoy.write("job.sh", LIST + 'cd "$OLDPWD"\n' + PATIENT)
    buoy.write("buoy.yaml", f"""\
name: x
run: sh job.sh {buoy.project / "go"}
checkpoint: checkpoints
inputs:
  data: {{from: ./data, mode: download}}
""")
    job = buoy.submit()
    buoy.wait_log(job, "started at 0")
    assert "input data: downloaded 5 files, 50 B" in history(buoy, job)
    buoy.run("reclaim", job, check=0)
    wait_for(lambda: buoy.run("logs", job).stdout.count("started at") == 2, "the second attempt")
    assert "input data: 5 files, 50 B from the cache" in history(buoy, job)
    (buoy.project / "go").touch()
    buoy.wait_phase(job, "succeeded")


@pytest.mark.parametrize("store", ["directory", "bucket"])
def test_outputs_states_and_sources_of_other_jobs(make_buoy, store, request):
    if store == "bucket":
        server = request.getfixturevalue("radosgw")
        buoy = make_buoy(f"store: s3://{server.make_bucket()}/buoy\n", environment=server.environment)
    else:
        buoy = make_buoy()
    buoy.write("job.sh", "mkdir -p model checkpoints; echo weights >model/w; echo plot >plot; echo 7 >checkpoints/n; echo saved\n")
    buoy.run("run", "--name", "base", "--checkpoint", "checkpoints", "--output", "model", "--output", "plot", "--", "sh", "job.sh", check=0)
    buoy.run("run", "--name", "base2", "--", "true", check=0)
    buoy.write("buoy.yaml", """\
name: next
run: |
  cat $BUOY_INPUT_ALL/plot $BUOY_INPUT_MODEL/w $BUOY_INPUT_STATE/n
  ls $BUOY_INPUT_CODE
inputs:
  all: job:base/output
  model: job:base/model
  state: job:base/state
  code: {from: job:base/source, cache: false}
""")
    out = buoy.run("run", check=0).stdout
    assert out.splitlines()[:3] == ["plot", "weights", "7"] and "job.sh" in out
    assert buoy.json("show", "next")["spec"]["inputs"]["model"] == "job:j1/model"


def test_what_cannot_work_is_one_sentence(buoy):
    buoy.run("run", "--name", "plain", "--", "true", check=0)

    def refused(source):
        done = buoy.run("submit", "--input", f"data={source}", "--", "true")
        assert done.returncode != 0 and done.stderr.count("error:") == 1, done.stderr
        return done.stderr

    assert "there is no job 'nobody'" in refused("job:nobody/output")
    assert "names no outputs" in refused("job:plain/model")
    assert "keeps no checkpoints" in refused("job:plain/state")
    assert "write a path, s3://bucket/prefix or job:NAME/output" in refused("gs://bucket/x")
    assert "names no bucket" in refused("s3:///x")

    # A job that might have had outputs by then, but failed.
    buoy.run("run", "--name", "failed", "--output", "model", "--", "false")
    job = buoy.submit("--input", "data=job:failed/model", "--", "true")
    view = buoy.wait_phase(job, "failed")
    assert "inputs.data: " in view["reason"] and "has stored no outputs" in view["reason"]


def test_a_stream_gives_everything_to_every_epoch_in_order(buoy):
    make_files(buoy)
    (buoy.project / "data/f.bin").write_bytes(os.urandom(3 << 20))
    buoy.write("buoy.yaml", """\
name: x
run: cat "$BUOY_INPUT_DATA"_0 | md5sum; head -c 10 "$BUOY_INPUT_DATA"_1 >/dev/null; cat "$BUOY_INPUT_DATA"_2 | md5sum; cat $WHOLE/* | md5sum
env: {WHOLE: %s}
inputs:
  data: {from: ./data, mode: stream}
  never: {from: ./data, mode: stream}
""" % (buoy.project / "data"))
    sums = [line for line in buoy.run("run", check=0).stdout.splitlines() if re.fullmatch("[0-9a-f]{32}  -", line)]
    assert len(sums) == 3 and len(set(sums)) == 1, sums


def test_a_job_ends_at_once_though_its_streams_are_not_read(buoy):
    buoy.write("data/large", "x" * (4 << 20))
    buoy.write("buoy.yaml", """\
name: x
run: exec 3<"$BUOY_INPUT_DATA"_0; head -c 1 <&3; echo up; sleep 1000
inputs:
  data: {from: ./data, mode: stream}
  never: {from: ./data, mode: stream}
""")
    job = buoy.submit()
    buoy.wait_log(job, "up")
    buoy.run("cancel", job, check=0)
    buoy.wait_phase(job, "cancelled")


# ---- buckets


def in_bucket(server, objects):
    bucket = server.make_bucket()
    for key, body in objects.items():
        server.put(bucket, key, body)
    return bucket


def test_a_bucket_is_downloaded_once_for_all_attempts(make_buoy, radosgw):
    large = os.urandom(20 << 20)
    bucket = in_bucket(radosgw, {"train/a.txt": b"first\n", "train/deep/ \u00e9 b.bin": large, "train/": b"", "trainer/c": b"not this\n"})
    buoy = make_buoy(environment=radosgw.environment)
    buoy.write("job.sh", 'find "$BUOY_INPUT_TRAIN" -type f | wc -l; cat "$BUOY_INPUT_TRAIN/a.txt" "$BUOY_INPUT_ONE"; '
                         'md5sum <"$BUOY_INPUT_TRAIN/deep/ \u00e9 b.bin"\necho "keys=$AWS_SECRET_ACCESS_KEY."\n' + PATIENT)
    buoy.write("buoy.yaml", f"""\
name: x
run: sh job.sh {buoy.project / "go"}
checkpoint: checkpoints
inputs:
  train: s3://{bucket}/train
  one: s3://{bucket}/trainer/c
""")
    job = buoy.submit()
    log = buoy.wait_log(job, "started at 0") and buoy.run("logs", job).stdout.splitlines()
    assert log[:5] == ["2", "first", "not this", hashlib.md5(large).hexdigest() + "  -", "keys=."]
    buoy.run("reclaim", job, check=0)
    wait_for(lambda: buoy.run("logs", job).stdout.count("started at") == 2, "the second attempt")
    assert "input train: 2 files, 20.0 MiB from the cache" in history(buoy, job)
    (buoy.project / "go").touch()
    buoy.wait_phase(job, "succeeded")


def test_a_bucket_is_sharded_and_streamed(make_buoy, radosgw):
    parts = {f"set/part-{n}": os.urandom(9 << 20) if n == 2 else f"part {n}\n".encode() for n in range(4)}
    bucket = in_bucket(radosgw, parts)
    buoy = make_buoy(environment=radosgw.environment)
    buoy.write("buoy.yaml", f"""\
name: x
machines: 2
run: echo "$(md5sum <"$BUOY_INPUT_SET"_0) $RANK"; md5sum <"$BUOY_INPUT_SET"_1
inputs:
  set: {{from: s3://{bucket}/set, mode: stream, distribution: sharded}}
""")
    out = buoy.run("run", check=0).stdout
    for rank in range(2):
        share = b"".join(parts[f"set/part-{n}"] for n in range(rank, 4, 2))
        assert out.count(hashlib.md5(share).hexdigest()) == 2, out


def test_a_download_that_is_cut_goes_on(make_buoy, radosgw, fault_proxy):
    large = os.urandom(30 << 20)
    bucket = in_bucket(radosgw, {"set/large": large, **{f"set/{n}": str(n).encode() for n in range(20)}})
    proxy = fault_proxy(radosgw, {"kind": "cut", "path": "large", "at": 3 << 20, "first": 6})
    buoy = make_buoy(environment=radosgw.at(proxy.endpoint).environment)
    buoy.write("buoy.yaml", f"""\
name: x
run: md5sum <"$BUOY_INPUT_SET/large"; ls "$BUOY_INPUT_SET" | wc -l
inputs: {{set: "s3://{bucket}/set"}}
""")
    out = buoy.run("run", check=0).stdout.splitlines()
    assert out[:2] == [hashlib.md5(large).hexdigest() + "  -", "21"]


def test_a_job_is_cancelled_in_the_middle_of_its_download(make_buoy, radosgw, fault_proxy):
    bucket = in_bucket(radosgw, {"set/large": b"x" * (8 << 20)})
    proxy = fault_proxy(radosgw, {"kind": "stall", "path": "large", "at": 1 << 20})
    buoy = make_buoy(environment=radosgw.at(proxy.endpoint).environment)
    job = buoy.submit("--input", f"data=s3://{bucket}/set", "--", "true")
    wait_for(lambda: any("large" in seen.path and seen.down for seen in proxy.exchanges()), "the download's beginning")
    buoy.run("cancel", job, check=0)
    buoy.wait_phase(job, "cancelled")
    wait_for(lambda: not buoy.hosts(), "the end of the machine")


def test_buckets_that_cannot_work_are_one_sentence(make_buoy, radosgw):
    bucket = in_bucket(radosgw, {"bad/a/../b": b"x", "clash/file": b"x", "clash/file/below": b"x"})
    buoy = make_buoy(environment=radosgw.environment)

    def reason(source, server=buoy):
        return server.wait_phase(server.submit("--input", f"data={source}", "--", "true"), "failed")["reason"]

    assert "has no objects" in reason(f"s3://{bucket}/nothing")
    assert "inputs.data: s3://no-such-bucket" in reason("s3://no-such-bucket-here/x")
    assert "cannot become a file" in reason(f"s3://{bucket}/bad")
    assert "cannot both be there" in reason(f"s3://{bucket}/clash")
    stranger = make_buoy(environment=radosgw.stranger.environment)
    assert f"inputs.data: s3://{bucket}/clash" in reason(f"s3://{bucket}/clash", stranger)
