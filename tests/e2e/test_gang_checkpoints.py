"""What the machines of a gang save belongs together: every attempt begins from one step of all of them."""
import re

import pytest
from conftest import wait_for

# Every rank writes its own shard of each step; nobody begins a step before all have written the one before. What a
# rank finds when it begins is said, and must be the same step everywhere.
SHARDS = """
meet=$1; steps=$2
cd "$BUOY_CHECKPOINT_DIR"
read_shard() { cat "shard$1" 2>/dev/null || echo 0; }
step=$(read_shard 0)
[ "$(read_shard 1)" = "$step" ] || { echo "torn: $(read_shard 0) and $(read_shard 1)"; exit 1; }
echo "began at $step"
while [ "$step" -lt "$steps" ]; do
  step=$((step + 1))
  echo "$step" >".shard.tmp" && mv ".shard.tmp" "shard$RANK"
  touch "$meet/$BUOY_ATTEMPT.$RANK.$step"
  while [ ! -e "$meet/$BUOY_ATTEMPT.$((1 - RANK)).$step" ]; do sleep 0.02; done
  sleep 0.6
done
echo "the end"
"""


def starts(buoy, job):
    return [int(n) for n in re.findall(r"began at (\d+)", buoy.run("logs", job).stdout)]


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("notice", ["0s", "20s"])
def test_a_gang_begins_where_all_of_it_was_saved(make_buoy, tmp_path, lost, notice):
    buoy = make_buoy()
    buoy.write("shards.sh", SHARDS)
    meet = tmp_path / "meet"
    meet.mkdir()
    job = buoy.submit("--machines", "2", "--checkpoint", "checkpoints", "--", "sh", "shards.sh", str(meet), "8")
    wait_for(lambda: (buoy.job(job)["last_version"] or 0) >= 3, "versions")
    machine = buoy.job(job)["machines"][lost]
    buoy.run("reclaim", machine, *([] if notice == "0s" else ["--notice", notice]), check=0)
    view = buoy.wait_phase(job, "succeeded")
    log = buoy.run("logs", job).stdout
    assert "torn" not in log
    begun = starts(buoy, job)
    assert view["attempts"] == 2 and len(begun) == 4
    assert begun[:2] == [0, 0] and begun[2] == begun[3] > 0, begun


def test_plain_files_lie_in_the_mirror_and_begin_the_next_job(make_buoy, radosgw):
    """On a real S3 server: two ranks, a file that each of them has put, and one that a stranger has put."""
    bucket = radosgw.make_bucket()
    store, plain = f"s3://{bucket}/store", f"s3://{bucket}/plain"
    buoy = make_buoy(f"store: {store}\n", environment=radosgw.environment)
    radosgw.put(bucket, "plain/from elsewhere", b"kept")
    buoy.write("buoy.yaml", f"""\
name: mirrored
machines: 2
checkpoint: {{mirror: "{plain}"}}
run: |
  cd "$BUOY_CHECKPOINT_DIR" && cat "from elsewhere" && echo gone >"temporary$RANK" && sleep 1
  rm "temporary$RANK" && echo "of $RANK" >"shard$RANK"
""")
    buoy.run("run", check=0)
    assert sorted(radosgw.objects(bucket, "plain/")) == ["plain/from elsewhere", "plain/shard0", "plain/shard1"]
    assert radosgw.get(bucket, "plain/shard1") == b"of 1\n"
    # A job that has no versions goes on from there.
    buoy.write("buoy.yaml", f"""\
name: next
checkpoint: {{mirror: "{plain}"}}
run: cat $BUOY_CHECKPOINT_DIR/*
""")
    assert "kept" in buoy.run("run", check=0).stdout
    log = buoy.run("logs", "next").stdout
    assert "of 0" in log and "of 1" in log
