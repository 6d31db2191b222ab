"""An internal gRPC caller: knows two addresses and a token, learns the rest by server reflection, prints JSON."""

import json
import os
import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


class Service:
    """A service found by reflection, with its methods as functions."""

    def __init__(self, address, name):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        pool = descriptor_pool.DescriptorPool(self.database)
        self.methods = {method.name: method for method in pool.FindServiceByName(name).methods}
        self.name = name

    def call(self, method, **fields):
        method = self.methods[method]
        request = message_factory.GetMessageClass(method.input_type)(**fields)
        reply = message_factory.GetMessageClass(method.output_type)
        path = f"/{self.name}/{method.name}"
        send = self.channel.unary_unary(path, type(request).SerializeToString, reply.FromString)
        return send(request, timeout=20)

    def serves(self):
        """Whether the health service comes to say so, within the deadline."""
        method = self.methods["Watch"]
        request = message_factory.GetMessageClass(method.input_type)()
        reply = message_factory.GetMessageClass(method.output_type)
        path = f"/{self.name}/{method.name}"
        watch = self.channel.unary_stream(path, type(request).SerializeToString, reply.FromString)
        return any(health.status == 1 for health in watch(request, timeout=20))

    def refusal(self, method, **fields):
        try:
            self.call(method, **fields)
        except grpc.RpcError as error:
            status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
            info = error_details_pb2.ErrorInfo()
            next(detail for detail in status.details if detail.Unpack(info))
            rule = [info.metadata["rule"]] if "rule" in info.metadata else []
            return [error.code().name, info.reason, *rule]
        return None


def main():
    at_registry, at_executor = sys.argv[1:]
    token = os.environ["TOKEN"]
    registry = Service(at_registry, "portals.registry.v1.RegistryService")
    executor = Service(at_executor, "portals.executor.v1.ExecutorService")
    healths = [Service(address, "grpc.health.v1.Health") for address in (at_registry, at_executor)]
    grant = registry.call("Authorize", organization="acme", portal="door", bearer=token).grant
    answer = executor.call("Execute", grant=grant, variables=b'{"id":7}', operation_name="Who")
    # A token that may be used once, with an id that begins with `a`.
    narrowed = {"organization": "acme", "portal": "door", "bearer": os.environ["NARROWED"]}
    spared = registry.call("Authorize", spare_uses=True, **narrowed)
    once = registry.call("Authorize", **narrowed).grant
    good = executor.call("Execute", grant=once, variables=b'{"id":"a1"}')
    print(
        json.dumps(
            {
                "status": answer.status,
                "body": answer.body.decode(),
                "stranger": registry.refusal("Authorize", organization="acme", portal="door", bearer="ptk_nobody"),
                "other_portal": registry.refusal("Authorize", organization="acme", portal="nowhere", bearer=token),
                "bad_variables": executor.refusal("Execute", grant=grant, variables=b'{"id":[]}'),
                "forged_grant": executor.refusal("Execute", grant=grant[:-4] + "AAAA", variables=b'{"id":7}'),
                "spared": [spared.counts_uses, spared.grant],
                "once": good.status,
                "twice": executor.refusal("Execute", grant=once, variables=b'{"id":"a1"}'),
                "all_spent": registry.refusal("Authorize", **narrowed),
                "health": ["SERVING" if health.serves() else "NOT SERVING" for health in healths],
                "services": sorted({*registry.database.get_services(), *executor.database.get_services()}),
            }
        )
    )


if __name__ == "__main__":
    main()
