"""An image with Python and Prefect, made of Debian's packages and pip, with no engine and nothing pulled."""

import hashlib
import json
import platform
import shutil
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from tests.engines.debian_suites import mirror
from tests.engines.engine import ContainerEngine
from tests.engines.kubernetes import Kubernetes
from tests.engines.locks import exclusive
from tests.engines.low_priority import run_politely
from tests.engines.packages import install
from tests.engines.paths import cache_directory
from tests.engines.prefect_environment import PREFECT_3

PACKAGES = ("debootstrap",)
REFERENCE = f"infrablocks/prefect:{PREFECT_3.version}"

_SUITE = "bookworm"
_PYTHON = "3.11"  # the suite's own
_INCLUDED = ("ca-certificates", "python3")
_SITE = f"usr/local/lib/python{_PYTHON}/dist-packages"
_PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_UNNEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")


def archive() -> Path:
    """Return the image in the form of ``docker save``, made if it is not in the cache; that takes some minutes.

    Raises:
        EngineError: Its parts could not be had.
    """
    finished = cache_directory() / f"prefect-image-{PREFECT_3.version}-{_digest()}.tar"
    if not finished.exists():
        with exclusive(cache_directory() / "prefect-image.lock"):
            if not finished.exists():  # somebody else may have made it while we waited
                install(PACKAGES)
                for interrupted in cache_directory().glob(".prefect-image-*"):
                    shutil.rmtree(interrupted, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=".prefect-image-", dir=cache_directory()) as directory:
                    unfinished = _make(Path(directory))
                    unfinished.rename(finished)
    return finished


def load(engine: ContainerEngine) -> str:
    """Load the image into an engine that does not have it yet, and return its name there."""
    client = engine.client(timeout=300)
    try:
        # Podman gives names without a registry one of its own.
        for image in client.images.list():
            for tag in image.tags:
                if tag.removeprefix("localhost/") == REFERENCE:
                    return tag
        with archive().open("rb") as content:
            (loaded,) = client.images.load(content)
        return str(loaded.tags[0])
    finally:
        client.close()


def load_into_cluster(cluster: Kubernetes) -> str:
    """Give the image to the node of a cluster if it does not have it yet, and return its name there."""
    if not cluster.node.has_image(cluster.room, f"docker.io/{REFERENCE}"):
        cluster.node.load_archive(cluster.room, archive())
    return REFERENCE


@cache
def _digest() -> str:
    recipe = (PREFECT_3.requirements, _SUITE, _INCLUDED, _PLATFORMS, _UNNEEDED, platform.machine())
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]


def _make(directory: Path) -> Path:
    root, layer = directory / "root", directory / "layer.tar"
    run_politely(
        ["debootstrap", "--variant=minbase", f"--include={','.join(_INCLUDED)}", _SUITE, str(root), mirror(_SUITE)]
    )
    _add_prefect(root)
    for name in _UNNEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
    # Device files belong to the engine, and not everybody may make them.
    run_politely(["tar", "--create", f"--file={layer}", f"--directory={root}", "--exclude=./dev/*", "--sort=name", "."])
    return _archive_of(layer, directory / "image.tar")


def _add_prefect(root: Path) -> None:
    # The packages of the image's Python, whatever Python runs this; so the image needs neither pip nor a network.
    platforms = [f"--platform={name}_{platform.machine()}" for name in _PLATFORMS]
    options = ["--only-binary=:all:", f"--python-version={_PYTHON}", "--implementation=cp", *platforms]
    pip = [str(PREFECT_3.python()), "-m", "pip"]
    run_politely(
        [*pip, "install", "--quiet", "--no-compile", *options, f"--target={root / _SITE}", *PREFECT_3.requirements]
    )
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    run_politely(["chroot", str(root), "python", "-m", "compileall", "-q", f"/{_SITE}"])


def _archive_of(layer: Path, archive: Path) -> Path:
    with layer.open("rb") as content:
        layer_digest = hashlib.file_digest(content, "sha256").hexdigest()
    created = "1970-01-01T00:00:00Z"
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": created,
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
            "Cmd": ["python"],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": created, "created_by": "infrablocks test images"}],
    }
    config_text = json.dumps(config, sort_keys=True)
    config_name = hashlib.sha256(config_text.encode()).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [REFERENCE], "Layers": ["layer.tar"]}]
    (archive.parent / config_name).write_text(config_text)
    (archive.parent / "manifest.json").write_text(json.dumps(manifest))
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in (archive.parent / config_name, layer, archive.parent / "manifest.json"):
            tar.add(path, arcname=path.name)
    return archive
