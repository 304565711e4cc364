"""What the demo's people find in their maildrops: everyday mail, and mail that is hard to carry.

Owns the texts; every call gives the same octets. Refuses to know how mail is delivered.
"""

from service.embedded.corpus.letter import Letter
from service.embedded.corpus.post import Post, all_letters

__all__ = ["Letter", "Post", "all_letters"]
