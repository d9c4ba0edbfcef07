"""The whole path that people know from AWS Batch, with the real command line, from nothing to the log."""
from batch_client import Batch, configuration
from support.control_plane import ROOT, wait_for


EXAMPLE = ROOT / "examples/batch"


def test_the_article_from_nothing_to_the_log(make_buoy):
    batch = Batch(make_buoy(configuration()))
    environment = batch.aws("batch", "create-compute-environment", "--cli-input-json",
                            f"file://{EXAMPLE}/compute-environment.json")
    assert environment["computeEnvironmentArn"].endswith(":compute-environment/gpu-spot")
    batch.aws("batch", "create-job-queue", "--job-queue-name", "gpu-queue", "--state", "ENABLED", "--priority", "10",
              "--compute-environment-order", "order=1,computeEnvironment=" + environment["computeEnvironmentArn"])
    registered = batch.aws("batch", "register-job-definition", "--cli-input-json", f"file://{EXAMPLE}/job-definition.json")
    assert registered["revision"] == 1
    job = batch.aws("batch", "submit-job", "--job-name", "train", "--job-queue", "gpu-queue", "--job-definition",
                    "fetch-and-run", "--parameters", "steps=3",
                    "--container-overrides", "environment=[{name=TRAINING_DATA,value=s3://bucket/data}]")["jobId"]

    def succeeded():
        shown = batch.aws("batch", "describe-jobs", "--jobs", job)["jobs"][0]
        assert shown["status"] != "FAILED", shown
        return shown if shown["status"] == "SUCCEEDED" else None
    shown = wait_for(succeeded, "the end of the job")
    assert shown["container"]["exitCode"] == 0
    assert shown["createdAt"] <= shown["startedAt"] <= shown["stoppedAt"]
    assert {"name": "TRAINING_DATA", "value": "s3://bucket/data"} in shown["container"]["environment"]
    events = batch.aws("logs", "get-log-events", "--log-group-name", "/aws/batch/job", "--log-stream-name",
                       shown["container"]["logStreamName"], "--start-from-head")["events"]
    assert [event["message"] for event in events] == [f"step {i} of s3://bucket/data" for i in (1, 2, 3)]
    # It is a job, a queue and a pool like any other.
    native = batch.buoy.job(job)
    assert (native["name"], native["queue"], native["phase"]) == ("train", "gpu-queue", "succeeded")
    assert "gpu-queue" in batch.buoy.run("queues", check=0).stdout
    assert "gpu-spot" in batch.buoy.run("pools", check=0).stdout
    # And back: nothing is left when everything is deleted in AWS's order.
    batch.aws("batch", "update-job-queue", "--job-queue", "gpu-queue", "--state", "DISABLED")
    batch.aws("batch", "delete-job-queue", "--job-queue", "gpu-queue")
    batch.aws("batch", "update-compute-environment", "--compute-environment", "gpu-spot", "--state", "DISABLED")
    batch.aws("batch", "delete-compute-environment", "--compute-environment", "gpu-spot")
    assert "gpu" not in batch.buoy.run("pools", check=0).stdout + batch.buoy.run("queues", check=0).stdout


def test_an_image_waits_where_no_container_can_run(make_buoy):
    batch = Batch(make_buoy(configuration(isolation="container"), environment={"DOCKER_HOST": "unix:///nonexistent"}))
    client = batch.client()
    batch.environment(client)
    batch.definition(client, "train", ["true"])
    job = client.submit_job(jobName="x", jobQueue="train", jobDefinition="train")["jobId"]
    shown = batch.wait(client, job, "RUNNABLE")
    assert "runs no containers" in shown["statusReason"]
    assert "runs no containers" in batch.buoy.run("why", job, check=0).stdout
