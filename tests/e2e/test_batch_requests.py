"""What strangers, broken clients and bad luck send to AWS Batch's door."""
import http.client
import json
import socket
import time
import urllib.parse

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from batch_client import REGION, Batch, configuration


@pytest.fixture
def batch(make_buoy):
    return Batch(make_buoy(configuration()))


def signed(batch, path, body, method="POST", at=None, secret=None, monkeypatch=None):
    """The headers of a request that is signed at another time than now."""
    request = AWSRequest(method=method, url=batch.url + path, data=body, headers={"Content-Type": "application/json"})
    if at is not None:
        import botocore.auth
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at, raising=False)
        if hasattr(botocore.auth, "datetime"):
            class Fixed(botocore.auth.datetime.datetime):
                @classmethod
                def utcnow(cls):
                    return at
            monkeypatch.setattr(botocore.auth.datetime, "datetime", Fixed)
    SigV4Auth(Credentials(batch.key, secret or batch.secret), "batch", REGION).add_auth(request)
    if monkeypatch is not None:
        monkeypatch.undo()
    return dict(request.prepare().headers)


def send(batch, path, body, headers, method="POST"):
    address = urllib.parse.urlsplit(batch.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("x-amzn-ErrorType"), json.loads(answer.read() or b"{}")
    finally:
        connection.close()


def answers(batch):
    assert batch.client().describe_job_queues()["jobQueues"][0]["jobQueueName"] == "default"


def test_a_wrong_secret_and_an_unknown_key(batch):
    with pytest.raises(ClientError) as error:
        batch.client(secret="0" * 40).describe_job_queues()
    assert error.value.response["Error"]["Code"] == "InvalidSignatureException"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    batch.buoy.run("keys", "delete", batch.key, check=0)
    with pytest.raises(ClientError) as error:
        batch.client().describe_job_queues()
    assert error.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_without_a_signature_or_with_a_token_of_buoys(batch):
    assert send(batch, "/v1/describejobqueues", "{}", {})[:2] == (403, "MissingAuthenticationTokenException")
    token = batch.buoy.run("server", "token", check=0).stdout.strip()
    status, error, _ = send(batch, "/v1/describejobqueues", "{}", {"Authorization": "Bearer " + token})
    assert (status, error) == (403, "IncompleteSignatureException")


def test_a_clock_that_is_wrong_and_a_recorded_request(batch, monkeypatch):
    import datetime
    now = datetime.datetime.utcnow()
    for minutes in (-16, 16):
        headers = signed(batch, "/v1/describejobqueues", "{}", at=now + datetime.timedelta(minutes=minutes),
                         monkeypatch=monkeypatch)
        status, error, body = send(batch, "/v1/describejobqueues", "{}", headers)
        assert (status, error) == (403, "InvalidSignatureException")
        assert "Signature expired" in body["message"] or "not yet current" in body["message"]
    headers = signed(batch, "/v1/describejobqueues", "{}", at=now - datetime.timedelta(minutes=10), monkeypatch=monkeypatch)
    assert send(batch, "/v1/describejobqueues", "{}", headers)[0] == 200


def test_what_is_signed_cannot_be_changed(batch):
    headers = signed(batch, "/v1/describejobqueues", "{}")
    assert send(batch, "/v1/describejobqueues", '{"maxResults": 1}', headers)[0] == 403
    assert send(batch, "/v1/describejobs", "{}", headers)[0] == 403
    assert send(batch, "/v1/describejobqueues?x=1", "{}", headers)[0] == 403


def test_wrong_bodies_name_their_mistake(batch):
    client = batch.client(parameter_validation=False)
    for call, arguments, said in [
            (client.create_compute_environment, {}, "computeEnvironmentName"),
            (client.create_compute_environment, {"computeEnvironmentName": "x", "type": "MANAGED"}, "computeResources"),
            (client.create_job_queue, {"jobQueueName": "a b", "priority": 1, "computeEnvironmentOrder": []}, "jobQueueName"),
            (client.submit_job, {"jobName": "x", "jobQueue": "none", "jobDefinition": "x"}, "does not exist"),
            (client.submit_job, {"jobName": "x", "jobQueue": "default", "jobDefinition": "x"}, "JobDefinition"),
            (client.describe_jobs, {"jobs": []}, "1 to 100"),
            (client.list_jobs, {"jobQueue": "default", "jobStatus": "LOST"}, "jobStatus"),
            (client.terminate_job, {"jobId": "j77", "reason": "why not"}, "j77"),
            (client.list_tags_for_resource, {"resourceArn": "arn:aws:s3:::x"}, "ARN")]:
        with pytest.raises(client.exceptions.ClientException) as error:
            call(**arguments)
        assert said in error.value.response["Error"]["Message"], error.value
    for body in ["", "{", "[]", '{"jobs": {"a": 1}}', '{"jobs": ["x"]' + " " * 2000, "\xff", '{"a":' * 100]:
        data = body.encode("latin-1")
        status, error, _ = send(batch, "/v1/describejobs", data, signed(batch, "/v1/describejobs", data))
        assert (status, error) == (400, "ClientException"), body
    answers(batch)


def test_unknown_operations_and_unknown_fields(batch):
    status, error, _ = send(batch, "/v1/describejobqueuesandmore", "{}", signed(batch, "/v1/describejobqueuesandmore", "{}"))
    assert (status, error) == (404, "UnknownOperationException")
    body = '{"somethingNew": {"a": [1, null]}}'
    assert send(batch, "/v1/describejobqueues", body, signed(batch, "/v1/describejobqueues", body))[0] == 200


def test_too_much_and_too_little(batch):
    body = '{"x": "' + "a" * (2 << 20) + '"}'
    headers = signed(batch, "/v1/describejobqueues", body)
    try:
        assert send(batch, "/v1/describejobqueues", body, headers)[0] == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was refused before all of it was sent
    address = urllib.parse.urlsplit(batch.url)
    head = "".join(f"{k}: {v}\r\n" for k, v in signed(batch, "/v1/describejobqueues", "{}").items() if k != "Content-Length")
    truncated = socket.create_connection((address.hostname, address.port))
    truncated.sendall(f"POST /v1/describejobqueues HTTP/1.1\r\n{head}Host: {address.netloc}\r\nContent-Length: 9\r\n\r\n{{".encode())
    truncated.close()
    answers(batch)


def test_a_thousand_connections_that_say_nothing(batch):
    address = urllib.parse.urlsplit(batch.url)
    held = [socket.create_connection((address.hostname, address.port)) for _ in range(1000)]
    began = time.monotonic()
    answers(batch)
    assert time.monotonic() - began < 60
    for connection in held:
        connection.close()
    answers(batch)


def test_pages_of_everything_that_is_listed(batch):
    client = batch.client()
    for i in range(5):
        batch.definition(client, f"d{i}", ["true"])
        batch.environment(client, name=f"e{i}", queue=f"q{i}")
        client.create_scheduling_policy(name=f"p{i}", fairsharePolicy={})
    for i in range(5):
        client.submit_job(jobName="x", jobQueue="q0", jobDefinition="d0", dependsOn=[{"jobId": f"j{i}"}] if i else [])

    def names(operation, key, field, **arguments):
        pages = list(client.get_paginator(operation).paginate(PaginationConfig={"PageSize": 2}, **arguments))
        assert all(len(page[key]) <= 2 for page in pages) and len(pages) >= 3
        return [item[field] for page in pages for item in page[key]]
    assert names("describe_job_definitions", "jobDefinitions", "jobDefinitionName") == [f"d{i}" for i in range(5)]
    assert names("describe_job_queues", "jobQueues", "jobQueueName") == ["default"] + [f"q{i}" for i in range(5)]
    assert names("describe_compute_environments", "computeEnvironments", "computeEnvironmentName") == \
        [f"e{i}" for i in range(5)] + ["local"]
    assert [arn.rsplit("/", 1)[1] for arn in names("list_scheduling_policies", "schedulingPolicies", "arn")] == \
        [f"p{i}" for i in range(5)]
    assert sorted(names("list_jobs", "jobSummaryList", "jobId", jobQueue="q0", filters=[{"name": "JOB_NAME", "values": ["x"]}])) \
        == [f"j{i}" for i in range(1, 6)]
    # The command line follows the pages by itself.
    assert len(batch.aws("batch", "describe-job-definitions", "--page-size", "2")["jobDefinitions"]) == 5
    cut = batch.aws("batch", "describe-job-queues", "--max-items", "2")
    assert len(cut["jobQueues"]) == 2
    assert len(batch.aws("batch", "describe-job-queues", "--starting-token", cut["NextToken"])["jobQueues"]) == 4


def pool_of(batch, name):
    return next(pool for pool in batch.buoy.json("pools")["pools"] if pool["name"] == name)


def test_an_unmanaged_environment_keeps_its_limit(batch):
    client = batch.client()
    client.create_compute_environment(computeEnvironmentName="own", type="UNMANAGED", unmanagedvCpus=4)
    assert pool_of(batch, "own")["max_machines"] == 4
    client.update_compute_environment(computeEnvironment="own", state="DISABLED")
    shown, = client.describe_compute_environments(computeEnvironments=["own"])["computeEnvironments"]
    assert (shown["state"], shown["unmanagedvCpus"]) == ("DISABLED", 4)
    assert pool_of(batch, "own")["max_machines"] == 4
    client.update_compute_environment(computeEnvironment="own", unmanagedvCpus=6)
    assert pool_of(batch, "own")["max_machines"] == 6
    for refused in (-1, 1_000_001):
        with pytest.raises(client.exceptions.ClientException) as error:
            client.update_compute_environment(computeEnvironment="own", unmanagedvCpus=refused)
        assert "unmanagedvCpus must be from 0 to 1000000" in error.value.response["Error"]["Message"]
    with pytest.raises(client.exceptions.ClientException) as error:
        client.create_compute_environment(computeEnvironmentName="other", type="UNMANAGED", unmanagedvCpus=-1)
    assert "unmanagedvCpus" in error.value.response["Error"]["Message"]


def test_an_environment_follows_its_models_price(batch):
    client = batch.client()
    batch.environment(client)
    price = lambda: pool_of(batch, "spot")["types"][0]["spot_price"]
    assert float(price()) == 0.3
    batch.buoy.configure(configuration().replace("spot_price: 0.30", "spot_price: 0.20"))
    batch.buoy.run("server", "stop", check=0)
    batch.buoy.run("server", "start", "--listen", urllib.parse.urlsplit(batch.url).netloc, "--insecure", check=0)
    client.update_compute_environment(computeEnvironment="spot", computeResources={"maxvCpus": 4})
    assert float(price()) == 0.2


def test_file_systems_of_efs_are_for_pools_on_aws(batch):
    client = batch.client()
    batch.environment(client)
    batch.definition(client, "efs", ["true"], container={
        "volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-0123456789abcdef0", "rootDirectory": "/a"}}],
        "mountPoints": [{"sourceVolume": "v", "containerPath": "/data"}]})
    with pytest.raises(client.exceptions.ClientException) as error:
        client.submit_job(jobName="x", jobQueue="train", jobDefinition="efs")
    said = error.value.response["Error"]["Message"]
    assert said.startswith("efsVolumeConfiguration: pool 'spot' has none (its provider is 'local')"), said


