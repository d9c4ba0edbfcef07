"""The real servers and the fault proxy do what the other tests take for granted."""
import concurrent.futures
import email.utils
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

from conftest import ROOT, wait_for

MIB = 1 << 20
BODY = os.urandom(3 * MIB)


@pytest.fixture(scope="module")
def bucket(radosgw):
    return radosgw.make_bucket()


def aws(server, *arguments, check=0):
    done = subprocess.run(["/usr/bin/aws", *map(str, arguments)], text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**server.clean_environment(), "AWS_MAX_ATTEMPTS": "4"})
    assert done.returncode == check, done.stderr
    return done.stdout


def test_radosgw_speaks_s3(radosgw, bucket):
    etag = radosgw.put(bucket, "a b/é", BODY).headers["ETag"].strip('"')
    assert etag == hashlib.md5(BODY).hexdigest()
    assert radosgw.objects(bucket, "a b/") == {"a b/é": (len(BODY), etag)}
    assert radosgw.request("GET", bucket, "a b/é", headers={"Range": "bytes=5-9"}).body == BODY[5:10]
    assert radosgw.request("PUT", bucket, "a b/é", body=b"x", headers={"If-None-Match": "*"}).code() == "PreconditionFailed"


def test_awscli_speaks_to_radosgw(radosgw, bucket, tmp_path):
    (tmp_path / "file").write_bytes(BODY)
    aws(radosgw, "--endpoint-url", radosgw.endpoint, "s3", "cp", "--quiet", tmp_path / "file", f"s3://{bucket}/by-aws")
    assert radosgw.get(bucket, "by-aws") == BODY


def test_radosgw_refuses_wrong_keys_and_strangers(radosgw, bucket):
    assert radosgw.as_user(radosgw.access_key, "wrong").request("GET", bucket).code() == "SignatureDoesNotMatch"
    assert radosgw.stranger.request("GET", bucket).code() == "AccessDenied"
    assert radosgw.stranger.request("PUT", "strangers-own").status >= 400


def test_radosgw_can_be_full(radosgw):
    full = radosgw.make_bucket()
    radosgw.set_quota(full, 1 * MIB)
    assert radosgw.request("PUT", full, "big", body=BODY).code() == "QuotaExceeded"
    radosgw.set_quota(full, None)
    # The gateway may remember the quota for a moment.
    wait_for(lambda: radosgw.request("PUT", full, "big", body=BODY).status == 200, "the quota's end")


def test_moto_speaks_s3(moto):
    bucket = moto.make_bucket()
    moto.put(bucket, "dir/a b", BODY)
    assert moto.get(bucket, "dir/a b") == BODY
    assert moto.objects(bucket, "dir/") == {"dir/a b": (len(BODY), hashlib.md5(BODY).hexdigest())}


def test_radosgw_script_says_why_it_does_not_start(tmp_path):
    (tmp_path / "mine").write_text("keep")
    done = subprocess.run([ROOT / "scripts/radosgw.sh", "start", tmp_path, "1"], text=True, capture_output=True)
    assert done.returncode == 1 and "is not empty" in done.stderr
    done = subprocess.run([ROOT / "scripts/radosgw.sh", "stop", tmp_path], text=True, capture_output=True)
    assert done.returncode == 1 and (tmp_path / "mine").read_text() == "keep"


# -- the fault proxy -------------------------------------------------------------------------------------------------------


def test_proxy_passes_on_and_counts(radosgw, bucket, fault_proxy):
    proxy = fault_proxy(radosgw)
    through = radosgw.at(proxy.endpoint)
    through.put(bucket, "counted", BODY)
    assert through.get(bucket, "counted") == BODY
    assert through.request("HEAD", bucket, "counted").body == b""
    assert proxy.counters() == {("PUT", f"/{bucket}/counted"): [1, len(BODY), 0], ("GET", f"/{bucket}/counted"): [1, 0, len(BODY)],
                                ("HEAD", f"/{bucket}/counted"): [1, 0, 0]}


def test_awscli_through_the_proxy(radosgw, bucket, fault_proxy, tmp_path):
    """Expect: 100-continue, multipart, keep-alive, and its retries of 503."""
    (tmp_path / "file").write_bytes(BODY * 6)
    proxy = fault_proxy(radosgw, {"kind": "slow_down", "first": 2})
    through = radosgw.at(proxy.endpoint)
    aws(through, "--endpoint-url", through.endpoint, "s3", "cp", "--quiet", tmp_path / "file", f"s3://{bucket}/parts")
    assert radosgw.objects(bucket, "parts")["parts"][0] == 6 * len(BODY)
    assert [e.status for e in proxy.exchanges()].count(503) == 2
    assert proxy.count(query="partNumber=") >= 3


def test_keep_alive_and_chunked_answers(radosgw, bucket, fault_proxy):
    proxy = fault_proxy(radosgw)
    address = urllib.parse.urlsplit(proxy.endpoint)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    for _ in range(20):
        connection.request("GET", f"/{bucket}/none")
        response = connection.getresponse()
        assert response.status == 403 and b"AccessDenied" in response.read()
    connection.close()
    assert proxy.connections == 1 and proxy.count() == 20


