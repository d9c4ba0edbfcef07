"""Jobs through AWS Batch's door with boto3: arrays, dependencies, retries, several nodes, reclaims, and the control plane
killed while all of it goes on."""
import pytest

from batch_client import Batch, configuration
from support.control_plane import wait_for


@pytest.fixture
def batch(make_buoy):
    return Batch(make_buoy(configuration()))


def log_of(batch, job):
    return [e["message"] for e in batch.client("logs").get_log_events(
        logGroupName="/aws/batch/job", logStreamName=job["container"]["logStreamName"], startFromHead=True)["events"]]


def test_arrays_and_what_waits_for_them(batch):
    client = batch.client()
    batch.environment(client)
    batch.definition(client, "array", ["sh", "-c", "echo $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ARRAY_INDEX; "
                                                   "test $AWS_BATCH_JOB_ARRAY_INDEX != 3"])
    batch.definition(client, "fine", ["true"])
    first = client.submit_job(jobName="a", jobQueue="train", jobDefinition="array", arrayProperties={"size": 6})["jobId"]
    paired = client.submit_job(jobName="b", jobQueue="train", jobDefinition="fine", arrayProperties={"size": 6},
                               dependsOn=[{"jobId": first, "type": "N_TO_N"}])["jobId"]
    after = client.submit_job(jobName="c", jobQueue="train", jobDefinition="fine", dependsOn=[{"jobId": first}])["jobId"]
    steps = client.submit_job(jobName="d", jobQueue="train", jobDefinition="fine", arrayProperties={"size": 3},
                              dependsOn=[{"type": "SEQUENTIAL"}])["jobId"]
    parent = batch.wait(client, first)
    assert parent["status"] == "FAILED"
    assert parent["arrayProperties"]["statusSummary"] == {"SUBMITTED": 0, "PENDING": 0, "RUNNABLE": 0, "STARTING": 0,
                                                          "RUNNING": 0, "SUCCEEDED": 5, "FAILED": 1}
    child, failed = client.describe_jobs(jobs=[first + ":2", first + ":3"])["jobs"]
    assert (child["jobId"], child["status"], child["jobName"]) == (first + ":2", "SUCCEEDED", "a")
    assert failed["status"] == "FAILED" and failed["container"]["exitCode"] == 1
    assert log_of(batch, child) == [f"{first}:2 2"]
    assert batch.wait(client, after)["status"] == "FAILED"
    assert batch.wait(client, paired)["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 5
    assert batch.wait(client, steps)["status"] == "SUCCEEDED"

    def times(array, indices):
        tasks = client.describe_jobs(jobs=[f"{array}:{i}" for i in indices])["jobs"]
        return [(task["startedAt"], task["stoppedAt"]) for task in tasks]
    waited, paced = (0, 1, 2, 4, 5), times(steps, range(3))
    assert all(started >= ended for (_, ended), (started, _) in zip(times(first, waited), times(paired, waited)))
    assert all(started >= ended for (_, ended), (started, _) in zip(paced, paced[1:]))
    pages = client.get_paginator("list_jobs").paginate(arrayJobId=first, jobStatus="SUCCEEDED",
                                                       PaginationConfig={"PageSize": 2})
    listed = [job["jobId"] for page in pages for job in page["jobSummaryList"]]
    assert sorted(listed) == [f"{first}:{i}" for i in (0, 1, 2, 4, 5)]


def test_retries_rules_and_reasons(batch):
    client = batch.client()
    batch.environment(client)
    batch.definition(client, "fails", ["sh", "-c", "exit 9"], retryStrategy={
        "attempts": 3, "evaluateOnExit": [{"onExitCode": "42", "action": "EXIT"}, {"onExitCode": "*", "action": "RETRY"}]})
    job = client.submit_job(jobName="x", jobQueue="train", jobDefinition="fails")["jobId"]
    shown = batch.wait(client, job)
    assert [a["container"]["exitCode"] for a in shown["attempts"]] == [9, 9, 9]
    assert shown["statusReason"] == "Essential container in task exited"
    once = client.submit_job(jobName="y", jobQueue="train", jobDefinition="fails",
                             containerOverrides={"command": ["sh", "-c", "exit 42"]})["jobId"]
    assert len(batch.wait(client, once)["attempts"]) == 1


def test_what_a_command_is_given(batch):
    client = batch.client()
    batch.environment(client)
    secret = batch.buoy.project / "secret"
    secret.write_text("s3cret\n")
    batch.definition(client, "given", ["sh", "-c", 'echo "$0|$1|$WORD|$SECRET|$AWS_BATCH_JQ_NAME|$AWS_BATCH_CE_NAME|$AWS_BATCH_JOB_ATTEMPT"',
                                       "Ref::first", "--x=Ref::second.txt"],
                     parameters={"first": "a b", "second": "default"},
                     container={"environment": [{"name": "WORD", "value": "it's"}],
                                "secrets": [{"name": "SECRET", "valueFrom": f"file://{secret}"}]})
    job = client.submit_job(jobName="x", jobQueue="train", jobDefinition="given", parameters={"second": "mine"})["jobId"]
    shown = batch.wait(client, job)
    assert log_of(batch, shown) == ["a b|--x=mine.txt|it's|s3cret|train|spot|1"]
    assert shown["parameters"] == {"first": "a b", "second": "mine"}
    assert shown["container"]["secrets"] == [{"name": "SECRET", "valueFrom": f"file://{secret}"}]


def test_a_reclaim_spends_no_attempt_and_loses_no_work(make_buoy):
    batch = Batch(make_buoy(configuration(script="[{after: 3s, notice: 1s}]")))
    client = batch.client()
    batch.environment(client)
    batch.definition(client, "steps", ["sh", "-c", """
        mkdir -p checkpoints; n=$(cat checkpoints/n 2>/dev/null || echo 0); echo started at $n
        while [ $n -lt 40 ]; do n=$((n+1)); echo $n > checkpoints/n.tmp; mv checkpoints/n.tmp checkpoints/n; sleep 0.2; done"""])
    job = client.submit_job(jobName="x", jobQueue="train", jobDefinition="steps", retryStrategy={"attempts": 1})["jobId"]
    shown = batch.wait(client, job)
    assert shown["status"] == "SUCCEEDED", shown
    assert shown["attempts"][0]["statusReason"].startswith("Host EC2 (instance m")
    started = log_of(batch, shown)[0]
    assert started.startswith("started at ") and started != "started at 0"


def test_several_nodes(batch):
    client = batch.client()
    batch.environment(client)
    said = batch.buoy.project / "said"
    said.mkdir()
    client.register_job_definition(jobDefinitionName="nodes", type="multinode", nodeProperties={
        "numNodes": 4, "mainNode": 0, "nodeRangeProperties": [
            {"targetNodes": "0:", "container": {"image": "i", "vcpus": 1, "memory": 64, "command": [
                "sh", "-c", "echo node $AWS_BATCH_JOB_NODE_INDEX of $AWS_BATCH_JOB_NUM_NODES, "
                            "main ${AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS:-me}; "
                            f"touch {said}/$AWS_BATCH_JOB_NODE_INDEX; [ $AWS_BATCH_JOB_NODE_INDEX != 0 ] || "
                            f"until [ $(ls {said} | wc -l) = 4 ]; do sleep 0.05; done"]}}]})  # the end of main ends all
    job = client.submit_job(jobName="x", jobQueue="train", jobDefinition="nodes")["jobId"]
    shown = batch.wait(client, job)
    assert shown["status"] == "SUCCEEDED", shown
    assert shown["nodeProperties"]["numNodes"] == 4
    last, = client.describe_jobs(jobs=[f"{job}#3", f"{job}#4"])["jobs"]
    assert (last["jobId"], last["nodeDetails"], last["status"]) == (f"{job}#3", {"nodeIndex": 3, "isMainNode": False}, "SUCCEEDED")
    assert log_of(batch, last)[0].startswith("node 3 of 4, main ") and last["container"]["image"] == "i"
    pages = client.get_paginator("list_jobs").paginate(multiNodeJobId=job, PaginationConfig={"PageSize": 3})
    listed = [(each["jobId"], each["nodeProperties"]["isMainNode"]) for page in pages for each in page["jobSummaryList"]]
    assert listed == [(f"{job}#0", True), (f"{job}#1", False), (f"{job}#2", False), (f"{job}#3", False)]
    client.tag_resource(resourceArn=shown["jobArn"], tags={"of": "all"})
    assert [each["tags"] for each in client.describe_jobs(jobs=[job, f"{job}#1"])["jobs"]] == [{"of": "all"}] * 2
    logs = batch.client("logs")
    streams = [s["logStreamName"] for s in logs.describe_log_streams(
        logGroupName="/aws/batch/job", logStreamNamePrefix="nodes/default/")["logStreams"]]
    assert len(streams) == 4
    events = logs.filter_log_events(logGroupName="/aws/batch/job", logStreamNames=streams, filterPattern="node")["events"]
    said = sorted(e["message"] for e in events)
    assert [line.split(",")[0] for line in said] == [f"node {i} of 4" for i in range(4)]
    assert [line.endswith("main me") for line in said] == [True, False, False, False]


def nodes(client, name, main, others, count=3, **more):
    """A multi-node definition whose main node is its last one."""
    container = lambda command: {"image": "i", "vcpus": 1, "memory": 64, "command": ["sh", "-c", command]}
    client.register_job_definition(jobDefinitionName=name, type="multinode", **more, nodeProperties={
        "numNodes": count, "mainNode": count - 1, "nodeRangeProperties": [
            {"targetNodes": f"0:{count - 2}", "container": container(others)},
            {"targetNodes": f"{count - 1}", "container": container(main)}]})
    return client.submit_job(jobName=name, jobQueue="train", jobDefinition=name)["jobId"]


@pytest.mark.parametrize("main, others, status, code", [
    ("echo done", "trap 'echo told to stop; exit 1' TERM; while :; do sleep 0.05; done", "SUCCEEDED", 0),
    ("while [ ! -e GO ]; do sleep 0.05; done", "exit 3", "SUCCEEDED", 0),
    ("exit 7", "while :; do sleep 0.05; done", "FAILED", 7),
], ids=["the others are stopped", "the others fail", "it fails"])
def test_the_main_node_decides(batch, main, others, status, code):
    client = batch.client()
    batch.environment(client)
    go = batch.buoy.project / "go"
    job = nodes(client, "nodes", main.replace("GO", str(go)), others)
    if "GO" in main:
        wait_for(lambda: [each["phase"] for each in batch.buoy.job(job).get("members", [])] == ["running", "done", "done"], "the others' end")
        assert client.describe_jobs(jobs=[job])["jobs"][0]["status"] == "RUNNING"
        go.touch()
    shown = batch.wait(client, job)
    assert (shown["status"], len(shown["attempts"])) == (status, 1), shown
    assert shown["attempts"][0]["container"]["exitCode"] == code
    wait_for(lambda: not batch.buoy.hosts(), "the end of all nodes")


def test_cancel_terminate_list_and_tags(batch):
    client = batch.client()
    batch.environment(client, maxvCpus=1)
    batch.definition(client, "sleep", ["sleep", "600"])
    submit = lambda name: client.submit_job(jobName=name, jobQueue="train", jobDefinition="sleep", tags={"who": name})
    running, waiting = submit("running"), submit("waiting")
    batch.wait(client, running["jobId"], "RUNNING")
    client.cancel_job(jobId=running["jobId"], reason="only what waits is cancelled")
    client.cancel_job(jobId=waiting["jobId"], reason="changed my mind")
    assert batch.wait(client, waiting["jobId"])["statusReason"] == "changed my mind"
    assert client.describe_jobs(jobs=[running["jobId"]])["jobs"][0]["status"] == "RUNNING"
    assert [j["jobId"] for j in client.list_jobs(jobQueue="train")["jobSummaryList"]] == [running["jobId"]]
    found = client.list_jobs(jobQueue="train", filters=[{"name": "JOB_NAME", "values": ["WAIT*"]}])["jobSummaryList"]
    assert [(j["jobId"], j["status"]) for j in found] == [(waiting["jobId"], "FAILED")]
    client.tag_resource(resourceArn=running["jobArn"], tags={"more": "yes"})
    client.untag_resource(resourceArn=running["jobArn"], tagKeys=["who"])
    assert client.list_tags_for_resource(resourceArn=running["jobArn"])["tags"] == {"more": "yes"}
    assert client.describe_jobs(jobs=[running["jobId"]])["jobs"][0]["tags"] == {"more": "yes"}
    client.terminate_job(jobId=running["jobId"], reason="enough")
    assert batch.wait(client, running["jobId"])["status"] == "FAILED"


def test_definitions_have_revisions_that_survive(batch):
    client = batch.client()
    batch.environment(client)
    for command in ("one", "two", "three"):
        batch.definition(client, "d", ["echo", command])
    client.deregister_job_definition(jobDefinition="d:3")
    batch.buoy.kill_server()
    batch.buoy.run("server", "start", "--listen", batch.url.split("//")[1], "--insecure", check=0)
    active = client.describe_job_definitions(jobDefinitionName="d", status="ACTIVE")["jobDefinitions"]
    assert [d["revision"] for d in active] == [1, 2]
    job = client.submit_job(jobName="x", jobQueue="train", jobDefinition="d")["jobId"]
    assert log_of(batch, batch.wait(client, job)) == ["two"]
    with pytest.raises(client.exceptions.ClientException):
        client.submit_job(jobName="x", jobQueue="train", jobDefinition="d:3")
    assert batch.definition(client, "d", ["true"])["revision"] == 4


@pytest.mark.parametrize("cpus", [1, 4], ids=["an instance each", "shared instances"])
def test_everything_ends_once_although_the_control_plane_is_killed(make_buoy, cpus):
    batch = Batch(make_buoy(configuration(script="[{after: 1500ms}, {after: 2s, notice: 500ms}, {after: 2500ms}]", cpus=cpus)))
    client = batch.client()
    batch.environment(client)
    batch.definition(client, "count", ["sh", "-c", "sleep 0.5; echo done $BUOY_ARRAY_INDEX"])
    array = client.submit_job(jobName="x", jobQueue="train", jobDefinition="count", arrayProperties={"size": 24})["jobId"]
    last = client.submit_job(jobName="y", jobQueue="train", jobDefinition="count", dependsOn=[{"jobId": array}])["jobId"]
    for kills in range(3):
        wait_for(lambda: client.describe_jobs(jobs=[array])["jobs"][0]["arrayProperties"]["statusSummary"]["SUCCEEDED"]
                 >= 5 * kills + 2, "progress of the array")
        batch.buoy.kill_server()
        batch.buoy.run("server", "start", "--listen", batch.url.split("//")[1], "--insecure", check=0)
    assert batch.wait(client, last)["status"] == "SUCCEEDED"
    assert client.describe_jobs(jobs=[array])["jobs"][0]["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 24
    for index in range(24):
        child = client.describe_jobs(jobs=[f"{array}:{index}"])["jobs"][0]
        assert child["status"] == "SUCCEEDED"
        assert [a.get("container", {}).get("exitCode") for a in child["attempts"]].count(0) == 1
    wait_for(lambda: client.describe_compute_environments(computeEnvironments=["spot"])["computeEnvironments"][0]
             ["computeResources"]["desiredvCpus"] == 0, "no machine is left")
