"""A real client of S3 and a store that gives a blob little by little: who waits hears of octets as they come. F7.

RFC 3206 §4: what is slow but comes is no fault.
"""

import asyncio

from service.mail.patience import Patience
from service.stores.objects import ObjectOptions, open_blobs
from tests.stores.dribbling import Dribbling

PART = 1 << 16


class Heard(Patience):
    """Asks the server for more with each part that came."""

    def __init__(self, server: Dribbling) -> None:
        super().__init__(60.0)
        self.server = server
        self.times = 0

    def came(self) -> None:
        super().came()
        self.times += 1
        self.server.more.set()


async def test_who_waits_for_a_blob_hears_of_its_first_octets_and_of_each_part() -> None:
    blob = bytes(range(256)) * (8 * PART // 256)
    async with asyncio.timeout(30), Dribbling(blob, PART).listening() as server:
        options = ObjectOptions(
            endpoint=f"http://127.0.0.1:{server.port}",
            region="x",
            access_key="x",
            secret_key="x",
            allow_http=True,
        )
        store = open_blobs("s3://mail/p", options)
        heard = Heard(server)
        # The server gives each part only once the one before was heard of, and the first once the response began.
        assert await store.read("t/1", 0, len(blob), heard) == blob
    assert heard.times >= 8
