"""moto, called within this process: its EC2 can then be given the states and the answers that it lacks."""
import io
import os
import pathlib
import urllib.parse
from typing import Any

# What AWS checks and moto does only when it is asked to. Read when moto is imported.
os.environ.setdefault("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true")
os.environ.setdefault("MOTO_ENABLE_AMI_VALIDATION", "true")
# A thousand images would take longer to make than all the rest.
os.environ.setdefault("MOTO_AMIS_PATH", str(pathlib.Path(__file__).with_name("images.json")))

from moto.core.base_backend import BackendDict  # noqa: E402
from moto.core.model_instances import reset_model_data  # noqa: E402
from moto.ec2.models import ec2_backends  # noqa: E402
from moto.ec2.models.core import TaggedEC2Resource  # noqa: E402
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402

from cloud.front.calls import Answer, Call  # noqa: E402

ACCOUNT = "123456789012"


def ec2(region: str) -> Any:
    return ec2_backends[ACCOUNT][region]


def reset() -> None:
    """An empty account, as moto's own /moto-api/reset makes it."""
    BackendDict.reset()
    reset_model_data()


def _tags_of(resource: Any) -> list[dict[str, str]]:
    """As moto has it, which reads the tags of everything for those of one: with thousands of instances that takes minutes."""
    tags = resource.ec2_backend.tags.get(resource.id, {})
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "") if tags else ""
    return [{"resource_id": resource.id, "key": key, "value": value, "resource_type": kind} for key, value in tags.items()]


TaggedEC2Resource.get_tags = _tags_of


class Moto:
    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)

    def carry_out(self, call: Call) -> Answer:
        answer = Answer(500, [], b"")

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            answer.status, answer.headers = int(status.split(" ")[0]), headers

        pieces = self._app(_environ(call), start_response)
        try:
            answer.body = b"".join(pieces)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        return answer


def _environ(call: Call) -> dict[str, Any]:
    """PEP 3333, with the two names under which moto looks for the path as it was sent."""
    host, _, port = call.headers.get("host", "localhost").partition(":")
    environ = {"REQUEST_METHOD": call.method, "SCRIPT_NAME": "", "PATH_INFO": urllib.parse.unquote(call.path, "latin-1"),
               "QUERY_STRING": call.query, "REQUEST_URI": call.target, "RAW_URI": call.target, "SERVER_NAME": host,
               "SERVER_PORT": port or "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": call.client,
               "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(call.body),
               "wsgi.errors": io.StringIO(), "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
               "CONTENT_LENGTH": str(len(call.body)), "CONTENT_TYPE": call.headers.get("content-type", "")}
    for name, value in call.headers.items():
        if name not in ("content-length", "content-type", "transfer-encoding"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    return environ
