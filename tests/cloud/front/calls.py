"""A request as it came, and what it says about itself: service, region, action, who signed it."""
import dataclasses
import re
import urllib.parse

_SCOPE = re.compile(r"Credential=([^/,&\s]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request")


@dataclasses.dataclass
class Call:
    method: str
    target: str  # path and query as they were sent
    headers: dict[str, str]  # names in lower case
    body: bytes
    client: str  # the caller's address
    path: str = ""
    query: str = ""
    access_key: str = ""
    date: str = ""
    region: str = "us-east-1"
    service: str = "s3"  # what is not signed is taken for S3
    action: str = ""
    form: dict[str, str] = dataclasses.field(default_factory=dict)  # of the Query protocols

    def __post_init__(self) -> None:
        self.path, _, self.query = self.target.partition("?")
        credential = self.headers.get("authorization") or urllib.parse.unquote(self.query).replace("X-Amz-Credential=", "Credential=")
        if found := _SCOPE.search(credential):
            self.access_key, self.date, self.region, self.service = found.groups()
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            self.form = dict(urllib.parse.parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))
        if self.service != "s3" and not self.form and "Action=" in self.query:
            self.form = dict(urllib.parse.parse_qsl(self.query, keep_blank_values=True))
        target = self.headers.get("x-amz-target", "")
        self.action = self.form.get("Action") or target.rpartition(".")[2] or self.method

    @property
    def name(self) -> str:
        """As the log and the faults name it: "ec2:RunInstances", "s3:PUT"."""
        return f"{self.service}:{self.action}"


@dataclasses.dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
