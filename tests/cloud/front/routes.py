"""Ways out of a subnet, as AWS has them."""
from typing import Any

ANYWHERE = "0.0.0.0/0"


def open_default_vpc(backend: Any) -> None:
    """A default VPC has an internet gateway and a route to it; moto's has neither."""
    vpc = backend.default_vpc
    gateway = backend.create_internet_gateway()
    backend.attach_internet_gateway(gateway.id, vpc.id)
    backend.create_route(_main_table(backend, vpc.id).id, ANYWHERE, gateway_id=gateway.id)


def _main_table(backend: Any, vpc: str) -> Any:
    return next(table for table in backend.route_tables.values() if table.vpc_id == vpc and table.main_association_id)


def leads_out(backend: Any, subnet: str, has_public_address: bool) -> bool:
    """Whether a machine in this subnet reaches the world: by a NAT gateway, or with a public address by an internet gateway."""
    explicit = [table for table in backend.route_tables.values() if subnet in table._associations.values()]
    table = explicit[0] if explicit else _main_table(backend, backend.get_subnet(subnet).vpc_id)
    for route in table.routes:
        if route.destination_cidr_block == ANYWHERE:
            return route.nat_gateway is not None or (route.gateway is not None and has_public_address)
    return False
