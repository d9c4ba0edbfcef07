"""RunInstances and CreateFleet: capacity, prices, quotas, tokens, states. No machine is waited for."""
import time

import pytest

from cloud.ec2_calls import IMAGES, TYPE, code_of, errors, fleet, instance_of, launched, run, template, wait_state
from support.control_plane import wait_for

ZONES = ("us-east-1a", "us-east-1b")


@pytest.fixture
def ec2(cloud):
    return cloud.client("ec2")


def pools(*zones, **more):
    return [{"InstanceType": TYPE, "AvailabilityZone": zone, **more} for zone in zones]


def test_an_instance_goes_through_its_states(cloud, ec2):
    cloud.settings(pending=0.3)
    instance, = run(ec2)
    assert instance_of(ec2, instance)["State"] == {"Code": 0, "Name": "pending"}
    running = wait_state(ec2, instance, "running")
    assert running["InstanceLifecycle"] == "spot" and running["SpotInstanceRequestId"].startswith("sir-")
    answer = ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
    assert answer["PreviousState"]["Name"] == "running" and answer["CurrentState"]["Name"] == "shutting-down"
    ended = wait_state(ec2, instance, "terminated")
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown" and ended["StateTransitionReason"].startswith("User initiated (")
    request = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[running["SpotInstanceRequestId"]])["SpotInstanceRequests"][0]
    assert (request["State"], request["Status"]["Code"]) == ("closed", "instance-terminated-by-user")
    assert cloud.leftovers() == []


def test_filters_and_pages_see_the_states(cloud, ec2):
    first, second = run(ec2), run(ec2, spot=False)
    ec2.terminate_instances(InstanceIds=first)
    wait_state(ec2, first[0], "terminated")
    wait_state(ec2, second[0], "running")
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
    assert [r["Instances"][0]["InstanceId"] for r in found] == second
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
    assert sum(len(page["Reservations"]) for page in pages) == 2


def test_run_instances_says_in_ec2s_words_why_not(cloud, ec2):
    cloud.capacity(TYPE, ZONES[0], spot=0, on_demand=0)
    here = {"Placement": {"AvailabilityZone": ZONES[0]}}
    assert code_of(run, ec2, **here) == "InsufficientInstanceCapacity"
    assert code_of(run, ec2, spot=False, **here) == "InsufficientInstanceCapacity"
    cheap = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.0001"}}
    assert code_of(run, ec2, InstanceMarketOptions=cheap) == "SpotMaxPriceTooLow"
    cloud.call("quota", market="spot", cpus=2)
    cloud.call("quota", market="on-demand", cpus=2)
    assert code_of(run, ec2, count=2) == "MaxSpotInstanceCountExceeded"
    assert code_of(run, ec2, spot=False, count=2) == "VcpuLimitExceeded"
    cloud.call("offered", type=TYPE, zone=ZONES[1], offered=False)
    assert code_of(run, ec2, Placement={"AvailabilityZone": ZONES[1]}) == "Unsupported"
    assert cloud.instances() == []


def test_what_does_not_exist_or_fit_is_refused(cloud, ec2):
    assert code_of(run, ec2, ImageId="ami-00000000000000000") == "InvalidAMIID.NotFound"
    assert code_of(run, ec2, ImageId=IMAGES["x86_64"], InstanceType="m6g.large") == "InvalidParameterValue"
    assert code_of(run, ec2, KeyName="nobodys") == "InvalidKeyPair.NotFound"
    assert code_of(run, ec2, SecurityGroupIds=["sg-00000000000000000"]) == "InvalidGroup.NotFound"
    assert code_of(run, ec2, SubnetId="subnet-00000000000000000") == "InvalidSubnetID.NotFound"
    assert code_of(run, ec2, IamInstanceProfile={"Name": "nobodys"}) == "InvalidParameterValue"
    assert code_of(ec2.terminate_instances, InstanceIds=["i-00000000000000000"]) == "InvalidInstanceID.NotFound"
    assert cloud.leftovers() == []


def test_a_client_token_launches_once(cloud, ec2):
    assert run(ec2, ClientToken="one") == run(ec2, ClientToken="one")
    assert code_of(run, ec2, count=2, ClientToken="one") == "IdempotentParameterMismatch"
    named = template(ec2)
    answers = [fleet(ec2, pools(*ZONES), named=named, ClientToken="two") for _ in range(2)]
    assert answers[0]["FleetId"] == answers[1]["FleetId"] and launched(answers[0]) == launched(answers[1])
    assert len(cloud.instances()) == 2


