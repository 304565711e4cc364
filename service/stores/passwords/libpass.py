"""What of libpass is used, with its backends chosen.

Owns that choice. Refuses to know verifiers. It is imported when the first verifier needs it (`crypts.py`).
"""

from passlib.handlers.des_crypt import des_crypt
from passlib.handlers.md5_crypt import apr_md5_crypt, md5_crypt
from passlib.handlers.sha2_crypt import sha256_crypt, sha512_crypt
from passlib.utils.binary import bcrypt64

__all__ = ["apr_md5_crypt", "bcrypt64", "des_crypt", "md5_crypt", "sha256_crypt", "sha512_crypt"]

for _handler in (des_crypt, md5_crypt, sha256_crypt, sha512_crypt):
    # Chosen now: libpass would choose at the first use, from any thread.
    _handler.set_backend("builtin")
