"""Many jobs at once through AWS Batch's door: the largest array that there is, and a long chain."""
from batch_client import Batch, configuration

MANY = 10_000
CHAIN = 1_000
PATIENCE = 600  # of a machine that does much else


def test_an_array_of_10000_of_which_one_in_a_hundred_fails_at_first(make_buoy):
    batch = Batch(make_buoy(configuration(idle="10s")))
    client = batch.client()
    batch.environment(client, maxvCpus=16)
    # 99 fail once; 7 and 4207 each time.
    script = "case $AWS_BATCH_JOB_ARRAY_INDEX in 7|4207) exit 3;; *00) [ $AWS_BATCH_JOB_ATTEMPT -gt 1 ] || exit 1;; esac"
    batch.definition(client, "some", ["sh", "-c", script], retryStrategy={"attempts": 2})
    array = client.submit_job(jobName="many", jobQueue="train", jobDefinition="some", arrayProperties={"size": MANY})["jobId"]
    ended = batch.wait(client, array, limit=PATIENCE)
    assert ended["status"] == "FAILED", "two have"
    summary = {status: count for status, count in ended["arrayProperties"]["statusSummary"].items() if count}
    assert summary == {"SUCCEEDED": MANY - 2, "FAILED": 2}

    failed = client.list_jobs(arrayJobId=array, jobStatus="FAILED")["jobSummaryList"]
    assert sorted(job["arrayProperties"]["index"] for job in failed) == [7, 4207]
    codes = lambda index: [attempt["container"]["exitCode"] for attempt in  # noqa: E731
                           client.describe_jobs(jobs=[f"{array}:{index}"])["jobs"][0]["attempts"]]
    assert codes(7) == codes(4207) == [3, 3]
    assert all(codes(index) == [1, 0] for index in (100, 4200, 9900))
    assert all(codes(index) == [0] for index in (1, 4199, 9999))
    children = [child for page in client.get_paginator("list_jobs").paginate(arrayJobId=array, jobStatus="SUCCEEDED")
                for child in page["jobSummaryList"]]
    assert len({child["jobId"] for child in children}) == len(children) == MANY - 2, "each once"


def test_a_chain_of_1000(make_buoy):
    batch = Batch(make_buoy(configuration(idle="10s")))
    client = batch.client()
    batch.environment(client)
    order = batch.buoy.project / "order"
    batch.definition(client, "link", ["sh", "-c", f"echo $LINK >>{order}"])
    before = []
    for link in range(CHAIN):
        job = client.submit_job(jobName="link", jobQueue="train", jobDefinition="link", dependsOn=before,
                                containerOverrides={"environment": [{"name": "LINK", "value": str(link)}]})["jobId"]
        before = [{"jobId": job}]
    assert batch.wait(client, job, limit=PATIENCE)["status"] == "SUCCEEDED"
    assert order.read_text().split() == [str(link) for link in range(CHAIN)]
