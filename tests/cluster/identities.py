"""Who is who in the cluster: one authority, one certificate, one kubeconfig for every part and for the tests.

Owns the files. A cluster of many nodes would give each part a right of its own; what the chart is tested against needs
none of that.
"""

import json
from typing import Any

import trustme

from tests.cluster.place import ADDRESS, API, CA, CERTIFICATE, DOMAIN, FIRST_SERVICE, KEY, KUBECONFIG, NODE

NAMES = [ADDRESS, FIRST_SERVICE, "127.0.0.1", NODE, f"kubernetes.default.svc.{DOMAIN}", "kubernetes.default.svc"]


def make_identities() -> trustme.CA:
    """Write them all; returns the authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(CA))
    pair = authority.issue_cert(*NAMES, common_name="admin", organization_name="system:masters")
    CERTIFICATE.write_bytes(pair.cert_chain_pems[0].bytes())
    KEY.write_bytes(pair.private_key_pem.bytes())
    KUBECONFIG.write_text(json.dumps(_kubeconfig(), indent=2), "utf-8")
    return authority


def _kubeconfig() -> dict[str, Any]:
    user = {"client-certificate": str(CERTIFICATE), "client-key": str(KEY)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NODE, "cluster": {"server": API, "certificate-authority": str(CA)}}],
        "users": [{"name": "admin", "user": user}],
        "contexts": [{"name": NODE, "context": {"cluster": NODE, "user": "admin"}}],
        "current-context": NODE,
    }
