"""Where the packages of `examples/` are installed for their tests."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"


class Environment:
    """A virtual environment with what the tests have, and packages."""

    def __init__(self, folder: Path, *packages: Path) -> None:
        venv.create(folder, with_pip=True)
        self._folder = folder
        done = self.run("-m", "pip", "install", "--no-deps", "--disable-pip-version-check", *map(str, packages))
        assert done.returncode == 0, done.stderr
        shared = [path for path in sys.path if "site-packages" in path or Path(path, "infrablocks").is_dir()]
        (self._site_packages() / "of_the_tests.pth").write_text("\n".join(shared))

    def _site_packages(self) -> Path:
        (site_packages,) = self._folder.glob("lib/python*/site-packages")
        return site_packages

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run its Python."""
        python = str(self._folder / "bin" / "python")
        return subprocess.run([python, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
