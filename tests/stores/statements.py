"""Every statement that Poplar sends to Postgres, and every one in the functions that it calls there.

Owns where they are found: the constants of `service.stores.postgres`, and the latest definition of each function in the
migrations. A statement that is put together where it is sent can't be found so; `composed` names those places, and
`COMPLETED` says what becomes of a constant that isn't whole. Refuses to judge statements.
"""

import ast
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pglast import ast as sql
from pglast import parse_sql
from pglast.parser import ParseError, parse_plpgsql_json
from pglast.stream import RawStream

import service.stores.postgres as package
from service.stores.postgres.migrate import migrations

# What passes statements on, and what only the schema's owner sends.
NOT_SENDERS = {"database", "observed", "fair", "migrate", "rights", "logins"}
SENDING = {"read", "write", "fetch", "fetchrow", "fetchval", "execute", "executemany"}
LOCKS = ("SHARE", "NO KEY UPDATE")
COMPLETED: Mapping[str, tuple[str, ...]] = {
    "tenancy.rows.TENANT": LOCKS,
    "tenancy.rows.MAILDROP": ("", " FOR NO KEY UPDATE OF m"),
}
"""Constants that get these ends where they are sent."""
PARTS = {"listing._PAGE", "tenancy.audit._PAGE", "tenancy.tenants.VIEW", "tokens.VIEW"}
"""Constants that others are made of and that are never sent."""


@dataclass(frozen=True)
class Function:
    """A function of the database's. `arguments` are the names of its parameters in order."""

    name: str
    types: tuple[str, ...]
    arguments: tuple[str, ...]
    statements: tuple[str, ...]


def modules() -> Iterator[tuple[str, ModuleType]]:
    """The modules that send statements, by their names within the package."""
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        short = info.name.removeprefix(package.__name__ + ".")
        if short not in NOT_SENDERS:
            yield short, importlib.import_module(info.name)


def sent() -> dict[str, str]:
    """The statements by module and constant."""
    found: dict[str, str] = {}
    for short, module in modules():
        own = {name: value for name, value in vars(module).items() if isinstance(value, str) and _defines(module, name)}
        for constant, text in own.items():
            name = f"{short}.{constant}"
            if name in PARTS or not (name in COMPLETED or _is_statement(text)):
                continue
            for number, end in enumerate(COMPLETED.get(name, ("",))):
                found[f"{name}+{number}" if number else name] = text + end
        for number, text in enumerate(_literals(module)):
            found[f"{short}.literal{number}"] = text
    return found


def composed() -> set[str]:
    """The functions that send something other than a constant of their module, by module and name."""
    found = set()
    for short, module in modules():
        for function, argument in _sendings(module):
            named = isinstance(argument, ast.Name) and isinstance(getattr(module, argument.id, None), str)
            if not named and not isinstance(argument, ast.Constant):
                found.add(f"{short}.{function}")
    return found


def functions() -> dict[str, list[Function]]:
    """The functions of the newest schema, by name; several where one name takes different arguments."""
    latest: dict[tuple[str, tuple[str, ...]], Function] = {}
    for migration in migrations():
        made = [raw.stmt for raw in parse_sql(migration.sql) if isinstance(raw.stmt, sql.CreateFunctionStmt)]
        for function in map(_function, made):
            latest[function.name, function.types] = function
    named: dict[str, list[Function]] = {}
    for (name, _), function in latest.items():
        named.setdefault(name, []).append(function)
    return named


def _defines(module: ModuleType, name: str) -> bool:
    """Whether the module makes the constant itself, rather than import it."""
    return name.lstrip("_").isupper() and f"\n{name} = " in inspect.getsource(module)


def _is_statement(text: str) -> bool:
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    return (first.isupper() or first.startswith("(")) and _parses(text)


def _literals(module: ModuleType) -> Iterator[str]:
    for _, argument in _sendings(module):
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def _sendings(module: ModuleType) -> Iterator[tuple[str, ast.expr]]:
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(function, ast.AsyncFunctionDef | ast.FunctionDef):
            for call in ast.walk(function):
                attribute = call.func if isinstance(call, ast.Call) and call.args else None
                if isinstance(call, ast.Call) and isinstance(attribute, ast.Attribute) and attribute.attr in SENDING:
                    yield function.name, call.args[0]


def _function(made: Any) -> Function:
    taken = [each for each in made.parameters or () if each.mode.value != "t"]
    options = {each.defname: each.arg for each in made.options}
    body = options["as"][-1].sval
    if options["language"].sval == "sql":
        statements = [RawStream()(raw) for raw in parse_sql(body)]
    else:
        statements = list(_within(json.loads(parse_plpgsql_json(RawStream()(made)))))
    return Function(
        made.funcname[-1].sval,
        tuple(RawStream()(each.argType) for each in taken),
        tuple(each.name for each in taken),
        tuple(statements),
    )


def _within(tree: Any) -> Iterator[str]:
    """The statements and expressions of a PL/pgSQL body; an expression as a SELECT."""
    if isinstance(tree, dict):
        query = tree.get("PLpgSQL_expr", {}).get("query")
        if query is not None:
            yield query if _parses(query) else f"SELECT {query.partition(':=')[2] or query}"
        for each in tree.values():
            yield from _within(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from _within(each)


def _parses(text: str) -> bool:
    try:
        parse_sql(text)
    except ParseError:
        return False
    return True
