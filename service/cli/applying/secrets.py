"""Where a declared secret comes from: an environment variable, a file, or, hashed, the declaration itself.

Owns that a secret is read when it is needed and not before, so that a difference can be looked at without any.
Refuses to hash, and to name the secret when it names its place.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from service.cli.applying.forms import CredentialForm
from service.mail.declared.wanted import Secret
from service.model.refusal import Reason, Refusal


def secret(form: CredentialForm, where: str, folder: Path) -> Secret | None:
    """The secret that the form names, or None; a relative path starts from `folder`."""
    if not form.sources:
        return None
    [source] = form.sources
    given: str = getattr(form, source)
    return Secret(_reader(source, given, where, folder), source.startswith("verifier"))


def _reader(source: str, given: str, where: str, folder: Path) -> Callable[[], str]:
    if source.endswith("_env"):
        return partial(_variable, given, where)
    if source.endswith("_file"):
        return partial(_file, folder / given, where)
    return lambda: given


def _variable(name: str, where: str) -> str:
    if not (text := os.environ.get(name)):
        raise Refusal(Reason.INVALID, f"{where}: the environment variable {name} isn't set")
    return text


def _file(path: Path, where: str) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Refusal(Reason.INVALID, f"{where}: {path} isn't UTF-8") from None
    except OSError as error:
        raise Refusal(Reason.INVALID, f"{where}: {path} can't be read: {error.strerror}") from None
