"""What the front does to calls when a test asks for it, and who may call at all."""
import subprocess
import threading

import pytest

from cloud.ec2_calls import code_of, run


@pytest.fixture
def ec2(cloud):
    return cloud.client("ec2")


def test_throttling_refuses_what_is_over_the_rate(cloud, ec2):
    cloud.throttle(rate=0.001, burst=3)
    codes = []
    for _ in range(5):
        try:
            ec2.describe_vpcs()
            codes.append("")
        except ec2.exceptions.ClientError as error:
            codes.append((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]))
    assert codes == ["", "", "", *[("RequestLimitExceeded", 503)] * 2]
    assert cloud.calls()["ec2:DescribeVpcs"] == 5


def test_an_answer_can_be_lost_and_the_token_finds_the_machine(cloud, ec2):
    cloud.fault("cut_after", calls="RunInstances", first=1)
    from botocore.exceptions import HTTPClientError
    with pytest.raises(HTTPClientError):
        run(ec2, ClientToken="t")
    lost, = cloud.instances()
    assert run(ec2, ClientToken="t") == [lost["instance"]]
    cloud.fault("cut_before", calls="RunInstances", first=1)
    with pytest.raises(HTTPClientError):
        run(ec2, ClientToken="u")
    cloud.fault("error_after", calls="RunInstances", first=1)
    assert code_of(run, ec2, ClientToken="u") == "InternalError"
    assert len(run(ec2, ClientToken="u")) == 1 and len(cloud.instances()) == 2


def test_a_client_of_amazons_gets_over_it(cloud):
    """One more proof that it is AWS's wire: their retries work as they do against AWS."""
    patient = cloud.client("ec2", retries=4)
    cloud.fault("cut_after", calls="RunInstances", first=1)
    cloud.fault("throttle", calls="DescribeVpcs", rate=0.001, burst=1, first=1)
    run(patient)
    patient.describe_vpcs()
    patient.describe_vpcs()
    assert len(cloud.instances()) == 1 and cloud.calls()["ec2:RunInstances"] == 2


def test_a_call_can_be_held_right_before_its_answer(cloud, ec2):
    with cloud.held("RunInstances") as hold:
        caller = threading.Thread(target=run, args=(ec2,))
        caller.start()
        assert cloud.reached(hold)
        assert len(cloud.instances()) == 1 and caller.is_alive()
    caller.join(30)
    assert not caller.is_alive()


def test_credentials_are_checked(cloud):
    assert code_of(cloud.client("ec2", aws_secret_access_key="wrong").describe_vpcs) == "AuthFailure"
    assert code_of(cloud.client("ec2", aws_access_key_id="AKIANOBODY").describe_vpcs) == "AuthFailure"
    assert code_of(cloud.client("sts", aws_access_key_id="AKIANOBODY").get_caller_identity) == "InvalidClientTokenId"
    assert code_of(cloud.client("s3", aws_secret_access_key="wrong").list_buckets) == "SignatureDoesNotMatch"
    iam = cloud.client("iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    cloud.client("ec2", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]).describe_vpcs()


def test_tokens_expire_and_actions_are_denied(cloud, ec2):
    with_role = cloud.fault("expired")
    assert code_of(ec2.describe_vpcs) == "RequestExpired"
    assert code_of(cloud.client("sts").get_caller_identity) == "ExpiredToken"
    cloud.remove_fault(with_role)
    cloud.fault("denied", calls="ec2:RunInstances", message="You are not authorized to perform: iam:PassRole")
    assert code_of(run, ec2) == "UnauthorizedOperation"
    assert cloud.instances() == []


def test_s3_works_through_it(cloud):
    s3 = cloud.client("s3")
    body = bytes(range(256)) * 40000
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="a b/é", Body=body)
    assert s3.get_object(Bucket="bucket", Key="a b/é", Range="bytes=5-9")["Body"].read() == body[5:10]
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["a b/é"]


def test_awscli_works(cloud):
    done = subprocess.run(["/usr/bin/aws", "--endpoint-url", cloud.endpoint, "ec2", "describe-availability-zones", "--output", "text"], text=True,
                          env=cloud.clean_environment(), capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "us-east-1a" in done.stdout, done.stderr
