"""Who goes first, through AWS Batch's door: priorities of queues, fair shares, machines that are kept; and a log that is followed."""
import pytest

from batch_client import Batch, configuration
from support.control_plane import wait_for


@pytest.fixture
def batch(make_buoy):
    return Batch(make_buoy(configuration()))


def closed(batch, client, **resources):
    """The environment starts nothing until it is enabled, so that everything waits when the first choice is made."""
    batch.environment(client, **resources)
    client.update_compute_environment(computeEnvironment="spot", state="DISABLED")


def opened(client):
    client.update_compute_environment(computeEnvironment="spot", state="ENABLED")


def succeeded(client, array):
    return client.describe_jobs(jobs=[array])["jobs"][0]["arrayProperties"]["statusSummary"]["SUCCEEDED"]


def test_two_users_of_weights_one_and_three(batch):
    client = batch.client()
    closed(batch, client, maxvCpus=8)
    policy = client.create_scheduling_policy(name="fair", fairsharePolicy={"shareDistribution": [
        {"shareIdentifier": "ada", "weightFactor": 3.0}, {"shareIdentifier": "bob*", "weightFactor": 1.0}]})["arn"]
    order = [{"order": 1, "computeEnvironment": "spot"}]
    client.create_job_queue(jobQueueName="fair", state="ENABLED", priority=1, schedulingPolicyArn=policy,
                            computeEnvironmentOrder=order)
    batch.definition(client, "nap", ["sleep", "0.2"], schedulingPriority=3)
    submit = lambda share: client.submit_job(jobName="nap", jobQueue="fair", jobDefinition="nap", shareIdentifier=share,
                                             arrayProperties={"size": 60})["jobId"]
    ada, bob = submit("ada"), submit("bobby")
    shown = client.describe_jobs(jobs=[ada])["jobs"][0]
    assert (shown["shareIdentifier"], shown["schedulingPriority"]) == ("ada", 3)
    opened(client)
    wait_for(lambda: succeeded(client, bob) >= 48, "most of what bob wants")
    assert 11 <= succeeded(client, ada) <= 22, "a third of it"
    assert batch.wait(client, ada)["status"] == "SUCCEEDED"
    # In the order of submits ada would have had everything first.
    why = batch.buoy.run("why", ada, check=0).stdout
    assert "goes first, though it came later: share 'bobby' uses" in why

    with pytest.raises(client.exceptions.ClientException, match="shareIdentifier is required"):
        client.submit_job(jobName="nap", jobQueue="fair", jobDefinition="nap")
    with pytest.raises(client.exceptions.ClientException, match="has no scheduling policy"):
        client.submit_job(jobName="nap", jobQueue="train", jobDefinition="nap", shareIdentifier="ada")
    with pytest.raises(client.exceptions.ClientException, match="0 to 9999"):
        client.submit_job(jobName="nap", jobQueue="fair", jobDefinition="nap", shareIdentifier="ada",
                          schedulingPriorityOverride=10_000)
    # A changed policy is that of its queues at once.
    client.update_scheduling_policy(arn=policy, fairsharePolicy={"shareDecaySeconds": 600, "computeReservation": 10})
    queue = next(q for q in batch.buoy.json("queues")["queues"] if q["name"] == "fair")
    assert queue["share"] == {"decay": 600, "reserve": 10, "weights": {}}


def test_a_queue_of_higher_priority_goes_first(batch):
    client = batch.client()
    closed(batch, client, maxvCpus=1)
    client.create_job_queue(jobQueueName="urgent", state="ENABLED", priority=9,
                            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "spot"}])
    batch.definition(client, "true", ["true"])
    submit = lambda queue: client.submit_job(jobName="x", jobQueue=queue, jobDefinition="true")["jobId"]
    low, high = [submit("train") for _ in range(3)], [submit("urgent") for _ in range(3)]
    opened(client)
    started = {job: batch.wait(client, job)["startedAt"] for job in low + high}
    assert sorted(started, key=started.get) == high + low


def test_machines_are_kept_down_to_the_least(batch):
    client = batch.client()
    batch.environment(client, minvCpus=2)

    def desired():
        return client.describe_compute_environments(computeEnvironments=["spot"])["computeEnvironments"][0][
            "computeResources"]["desiredvCpus"]
    wait_for(lambda: desired() == 2, "machines that nobody needs yet")
    batch.definition(client, "true", ["true"])
    jobs = [client.submit_job(jobName="x", jobQueue="train", jobDefinition="true")["jobId"] for _ in range(4)]
    assert all(batch.wait(client, job)["status"] == "SUCCEEDED" for job in jobs)
    wait_for(lambda: desired() == 2, "what is more than the least has gone")
    client.update_compute_environment(computeEnvironment="spot", computeResources={"minvCpus": 0})
    wait_for(lambda: desired() == 0, "nothing is kept any more")


