"""Errors in the words of each service's protocol."""
import json
import uuid
from xml.sax.saxutils import escape

from cloud.front.calls import Answer, Call

JSON_SERVICES = {"ssm": "application/x-amz-json-1.1", "pricing": "application/x-amz-json-1.1", "logs": "application/x-amz-json-1.1"}
REST_JSON_SERVICES = {"elasticfilesystem"}


class Refusal(Exception):
    """What a service says instead of doing what it was asked."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def refuse(call: Call, refusal: Refusal) -> Answer:
    request = str(uuid.uuid4())
    code, message = refusal.code, refusal.message
    headers = [("x-amzn-RequestId", request)]
    if call.service in JSON_SERVICES:
        headers += [("Content-Type", JSON_SERVICES[call.service]), ("x-amzn-ErrorType", code)]
        return Answer(refusal.status, headers, json.dumps({"__type": code, "message": message}).encode())
    if call.service in REST_JSON_SERVICES:
        headers += [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)]
        return Answer(refusal.status, headers, json.dumps({"ErrorCode": code, "Message": message}).encode())
    text = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if call.service == "ec2":
        body = f"<Response><Errors><Error>{text}</Error></Errors><RequestID>{request}</RequestID></Response>"
    elif call.service == "s3":
        body = f"<Error>{text}<RequestId>{request}</RequestId><HostId>cloud</HostId></Error>"
    else:
        kind = "Sender" if refusal.status < 500 else "Receiver"
        body = f"<ErrorResponse><Error><Type>{kind}</Type>{text}</Error><RequestId>{request}</RequestId></ErrorResponse>"
    headers.append(("Content-Type", "text/xml;charset=UTF-8"))
    return Answer(refusal.status, headers, ('<?xml version="1.0" encoding="UTF-8"?>\n' + body).encode())
