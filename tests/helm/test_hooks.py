"""What is there before what: migration, ExternalSecrets, first tenants, test pods."""

from pathlib import Path

import pytest
import yaml

from service.cli.applying.documents import documents
from service.cli.applying.reading import wanted
from tests.helm.charting import EXAMPLES, Object, merged, render, values_of


def external(name: str) -> Object:
    """An ExternalSecret among the values."""
    return {"name": name, "storeRef": {"name": "vault"}, "data": [{"secretKey": "a", "remoteRef": {"key": "b"}}]}


def secrets_of(job: Object) -> set[str]:
    """The Secrets without which the Job's pod never starts."""
    spec = job["spec"]["template"]["spec"]
    sources = [each.get("valueFrom", {}) for container in spec["containers"] for each in container["env"]]
    named = {each["secretKeyRef"]["name"] for each in sources if "secretKeyRef" in each}
    return named | {volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume}


class TestHooks:
    """What is there before what."""

    def test_the_migration_needs_nothing_that_comes_after_it(self) -> None:
        rendered = render(values_of("full"))
        job, settings_file = rendered.one("Job", "-migration"), rendered.one("ConfigMap", "-migration")
        weights = [int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in (settings_file, job)]
        assert weights == sorted(set(weights))
        for each in (job, settings_file):
            assert each["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        spec = job["spec"]["template"]["spec"]
        assert "serviceAccountName" not in spec
        maps = [volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume]
        assert maps == ["r-poplar-migration"]
        assert settings_file["data"] == rendered.one("ConfigMap")["data"]

    def test_hooks(self) -> None:
        secrets = render(values_of("full")).of("ExternalSecret")
        early, usual = secrets["db-owner"], secrets["cache"]
        assert early["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert int(early["metadata"]["annotations"]["helm.sh/hook-weight"]) < -10
        # Else an upgrade would remove one that was no hook in the release before.
        assert early["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert early["spec"]["target"] == {"name": "db-owner", "creationPolicy": "Orphan", "deletionPolicy": "Retain"}
        assert "annotations" not in usual["metadata"]
        assert usual["spec"]["target"]["creationPolicy"] == "Owner"
        assert usual["spec"]["refreshInterval"] == "24h"
        assert usual["spec"]["secretStoreRef"] == {"name": "vault", "kind": "SecretStore"}

    @pytest.mark.parametrize("example", EXAMPLES)
    def test_no_secret_that_the_migration_is_given_comes_after_it(self, example: str) -> None:
        values = merged(values_of(example), {"migration": {"enabled": True}})
        given = secrets_of(render(values).one("Job", "-migration"))
        made = render(values | {"externalSecrets": [external(name) for name in {*given, "another"}]}).of(
            "ExternalSecret"
        )
        assert {name for name, each in made.items() if "annotations" in each["metadata"]} == given
        assert given

    def test_without_a_migration_every_external_secret_belongs_to_the_release(self) -> None:
        secrets = render(merged(values_of("full"), {"migration": {"enabled": False}})).of("ExternalSecret")
        assert not any("annotations" in each["metadata"] for each in secrets.values())

    def test_first_tenants_come_last_and_their_files_are_read_by_poplar_apply(self, tmp_path: Path) -> None:
        rendered = render(values_of("full"))
        job = rendered.one("Job", "-tenants")
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
        assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["apply", "--file", "/etc/poplar/tenants"]
        for name, text in rendered.one("ConfigMap", "-tenants")["data"].items():
            assert yaml.safe_load(text)
            (tmp_path / name).write_text(text, "utf-8")
        assert [tenant.name for tenant in wanted(documents([tmp_path]))] == ["orchard"]

    @pytest.mark.parametrize("example", EXAMPLES)
    def test_pods_of_helm_test_are_hooks_and_nothing_else_is_run_by_it(self, example: str) -> None:
        pods = render(values_of(example)).of("Pod")
        assert all(each["metadata"]["annotations"]["helm.sh/hook"] == "test" for each in pods.values())
        assert bool(pods) == (example != "haproxy")
