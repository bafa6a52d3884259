"""The block that says which cluster is meant, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_serializer, field_validator

from infrablocks._environment import MASK
from infrablocks.blocks import Block
from infrablocks.exceptions import InvalidSettings, UnsupportedOperation
from infrablocks.kubernetes import _kubeconfig

if TYPE_CHECKING:
    import os
    from typing import Self

    from kubernetes.client import ApiClient


class KubernetesClusterConfig(Block):
    """A cluster, and who asks it.

    `from_file` makes one of a kubeconfig. A Job without such a block goes to the cluster of the pod that this process
    runs in, else to the current one of the kubeconfig.

    Attributes:
        config: A kubeconfig, as a mapping or as YAML text; a mapping when it is read. It may hold credentials: it is
            masked in `repr`, JSON and YAML.
        context_name: Which of its contexts is meant.

    Example:
        ```python
        from infrablocks.kubernetes import KubernetesClusterConfig

        cluster = KubernetesClusterConfig(
            config={
                "clusters": [{"name": "dev", "cluster": {"server": "https://127.0.0.1:6443"}}],
                "users": [{"name": "ci", "user": {"token": "t0ken"}}],
                "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "ci"}}],
            },
            context_name="dev",
        )
        assert "t0ken" not in repr(cluster)
        ```
    """

    _block_type_name: ClassVar[str | None] = "Kubernetes Cluster Config"
    _block_type_slug: ClassVar[str | None] = "kubernetes-cluster-config"

    config: dict[str, Any]
    context_name: str

    @field_validator("config", mode="before")
    @classmethod
    def _read_config(cls, value: Any) -> Any:
        return _kubeconfig.parse_kubeconfig(value) if isinstance(value, str) else _kubeconfig.checked_kubeconfig(value)

    @field_serializer("config", when_used="json")
    def _mask_config(self, value: Any) -> str:  # noqa: ARG002 - pydantic passes it
        return MASK

    def block_initialization(self) -> None:
        """Refuse a context that the configuration does not have."""
        _kubeconfig.context_entries(self.config, self.context_name)

    @classmethod
    def _holds_secret(cls, path: tuple[str | int, ...]) -> bool:
        """Say that the whole configuration is secret: of its many fields, any may hold a credential."""
        return path == ("config",)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str] | None = None, context_name: str | None = None) -> Self:
        """Make a block of a kubeconfig. What is in the files that it names is taken into the block.

        Args:
            path: The kubeconfig; None: those that KUBECONFIG names, or `~/.kube/config`.
            context_name: The context; None: the current one.

        Raises:
            InvalidSettings: There is no such context, or a file that it needs cannot be read.
            InfrastructureNotAvailable: There is no kubeconfig, or it is not valid.
        """
        config = _kubeconfig.read_kubeconfig(_kubeconfig.kubeconfig_paths(path))
        try:
            name = _kubeconfig.context_entries(config, context_name).name
            config = _kubeconfig.self_contained(config, name)
            _kubeconfig.context_entries(config, name)  # with the token that a file holds
        except InvalidSettings:
            raise
        except ValueError as error:
            raise InvalidSettings(str(error)) from error
        return cls(config=config, context_name=name)

    def get_api_client(self) -> ApiClient:
        """Make a client of the Kubernetes SDK for this cluster. The caller closes it.

        It may have to run a program that the kubeconfig names; in an event loop, call it in a thread. If the user
        impersonates another one, `kubernetes.stream` raises UnsupportedOperation: the SDK opens WebSockets as the user.

        Raises:
            InfrastructureNotAvailable: The configuration gives no credentials.
        """
        from infrablocks.kubernetes._sdk_clients import sdk_client  # noqa: PLC0415 - loads the SDK

        return sdk_client(self)

    def configure_client(self) -> None:
        """Have the Kubernetes SDK use this cluster where no other is named. infrablocks itself does not look at that.

        Raises:
            InfrastructureNotAvailable: The configuration gives no credentials.
            UnsupportedOperation: Its user impersonates another one, which a configuration of the SDK cannot say.
        """
        from kubernetes.client import Configuration  # noqa: PLC0415 - loads the SDK

        from infrablocks.kubernetes import _access, _configuration  # noqa: PLC0415

        access = _access.cluster_access(self)
        if access.user.get("as"):
            raise UnsupportedOperation(
                f"The user of context {self.context_name!r} impersonates another one (`as`), which the SDK's default "
                "configuration cannot: its clients would have the rights of the user itself. Use `get_api_client`."
            )
        Configuration.set_default(_configuration.sdk_configuration(access))
