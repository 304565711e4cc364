"""What one token costs the event loop: `python -m tests.load.tokens`, in microseconds by algorithm.

Owns the measuring alone; nothing is asserted.
"""

import timeit

from service.stores.oidc.signatures import fitting, parsed, read_keys, verified
from tests.backends.issuer import Issuer, make_key

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "Ed25519")
TIMES, ROUNDS = 500, 5


def microseconds(algorithm: str) -> float:
    """The least of some rounds, for reading a token, choosing the key and verifying the signature."""
    issuer = Issuer("https://id.example", {"k": make_key(algorithm, "k")})
    token, keys = issuer.token(algorithm), read_keys({"keys": [issuer.keys["k"].as_dict(private=False)]})

    def once() -> None:
        read = parsed(token)
        assert read is not None
        assert verified(token, fitting(keys, read), algorithm)

    return min(timeit.repeat(once, number=TIMES, repeat=ROUNDS)) / TIMES * 1e6


def main() -> None:
    for algorithm in ALGORITHMS:
        print(f"{algorithm:8} {microseconds(algorithm):6.0f} µs")  # noqa: T201 - a person reads it


if __name__ == "__main__":
    main()
