"""The programs of a Kubernetes cluster: etcd from Debian, the control plane and the kubelet built from Go modules."""

from pathlib import Path

from tests.engines.debian_suites import unpacked
from tests.engines.go_builds import GoBuild, build_programs

VERSION = "1.37.2"

_CMD = "k8s.io/kubernetes/cmd"
_MAJOR, _MINOR, _ = VERSION.split(".")

# What a release's build would say of itself: without it the API server calls itself v0.0.0 and clients refuse it.
_SETTINGS = (
    ("gitVersion", f"v{VERSION}"),
    ("gitMajor", _MAJOR),
    ("gitMinor", _MINOR),
    ("gitCommit", "modules"),
    ("gitTreeState", "archive"),
    ("buildDate", "1970-01-01T00:00:00Z"),
)
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")

# The versions of the modules stand in modules/*/go.mod. Kubernetes' own go.mod points at its staging tree; ours
# replaces each of those modules by the released one of the same version, and repeats the godebug line.
_KUBERNETES = GoBuild(
    module="kubernetes",
    programs=tuple(
        f"{_CMD}/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
    ),
    variables=tuple((f"{package}.{name}", value) for package in _VERSION_PACKAGES for name, value in _SETTINGS),
)


def etcd() -> Path:
    """Return the etcd program, fetched if it is not in the cache.

    It is of a newer suite than the machine's, whose etcd lacks the watch progress requests of the API server.
    """
    return unpacked("forky", "etcd-server") / "usr/bin/etcd"


def kubernetes() -> Path:
    """Return the directory with the control plane's programs and the kubelet, built if they are not in the cache."""
    return build_programs("kubernetes", VERSION, (_KUBERNETES,))
