"""GNU SASL's library as a client, by ctypes: what mpop and msmtp are built on. Skips where it isn't installed.

Owns the few calls that a login needs. Its own program speaks IMAP and SMTP alone. RFC 5802 §5, RFC 5929 §3.
"""

import ctypes
import ctypes.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

PROPERTIES = {"authid": 1, "password": 3, "tls-unique": 18}
"""As gsasl.h numbers them."""
DONE, NEEDS_MORE = 0, 1


class Conversation:
    """One login from the client's side."""

    def __init__(self, library: Any, session: ctypes.c_void_p) -> None:
        self._library = library
        self._session = session
        self.done = False

    def step(self, challenge: bytes) -> bytes:
        """The response to a challenge, both in base64. Fails the test where the library finds something wrong."""
        answer = ctypes.c_void_p()
        code = self._library.gsasl_step64(self._session, challenge, ctypes.byref(answer))
        assert code in (DONE, NEEDS_MORE), ctypes.c_char_p(self._library.gsasl_strerror(code)).value
        self.done = code == DONE
        text = ctypes.cast(answer, ctypes.c_char_p).value or b""
        self._library.gsasl_free(answer)
        return text


@contextmanager
def conversation(mechanism: str, properties: Mapping[str, str]) -> Iterator[Conversation]:
    """A login by `mechanism` with these of `PROPERTIES`."""
    found = ctypes.util.find_library("gsasl")
    if found is None:
        pytest.skip("GNU SASL's library is not installed")
    library = ctypes.CDLL(found)
    library.gsasl_strerror.restype = ctypes.c_void_p
    library.gsasl_free.argtypes = [ctypes.c_void_p]
    context, session = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.gsasl_init(ctypes.byref(context)) == DONE
    try:
        assert library.gsasl_client_start(context, mechanism.encode(), ctypes.byref(session)) == DONE
        for name, value in properties.items():
            library.gsasl_property_set(session, PROPERTIES[name], value.encode())
        yield Conversation(library, session)
        library.gsasl_finish(session)
    finally:
        library.gsasl_done(context)
