"""The options of `docker run` for arguments of the Docker SDK's `containers.create` that have no field."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from infrablocks.exceptions import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Option = tuple[str, str | None]

_VALUES = {
    "blkio_weight": "--blkio-weight",
    "cgroup_parent": "--cgroup-parent",
    "cgroupns": "--cgroupns",
    "cpu_count": "--cpu-count",
    "cpu_percent": "--cpu-percent",
    "cpu_period": "--cpu-period",
    "cpu_quota": "--cpu-quota",
    "cpu_rt_period": "--cpu-rt-period",
    "cpu_rt_runtime": "--cpu-rt-runtime",
    "cpu_shares": "--cpu-shares",
    "cpuset_cpus": "--cpuset-cpus",
    "cpuset_mems": "--cpuset-mems",
    "domainname": "--domainname",
    "hostname": "--hostname",
    "ipc_mode": "--ipc",
    "isolation": "--isolation",
    "kernel_memory": "--kernel-memory",
    "mac_address": "--mac-address",
    "mem_reservation": "--memory-reservation",
    "mem_swappiness": "--memory-swappiness",
    "oom_score_adj": "--oom-score-adj",
    "pid_mode": "--pid",
    "pids_limit": "--pids-limit",
    "runtime": "--runtime",
    "stop_signal": "--stop-signal",
    "userns_mode": "--userns",
    "uts_mode": "--uts",
    "volume_driver": "--volume-driver",
}
_SWITCHES = {
    "oom_kill_disable": "--oom-kill-disable",
    "publish_all_ports": "--publish-all",
    "read_only": "--read-only",
    "stdin_open": "--interactive",
    "tty": "--tty",
}
_LISTS = {
    "cap_add": "--cap-add",
    "cap_drop": "--cap-drop",
    "device_cgroup_rules": "--device-cgroup-rule",
    "devices": "--device",
    "dns": "--dns",
    "dns_opt": "--dns-option",
    "dns_search": "--dns-search",
    "group_add": "--group-add",
    "security_opt": "--security-opt",
    "volumes_from": "--volumes-from",
}
_PAIRS = {
    "links": ("--link", ":"),
    "storage_opt": ("--storage-opt", "="),
    "sysctls": ("--sysctl", "="),
    "tmpfs": ("--tmpfs", ":"),
}
_BY_DEVICE = {
    "blkio_weight_device": ("--blkio-weight-device", "Weight"),
    "device_read_bps": ("--device-read-bps", "Rate"),
    "device_read_iops": ("--device-read-iops", "Rate"),
    "device_write_bps": ("--device-write-bps", "Rate"),
    "device_write_iops": ("--device-write-iops", "Rate"),
}


class _NoOptionError(Exception):
    """The command line has no option for a value."""


def further_options(arguments: Mapping[str, Any]) -> Iterator[Option]:
    """Give the options, with their values, for arguments by their names.

    Raises:
        InvalidSettings: There is no option for one of them; the message names it.
    """
    for name, value in arguments.items():
        try:
            yield from _options_of(name, value)
        except (_NoOptionError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidSettings(
                f"preview(as_command=True): `docker run` has no option for {name!r} of create_kwargs as it is; see "
                "preview() without it."
            ) from error


def _options_of(name: str, value: Any) -> Iterator[Option]:
    if name in _VALUES:
        yield _VALUES[name], str(value)
    elif name in _SWITCHES:
        yield _SWITCHES[name] if value else f"{_SWITCHES[name]}=false", None
    elif name in _LISTS:
        for item in value.split(",") if isinstance(value, str) else value:
            yield _LISTS[name], str(item)
    elif name in _PAIRS:
        yield from _pairs(*_PAIRS[name], value)
    elif name in _BY_DEVICE:
        option, key = _BY_DEVICE[name]
        for device in value:
            yield option, f"{device['Path']}:{device[key]}"
    elif name in _STRUCTURES:
        yield from _STRUCTURES[name](value)
    else:
        raise _NoOptionError


def _pairs(option: str, between: str, value: Any) -> Iterator[Option]:
    pairs = value.items() if isinstance(value, dict) else (_pair(item, between) for item in value)
    for key, item in pairs:
        yield option, f"{key}{between}{item}" if item not in {"", None} else str(key)


def _pair(item: Any, between: str) -> tuple[str, Any]:
    key, value = item.partition(between)[::2] if isinstance(item, str) else item
    return key, value


def _log_config(value: Mapping[str, Any]) -> Iterator[Option]:
    config = _with_names(value, {"type": "Type", "config": "Config"})
    yield "--log-driver", config.get("Type") or "json-file"
    yield from _pairs("--log-opt", "=", config.get("Config") or {})


def _restart_policy(value: Mapping[str, Any]) -> Iterator[Option]:
    count = value.get("MaximumRetryCount")
    yield "--restart", f"{value['Name']}:{count}" if count else value["Name"]


def _ulimits(value: list[Mapping[str, Any]]) -> Iterator[Option]:
    for item in value:
        limit = _with_names(item, {"name": "Name", "soft": "Soft", "hard": "Hard"})
        soft = limit.get("Soft", limit.get("Hard", 0))
        yield "--ulimit", f"{limit['Name']}={soft}:{limit.get('Hard', soft)}"


def _healthcheck(value: Mapping[str, Any]) -> Iterator[Option]:
    names = ("test", "interval", "timeout", "retries", "start_period")
    check = _with_names(value, {name.title().replace("_", ""): name for name in names})
    match check.pop("test", None):
        case str(command) | ["CMD-SHELL", str(command)]:
            yield "--health-cmd", command
        case ["NONE"]:
            yield "--no-healthcheck", None
        case None | []:
            pass
        case _:
            raise _NoOptionError
    for name in names:
        if check.get(name):
            unit = "" if name == "retries" else "ns"
            yield f"--health-{name.replace('_', '-')}", f"{check[name]}{unit}"


def _device_requests(value: list[Mapping[str, Any]]) -> Iterator[Option]:
    names = {"Driver": "driver", "Count": "count", "DeviceIDs": "device_ids", "Capabilities": "capabilities"}
    for item in value:
        request = _with_names(item, names)
        capabilities = (request.get("capabilities") or [[]])[0]
        words = [f"driver={request['driver']}"] if request.get("driver") else []
        if request.get("device_ids"):
            words.append(f"device={','.join(request['device_ids'])}")
        else:
            words.append("all" if request["count"] == -1 else f"count={request['count']}")
        further = [capability for capability in capabilities if capability != "gpu"]
        if further:
            words.append(f"capabilities={','.join(further)}")
        if "gpu" not in capabilities or len(request.get("capabilities", [])) != 1 or request.get("options"):
            raise _NoOptionError
        yield "--gpus", _csv(words).removeprefix("count=") if len(words) == 1 else _csv(words)


def _mounts(value: list[Mapping[str, Any]]) -> Iterator[Option]:
    for item in value:
        mount = {key: inner for key, inner in item.items() if inner not in (None, "", False, {})}
        plain = [key for key in ("Type", "Source", "Target", "Consistency") if key in mount]
        words = [f"{key.lower()}={mount.pop(key)}" for key in plain]
        if mount.pop("ReadOnly", False):
            words.append("readonly")
        for options, key, word in (
            ("BindOptions", "Propagation", "bind-propagation"),
            ("VolumeOptions", "NoCopy", "volume-nocopy"),
            ("TmpfsOptions", "SizeBytes", "tmpfs-size"),
        ):
            if list(mount.get(options, {})) == [key]:
                inner = mount.pop(options)[key]
                words.append(f"{word}={str(inner).lower() if isinstance(inner, bool) else inner}")
        if mount:
            raise _NoOptionError
        yield "--mount", _csv(words)


def _with_names(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Give the keys that the SDK knows by two names the one that is used here."""
    renamed = {names.get(key, key): item for key, item in value.items()}
    if not renamed.keys() <= set(names.values()) | {"options"}:
        raise _NoOptionError
    return renamed


def _csv(words: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(words)
    return text.getvalue()


_STRUCTURES: dict[str, Callable[[Any], Iterator[Option]]] = {
    "device_requests": _device_requests,
    "healthcheck": _healthcheck,
    "log_config": _log_config,
    "mounts": _mounts,
    "restart_policy": _restart_policy,
    "ulimits": _ulimits,
}
