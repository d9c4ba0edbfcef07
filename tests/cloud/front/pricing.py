"""The Price List API, as far as the price of an instance on demand: AWSPriceListService.GetProducts."""
import json

from moto.ec2.models.instance_types import INSTANCE_TYPES

from cloud.front.calls import Answer, Call
from cloud.front.errors import Refusal
from cloud.front.market import Market

PAGE = 100


def get_products(market: Market, call: Call) -> Answer:
    """Every type in the asked region, Linux, shared tenancy; the filters are equalities of attributes."""
    asked = json.loads(call.body)
    if asked.get("ServiceCode") != "AmazonEC2":
        raise Refusal(400, "InvalidParameterException", "This stand-in knows the prices of AmazonEC2 only.")
    wanted = {entry["Field"]: entry["Value"] for entry in asked.get("Filters", [])}
    region = wanted.get("regionCode") or "us-east-1"
    products = [_product(market, kind, region) for kind in sorted(INSTANCE_TYPES)]
    matching = [product for product in products if all(product["product"]["attributes"].get(k) == v for k, v in wanted.items())]
    first, size = int(asked.get("NextToken") or 0), min(int(asked.get("MaxResults") or PAGE), PAGE)
    body = {"FormatVersion": "aws_v1", "PriceList": [json.dumps(product) for product in matching[first:first + size]]}
    if first + size < len(matching):
        body["NextToken"] = str(first + size)
    return Answer(200, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(body).encode())


def _product(market: Market, kind: str, region: str) -> dict:
    sku = kind.upper().replace(".", "")
    term, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    attributes = {"instanceType": kind, "regionCode": region, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA",
                  "capacitystatus": "Used", "licenseModel": "No License required", "operation": "RunInstances", "marketoption": "OnDemand",
                  "vcpu": str(market.cpus(kind)), "servicecode": "AmazonEC2", "locationType": "AWS Region"}
    price = {"unit": "Hrs", "rateCode": rate, "beginRange": "0", "endRange": "Inf", "description": f"{kind} Linux on demand",
             "pricePerUnit": {"USD": f"{market.on_demand_price(kind):.10f}"}, "appliesTo": []}
    return {"product": {"productFamily": "Compute Instance", "attributes": attributes, "sku": sku}, "serviceCode": "AmazonEC2",
            "terms": {"OnDemand": {term: {"sku": sku, "priceDimensions": {rate: price}, "offerTermCode": "JRTCKXETXF", "termAttributes": {}}}}}