def test_spot_is_taken_up_to_the_bid(batch):
    # Spot costs 30 % of on-demand here.
    client = batch.client()
    batch.environment(client, bidPercentage=29)
    batch.definition(client, "true", ["true"])
    job = client.submit_job(jobName="x", jobQueue="train", jobDefinition="true")["jobId"]
    wait_for(lambda: "more than 29% of on-demand" in batch.buoy.run("why", job, check=0).stdout, "the reason")
    assert client.describe_jobs(jobs=[job])["jobs"][0]["status"] == "RUNNABLE"
    client.update_compute_environment(computeEnvironment="spot", computeResources={"bidPercentage": 30})
    assert batch.wait(client, job)["status"] == "SUCCEEDED"


def test_machines_raised_by_hand_end_some_time_after_they_were_needed(make_buoy):
    batch = Batch(make_buoy(configuration(idle="10s")))
    client = batch.client()
    batch.environment(client)

    def resources():
        return client.describe_compute_environments(computeEnvironments=["spot"])["computeEnvironments"][0]["computeResources"]

    def update(desired):
        client.update_compute_environment(computeEnvironment="spot", computeResources={"desiredvCpus": desired})
    for wrong in (9, -1):
        with pytest.raises(client.exceptions.ClientException, match="from minvCpus to maxvCpus"):
            update(wrong)
    update(3)
    assert (resources()["desiredvCpus"], resources()["minvCpus"]) == (3, 0)
    with pytest.raises(client.exceptions.ClientException, match="only be raised"):
        update(2)
    wait_for(lambda: len([m for m in batch.buoy.json("machines")["machines"] if m["phase"] == "idle"]) == 3, "three machines")
    go = batch.buoy.project / "go"
    batch.definition(client, "waits", ["sh", "-c", f"until [ -e {go} ]; do sleep 0.1; done"])
    job = client.submit_job(jobName="x", jobQueue="train", jobDefinition="waits")["jobId"]
    wait_for(lambda: resources()["desiredvCpus"] == 1, "the end of those that nothing ran on")
    assert client.describe_jobs(jobs=[job])["jobs"][0]["status"] == "RUNNING"
    go.touch()
    assert batch.wait(client, job)["status"] == "SUCCEEDED"
    wait_for(lambda: resources()["desiredvCpus"] == 0, "the end of the last")


def test_a_log_is_followed_by_the_real_client(batch):
    client = batch.client()
    batch.environment(client)
    batch.definition(client, "talks", ["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.1; done"])
    job = client.submit_job(jobName="x", jobQueue="train", jobDefinition="talks")["jobId"]
    stream = batch.wait(client, job)["container"]["logStreamName"]
    told = batch.aws("logs", "tail", "/aws/batch/job", "--log-stream-names", stream, "--since", "1h", "--format", "short")
    assert [line.split(" ", 1)[1] for line in told.stdout.splitlines()] == ["line 1", "line 2", "line 3"]
    told = batch.aws("logs", "tail", "/aws/batch/job", "--log-stream-name-prefix", "talks/", "--filter-pattern", '"line 2"')
    assert len(told.stdout.splitlines()) == 1 and told.stdout.rstrip().endswith("line 2")


def test_two_jobs_share_an_instance_of_two_vcpus(make_buoy):
    batch = Batch(make_buoy(configuration(cpus=2)))
    client = batch.client()
    batch.environment(client, maxvCpus=2)
    go = batch.buoy.project / "go"
    batch.definition(client, "patient", ["sh", "-c", f"while [ ! -e {go} ]; do sleep 0.05; done"])
    submit = lambda: client.submit_job(jobName="patient", jobQueue="train", jobDefinition="patient")["jobId"]
    first, second, third = submit(), submit(), submit()
    for job in (first, second):
        batch.wait(client, job, "RUNNING")
    whole = [m for m in batch.buoy.json("machines")["machines"] if "host" not in m]
    assert len(whole) == 1
    assert client.describe_jobs(jobs=[third])["jobs"][0]["status"] == "RUNNABLE"
    environment = client.describe_compute_environments(computeEnvironments=["spot"])["computeEnvironments"][0]
    assert environment["computeResources"]["desiredvCpus"] == 2
    go.touch()
    for job in (first, second, third):
        assert batch.wait(client, job)["status"] == "SUCCEEDED"


def test_a_model_that_forbids_it_has_no_instance_shared(make_buoy):
    batch = Batch(make_buoy(configuration(cpus=2, more="pack: false")))
    client = batch.client()
    batch.environment(client, maxvCpus=4)
    go = batch.buoy.project / "go"
    batch.definition(client, "patient", ["sh", "-c", f"while [ ! -e {go} ]; do sleep 0.05; done"])
    jobs = [client.submit_job(jobName="patient", jobQueue="train", jobDefinition="patient")["jobId"] for _ in range(2)]
    for job in jobs:
        batch.wait(client, job, "RUNNING")
    assert sorted(m.get("job", "") for m in batch.buoy.json("machines")["machines"]) == sorted(jobs)
    go.touch()
    for job in jobs:
        assert batch.wait(client, job)["status"] == "SUCCEEDED"
