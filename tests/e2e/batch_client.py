"""AWS's own clients against a control plane: the command line (Debian's awscli) and boto3."""
import json
import os
import subprocess

import boto3
from botocore.config import Config

from support.control_plane import LIMIT, wait_for

AWS = "/usr/bin/aws"
REGION = "eu-north-1"

POOL = """\
pools:
  - name: local
    provider: local
    max_machines: 16
    isolation: {isolation}
    idle_timeout: {idle}{more}
    types:
      - {{name: small, cpus: {cpus}, memory: 512MiB, price: 1.00, spot_price: 0.30}}
    market: {{script: {script}}}
queues:
  - {{name: default, pools: [local]}}
"""


def configuration(isolation="process", script="[]", idle="0s", cpus=1, more=""):
    return POOL.format(isolation=isolation, script=script, idle=idle, cpus=cpus, more=f"\n    {more}" if more else "")


class Batch:
    """A control plane that listens on TCP, and one access key for it."""

    def __init__(self, buoy):
        self.buoy = buoy
        buoy.run("server", "start", "--listen", "127.0.0.1:0", "--insecure", check=0)
        endpoints = buoy.json("server", "status")["endpoints"]
        self.url = next(e for e in endpoints if e.startswith("http://"))
        made = buoy.json("keys", "create", "--name", "tests")
        self.key, self.secret = made["id"], made["secret"]

    def aws(self, *arguments, check=0, secret=None):
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": secret or self.secret,
                       "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": "", "AWS_CONFIG_FILE": "/dev/null",
                       "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run([AWS, *arguments, "--endpoint-url", self.url], text=True, capture_output=True,
                              timeout=LIMIT, env=environment, stdin=subprocess.DEVNULL, cwd=self.buoy.project)
        if check is not None:
            assert done.returncode == check, f"{arguments}: {done.stdout}{done.stderr}{self.buoy.server_log()}"
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout.startswith("{") else done

    def client(self, service="batch", secret=None, **options):
        return boto3.session.Session().client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=self.key,
            aws_secret_access_key=secret or self.secret,
            config=Config(retries={"total_max_attempts": 1}, **options))

    def environment(self, client, name="spot", queue="train", **resources):
        """A compute environment, and a queue of the same machines."""
        client.create_compute_environment(
            computeEnvironmentName=name, type="MANAGED", state="ENABLED",
            computeResources={"type": "SPOT", "minvCpus": 0, "maxvCpus": 8, "instanceTypes": ["optimal"],
                              "subnets": ["subnet-1"], "instanceRole": "ecsInstanceRole", **resources})
        client.create_job_queue(jobQueueName=queue, state="ENABLED", priority=1,
                                computeEnvironmentOrder=[{"order": 1, "computeEnvironment": name}])

    @staticmethod
    def definition(client, name, command, **more):
        container = {"image": "train:1", "command": command,
                     "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]}
        container.update(more.pop("container", {}))
        return client.register_job_definition(jobDefinitionName=name, type="container", containerProperties=container,
                                              **more)

    @staticmethod
    def wait(client, job, *statuses, limit=LIMIT):
        def look():
            found = client.describe_jobs(jobs=[job])["jobs"][0]
            return found if found["status"] in (statuses or ("SUCCEEDED", "FAILED")) else None
        return wait_for(look, f"{job} in {statuses}", limit)
