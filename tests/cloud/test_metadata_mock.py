"""The agent beside Amazon's own mock of the metadata service, where that can be built."""
import datetime
import pathlib
import subprocess

import pytest

from support.control_plane import BIN, wait_for
from support.s3_server import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A local machine's agent, which is told to ask a metadata service and not to wait for the provider's file.
AGENT = """\
#!/bin/sh
if [ "$1" = run ]; then
  sed -e 's/"notice_file":"[^"]*"/"notice_file":""/' -e 's/"notice_service":""/"notice_service":"ec2"/' "$3" >"$3.ec2"
  AWS_EC2_METADATA_SERVICE_ENDPOINT={endpoint} exec {agent} run --config "$3.ec2"
fi
exec {agent} "$@"
"""


@pytest.fixture
def mock():
    built = subprocess.run([ROOT / "scripts/metadata_mock.sh"], capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"Amazon's mock cannot be built here: {built.stderr.strip()}")
    started = []

    def start(port, *options):
        started.append(subprocess.Popen([built.stdout.strip(), *options, "--imdsv2", "--hostname", "127.0.0.1", "--port", str(port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.long
def test_a_notice_and_a_recommendation_are_understood(make_buoy, mock, tmp_path):
    port = free_port()
    agent = tmp_path / "agent"
    agent.write_text(AGENT.format(endpoint=f"http://127.0.0.1:{port}", agent=BIN / "buoy-agent"))
    agent.chmod(0o755)
    buoy = make_buoy(environment={"BUOY_AGENT": str(agent)})
    job = buoy.submit("--", "sh", "-c", "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    buoy.wait_log(job, "ready")
    begun = datetime.datetime.now(datetime.timezone.utc)
    # The recommendation at once, the notice later, the end two minutes after that.
    mock(port, "spot", "--action", "terminate", "--rebalance-delay-sec", "0", "--mock-delay-sec", "15")
    wait_for(lambda: "likelier to be reclaimed" in buoy.run("why", job).stdout, "the recommendation in the history")
    wait_for(lambda: "will be reclaimed in" in buoy.run("why", job).stdout, "the notice in the history")
    noticed = next(each for each in buoy.json("machines", "--all")["machines"] if each.get("notice_deadline"))
    deadline = datetime.datetime.fromisoformat(noticed["notice_deadline"].replace("Z", "+00:00"))
    assert datetime.timedelta(seconds=60) < deadline - begun < datetime.timedelta(seconds=180)
    buoy.run("cancel", job, check=0)
