"""What AWS refuses is told to the user: why, and what to do, in one sentence; and nothing that costs money is left."""
import pytest

ARM_IMAGE = "ami-0d6fc8f787cd9a417"
# Kept for the next launch, and free of charge; `buoy aws orphans --remove` removes it.
FREE = {"bucket", "object", "launch template", "security group", "role", "instance profile"}


def tell(buoy):
    """The first sentence about a machine that a person who runs a job is shown."""
    follower = buoy.popen("run", "--", "true")
    try:
        return next((line for line in follower.stderr if "could not be launched" in line), "")
    finally:
        follower.terminate()
        follower.communicate(timeout=60)
        buoy.run("cancel", "j1", check=0)


def check_nothing_costs(cloud, also=()):
    assert {kind for kind, _ in cloud.leftovers()} <= FREE | set(also)


@pytest.mark.long
def test_no_capacity_anywhere(cloud, buoy_on_aws):
    for zone in ("us-east-1a", "us-east-1b"):
        cloud.capacity("m5.large", zone, spot=0, on_demand=0)
    buoy = buoy_on_aws()
    done = buoy.run("run", "--max-wait", "15s", "--", "true")
    assert done.returncode == 124, done.stderr
    assert "InsufficientInstanceCapacity for m5.large in us-east-1a, m5.large in us-east-1b" in done.stderr
    assert "allow more types or zones" in done.stderr and "max_wait" in buoy.job("j1")["reason"]
    assert cloud.instances() == []
    check_nothing_costs(cloud)


@pytest.mark.parametrize("fault, words", [
    ({"kind": "expired", "calls": "^(ec2|iam|ssm):"}, "get new credentials"),
    ({"kind": "denied", "calls": "ec2:CreateFleet", "message": "You are not authorized to perform: iam:PassRole"}, "`buoy aws policy` prints"),
], ids=["expired credentials", "a role that may not be passed"])
def test_refused_calls(cloud, buoy_on_aws, fault, words):
    cloud.fault(**fault)
    assert words in tell(buoy_on_aws())
    check_nothing_costs(cloud)


@pytest.mark.parametrize("section, words", [
    (f"      image: {{id: {ARM_IMAGE}}}", "is for arm64, but Buoy's agent runs on x86_64 only"),
    ("      instance_profile: nobodys", "there is no instance profile 'nobodys'"),
], ids=["another architecture", "a profile that is not there"])
def test_wrong_configuration(cloud, buoy_on_aws, section, words):
    assert words in tell(buoy_on_aws(aws=section))
    check_nothing_costs(cloud)


def test_a_subnet_without_a_way_out(cloud, buoy_on_aws):
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    assert f"subnet {subnet} in us-east-1a has no route out" in tell(buoy_on_aws(zones=("us-east-1a",), aws=f"      subnets: [{subnet}]"))
    check_nothing_costs(cloud, also={"vpc", "subnet"})


def test_wrong_keys(cloud, buoy_on_aws):
    buoy = buoy_on_aws()
    done = buoy.run("doctor", "aws", environment={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert done.returncode != 0 and "check the access key and its secret" in done.stdout
