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
