"""Push images to a registry with nothing but HTTP, so that no engine is needed to prepare another one's test."""

import base64
import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.engines.errors import EngineError
from tests.engines.images import Image, digest
from tests.engines.limits import PATIENCE

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class RegistryClient:
    """Somebody who may push.

    Args:
        registry: Host and port.
        user: The user's name.
        password: The password.
    """

    registry: str
    user: str
    password: str

    def push(self, image: Image, repository: str, tag: str) -> str:
        """Push an image and return the digest it can be pulled by.

        Raises:
            EngineError: The registry refused something.
        """
        layer = image.compressed_layer()
        for blob in (image.config, layer):
            self._push_blob(repository, blob)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {"mediaType": _CONFIG, "size": len(image.config), "digest": digest(image.config)},
                "layers": [{"mediaType": _LAYER, "size": len(layer), "digest": digest(layer)}],
            }
        ).encode()
        self._request("PUT", f"/v2/{repository}/manifests/{tag}", manifest, _MANIFEST)
        return digest(manifest)

    def _push_blob(self, repository: str, blob: bytes) -> None:
        started = self._request("POST", f"/v2/{repository}/blobs/uploads/")
        location = urlsplit(started["Location"])
        target = f"{location.path}?{location.query}&digest={digest(blob)}"
        self._request("PUT", target, blob, "application/octet-stream")

    def _request(self, method: str, target: str, body: bytes = b"", content_type: str = "") -> http.client.HTTPMessage:
        credentials = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": content_type}
        connection = http.client.HTTPConnection(self.registry, timeout=PATIENCE)
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise EngineError(f"the registry answered {response.status} to {method} {target}: {text[:300]!r}")
        return response.headers
