"""Who may call: keys known to this cloud, the signature checked as AWS does it (moto checks none)."""
import dataclasses
import hashlib
import secrets
import string
import threading
import time

from support import sigv4

from cloud.front.calls import Call
from cloud.front.errors import Refusal

CLOCK_LIMIT = 15 * 60  # seconds that a signature's time may be off
ROLE_LIFE = 6 * 3600  # seconds that an instance's keys are good for
_ALPHABET = string.ascii_uppercase + "234567"


@dataclasses.dataclass(frozen=True)
class Keys:
    access_key: str
    secret_key: str
    token: str = ""
    expires: float | None = None
    owner: str = "administrator"


class Credentials:
    """Threads: any."""

    def __init__(self, administrator: Keys):
        self._lock = threading.Lock()
        self._keys = {administrator.access_key: administrator}
        self._of_roles: dict[tuple[str, str], Keys] = {}

    def for_instance(self, instance: str, role: str) -> Keys:
        """What the metadata service hands out; new keys well before the old ones end."""
        with self._lock:
            held = self._of_roles.get((instance, role))
            if held and held.expires and held.expires - time.time() > ROLE_LIFE / 4:
                return held
            made = Keys("ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16)), secrets.token_urlsafe(30),
                        secrets.token_urlsafe(60), time.time() + ROLE_LIFE, f"{role}/{instance}")
            self._of_roles[instance, role] = self._keys[made.access_key] = made
            return made

    def owner(self, access_key: str) -> str:
        known = self._keys.get(access_key)
        return known.owner if known else ""

    def _find(self, access_key: str) -> Keys | None:
        """Keys of this cloud, or such as moto's IAM or STS made."""
        with self._lock:
            if known := self._keys.get(access_key):
                return known
        from moto.iam.models import iam_backends
        for account in list(iam_backends.values()):
            for backend in account.values():
                if made := backend.access_keys.get(access_key):
                    return Keys(made.access_key_id, made.secret_access_key, owner=made.user_name or "assumed role")
        return None

    def check(self, call: Call) -> None:
        """Raises what AWS says to a caller that it does not know, or whose signature is not right."""
        header = call.headers.get("authorization", "")
        if not header.startswith("AWS4-HMAC-SHA256"):
            return self._check_unsigned(call)
        keys = self._find(call.access_key)
        if keys is None:
            raise _unknown(call)
        if keys.token and call.headers.get("x-amz-security-token") != keys.token:
            raise _unknown(call)
        if keys.expires and keys.expires < time.time():
            code = "RequestExpired" if call.service == "ec2" else "ExpiredToken"
            raise Refusal(400, code, "The security token included in the request is expired")
        stamp = call.headers.get("x-amz-date", "")
        if abs(sigv4.seconds_of(stamp) - time.time()) > CLOCK_LIMIT:
            raise Refusal(403, "RequestTimeTooSkewed" if call.service == "s3" else "SignatureDoesNotMatch",
                          f"Signature expired: {stamp} is not within 15 minutes of this service's clock")
        if _signature_of(header) != _signature_of(_signed_again(call, header, keys)):
            raise _mismatch(call)

    def _check_unsigned(self, call: Call) -> None:
        presigned = "X-Amz-Signature=" in call.query
        if not presigned or self._find(call.access_key) is None:
            raise Refusal(403, "AccessDenied" if call.service == "s3" else "MissingAuthenticationToken", "Access Denied")


def _signature_of(header: str) -> str:
    return header.rpartition("Signature=")[2]


def _signed_again(call: Call, header: str, keys: Keys) -> str:
    signed = header.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {**call.headers, "x-amz-content-sha256": call.headers.get("x-amz-content-sha256") or hashlib.sha256(call.body).hexdigest()}
    return sigv4.authorization(call.method, call.path, call.query, headers, signed, keys.access_key, keys.secret_key, call.region, call.service)


def _unknown(call: Call) -> Refusal:
    if call.service == "ec2":
        return Refusal(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
    if call.service == "s3":
        return Refusal(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    return Refusal(403, "InvalidClientTokenId", "The security token included in the request is invalid.")


def _mismatch(call: Call) -> Refusal:
    if call.service == "ec2":
        return Refusal(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
    return Refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your "
                   "AWS Secret Access Key and signing method. Consult the service documentation for details.")