def test_503_for_a_fraction_is_repeatable(radosgw, bucket, fault_proxy):
    def statuses():
        proxy = fault_proxy(radosgw, {"kind": "slow_down", "probability": 0.3, "seed": 7, "method": "PUT"})
        through = radosgw.at(proxy.endpoint)
        return [through.request("PUT", bucket, "often", body=b"x").status for _ in range(30)]
    first = statuses()
    assert statuses() == first and 3 < first.count(503) < 18


def test_first_skip_and_matching(radosgw, bucket, fault_proxy):
    proxy = fault_proxy(radosgw, {"kind": "slow_down", "path": "/picked$", "skip": 1, "first": 2})
    through = radosgw.at(proxy.endpoint)
    assert [through.request("PUT", bucket, key, body=b"x").status for key in ["picked", "other", "picked", "picked", "picked"]] == \
        [200, 200, 503, 503, 200]
    assert through.request("PUT", bucket, "picked", body=b"x").status == 200


def test_500_after_the_effect(radosgw, bucket, fault_proxy):
    through = radosgw.at(fault_proxy(radosgw, {"kind": "fail_after", "first": 1}).endpoint)
    assert through.request("PUT", bucket, "done-anyway", body=BODY).code() == "InternalError"
    assert radosgw.get(bucket, "done-anyway") == BODY


def test_cut_of_an_upload_leaves_nothing(radosgw, bucket, fault_proxy):
    proxy = fault_proxy(radosgw, {"kind": "cut", "direction": "up", "at": 1 * MIB})
    with pytest.raises(OSError):
        radosgw.at(proxy.endpoint).request("PUT", bucket, "cut-up", body=BODY)
    assert "cut-up" not in radosgw.objects(bucket, "cut-up")


def test_cut_of_a_download_gives_just_that_much(radosgw, bucket, fault_proxy):
    radosgw.put(bucket, "cut-down", BODY)
    through = radosgw.at(fault_proxy(radosgw, {"kind": "cut", "at": 1_000_000, "first": 1}).endpoint)
    with pytest.raises((OSError, http.client.IncompleteRead)):
        through.get(bucket, "cut-down")
    assert through.get(bucket, "cut-down") == BODY


@pytest.mark.parametrize("direction, effect", [("up", False), ("down", True)])
def test_cut_before_anything(radosgw, bucket, fault_proxy, direction, effect):
    proxy = fault_proxy(radosgw, {"kind": "cut", "at": -1, "direction": direction})
    with pytest.raises((OSError, http.client.HTTPException)):
        radosgw.at(proxy.endpoint).request("PUT", bucket, f"cut-{direction}", body=b"")
    assert (radosgw.request("HEAD", bucket, f"cut-{direction}").status == 200) == effect


def test_corruption_keeps_the_length(radosgw, bucket, fault_proxy):
    radosgw.put(bucket, "good", BODY)
    proxy = fault_proxy(radosgw, {"kind": "corrupt", "at": 2_000_000, "first": 1})
    got = radosgw.at(proxy.endpoint).get(bucket, "good")
    assert len(got) == len(BODY) and [i for i in range(1_999_990, 2_000_010) if got[i] != BODY[i]] == [2_000_000]
    proxy.add(kind="corrupt", at=5, direction="up")
    # This server checks the hash of a signed payload.
    assert radosgw.at(proxy.endpoint).request("PUT", bucket, "bad", body=BODY).status == 400


def test_duplicated_request(radosgw, bucket, fault_proxy):
    through = radosgw.at(fault_proxy(radosgw, {"kind": "duplicate", "method": "PUT"}).endpoint)
    answer = through.request("PUT", bucket, "twice", body=BODY, headers={"If-None-Match": "*"})
    assert answer.code() == "PreconditionFailed", "the second answer is the one that is passed on"
    assert radosgw.get(bucket, "twice") == BODY