def test_limits_of_waiting_are_checked_and_kept(batch):
    # Newer than the clients of some distributions.
    client = batch.client()
    batch.environment(client)
    limit = {"reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "state": "RUNNABLE", "maxTimeSeconds": 600,
             "action": "CANCEL"}

    def call(operation, **fields):
        body = json.dumps(fields)
        return send(batch, "/v1/" + operation, body, signed(batch, "/v1/" + operation, body))
    assert call("updatejobqueue", jobQueue="train", jobStateTimeLimitActions=[limit])[0] == 200
    client.update_job_queue(jobQueue="train", priority=5)
    shown = call("describejobqueues", jobQueues=["train"])[2]["jobQueues"][0]
    assert (shown["priority"], shown["jobStateTimeLimitActions"]) == (5, [limit])
    queue = next(q for q in batch.buoy.json("queues")["queues"] if q["name"] == "train")
    assert queue["stuck"] == {"no_capacity": 600}
    for wrong in ({"maxTimeSeconds": 599}, {"reason": "because"}, {"action": "TERMINATE"}, {"state": "RUNNING"}):
        status, kind, answer = call("updatejobqueue", jobQueue="train", jobStateTimeLimitActions=[{**limit, **wrong}])
        assert (status, kind) == (400, "ClientException"), answer
        assert "jobStateTimeLimitActions." + next(iter(wrong)) in answer["message"]
