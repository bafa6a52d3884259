"""What is refused when the block is made, by name; and once more when a copy that passed validation by is used."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from infrablocks import InvalidSettings
from infrablocks.docker import DockerContainer

BAD = [
    ({"image": "A:1"}, "'A:1' is not the reference of an image: the name 'A' must be in lower case"),
    ({"image_pull_policy": "sometimes"}, "Input should be 'IF_NOT_PRESENT', 'ALWAYS' or 'NEVER'"),
    ({"image_registry": "registry"}, "Input should be a valid dictionary or instance of DockerRegistry"),
    ({"labels": {"": "x"}}, "'' is not the key of a label: it must not be empty"),
    ({"labels": {"a.b/c": "1", "b.a.c": "2"}}, "'a.b/c' and 'b.a.c' are the same label in Docker's form, 'b.a.c'"),
    ({"networks": [""]}, "'' is not the name of a network"),
    ({"networks": ["a b"]}, "'a b' is not the name of a network"),
    ({"networks": ["a", "a"]}, "'a' is there twice"),
    ({"networks": "a"}, "Input should be a valid list"),
    ({"network_mode": ""}, "'' is not a network mode such as 'bridge'"),
    ({"network_mode": "container:"}, "'container:' is not a network mode"),
    ({"networks": ["a"], "network_mode": "host"}, "networks=['a'] and network_mode='host' exclude each other"),
    ({"volumes": [":"]}, "':' is not a volume `source:target[:mode]`: it has no source"),
    ({"volumes": ["a"]}, "'a' is not a volume `source:target[:mode]`: it has no ':'"),
    ({"volumes": ["/x:rel"]}, "'/x:rel' is not a volume `source:target[:mode]`: the target 'rel' is not absolute"),
    ({"volumes": ["/tmp:/x:rx"]}, "'/tmp:/x:rx' is not a volume `source:target[:mode]`: the mode has 'rx'"),
    ({"volumes": ["/tmp:/x:"]}, "'/tmp:/x:' is not a volume `source:target[:mode]`: the mode has ''"),
    ({"volumes": ["/tmp:/x:ro:z"]}, "it has too many ':'"),
    ({"volumes": ["/tmp:"]}, "it has no target"),
    ({"volumes": ["/tmp:/"]}, "the target must not be '/'"),
    ({"volumes": ["/tmp:/x:ro,rw"]}, "the mode 'ro,rw' has more than one of ro, rw"),
    ({"volumes": ["/tmp:/x:ro,ro"]}, "the mode 'ro,ro' has more than one of ro, rw"),
    ({"volumes": ["/tmp:/x:nocopy"]}, "'nocopy', which only a named volume can have"),
    ({"volumes": ["data:/x:rshared"]}, "a propagation, which only a path can have"),
    ({"volumes": ["x:/x"]}, "the source 'x' is neither a path nor the name of a volume"),
    ({"volumes": ["a/b:/x"]}, "the source 'a/b' is relative; begin it with '/', './' or '~/'"),
    ({"volumes": ["~root/x:/x"]}, "the source '~root/x' is relative"),
    ({"volumes": ["-x:/x"]}, "the source '-x' is neither a path nor the name of a volume"),
    ({"volumes": ["C:/x"]}, "the source 'C' is neither a path nor the name of a volume"),
    ({"volumes": ["/a:/x", "/b:/x/"]}, "'/b:/x/' has the same target as '/a:/x'"),
    ({"mem_limit": "much"}, "'much' is not a size: a number of bytes, or one with b, k, m, g or t, such as '512m'"),
    ({"mem_limit": "5x"}, "'5x' is not a size"),
    ({"mem_limit": 0}, "0 is not a size: it must be more than 0"),
    ({"mem_limit": -1}, "-1 is not a size"),
    ({"mem_limit": "9999999t"}, "'9999999t' is not a size"),
    ({"mem_limit": True}, "Input should be a valid integer"),
    ({"memswap_limit": "-2"}, "'-2' is not a size"),
    ({"memswap_limit": 0}, "0 is not a size: it must be more than 0 or -1"),
    ({"memswap_limit": "1g"}, "memswap_limit='1g' needs mem_limit"),
    ({"memswap_limit": "1m", "mem_limit": "2m"}, "memswap_limit='1m' is less than mem_limit='2m'"),
    ({"cpus": 0}, "0.0 is not a number of processors: it must be more than 0"),
    ({"cpus": -1.5}, "-1.5 is not a number of processors"),
    ({"cpus": 1e-10}, "1e-10 is not a number of processors"),
    ({"cpus": float("inf")}, "inf is not a number of processors"),
    ({"cpus": float("nan")}, "nan is not a number of processors"),
    ({"gpus": 0}, "0 is not a number of GPUs: a number from 1, or 'all'"),
    ({"gpus": "some"}, "Input should be 'all'"),
    ({"gpus": True}, "Input should be a valid integer"),
    ({"user": "a b"}, "'a b' is not a user"),
    ({"user": ""}, "'' is not a user"),
    ({"working_dir": "x"}, "'x' is not an absolute path"),
    ({"platform": "linux/"}, "'linux/' is not a platform such as 'linux/arm64'"),
    ({"shm_size": 0}, "0 is not a size"),
    ({"ports": ["x:80"]}, "'x:80' is not a port `[host_ip:]host:container[/proto]`: the host's 'x' is neither a port"),
    ({"ports": ["80:"]}, "the container's '' is neither a port from 1 to 65535 nor a range of them"),
    ({"ports": ["80:0"]}, "the container's '0' is neither"),
    ({"ports": ["80:65536"]}, "the container's '65536' is neither"),
    ({"ports": ["80:9-8"]}, "the container's '9-8' is neither"),
    ({"ports": ["80:80/icmp"]}, "the protocol 'icmp' is none of tcp, udp, sctp"),
    ({"ports": ["80:80/"]}, "the protocol '' is none of"),
    ({"ports": ["1-2:1-3"]}, "the host has 2 ports and the container 3"),
    ({"ports": ["localhost:80:80"]}, "'localhost' is not an IP address"),
    ({"ports": ["[127.0.0.1]:80:80"]}, "'[127.0.0.1]': an IPv6 address stands in brackets, an IPv4 address does not"),
    ({"ports": ["::1:80:80"]}, "an IPv6 address stands in brackets"),
    ({"ports": ["80:80", "80:80/tcp"]}, "'80:80/tcp' publishes a port that is published already"),
    ({"ports": ["80:80"], "network_mode": "host"}, "ports=['80:80'] cannot be published with network_mode='host'"),
    ({"ports": ["80:80"], "network_mode": "container:x"}, "cannot be published with network_mode='container:x'"),
    ({"ports": [8080]}, "8080 is no text: put ports into quotes"),
    (
        {"create_kwargs": {"cap_ad": ["X"]}},
        "'cap_ad' is not an argument of the Docker SDK's containers.create; did you mean",
    ),
    ({"create_kwargs": {"nothing": 1}}, "'nothing' is not an argument of the Docker SDK's containers.create"),
    ({"create_kwargs": {"environment": {}}}, "'environment' has a field of its own: set 'env' instead"),
    ({"create_kwargs": {"nano_cpus": 1}}, "'nano_cpus' has a field of its own: set 'cpus' instead"),
    ({"create_kwargs": {"network": "a"}}, "'network' has a field of its own: set 'networks' instead"),
    ({"create_kwargs": {"mem_limit": "1g"}, "mem_limit": "1g"}, "'mem_limit' has a field of its own"),
    ({"create_kwargs": {"detach": True}}, "'detach' is set by infrablocks"),
    ({"create_kwargs": {"device_requests": []}, "gpus": 1}, "'device_requests' is set by the field 'gpus' already"),
    ({"create_kwargs": {"mounts": [object()]}}, "'mounts' must be plain data"),
    ({"create_kwargs": {"extra_hosts": ["a:1.2.3.4"]}}, "'extra_hosts' must be a mapping of host names to addresses"),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_wrong_fields(fields: dict[str, Any], message: str) -> None:
    """A wrong value is refused when the block is made, with the field and the value."""
    with pytest.raises(ValidationError) as caught:
        DockerContainer(**fields)
    error = caught.value.errors()[0]
    assert message in str(caught.value)
    assert not error["loc"] or error["loc"][0] in fields


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_wrong_fields_of_a_copy(fields: dict[str, Any], message: str) -> None:
    """The same value in a copy is refused when the copy is used, again with field and value."""
    with pytest.raises(InvalidSettings) as caught:
        DockerContainer().model_copy(update=fields).preview()
    assert message in str(caught.value)
    assert any(name in str(caught.value) for name in fields)


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"volumes": 5}, "volumes: Input should be a valid list, not 5"),
        ({"volumes": ["/a:/b", 5]}, "volumes.1: Input should be a valid string, not 5"),
        ({"cpus": "many"}, "cpus: Input should be a valid number, unable to parse string as a number, not 'many'"),
        ({"env": {"A": ["s3cret"]}}, "env: the value of 'A' must be text or None, not list"),
        ({"env": {"A=B": "s3cret"}}, "env: 'A=B' is not the name of a variable"),
        ({"image_registry": {"password": "s3cret"}}, "image_registry: Field required"),
        ({"volumes": ["a"], "ports": ["x"]}, "volumes: 'a' is not a volume"),
        ({"volumes": ["a"], "ports": ["x"]}, "; ports: 'x' is not a port"),
    ],
)
def test_wrong_types_in_a_copy(update: dict[str, Any], message: str) -> None:
    """A copy's value of the wrong type is named by its field, and every wrong field is; no secret is quoted."""
    with pytest.raises(InvalidSettings) as caught:
        DockerContainer().model_copy(update=update).preview()
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in str(caught.value.__cause__)


