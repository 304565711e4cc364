"""What the OpenAPI document promises, tried with invented requests against a server on loopback.

Every operation gets requests that fit the document and requests that don't; each answer must be one that the document
names, in the form it names, and never a defect. The inventions are the same at each run.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.telemetry.serving import serving as listening
from tests.admin.house import Served, furnish, serving

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    ignored_auth,
]
EXAMPLES = 6
Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Invented = schemathesis.Case[Any]
THERE = {
    "tenant": "acme",
    "domain": "acme.example",
    "address": "ada@acme.example",
    "alias": "a@acme.example",
    "label": "main",
    "issuer": "main",
}


@contextmanager
def in_a_thread(dsn: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The API's base URL and tokens, served by an event loop of its own."""
    ready, stop = threading.Event(), asyncio.Event()
    told: dict[str, object] = {}

    async def run() -> None:
        async with serving(dsn) as served:
            await furnish(served)
            async with listening(served.app, "127.0.0.1", 0) as url:
                told.update(url=url, texts=dict(served.texts), loop=asyncio.get_running_loop())
                ready.set()
                await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(60)
        yield str(told["url"]), told["texts"]  # type: ignore[misc]
    finally:
        told["loop"].call_soon_threadsafe(stop.set)  # type: ignore[attr-defined]
        thread.join(60)


def operations(url: str) -> list[Operation]:
    """All there are; those that remove come last."""
    schema = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
    every = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return sorted(every, key=lambda operation: operation.method == "delete")


def try_out(operation: Operation, token: str, mode: GenerationMode, named: bool) -> int:
    """Send what is invented for one operation; how often that was. `named` is about things that are there."""
    tried = 0
    parameters = {each.name for each in operation.path_parameters}
    steered = {name: value for name, value in THERE.items() if name in parameters} if named else None

    @given(case=operation.as_strategy(mode, path_parameters=steered))
    @settings(max_examples=EXAMPLES, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def send(case: Invented) -> None:
        nonlocal tried
        tried += 1
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

    send()
    return tried


@pytest.mark.parametrize("name", ["PolicyValues", "NarrowingValues"])
async def test_a_policy_value_that_is_not_given_has_no_default(empty: Served, name: str) -> None:
    properties = empty.app.openapi()["components"]["schemas"][name]["properties"]
    assert [value for value, described in properties.items() if "default" in described] == []
    assert "login_delay" in properties or "dele" in properties


async def test_the_document_tells_of_a_tag_wherever_a_thing_is_shown_with_one(served: Served) -> None:
    """RFC 9110 §8.8.3 (ETag), §13.1.1 (If-Match)."""
    tagged = 0
    async with served.client() as client:
        for path, told in served.app.openapi()["paths"].items():
            if "get" in told:
                shown = await client.get(path.removeprefix("/v1").format(**THERE))
                assert ("ETag" in shown.headers) == ("headers" in told["get"]["responses"]["200"]), path
                assert "if-match" not in {each["name"] for each in told["get"].get("parameters", ())}, path
                tagged += "ETag" in shown.headers
    assert tagged == 7


async def test_a_method_that_there_is_not_is_answered_with_those_that_there_are(served: Served) -> None:
    """RFC 9110 §15.5.6."""
    async with served.client() as client:
        for path, told in served.app.openapi()["paths"].items():
            refused = await client.request("TRACE", path.removeprefix("/v1").format(**THERE, token_id="x"))
            assert refused.status_code == 405, path
            assert refused.headers["Allow"] == ", ".join(sorted(told)).upper(), path
        assert (await client.get("/nothing")).status_code == 404


@pytest.mark.timeout(200)
@pytest.mark.parametrize("who", ["full", "acme"])
def test_every_answer_is_one_that_the_document_names(migrated_dsn: str, who: str) -> None:
    tried = 0
    with in_a_thread(migrated_dsn) as (url, texts):
        for operation in operations(url):
            for mode, named in ((GenerationMode.POSITIVE, True), (GenerationMode.NEGATIVE, False)):
                tried += try_out(operation, texts[who], mode, named)
    assert tried > 200
