"""The app's model classes as TypeScript, with decorators, relations and children."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from melon_api.sync.rules.tables import Column, Parent, SyncedTable
from tools.app_schema.modules import Imports, Module
from tools.app_schema.names import MEMBERS, TAKEN, Scope, camel, without_id

WATERMELON, DECORATORS = "@nozbe/watermelondb", "@nozbe/watermelondb/decorators"
OBSERVABLE = {"@nozbe/watermelondb/utils/rx": {"type Observable"}}
OPTIONAL_RELATION = """\
/** Where a record may belong to none. */
export type OptionalRelation<T extends Model> = Omit<
  Relation<T>,
  'id' | 'fetch' | 'observe' | 'set' | 'then'
> & {
  id: string | null
  fetch(): Promise<T | null>
  observe(): Observable<T | null>
  set(record: T | null): void
}"""
TIMES = ("created_at", "updated_at")


@dataclass(frozen=True)
class Child:
    """A column of another table that names our record; `is_first` of those of its table."""

    table: str
    column: str
    cascades: bool
    is_first: bool


class ModelClass:
    """One synced table's class. `tables` are all of them, `names` their classes' names."""

    def __init__(
        self, table: SyncedTable, tables: dict[str, SyncedTable], names: dict[str, str]
    ) -> None:
        self._table, self._names = table, names
        self._scope = Scope(MEMBERS)
        self._imports: Imports = {WATERMELON: {"Model"}, DECORATORS: set()}
        self._children = list(_children(table.name, tables))
        self._associations = dict(self._associated())

    def module(self) -> Module:
        lines = [f"export class {self._names[self._table.name]} extends Model {{"]
        lines += [f"  static table = '{self._table.name}'", *self._association_lines(), ""]
        lines += [f"  {line}" for line in [*self._columns(), *self._relations(), *self._queries()]]
        return Module(
            f"models/{self._names[self._table.name]}",
            [*lines, "}"],
            self._imports,
            self._siblings(),
        )

    # --- associations: one for each other table, which `Q.on` and `@children` go by

    def _associated(self) -> Iterator[tuple[str, str]]:
        """Later ones replace earlier: a tree's has_many is worth more than its belongs_to, and of
        several columns that name one table the first counts. What only refers to the record is no
        has_many, all of which `experimentalMarkAsDeleted` deletes."""
        for parent in reversed(self._table.parents):
            yield parent.table, f"type: 'belongs_to', key: '{parent.column}'"
        for child in reversed([one for one in self._children if one.cascades]):
            yield child.table, f"type: 'has_many', foreignKey: '{child.column}'"

    def _association_lines(self) -> list[str]:
        if not self._associations:
            return []
        self._imports[WATERMELON].add("associations")
        pairs = [f"    ['{table}', {{ {how} }}]," for table, how in self._associations.items()]
        return ["  static associations = associations(", *pairs, "  )"]

    # --- properties

    def _columns(self) -> Iterator[str]:
        for column in self._table.columns:
            name = self._scope.give(camel(column.name), "Column")
            yield from _limits(column)
            kind, how = column.kind.typescript, column.kind.decorator
            if _is_date(column):
                kind, how = "Date", "@date('{0}')"
            if column.name in TIMES:
                how = "@readonly @date('{0}')"
            self._imports[DECORATORS] |= set(re.findall(r"@(\w+)", how))
            yield f"{how.format(column.name)} {name}!: {kind}{' | null' * column.optional}"

    def _relations(self) -> Iterator[str]:
        for parent in self._table.parents:
            self._imports[DECORATORS].add("relation")
            name = self._scope.give(without_id(parent.column), "Relation")
            kind = f"{self._relation_type(parent)}<{self._names[parent.table]}>"
            yield f"@relation('{parent.table}', '{parent.column}') {name}!: {kind}"

    def _relation_type(self, parent: Parent) -> str:
        if parent.required:
            self._imports[WATERMELON].add("type Relation")
            return "Relation"
        return "OptionalRelation"

    def _queries(self) -> Iterator[str]:
        for child in self._children:
            self._imports[WATERMELON].add("type Query")
            kind = self._names[child.table]
            named = child.table if child.is_first else f"{child.table}_by_{child.column}"
            name = self._scope.give(camel(named), "Children")
            if self._associations.get(child.table, "").endswith(f"foreignKey: '{child.column}'"):
                self._imports[DECORATORS].add("children")
                yield f"@children('{child.table}') {name}!: Query<{kind}>"
                continue
            self._imports[WATERMELON].add("Q")
            yield f"get {name}(): Query<{kind}> {{"
            yield f"  const all = this.collections.get<{kind}>('{child.table}')"
            yield f"  return all.query(Q.where('{child.column}', this.id))"
            yield "}"

    def _siblings(self) -> Imports:
        others = {parent.table for parent in self._table.parents}
        others |= {child.table for child in self._children}
        others -= {self._table.name}
        found: Imports = {f"./{self._names[t]}": {f"type {self._names[t]}"} for t in others}
        if any(not parent.required for parent in self._table.parents):
            found["./OptionalRelation"] = {"type OptionalRelation"}
        return found


def class_modules(tables: dict[str, SyncedTable]) -> list[Module]:
    """A module for each synced table, the type of optional relations where there are any, and an
    index with all classes (`modelClasses`)."""
    scope = Scope(TAKEN, folding=True)
    names = {t.name: scope.give(t.model, "Record") for t in tables.values()}
    modules = [ModelClass(table, tables, names).module() for table in tables.values()]
    if any(not parent.required for table in tables.values() for parent in table.parents):
        imports = {WATERMELON: {"type Model", "type Relation"}, **OBSERVABLE}
        lines = OPTIONAL_RELATION.splitlines()
        modules.insert(0, Module("models/OptionalRelation", lines, imports))
    return [*modules, _index(list(names.values()))]


def _index(names: list[str]) -> Module:
    exports = [f"export {{ {name} }} from './{name}'" for name in names]
    siblings = {f"./{name}": {name} for name in names}
    line = f"export const modelClasses = [{', '.join(names)}]"
    return Module("models/index", [line], {}, siblings, [*exports, ""])


def _children(name: str, tables: dict[str, SyncedTable]) -> Iterator[Child]:
    for table in tables.values():
        for count, parent in enumerate(one for one in table.parents if one.table == name):
            cascades = parent.on_delete == "cascade"
            yield Child(table.name, parent.column, cascades, is_first=count == 0)


def _limits(column: Column) -> Iterator[str]:
    """What the server refuses by name (contract push 5)."""
    if column.kind.limit and not _is_date(column):
        yield f"/** {column.kind.limit} */"


def _is_date(column: Column) -> bool:
    """By WatermelonDB's habit for names."""
    return column.kind.app_type == "number" and column.name.endswith("_at")
