"""Client tokens: what is asked again is what was made the first time."""
import json
from typing import Any

from moto.ec2.exceptions import EC2ClientError


def once(response: Any, action: str, make: Any) -> Any:
    """What the same client token made before, or what `make` makes now. An error is not kept."""
    token = response._get_param("ClientToken")
    key = (response.region, action, token)
    asked = json.dumps(response.params, sort_keys=True, default=str)
    if token and key in response.tokens:
        asked_before, made = response.tokens[key]
        if asked_before != asked:
            raise EC2ClientError("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in "
                                 "previous request(s).")
        response.world.log.add("repeated", action=action, token=token)
        return made
    made = make()
    if token:
        response.tokens[key] = (asked, made)
    return made
