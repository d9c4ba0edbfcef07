"""Signature Version 4 for S3, in as few lines as it takes: an implementation that is independent of the product's."""
import datetime
import hashlib
import hmac
import urllib.parse

UNSIGNED = "UNSIGNED-PAYLOAD"


def timestamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def seconds_of(stamp):
    return datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()


def encode(text, safe=""):
    return urllib.parse.quote(text, safe="-._~" + safe)


def canonical_query(query):
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    return "&".join(sorted(f"{encode(k)}={encode(v)}" for k, v in pairs))


def authorization(method, raw_path, query, headers, signed, access_key, secret_key, region="us-east-1", service="s3"):
    """The Authorization header. `headers` has lower-case names, x-amz-date and x-amz-content-sha256 among them; `signed`
    names those to sign; `raw_path` is encoded as it is sent."""
    stamp = headers["x-amz-date"]
    signed = sorted(signed)
    canonical = "\n".join([method, encode(urllib.parse.unquote(raw_path), "/"), canonical_query(query),
                           *[f"{name}:{' '.join(headers[name].split())}" for name in signed], "", ";".join(signed),
                           headers["x-amz-content-sha256"]])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret_key).encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return (f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={';'.join(signed)}, Signature={key.hex()}")
