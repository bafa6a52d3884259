"""Small images made on the spot, the same bytes on every machine with the same busybox; no engine is needed.

An image is kept as its two parts, the layer and the configuration. `archive` joins them in the form of ``docker save``,
which Docker (with either image store), containerd and Podman load.
"""

import gzip
import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

PACKAGES = ("busybox-static",)
BUSYBOX = "busybox:test"
ENTRYPOINT = "infrablocks/entrypoint:test"
PAUSE = "infrablocks.test/pause:1"
LABEL = "infrablocks.test"

_PROGRAM = Path("/bin/busybox")
_EPOCH = "1970-01-01T00:00:00Z"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "home/tester": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "sys": 0o755,
    "tmp": 0o1777,
}
_FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\ntester:x:1000:1000:tester:/home/tester:/bin/sh\n",
    "etc/group": b"root:x:0:\ntester:x:1000:\n",
}
_TESTER = 1000


def digest(content: bytes) -> str:
    """Return the name of a blob, the way registries and image configurations write it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Image:
    """An image of one layer.

    Args:
        reference: Its name and tag.
        layer: The files, as an uncompressed tar archive.
        config: The configuration, as JSON.
    """

    reference: str
    layer: bytes
    config: bytes

    def archive(self) -> bytes:
        """Return the image as ``docker save`` writes it, for ``images.load`` and ``ctr images import``."""
        config_name = digest(self.config).removeprefix("sha256:") + ".json"
        manifest = [{"Config": config_name, "RepoTags": [self.reference], "Layers": ["layer.tar"]}]
        content = io.BytesIO()
        with _new_tar(content) as tar:
            _add_file(tar, config_name, self.config)
            _add_file(tar, "layer.tar", self.layer)
            _add_file(tar, "manifest.json", json.dumps(manifest).encode())
        return content.getvalue()

    def with_label(self, value: str) -> Self:
        """Return the same image with a label, and so with digests that no engine has seen."""
        config = json.loads(self.config)
        config["config"]["Labels"] = {LABEL: value}
        return replace(self, config=json.dumps(config, sort_keys=True).encode())

    def compressed_layer(self) -> bytes:
        """Return the layer as registries keep it."""
        return gzip.compress(self.layer, compresslevel=6, mtime=0)


def busybox() -> Image:
    """Return the image of most tests: a shell and its tools, no entrypoint, and a user ``tester``."""
    return _image(BUSYBOX, {"Cmd": ["sh"]})


def entrypoint() -> Image:
    """Return the same files with an entrypoint that prints its arguments."""
    return _image(ENTRYPOINT, {"Entrypoint": ["/bin/echo"]})


def pause() -> Image:
    """Return the image that holds the namespaces of a pod, and does nothing else."""
    wait = "trap 'exit 0' INT TERM; while :; do sleep 100000 & wait; done"
    return _image(PAUSE, {"Entrypoint": ["/bin/sh", "-c", wait]})


def _image(reference: str, settings: Mapping[str, Any]) -> Image:
    layer = _busybox_layer()
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": _EPOCH,
        "config": {"Env": [f"PATH={_PATH}"], **settings},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        "history": [{"created": _EPOCH, "created_by": "infrablocks test images"}],
    }
    return Image(reference, layer, json.dumps(config, sort_keys=True).encode())


@cache
def _busybox_layer() -> bytes:
    applets = subprocess.run([_PROGRAM, "--list"], capture_output=True, text=True, check=True).stdout.split()
    content = io.BytesIO()
    with _new_tar(content) as tar:
        for name, mode in _DIRECTORIES.items():
            _add_directory(tar, name, mode, _TESTER if name == "home/tester" else 0)
        _add_file(tar, "bin/busybox", _PROGRAM.read_bytes(), 0o755)
        for applet in sorted(set(applets) - {"busybox"}):
            _add_link(tar, f"bin/{applet}", "busybox")
        for name, text in _FILES.items():
            _add_file(tar, name, text)
    return content.getvalue()


def _new_tar(content: io.BytesIO) -> tarfile.TarFile:
    return tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT)


def _add_directory(tar: tarfile.TarFile, name: str, mode: int, owner: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, owner
    tar.addfile(entry)


def _add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname = tarfile.SYMTYPE, 0o777, target
    tar.addfile(entry)