@pytest.mark.parametrize("rule, expected", [({"kind": "stale", "skip": 1}, "1 12 23"), ({"kind": "repeat", "first": 1}, "11 2 3")])
def test_answers_that_come_again(radosgw, bucket, fault_proxy, rule, expected):
    proxy = fault_proxy(radosgw, rule)
    address = urllib.parse.urlsplit(proxy.endpoint)
    ids = []  # of the answers, each new one counted once
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        received = b""
        for answers in expected.split():
            connection.sendall(f"GET /{bucket}/none HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            wanted = len(ids) + len(answers)
            while received.count(b"</Error>") < wanted:
                received += connection.recv(65536)
            ids = re.findall(rb"x-amz-request-id: (\S+)", received)
    order = list(dict.fromkeys(ids))
    assert "".join(str(order.index(one) + 1) for one in ids) == expected.replace(" ", "")


def test_answers_out_of_order(radosgw, bucket, fault_proxy):
    proxy = fault_proxy(radosgw)
    rule = proxy.add(kind="hold", first=1)
    through = radosgw.at(proxy.endpoint)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(through.put, bucket, "order/1", b"1")
        wait_for(lambda: proxy.holds(rule), "the first answer")
        assert [e.status for e in proxy.exchanges()] == [0]
        through.put(bucket, "order/2", b"2")
        first.result(20)


def test_stall_until_let_go(radosgw, bucket, fault_proxy):
    radosgw.put(bucket, "stalled", BODY)
    proxy = fault_proxy(radosgw)
    rule = proxy.add(kind="stall", at=1000)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        whole = pool.submit(radosgw.at(proxy.endpoint).get, bucket, "stalled")
        wait_for(lambda: [e.down for e in proxy.exchanges()] == [1000], "the first 1,000 bytes")
        assert not whole.done()
        proxy.remove(rule)
        assert whole.result(20) == BODY


def test_slow_link(radosgw, bucket, fault_proxy):
    through = radosgw.at(fault_proxy(radosgw, {"kind": "slow", "direction": "up", "rate": 8 * MIB}).endpoint)
    begin = time.monotonic()
    through.put(bucket, "slow", BODY)
    # No shorter than the rate allows; how much longer says nothing.
    assert time.monotonic() - begin >= len(BODY) / (8 * MIB) * 0.9
    assert radosgw.get(bucket, "slow") == BODY


def test_expired_credentials_until_refreshed(radosgw, bucket, fault_proxy):
    keys = radosgw.access_key, radosgw.secret_key
    proxy = fault_proxy(radosgw, {"kind": "expired", "access_key": "OLDKEY", "skip": 1}, {"kind": "resign", "keys": keys})
    old, new = (radosgw.at(proxy.endpoint).as_user(key, "any") for key in ("OLDKEY", "NEWKEY"))
    token = {"x-amz-security-token": "any"}
    assert old.request("PUT", bucket, "by-token", body=b"x", headers=token).status == 200
    assert old.request("PUT", bucket, "by-token", body=b"x", headers=token).code() == "ExpiredToken"
    assert new.request("PUT", bucket, "by-token", body=b"x", headers=token).status == 200


def test_clock_skew(radosgw, bucket, fault_proxy, monkeypatch):
    proxy = fault_proxy(radosgw, {"kind": "skew", "offset": 3600, "keys": (radosgw.access_key, radosgw.secret_key)})
    through = radosgw.at(proxy.endpoint)
    refused = through.request("PUT", bucket, "skewed", body=b"x")
    assert (refused.status, refused.code()) == (403, "RequestTimeTooSkewed")
    offset = email.utils.parsedate_to_datetime(refused.headers["Date"]).timestamp() - time.time()
    assert 3500 < offset < 3700
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + (offset if threading.current_thread().name != "fault-proxy" else 0))
    assert through.request("PUT", bucket, "skewed", body=b"x").status == 200


@pytest.mark.parametrize("how", ["refuse", "reset"])
def test_outage(radosgw, bucket, fault_proxy, how):
    proxy = fault_proxy(radosgw)
    through = radosgw.at(proxy.endpoint)
    through.put(bucket, "before", b"x")
    proxy.outage(how)
    with pytest.raises((OSError, http.client.HTTPException)):
        through.put(bucket, "during", b"x")
    proxy.restore()
    through.put(bucket, "after", b"x")
    assert "during" not in radosgw.objects(bucket, "during")


def test_redirect_to_another_region(radosgw, bucket, fault_proxy):
    proxy = fault_proxy(radosgw, {"kind": "error", "status": 301, "code": "PermanentRedirect", "headers": {"x-amz-bucket-region": "eu-west-3"}})
    answer = radosgw.at(proxy.endpoint).request("GET", bucket)
    assert (answer.status, answer.code(), answer.headers["x-amz-bucket-region"]) == (301, "PermanentRedirect", "eu-west-3")


def test_tls_of_an_unknown_authority(radosgw, bucket, fault_proxy, untrusted_certificate):
    proxy = fault_proxy(radosgw, tls=untrusted_certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        with socket.create_connection(proxy.address) as raw:
            ssl.create_default_context().wrap_socket(raw, server_hostname="localhost")
    trusting = ssl.create_default_context(cafile=untrusted_certificate[0])
    connection = http.client.HTTPSConnection("localhost", proxy.address[1], context=trusting, timeout=20)
    connection.request("GET", f"/{bucket}")
    assert connection.getresponse().status == 403
    connection.close()


def test_proxy_as_a_program(radosgw, bucket):
    rules = json.dumps([{"kind": "slow_down", "first": 1}])
    process = subprocess.Popen([ROOT / "tests/support/fault_proxy.py", "--upstream", radosgw.endpoint, "--rules", rules],
                               text=True, stdout=subprocess.PIPE)
    try:
        through = radosgw.at(process.stdout.readline().strip())
        assert [through.request("PUT", bucket, "program", body=b"x").status for _ in range(2)] == [503, 200]
    finally:
        process.kill()
        process.wait()
