"""The SDK's own interfaces of one cluster, for what this library does not do. It does not use them itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from infrablocks.kubernetes._access import cluster_access
from infrablocks.kubernetes._configuration import sdk_configuration
from infrablocks.kubernetes._user import impersonation_headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes.client import ApiClient, BatchV1Api, CoreV1Api

    from infrablocks.kubernetes.cluster import KubernetesClusterConfig


@contextmanager
def core_api(config: KubernetesClusterConfig | None) -> Iterator[CoreV1Api]:
    """Give the Core API of a cluster, and close its connections at the end."""
    with _client(config) as client:
        from kubernetes.client import CoreV1Api  # noqa: PLC0415 - loads the SDK

        yield CoreV1Api(client)


@contextmanager
def batch_api(config: KubernetesClusterConfig | None) -> Iterator[BatchV1Api]:
    """Give the Batch API of a cluster, and close its connections at the end."""
    with _client(config) as client:
        from kubernetes.client import BatchV1Api  # noqa: PLC0415 - loads the SDK

        yield BatchV1Api(client)


def sdk_client(config: KubernetesClusterConfig | None) -> ApiClient:
    """Make a client of the SDK for a cluster. Blocks; for worker threads. The caller closes it.

    Raises:
        InfrastructureNotAvailable: No cluster is configured, or there are no credentials.
    """
    access = cluster_access(config)
    configuration = sdk_configuration(access)
    from kubernetes.client import ApiClient  # noqa: PLC0415 - after the SDK is loaded, in one thread

    from infrablocks.kubernetes._transport import add_headers, proxy_checked  # noqa: PLC0415 - loads the SDK

    if not (headers := impersonation_headers(access.user)):
        return proxy_checked(lambda: ApiClient(configuration))
    from infrablocks.kubernetes._impersonating_client import ImpersonatingClient  # noqa: PLC0415 - loads the SDK

    client = proxy_checked(lambda: ImpersonatingClient(configuration))
    add_headers(client.rest_client.pool_manager, headers)
    return client


@contextmanager
def _client(config: KubernetesClusterConfig | None) -> Iterator[ApiClient]:
    with sdk_client(config) as client:
        try:
            yield client
        finally:
            client.rest_client.pool_manager.clear()
