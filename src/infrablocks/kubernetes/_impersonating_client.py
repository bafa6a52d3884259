"""A client of the SDK whose user impersonates another one. Importing this loads the SDK."""

from __future__ import annotations

from kubernetes.client import ApiClient

from infrablocks.exceptions import UnsupportedOperation

# `kubernetes.stream` puts a method of its own in the place of one of these, of SDK 37 and of those before.
_REPLACED_FOR_WEBSOCKETS = frozenset({"call_api", "request"})


class ImpersonatingClient(ApiClient):
    """Refuses WebSockets: the SDK opens them without the headers by which a user impersonates another one."""

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute.

        Raises:
            UnsupportedOperation: The SDK is about to open a WebSocket.
        """
        if name in _REPLACED_FOR_WEBSOCKETS:
            raise UnsupportedOperation(
                "WebSockets of the Kubernetes SDK cannot impersonate another user, as the kubeconfig demands (`as`): "
                "they would have the rights of the user itself. Use `kubectl exec` or `kubectl port-forward`, or "
                "credentials of the other user."
            )
        super().__setattr__(name, value)
