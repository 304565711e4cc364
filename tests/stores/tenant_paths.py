"""Whether a statement stays within one tenant: what Citus can send to the one node that keeps it.

Owns the reading of a statement's tree (Postgres' own grammar, by pglast): which columns named tenant_id must be equal,
and to what. It judges too strictly rather than too kindly: an equality that it doesn't understand is none. Refuses to
know what the statement is for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType, JoinType
from pglast.stream import RawStream

REFERENCE = frozenset({"tenants", "domains", "schema_migrations"})
DISTRIBUTED = frozenset({"maildrops", "aliases", "credentials", "messages", "fences", "audit", "tokens", "issuers"})
TENANT = "tenant_id"

Node: TypeAlias = Any
Place: TypeAlias = str
"""What may be equal to others: a tenant_id of one of the statement's tables, a parameter, an argument."""


@dataclass
class Paths:
    """What was found in a statement. `tables`: the tenant_ids of distributed tables; `functions`: the names called."""

    arguments: frozenset[str] = frozenset()
    tables: list[tuple[str, Place]] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)
    _parents: dict[Place, Place] = field(default_factory=dict)
    _serial: int = 0

    def new(self, what: str) -> Place:
        self._serial += 1
        return f"{what}#{self._serial}"

    def root(self, place: Place) -> Place:
        while place in self._parents:
            place = self._parents[place]
        return place

    def join(self, one: Place, other: Place) -> None:
        """Note that both are equal; a fixed value stays the root."""
        first, second = self.root(one), self.root(other)
        if first != second:
            fixed = first.startswith("=")
            self._parents[second if fixed else first] = first if fixed else second

    @property
    def tenants(self) -> set[Place]:
        """What the distributed tables' tenant_ids come to: one beginning with `=` where it is one given tenant."""
        return {self.root(place) for _, place in self.tables}

    @property
    def kind(self) -> str:
        """`none`: no distributed table; `one`: one given tenant; `joined`: along tenants, all of them; `several`."""
        if not self.tables:
            return "none"
        if len(self.tenants) > 1:
            return "several"
        return "one" if next(iter(self.tenants)).startswith("=") else "joined"


Names: TypeAlias = dict[str, Place]
"""The tenant_id of each name that a query may use."""


def paths(statement: str, arguments: Iterable[str] = ()) -> Paths:
    """What the statement does with tenants; `arguments` are names that stand for a value within a function."""
    found = Paths(frozenset(arguments))
    for raw in parse_sql(statement):
        _Query(found).read(raw.stmt, {})
    return found


