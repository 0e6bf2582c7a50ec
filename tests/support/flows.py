"""NetworkPolicies, evaluated: which of them let a connection out of a pod, and which into one."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.manifests import Document

Port = tuple[int, str]
"""Number and protocol, as (53, "UDP")."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of a connection: a pod, or an address outside of all pods."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "crossmix"
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    """Of what is no pod; Kubernetes leaves open whether an `ipBlock` takes pods, and here it takes none."""

    @property
    def ours(self) -> bool:
        """Whether policies of our namespace hold for it."""
        return self.address is None and self.namespace == "crossmix"


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}, selector
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_expression(rule, labels) for rule in selector.get("matchExpressions", ()))


def _expression(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    there, value = rule["key"] in labels, labels.get(rule["key"])
    verdicts = {
        "In": there and value in rule.get("values", ()),
        "NotIn": value not in rule.get("values", ()),
        "Exists": there,
        "DoesNotExist": not there,
    }
    return verdicts[rule["operator"]]


def allowing(policies: Sequence[Document], direction: str, one: End, other: End, port: Port) -> list[str]:
    """Names of the policies that let a connection pass at the end `one`, which is ours.

    Args:
        direction: egress: `one` opens it; ingress: `one` takes it.
        port: where the taking end listens.
    """
    found = []
    for policy in policies:
        spec = policy["spec"]
        assert set(spec) <= {"podSelector", "policyTypes", "ingress", "egress"}, policy["metadata"]["name"]
        assert policy["metadata"]["namespace"] == one.namespace
        if direction.capitalize() not in spec["policyTypes"] or not selects(spec["podSelector"], one.labels):
            continue
        peers = "to" if direction == "egress" else "from"
        for rule in spec.get(direction, ()):
            assert set(rule) <= {peers, "ports"}, rule
            takes = peers not in rule or any(_peer(peer, other, one.namespace) for peer in rule[peers])
            if takes and ("ports" not in rule or any(_port(entry, port) for entry in rule["ports"])):
                found.append(policy["metadata"]["name"])
    return found


def _peer(peer: Mapping[str, Any], other: End, namespace: str) -> bool:
    if "ipBlock" in peer:
        if other.address is None:
            return False
        address, block = ipaddress.ip_address(other.address), peer["ipBlock"]
        within = address in ipaddress.ip_network(block["cidr"])
        return within and not any(address in ipaddress.ip_network(cidr) for cidr in block.get("except", ()))
    if other.address is not None:
        return False
    if "namespaceSelector" in peer:
        known = {"kubernetes.io/metadata.name": other.namespace, **other.namespace_labels}
        if not selects(peer["namespaceSelector"], known):
            return False
    elif other.namespace != namespace:
        return False
    return selects(peer.get("podSelector", {}), other.labels)


def _port(entry: Mapping[str, Any], port: Port) -> bool:
    number, protocol = port
    assert isinstance(entry["port"], int), f"{entry}: a port by name is not evaluated"
    return entry["protocol"] == protocol and entry["port"] <= number <= entry.get("endPort", entry["port"])
