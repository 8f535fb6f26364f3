"""The name of a pod's container, in any runtime.

``k8s_<container>_<pod>_<namespace>``, and the sandbox ``k8s_POD_<pod>_<namespace>``. docker-shim and cri-dockerd call
them so, and CRI-O in its own storage; they add the pod's uid and the attempt, which change at every restart and tell a
reader nothing. ``<namespace>/<pod>/<container>`` would not do: a name is also a part of a URL and of Docker's answers,
which allow no slash. No part can contain ``_`` (they are DNS labels), so the name can be taken apart again; the parts
are also labels, under the keys that the kubelet uses.
"""

from __future__ import annotations

SANDBOX = "POD"
CONTAINER_NAME = "io.kubernetes.container.name"
POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"


def kubernetes_name(container: str | None, pod: str, namespace: str) -> str:
    """The name of a pod's container; of its sandbox without ``container``."""
    return f"k8s_{container or SANDBOX}_{pod}_{namespace}"


def kubernetes_labels(container: str | None, pod: str, namespace: str, uid: str | None) -> dict[str, str]:
    """The labels that every container of a pod has."""
    labels = {CONTAINER_NAME: container or SANDBOX, POD_NAME: pod, POD_NAMESPACE: namespace, POD_UID: uid}
    return {key: value for key, value in labels.items() if value is not None}
