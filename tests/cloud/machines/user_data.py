"""What cloud-init makes of user data: the scripts in it, in order."""
import base64
import email
import gzip

LIMIT = 16 * 1024  # bytes, of the data before base64: EC2's own limit


class Unknown(Exception):
    """User data of a kind that this stand-in does not run."""


def scripts(user_data: str | None) -> list[bytes]:
    """`user_data` is in base64, as the API has it."""
    data = base64.b64decode(user_data or "")
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if not data.strip():
        return []
    if data.startswith(b"#!"):
        return [data]
    if data.lower().startswith((b"content-type: multipart/", b"mime-version:")):
        return _of_parts(data)
    raise Unknown(f"user data that begins with {data[:20]!r}: only scripts and MIME parts of scripts are run here")


def _of_parts(data: bytes) -> list[bytes]:
    found = []
    for part in email.message_from_bytes(data).walk():
        if part.is_multipart():
            continue
        if part.get_content_type() != "text/x-shellscript":
            raise Unknown(f"a part of type {part.get_content_type()}: only text/x-shellscript is run here")
        found.append(part.get_payload(decode=True))
    return found
