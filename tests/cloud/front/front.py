"""The one endpoint of all services: every call is counted, checked, spoiled where a rule says so, and carried out."""
import sys
import time
import traceback

from cloud.front import faults, inventory, pricing
from cloud.front.calls import Answer, Call
from cloud.front.credentials import Credentials
from cloud.front.errors import Refusal, refuse
from cloud.front.http_server import Cut
from cloud.front.moto_app import Moto
from cloud.front.world import World


class Front:
    """Threads: any."""

    def __init__(self, world: World, moto: Moto, credentials: Credentials):
        self.world, self.moto, self.credentials = world, moto, credentials
        self._described: dict[object, tuple[float, Answer]] = {}  # under the world's lock

    def carry_out(self, call: Call) -> Answer:
        self.world.log.called(call.name)
        begin = time.time()
        rules = self.world.faults.select(call)
        try:
            answer = faults.before(rules, call)
            if answer is None:
                answer = faults.after(rules, call, self._checked(call))
        except Cut:
            self._log(call, begin, 0)
            raise
        self._log(call, begin, answer.status)
        return answer

    def _checked(self, call: Call) -> Answer:
        try:
            self.credentials.check(call)
            if call.name == "pricing:GetProducts":
                return pricing.get_products(self.world.market, call)
            with self.world.lock:  # moto is not made for threads
                answer = self._carried_out(call)
                if call.service == "elasticfilesystem":
                    self.world.shared.become(*inventory.shared_directories(call.region))
                return answer
        except Refusal as refusal:
            return refuse(call, refusal)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            return refuse(call, Refusal(500, "InternalError", "a defect of the stand-in; its log has more"))

    def _carried_out(self, call: Call) -> Answer:
        same_for = self.world.settings.same_answer_for
        if same_for <= 0 or call.name != "ec2:DescribeInstances":
            return self.moto.carry_out(call)
        asked = (call.region, tuple(sorted(call.form.items())))
        when, answer = self._described.get(asked, (0.0, None))
        if answer is None or time.monotonic() - when > same_for:
            answer = self.moto.carry_out(call)
            self._described[asked] = (time.monotonic(), answer)
        return answer

    def _log(self, call: Call, begin: float, status: int) -> None:
        if call.service != "s3":
            self.world.log.add("call", call=call.name, by=self.credentials.owner(call.access_key), status=status,
                               seconds=round(time.time() - begin, 4), token=call.form.get("ClientToken"))
