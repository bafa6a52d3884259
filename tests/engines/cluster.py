"""A Kubernetes cluster: its control plane, and what tests do with one."""

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.engines import certificates, cgroups, kubernetes_programs, namespaces
from tests.engines.cluster_access import (
    ADMIN,
    CONTROLLER_MANAGER,
    SCHEDULER,
    Account,
    Users,
    write_kubeconfig,
)
from tests.engines.cluster_api import ApiRefused, ClusterApi
from tests.engines.control_plane import SERVICE_ADDRESS, ControlPlane, Ports
from tests.engines.daemons import Daemon
from tests.engines.engine import Engine, Status
from tests.engines.limits import PATIENCE
from tests.engines.loopback import LOOPBACK, is_free
from tests.engines.namespaces import Namespace
from tests.engines.processes import ProcessRecord


class Cluster(Engine):
    """A control plane; without a node, a pod of it stays pending, unless fake nodes play it.

    Its programs use the machine's network and listen on loopback only, but end with the room.
    """

    version: ClassVar[str] = kubernetes_programs.VERSION
    packages: ClassVar[tuple[str, ...]] = (*namespaces.PACKAGES, *certificates.PACKAGES)

    @property
    def address(self) -> str:
        """The API's URL."""
        return f"https://{LOOPBACK}:{self.ports.api}"

    @property
    def ca_file(self) -> Path:
        """The certificate of the API server's authority."""
        return self.directory / "tls" / "ca.pem"

    @property
    def client_certificate(self) -> tuple[Path, Path]:
        """A certificate and its key by which somebody is an administrator."""
        return self.directory / "tls" / "client" / "cert.pem", self.directory / "tls" / "client" / "key.pem"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig file."""
        return self._control_plane.kubeconfig("admin")

    @property
    def users(self) -> Users:
        """Those of the token file, see `cluster_access`."""
        return Users(self.directory / "tokens.csv")

    @property
    def ports(self) -> Ports:
        """Where the programs listen."""
        return Ports.read(self._ports_file)

    @property
    def room(self) -> Namespace:
        """The namespaces that all of its programs end with."""
        return Namespace(self.directory)

    @property
    def api_server(self) -> Daemon:
        """The API server."""
        return Daemon("api-server", self.directory)

    @property
    def admin(self) -> ClusterApi:
        """The API as the administrator sees it."""
        return self.api_of(self.users.token(ADMIN))

    def api_of(self, token: str) -> ClusterApi:
        """Return the API as the owner of a token sees it."""
        return ClusterApi(LOOPBACK, self.ports.api, self.ca_file, token)

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to one request of the administrator; a PATCH is a JSON merge patch.

        Raises:
            ApiRefused: The answer is an error.
            OSError: Nobody answers.
        """
        return self.admin.request(method, path, body)

    def kubeconfig_for(
        self,
        name: str,
        *,
        token: str | None = None,
        user: Mapping[str, Any] | None = None,
        namespace: str = "default",
        server: str | None = None,
    ) -> Path:
        """Write a kubeconfig file.

        Args:
            name: The file's name and, if neither token nor user is given, a user of the token file.
            token: Anybody's token.
            user: Any other entry of a user, such as an exec plugin.
            namespace: The context's namespace.
            server: Another URL than `address`, for instance that of a proxy.
        """
        path = self._control_plane.kubeconfig(name)
        if user is None:
            user = {"token": self.users.token(name) if token is None else token}
        write_kubeconfig(path, server=server or self.address, ca_file=self.ca_file, user=user, namespace=namespace)
        return path

    @contextlib.contextmanager
    def namespace(self, labels: Mapping[str, str] | None = None) -> Iterator[str]:
        """Make a namespace in which pods can be made, and have it removed, without waiting, at the end."""
        name = f"tests-{uuid.uuid4().hex[:10]}"
        self.api("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels or {})}})
        try:
            self.wait_for(f"/api/v1/namespaces/{name}/serviceaccounts/default")
            yield name
        finally:
            self._remove_namespace(name)

    def service_account(self, namespace: str, rules: Sequence[Mapping[str, Any]], name: str = "runner") -> Account:
        """Make a service account that has exactly these rights in its namespace.

        Args:
            namespace: Where it is.
            rules: The rules of its Role, such as ``{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]}``.
            name: What account, Role and RoleBinding are called.
        """
        core, rbac = f"/api/v1/namespaces/{namespace}", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        metadata = {"metadata": {"name": name}}
        self.api("POST", f"{core}/serviceaccounts", metadata)
        self.api("POST", f"{rbac}/roles", {**metadata, "rules": list(rules)})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        self.api("POST", f"{rbac}/rolebindings", {**metadata, "roleRef": role, "subjects": [subject]})
        request = {"spec": {"expirationSeconds": 86400}}
        token = self.api("POST", f"{core}/serviceaccounts/{name}/token", request)["status"]["token"]
        kubeconfig = self.kubeconfig_for(f"{namespace}-{name}", token=token, namespace=namespace)
        return Account(name, namespace, token, kubeconfig)

    def wait_for(self, path: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Return what is at a path as soon as it is there.

        Raises:
            EngineError: It is not there in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.api("GET", path)
            except ApiRefused as error:
                if error.status != 404 or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def prepare(self) -> None:
        """Get the programs of the control plane, too."""
        super().prepare()
        kubernetes_programs.etcd()
        kubernetes_programs.kubernetes()

    def is_up(self) -> bool:
        """Tell whether the API server answers, without starting anything."""
        return self.api_server.is_alive() and self._answers()

    def status(self) -> Status:
        """Return its version, process and address, or how to get it."""
        process = self.api_server.process
        if process is None or not self.is_up():
            return Status(self.name, up=False, detail=self.how_to_get_it)
        detail = f"version {self.version}, API server pid {process.pid}, {self.address}, KUBECONFIG={self.kubeconfig}"
        return Status(self.name, up=True, detail=detail)

    def kill(self) -> None:
        """Send SIGKILL to the API server; pods run on."""
        self.api_server.kill()

    def stop(self) -> None:
        """Stop the API server only; `restart` brings it back."""
        self.api_server.stop(grace=2)  # it waits for its clients longer than any test does

    def restart(self) -> None:
        """Stop the API server if it runs, start it again with its data, and wait until it answers."""
        self.stop()
        self._start_api_server()

    @property
    def _ports_file(self) -> Path:
        return self.directory / "ports.json"

    @property
    def _control_plane(self) -> ControlPlane:
        return ControlPlane(self.directory, self.ports)

    def _start(self) -> None:
        Ports.choose().write(self._ports_file)
        names = [*self._names(), f"IP:{SERVICE_ADDRESS}", "DNS:kubernetes.default.svc"]
        certificates.create(self.directory / "tls", more_names=names, client="/O=system:masters/CN=certified admin")
        self.users.create(self._more_users())
        programs = {"admin": ADMIN, "controller-manager": CONTROLLER_MANAGER, "scheduler": SCHEDULER}
        for name, user in programs.items():
            self.kubeconfig_for(name, token=self.users.token(user))
        self.room.create()
        self._launch("etcd", self._control_plane.etcd())
        self._start_api_server()
        self._launch("controller-manager", self._control_plane.controller_manager())
        self._launch("scheduler", self._control_plane.scheduler())

    def _names(self) -> Sequence[str]:
        """Return more names for the API server's certificate."""
        return ()

    def _more_users(self) -> Mapping[str, str]:
        """Return more users for the token file, each with a group."""
        return {}

    def _start_api_server(self) -> None:
        # The kernel takes a moment to give back the port of a program that was killed.
        deadline = time.monotonic() + PATIENCE
        while not is_free(self.ports.api) and time.monotonic() < deadline:
            time.sleep(0.02)
        process = self._launch("api-server", self._control_plane.api_server())
        self._wait_until(self._answers, process, self.api_server.log)

    def _launch(self, name: str, command: Sequence[str]) -> ProcessRecord:
        environment = {"HOME": str(self.directory)}
        return Daemon(name, self.directory).launch(self.room, command, environment, own_network=False)

    def _answers(self) -> bool:
        try:
            return self.admin.text("GET", "/readyz", timeout=PATIENCE) == "ok"
        except (OSError, ApiRefused):
            return False

    def _remove_namespace(self, name: str) -> None:
        # Pods that ignore SIGTERM would keep it for half a minute.
        at_once = urlencode({"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
        for path in (f"/apis/batch/v1/namespaces/{name}/jobs", f"/api/v1/namespaces/{name}/pods"):
            self.admin.request("DELETE", f"{path}?{at_once}", timeout=PATIENCE)  # there may be thousands
        with contextlib.suppress(ApiRefused):  # the test has removed it
            self.api("DELETE", f"/api/v1/namespaces/{name}")

    def _clean(self) -> None:
        self.room.destroy()
        cgroups.remove(self.control_group)
        self._remove_files()
