"""A bucket as the store that cannot be used: one clear sentence, within 5 seconds where no retry can help."""
import pytest

from conftest import wait_for


def places(server, proxied):
    return {
        "bucket": (server, "no-such-bucket-here", "NoSuchBucket"),
        "permission": (server.stranger, None, "do not allow"),
        "key": (server.as_user(server.access_key, "wrong"), None, "secret key is probably wrong"),
        "endpoint": (server.at("http://127.0.0.1:1"), None, "refused"),
        "name": (server.at("http://nowhere.invalid"), None, "nowhere.invalid"),
        "authority": (server.at(proxied.endpoint), None, "certificate"),
    }


@pytest.mark.parametrize("wrong", ["bucket", "permission", "key", "endpoint", "name", "authority"])
def test_a_store_that_cannot_be_used_is_said_in_one_sentence(make_buoy, radosgw, fault_proxy, untrusted_certificate, wrong):
    server, bucket, words = places(radosgw, fault_proxy(radosgw, tls=untrusted_certificate))[wrong]
    buoy = make_buoy(f"store: s3://{bucket or radosgw.make_bucket()}/buoy\n", server.environment)
    buoy.run("server", "start", check=0)
    buoy.write("job.sh", "mkdir -p checkpoints; sleep 60")
    refused = buoy.run("submit", "--", "sh", "job.sh", limit=5)  # its source cannot be stored
    assert refused.returncode != 0 and len(refused.stderr.strip().splitlines()) == 1
    assert words in refused.stderr or "do not allow" in refused.stderr, refused.stderr
    job = buoy.submit("--no-source", "--checkpoint", "checkpoints", "--", "sleep", "60")
    if wrong in ("endpoint", "name"):
        return  # that may pass: the machine goes on trying
    reason = wait_for(lambda: buoy.job(job)["phase"] == "failed" and buoy.job(job)["reason"], "the failure", limit=5)
    assert words in reason and "\n" not in reason


def test_a_wrong_region_is_put_right(make_buoy, moto, fault_proxy):
    """The server names the right one, and is believed."""
    region = "eu-west-1"
    proxy = fault_proxy(moto, {"kind": "error", "first": 1, "status": 400, "code": "AuthorizationHeaderMalformed",
                               "message": f"the region is wrong; expecting '{region}'", "headers": {"x-amz-bucket-region": region}})
    bucket = moto.make_bucket()
    buoy = make_buoy(f"store: s3://{bucket}/buoy\n", moto.at(proxy.endpoint).environment)
    buoy.run("run", "--name", "x", "--checkpoint", "checkpoints", "--", "sh", "-c", "mkdir -p checkpoints; echo x >checkpoints/x", check=0)
    assert buoy.job("x")["last_version"] > 0
