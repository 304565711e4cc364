"""YAML documents, and the line that each of their values stands in.

Owns which files are read, and that a key is written once. Refuses to know what a document means.
"""

import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Place = tuple[str, ...]
"""The keys and numbers that lead to a value."""
STANDARD_INPUT = Path("-")
ENDINGS = (".yaml", ".yml")
# PyYAML lets through what Python says of a value that isn't of its kind: `!!int x`, `!!bool x`, or the day 2026-13-99.
_UNREADABLE = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, and where."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


class DeclarationError(Exception):
    """Some files can't be taken as they are."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__(str(mistakes[0]))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file, and where its values stand."""

    source: str
    folder: Path
    """What relative paths in it start from."""
    content: Any
    lines: Mapping[Place, int]

    def where(self, place: Sequence[object]) -> str:
        """The file and line of the value at `place`, or of what holds it."""
        keys = tuple(map(str, place))
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return f"{self.source} line {self.lines.get(keys, 1)}"


def documents(paths: Sequence[Path]) -> list[Document]:
    """The documents of all files, of a folder's files by name, and of standard input for `-`.

    Raises DeclarationError where one can't be read.
    """
    return [document for path in paths for file in _files(path) for document in _documents(file)]


def _files(path: Path) -> Sequence[Path]:
    if path == STANDARD_INPUT or not path.is_dir():
        return [path]
    # A mounted ConfigMap keeps its versions in hidden folders beside the links to them.
    named = (each for each in path.iterdir() if each.suffix in ENDINGS and not each.name.startswith("."))
    files = sorted(each for each in named if each.is_file())
    if not files:
        raise DeclarationError([Mistake(str(path), f"no file here ends in {' or '.join(ENDINGS)}")])
    return files


def _documents(file: Path) -> Iterator[Document]:
    source = "standard input" if file == STANDARD_INPUT else str(file)
    folder = Path() if file == STANDARD_INPUT else file.parent
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else file.read_text("utf-8")
        loader = _Loader(text)
        while loader.check_node() and (node := loader.get_node()):
            content = loader.construct_document(node)
            yield Document(source, folder, content, dict(_lines(node, (), set())))
    except OSError as error:
        raise DeclarationError([Mistake(source, f"can't be read: {error.strerror}")]) from None
    except _UNREADABLE as error:
        raise DeclarationError([_unreadable(source, error)]) from None


def _unreadable(source: str, error: Exception) -> Mistake:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else None
    return Mistake(f"{source} line {mark.line + 1}" if mark else source, problem or "is not valid YAML in UTF-8")


def _lines(node: yaml.Node, place: Place, seen: set[int]) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if id(node) in seen:  # An alias of YAML's: what it repeats was walked through.
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*place, str(key.value))
            yield from _lines(value, below, seen)
            # A key says better than what stands below it where a group begins.
            yield below, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _lines(value, (*place, str(number)), seen)


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, where PyYAML would keep the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        written = set[tuple[str, str]]()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in written:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is written twice", key.start_mark)
            written.add(name)
        return super().construct_mapping(node, deep)