def test_a_secret_in_a_message() -> None:
    """An error about another field shows no variable's value."""
    with pytest.raises(ValidationError) as caught:
        DockerContainer(env={"A": SecretStr("s3cret"), "PREFECT_API_KEY": "s3cret"}, volumes=["a"])
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"command": [], "volumes": ["/a:/b", "data:/c:ro,z", "./x:/d", "../y:/e", ".:/f", "~:/g", r"C:\x:/h:ro"]},
        {"volumes": ["/a:/b:rw,Z,rslave,cached", "data:/c:nocopy", "d.a_t-a:/d:delegated"]},
        {"mem_limit": "512MB", "memswap_limit": "-1", "shm_size": 1024},
        {"mem_limit": "1.5 g", "memswap_limit": 2**31},
        {"user": 1000, "working_dir": r"C:\work", "platform": "linux/arm/v7"},
        {"network_mode": "container:other"},
        {"network_mode": "slirp4netns:port_handler=slirp4netns"},
        {"create_kwargs": {"hostname": "h", "device_requests": [], "networking_config": {}}},
    ],
)
def test_accepted(fields: dict[str, Any]) -> None:
    """What an engine takes is not refused, and not changed by the validation."""
    block = DockerContainer(**fields)
    assert {name: getattr(block, name) for name in fields} == fields
    assert block.preview()