@dataclass
class _Query:
    """One query of a statement. `withs` are the queries named before it by WITH, and their tenant_ids."""

    found: Paths
    withs: Names = field(default_factory=dict)

    def read(self, node: Node, outer: Names) -> Place | None:
        """The tenant_id that the query yields, where it yields one."""
        inner = _Query(self.found, dict(self.withs))
        for cte in node.withClause.ctes if getattr(node, "withClause", None) else ():
            yielded = _Query(self.found, inner.withs).read(cte.ctequery, outer)
            inner.withs[cte.ctename] = yielded or self.found.new(cte.ctename)
        if _is(node, ast.SelectStmt) and node.op.value:
            arms = [inner.read(arm, outer) for arm in (node.larg, node.rarg)]
            roots = {arm and self.found.root(arm) for arm in arms}
            return arms[0] if len(roots) == 1 else None
        if _is(node, ast.SelectStmt):
            return inner.select(node, outer)
        if _is(node, ast.InsertStmt):
            return inner.insert(node, outer)
        if _is(node, ast.UpdateStmt, ast.DeleteStmt):
            return inner.change(node, outer)
        raise AssertionError(f"no query: {type(node)}")

    def select(self, node: Node, outer: Names) -> Place | None:
        names = self.ranges(node.fromClause or (), outer)
        self.conditions(node.whereClause, names)
        self.rest(node, names)
        own = {name: place for name, place in names.items() if outer.get(name) != place}
        for target in node.targetList or ():
            if target.name == TENANT or (target.name is None and _last(target.val) == TENANT):
                return self.place(target.val, names)
            if _is(target.val, ast.ColumnRef) and _is(target.val.fields[-1], ast.A_Star):
                return next(iter(own.values()), None)
        return None

    def insert(self, node: Node, outer: Names) -> Place | None:
        target = self.table(node.relation.relname)
        columns = [column.name for column in node.cols or ()]
        names = outer | {(node.relation.alias.aliasname if node.relation.alias else node.relation.relname): target}
        source = node.selectStmt
        for values in source.valuesLists or ():
            self.join_place(target, values[columns.index(TENANT)], outer)
            self.inside(values, outer)
        if not source.valuesLists:
            _Query(self.found, self.withs).read(source, outer)
            self.found.join(target, self.column(source, columns.index(TENANT), outer) or self.found.new("?"))
        if node.onConflictClause:
            self.inside((node.onConflictClause,), names)
        return target

    def column(self, source: Node, at: int, outer: Names) -> Place | None:
        """The place of the n-th column of a SELECT that was read already; read again without noting its tables."""
        again = _Query(
            Paths(self.found.arguments, [], set(), self.found._parents, self.found._serial + 1000), self.withs
        )
        names = again.ranges(source.fromClause or (), outer)
        again.conditions(source.whereClause, names)
        return again.place(source.targetList[at].val, names)

    def change(self, node: Node, outer: Names) -> Place | None:
        target = self.table(node.relation.relname)
        alias = node.relation.alias.aliasname if node.relation.alias else node.relation.relname
        more = getattr(node, "fromClause", None) or getattr(node, "usingClause", None) or ()
        names = self.ranges(more, outer | {alias: target})
        self.conditions(node.whereClause, names)
        self.rest(node, names)
        return target

    def table(self, name: str) -> Place:
        """The tenant_id of another table in the statement."""
        if name in self.withs:
            return self.withs[name]
        place = self.found.new(name)
        if name in DISTRIBUTED:
            self.found.tables.append((name, place))
        return place

    def ranges(self, items: Iterable[Node], outer: Names) -> Names:
        names = dict(outer)
        for item in items:
            self.range(item, names)
        return names

    def range(self, item: Node, names: Names) -> list[str]:
        """Read one thing that is selected from; the names that it brings."""
        if _is(item, ast.JoinExpr):
            return self.joined(item, names)
        if _is(item, ast.RangeVar):
            name = item.alias.aliasname if item.alias else item.relname
            names[name] = self.table(item.relname)
        elif _is(item, ast.RangeSubselect):
            name = item.alias.aliasname
            yielded = _Query(self.found, self.withs).read(item.subquery, names)
            names[name] = yielded or self.found.new(name)
        else:
            name = item.alias.aliasname if item.alias else "function"
            self.inside((item.functions,), names)
            names[name] = self.found.new(name)
        return [name]

    def joined(self, item: Node, names: Names) -> list[str]:
        left, right = self.range(item.larg, names), self.range(item.rarg, names)
        if any(column.sval == TENANT for column in item.usingClause or ()):
            self.found.join(names[left[-1]], names[right[0]])
        if item.jointype == JoinType.JOIN_INNER:
            self.conditions(item.quals, names)
        else:
            self.inside((item.quals,), names)
        return left + right

    def conditions(self, node: Node, names: Names) -> None:
        """Note what a condition that must hold makes equal."""
        if _is(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
            for each in node.args:
                self.conditions(each, names)
            return
        if _is(node, ast.A_Expr) and node.kind == A_Expr_Kind.AEXPR_OP and node.name[0].sval == "=":
            one, other = self.place(node.lexpr, names), self.place(node.rexpr, names)
            if one and other and TENANT in {_last(node.lexpr), _last(node.rexpr)}:
                self.found.join(one, other)
        self.inside((node,), names)

    def join_place(self, target: Place, value: Node, names: Names) -> None:
        place = self.place(value, names)
        if place:
            self.found.join(target, place)

    def place(self, node: Node, names: Names) -> Place | None:
        """What a value is: some table's tenant_id, or a given value."""
        if _is(node, ast.TypeCast):
            return self.place(node.arg, names)
        if _is(node, ast.ParamRef, ast.A_Const):
            return "=" + RawStream()(node)
        fields = _fields(node.arg if _is(node, ast.A_Indirection) else node)
        if fields and fields[0] in self.found.arguments and len(fields) == 1:
            return "=" + RawStream()(node)
        if not fields or fields[-1] != TENANT or _is(node, ast.A_Indirection):
            return None
        if len(fields) > 1:
            return names.get(fields[-2])
        return next(reversed(names.values()), None)

    def rest(self, node: Node, names: Names) -> None:
        """Look for queries and functions wherever else they may stand."""
        skipped = {"fromClause", "whereClause", "withClause", "relation", "usingClause", "lockingClause"}
        self.inside((getattr(node, slot) for slot in node if slot not in skipped), names)

    def inside(self, nodes: Iterable[Node], names: Names) -> None:
        for node in nodes:
            if _is(node, ast.SelectStmt):
                _Query(self.found, self.withs).read(node, names)
            elif isinstance(node, tuple):
                self.inside(node, names)
            elif _is(node, ast.Node):
                if _is(node, ast.FuncCall):
                    self.found.functions.add(node.funcname[-1].sval)
                self.inside((getattr(node, slot) for slot in node), names)


def _is(node: Node, *kinds: type) -> bool:
    """Whether the node is of one of these kinds, whose attributes pglast types as perhaps absent."""
    return isinstance(node, kinds)


def _fields(node: Node) -> list[str]:
    if not _is(node, ast.ColumnRef):
        return []
    return [each.sval for each in node.fields if _is(each, ast.String)]


def _last(node: Node) -> str:
    return (_fields(node) or [""])[-1]
