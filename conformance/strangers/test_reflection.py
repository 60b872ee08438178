"""A client that knows nothing of Perper but what the server tells it through gRPC reflection.

Run by `./dev strangers`, which sets PERPER_FABRIC to the server's binary.
"""

import os
import queue
import subprocess

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICES = {"Administration", "Executions", "Inspection", "Instances", "Sessions", "States", "Streams"}
ANSWER = b"\x18\x2a"  # 42 in CBOR


class Stranger:
    """Messages and calls, all made from the descriptors that reflection gives."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def message(self, name, /, **fields):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))(**fields)

    def method(self, service, method):
        descriptor = self.pool.FindServiceByName(service).FindMethodByName(method)
        answer = message_factory.GetMessageClass(descriptor.output_type)
        kinds = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, True): self.channel.stream_stream,
        }
        call = kinds[descriptor.client_streaming, descriptor.server_streaming]
        return call(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )

    def ask(self, service, method, **fields):
        request = self.message(f"perper.v1.{method}Request", **fields)
        return self.method(f"perper.v1.{service}", method)(request, timeout=30)


@pytest.fixture
def stranger(tmp_path):
    address = tmp_path / "address"
    server = subprocess.Popen(
        [os.environ["PERPER_FABRIC"], "--address", "127.0.0.1:0", "--address-file", address],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        # The line comes once the server listens; nothing has to be waited out.
        assert "listening on" in server.stdout.readline()
        yield Stranger(address.read_text().strip())
    finally:
        server.terminate()
        assert server.wait(30) == 0


def test_services_are_listed(stranger):
    listed = set(stranger.database.get_services())
    assert {f"perper.v1.{service}" for service in SERVICES} <= listed
    assert {"grpc.health.v1.Health", "externalscaler.ExternalScaler"} <= listed


def test_an_execution_is_created_and_read_back(stranger):
    made = stranger.ask(
        "Executions", "CreateExecution", execution="e", agent="A", delegate="D", arguments=[ANSWER]
    )
    assert made.created
    found = stranger.ask("Executions", "GetExecution", execution="e").execution
    assert (found.agent, found.delegate, list(found.arguments)) == ("A", "D", [ANSWER])


def test_errors_say_why(stranger):
    with pytest.raises(grpc.RpcError) as raised:
        stranger.ask("Executions", "GetExecution", execution="nowhere")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert "nowhere" in raised.value.details()
    with pytest.raises(grpc.RpcError) as raised:
        stranger.ask("Executions", "CreateExecution", execution="e", agent="A", delegate="D", arguments=[b"\xff"])
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "arguments[0]" in raised.value.details()


def test_a_worker_on_a_session_stream_serves_a_call(stranger):
    frames = queue.Queue()
    answers = stranger.method("perper.v1.Sessions", "Attach")(iter(frames.get, None))

    first = stranger.message("perper.v1.ClientFrame")
    first.attach.session = os.urandom(16)
    first.attach.hello.protocol_min = first.attach.hello.protocol_max = 1
    listen = first.requests.add(sequence=1).listen
    listen.filters.add(agent="A")
    listen.credit_executions, listen.credit_bytes = 10, 1 << 20
    frames.put(first)

    stranger.ask("Executions", "CreateExecution", execution="e", agent="A", delegate="D")
    for frame in answers:
        for activation in frame.activations:
            completed = stranger.message("perper.v1.ClientFrame")
            request = completed.requests.add(sequence=2).complete_execution
            request.execution, request.reservation = activation.execution, activation.reservation
            request.results.append(ANSWER)
            frames.put(completed)
        if 2 in frame.succeeded:
            break
    found = stranger.ask("Executions", "GetExecution", execution="e").execution
    assert list(found.end.results) == [ANSWER]
    frames.put(None)


def test_health_is_served(stranger):
    request = stranger.message("grpc.health.v1.HealthCheckRequest")
    assert stranger.method("grpc.health.v1.Health", "Check")(request, timeout=30).status == 1


def test_an_external_scaler_follows_the_load(stranger):
    scaled = stranger.message(
        "externalscaler.ScaledObjectRef", name="a", scalerMetadata={"agent": "A", "targetExecutions": "5"}
    )
    scaler = "externalscaler.ExternalScaler"
    activity = stranger.method(scaler, "StreamIsActive")(scaled)
    assert next(activity).result is False
    stranger.ask("Executions", "CreateExecution", execution="e", agent="A", delegate="D")
    assert next(activity).result is True
    specs = stranger.method(scaler, "GetMetricSpec")(scaled, timeout=30).metricSpecs
    assert [(spec.metricName, spec.targetSize) for spec in specs] == [("A-executions", 5)]
    asked = stranger.message("externalscaler.GetMetricsRequest", scaledObjectRef=scaled, metricName="A-executions")
    assert stranger.method(scaler, "GetMetrics")(asked, timeout=30).metricValues[0].metricValue == 1
    stranger.ask("Executions", "CancelExecution", execution="e")
    assert next(activity).result is False
    activity.cancel()