def test_a_fleet_takes_the_cheapest_pool_with_room(cloud, ec2):
    cloud.price(TYPE, ZONES[0], 0.05)
    cloud.price(TYPE, ZONES[1], 0.02)
    cloud.capacity(TYPE, ZONES[1], spot=1)
    answer = fleet(ec2, pools(*ZONES), TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "k", "Value": "v"}]}])
    entry, = answer["Instances"]
    assert entry["Lifecycle"] == "spot" and entry["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] == ZONES[1]
    seen = instance_of(ec2, entry["InstanceIds"][0])
    assert {"Key": "k", "Value": "v"} in seen["Tags"] and {"Key": "aws:ec2:fleet-id", "Value": answer["FleetId"]} in seen["Tags"]
    # The pool is full now, so the next comes from elsewhere.
    answer = fleet(ec2, pools(*ZONES), named={"LaunchTemplateName": "test", "Version": "1"})
    assert answer["Instances"][0]["LaunchTemplateAndOverrides"]["Overrides"]["AvailabilityZone"] == ZONES[0]


def test_a_fleet_tells_the_error_of_each_pool(cloud, ec2):
    cloud.capacity(TYPE, ZONES[0], spot=0)
    overrides = pools(ZONES[0]) + pools(ZONES[1], MaxPrice="0.0001")
    answer = fleet(ec2, overrides)
    assert launched(answer) == [] and errors(answer) == {(ZONES[0], "InsufficientInstanceCapacity"), (ZONES[1], "SpotMaxPriceTooLow")}
    answer = fleet(ec2, overrides + pools("us-east-1c"), named={"LaunchTemplateName": "test", "Version": "$Default"})
    assert len(launched(answer)) == 1


def test_a_fleet_in_one_zone_is_all_or_none(cloud, ec2):
    for zone, room in zip(ZONES, (2, 3)):
        cloud.capacity(TYPE, zone, spot=room)
    together = {"SingleAvailabilityZone": True, "MinTargetCapacity": 3}
    answer = fleet(ec2, pools(*ZONES), target=3, spot=together)
    assert len(launched(answer)) == 3 and {each["zone"] for each in cloud.instances()} == {ZONES[1]}
    answer = fleet(ec2, pools(*ZONES), target=3, spot=together, named={"LaunchTemplateName": "test", "Version": "$Latest"})
    assert launched(answer) == [] and {code for _, code in errors(answer)} == {"UnfulfillableCapacity"}
    assert len(cloud.instances()) == 3


def test_the_price_history_is_the_markets(cloud, ec2):
    week = time.time() - 7 * 86400
    generated = ec2.describe_spot_price_history(InstanceTypes=[TYPE], AvailabilityZone=ZONES[0], StartTime=week)["SpotPriceHistory"]
    assert len(generated) > 14 and len({entry["SpotPrice"] for entry in generated}) > 1
    assert all(0 < float(entry["SpotPrice"]) < 0.096 for entry in generated)
    cloud.price(TYPE, ZONES[0], 0.0123)
    now, = ec2.describe_spot_price_history(InstanceTypes=[TYPE], AvailabilityZone=ZONES[0])["SpotPriceHistory"]
    assert now["SpotPrice"] == "0.012300"
    pages = ec2.get_paginator("describe_spot_price_history").paginate(InstanceTypes=[TYPE], StartTime=week, PaginationConfig={"PageSize": 10})
    assert {entry["AvailabilityZone"] for page in pages for entry in page["SpotPriceHistory"]} >= set(ZONES)


def test_a_price_above_the_limit_takes_the_machine(cloud, ec2):
    cloud.settings(notice=0.2)
    cloud.price(TYPE, ZONES[0], 0.02)
    options = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.03"}}
    instance, = run(ec2, Placement={"AvailabilityZone": ZONES[0]}, InstanceMarketOptions=options)
    cloud.price(TYPE, ZONES[0], 0.031)
    assert wait_state(ec2, instance, "terminated")["StateReason"]["Code"] == "Server.SpotInstanceTermination"


def test_lost_capacity_takes_the_newest_machines(cloud, ec2):
    old, = run(ec2, Placement={"AvailabilityZone": ZONES[0]})
    new, = run(ec2, Placement={"AvailabilityZone": ZONES[0]})
    cloud.capacity(TYPE, ZONES[0], spot=1, notice=0.2)
    assert wait_state(ec2, new, "terminated")["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    assert instance_of(ec2, old)["State"]["Name"] == "running"


def test_a_group_in_use_stays(cloud, ec2):
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    instance, = run(ec2, SecurityGroupIds=[group])
    assert code_of(ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    ec2.terminate_instances(InstanceIds=[instance])
    wait_state(ec2, instance, "terminated")
    ec2.delete_security_group(GroupId=group)
    assert cloud.leftovers() == []


def test_leftovers_name_everything(cloud, ec2):
    run(ec2)
    ec2.create_security_group(GroupName="g", Description="d")
    ec2.create_key_pair(KeyName="k")
    template(ec2)
    iam, s3 = cloud.client("iam"), cloud.client("s3")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="p")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="o", Body=b"x")
    kinds = {kind for kind, _ in cloud.leftovers()}
    assert kinds == {"instance", "spot request", "volume", "network interface", "security group", "key pair", "launch template", "role",
                     "instance profile", "bucket", "object"}


def test_a_new_instance_may_not_be_seen_at_once(cloud, ec2):
    cloud.settings(consistent_after=0.3)
    instance, = run(ec2)
    assert code_of(ec2.describe_instances, InstanceIds=[instance]) == "InvalidInstanceID.NotFound"
    assert ec2.describe_instances()["Reservations"] == []
    wait_for(lambda: ec2.describe_instances()["Reservations"], "the instance seen")


def test_prices_on_demand_come_from_the_price_list(cloud):
    import json
    pricing = cloud.client("pricing")
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in
               {"instanceType": "g5.xlarge", "regionCode": "us-east-1", "operatingSystem": "Linux", "tenancy": "Shared"}.items()]
    product, = pricing.get_products(ServiceCode="AmazonEC2", Filters=filters)["PriceList"]
    term, = json.loads(product)["terms"]["OnDemand"].values()
    price, = term["priceDimensions"].values()
    assert float(price["pricePerUnit"]["USD"]) == 1.006
