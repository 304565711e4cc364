"""Every example in `ci/` before a real API server, in a namespace with Pod Security `restricted`: it takes each object.

Nothing need run: objects are made, and pods only asked for. Custom kinds are judged like all others.
"""

import json
from collections.abc import Iterator

import pytest

from tests.helm.charting import EXAMPLES, Object, render, values_of
from tests.helm.e2e.cluster import Cluster, cluster
from tests.helm.e2e.conftest import ON_A_CLUSTER

pytestmark = ON_A_CLUSTER


@pytest.fixture
def there() -> Iterator[Cluster]:
    with cluster() as there:
        yield there
        # Numbers of ports belong to the whole cluster too, and the namespace's end takes a while.
        there.kubectl("delete", "services", "--all")


@pytest.fixture(scope="module")
def priority() -> Iterator[None]:
    """The class of priority that an example names belongs to the whole cluster."""
    told = {
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "mail"}, "value": 1,
    }  # fmt: skip
    with cluster() as there:
        there.kubectl("apply", "-f", "-", told=json.dumps(told))
        yield
        there.kubectl("delete", "priorityclass", "mail")


@pytest.mark.usefixtures("priority")
@pytest.mark.parametrize("example", EXAMPLES)
def test_the_server_takes_every_object_without_a_warning(example: str, there: Cluster) -> None:
    objects = render(values_of(example)).objects
    pods = [each for each in objects if each["kind"] == "Pod"]
    others = [each for each in objects if each["kind"] != "Pod"]
    said = there.kubectl(*apply(), told=listed(others, there))
    if pods:
        said += there.kubectl(*apply("--dry-run=server"), told=listed(pods, there))
    assert said.count("serverside-applied") == len(objects)
    assert "Warning" not in said


def apply(*options: str) -> list[str]:
    return ["apply", "--server-side", "--validate=strict", *options, "-f", "-"]


def listed(objects: list[Object], there: Cluster) -> str:
    """All of them as one List, moved from the namespace they were rendered for."""
    moved = [{**each, "metadata": {**each["metadata"], "namespace": there.namespace}} for each in objects]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": moved})
