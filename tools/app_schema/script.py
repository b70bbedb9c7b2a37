"""`appSchema(…)` in TypeScript or JavaScript, read without running it.

Literals, spreads, members, and constants of the same file are understood. Anything else is refused
with its line, and so is a constant that something else in the file might change.
"""

from collections.abc import Callable
from typing import Any

from tree_sitter import Node

from tools.app_schema.changed import expect_unchanged
from tools.app_schema.syntax import (
    INSTEAD,
    PACKAGE,
    WRAPPERS,
    child,
    constants,
    expect_plain,
    imported,
    is_read,
    items,
    line_of,
    parent_of,
    parse,
    refusal,
    text_of,
    walk,
)
from tools.app_schema.unreadable import Unreadable

TYPED = (".ts", ".mts", ".cts")
SPECS = ("appSchema", "tableSchema", "tableName", "columnName")  # give what they are given
LOOKERS = (*SPECS, "createTable", "addColumns", "schemaMigrations")  # change nothing
FUNCTIONS = ("arrow_function", "function_expression", "method_definition")


def evaluate_schema(text: str, name: str) -> Any:
    """The argument of the file's one `appSchema`. Raises Unreadable with the line."""
    return Script(parse(text, is_typed=name.endswith(TYPED))).schema()


class Script:
    """A parsed file: its constants, and what it has from WatermelonDB."""

    def __init__(self, root: Node) -> None:
        self._nodes = list(walk(root))
        self._helpers = dict(imported(root))
        self._constants = dict(constants(root))
        self._read: set[int] = set()  # identifiers that were followed, by node
        self._used: set[str] = set()
        self._open: list[str] = []  # constants that are being read

    def schema(self) -> Any:
        calls = [node for node in self._nodes if self._helper(node) == "appSchema"]
        if len(calls) != 1:
            lines = ", ".join(str(line_of(call)) for call in calls) or "none"
            raise Unreadable(f"one appSchema(…) of {PACKAGE} is needed; lines: {lines}{INSTEAD}")
        expect_plain(calls[0])
        value = self._call(calls[0])
        for node in self._nodes:
            self._expect_unchanged(node)
        expect_unchanged(self._nodes, [n for n in self._nodes if self._helper(n) in LOOKERS])
        return value

    def _helper(self, node: Node) -> str | None:
        """Which of WatermelonDB's functions this calls."""
        if node.type != "call_expression":
            return None
        function = child(node, "function")
        return self._helpers.get(text_of(function)) if function.type == "identifier" else None

    # --- values

    def _value(self, node: Node) -> Any:
        if node.type in WRAPPERS:
            return self._value(node.named_children[0])
        if node.type in FUNCTIONS:
            return _a_function
        if node.type not in READERS:
            raise refusal(node, f"`{text_of(node)[:40]}` is only known to a running app")
        return READERS[node.type](self, node)

    def _string(self, node: Node) -> str:
        if any(part.type != "string_fragment" for part in node.named_children):
            raise refusal(node, f"{text_of(node)} is no plain text")
        return "".join(text_of(part) for part in node.named_children)

    def _number(self, node: Node) -> int:
        try:
            return int(text_of(node))
        except ValueError:
            raise refusal(node, f"{text_of(node)} is no whole number") from None

    def _array(self, node: Node) -> list[Any]:
        found: list[Any] = []
        for item in items(node):
            if item.type == "spread_element":
                found += self._spread(item, list)
            else:
                found.append(self._value(item))
        return found

    def _object(self, node: Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for item in items(node):
            if item.type == "spread_element":
                found |= self._spread(item, dict)
            elif item.type == "shorthand_property_identifier":
                found[text_of(item)] = self._identifier(item)
            elif item.type == "pair":
                found[self._key(child(item, "key"))] = self._value(child(item, "value"))
            else:
                found[self._key(child(item, "name"))] = self._value(item)
        return found

    def _key(self, node: Node) -> str:
        if text_of(node).strip("'\"") == "__proto__":
            raise refusal(node, "`__proto__` is no property of its own")
        if node.type == "property_identifier":
            return text_of(node)
        if node.type == "string":
            return self._string(node)
        raise refusal(node, f"the name {text_of(node)} is only known to a running app")

    def _spread(self, node: Node, kind: type[Any]) -> Any:
        value = self._value(node.named_children[0])
        if type(value) is not kind:
            raise refusal(node, f"{text_of(node)[:40]} is no {kind.__name__}")
        return value

    def _identifier(self, node: Node) -> Any:
        name = text_of(node)
        if name not in self._constants:
            raise refusal(node, f"`{name}` is no constant of this file")
        if name in self._open:
            raise refusal(node, f"`{name}` is made of itself")
        self._read.add(node.id)
        self._used.add(name)
        self._open.append(name)
        value = self._value(self._constants[name])
        self._open.pop()
        return value

    def _member(self, node: Node) -> Any:
        above, name = self._value(child(node, "object")), text_of(child(node, "property"))
        if not isinstance(above, dict) or name not in above:
            raise refusal(node, f"there is no {text_of(node)}")
        return above[name]

    def _call(self, node: Node) -> Any:
        arguments = list(items(child(node, "arguments")))
        is_freeze = text_of(child(node, "function")) == "Object.freeze"
        if not (self._helper(node) in SPECS or is_freeze) or len(arguments) != 1:
            raise refusal(node, f"`{text_of(node)[:40]}` is only known to a running app")
        return self._value(arguments[0])

    # --- constants that are none

    def _expect_unchanged(self, node: Node) -> None:
        """Each mention of a constant that counts must be one that we followed, or look only."""
        if node.type not in ("identifier", "shorthand_property_identifier"):
            return
        if text_of(node) in self._used and node.id not in self._read and not self._looks_only(node):
            raise refusal(node, f"`{text_of(node)}` might be changed here")

    def _looks_only(self, node: Node) -> bool:
        """A declaration, an export, a type, text out of an object, or given to WatermelonDB."""
        above = parent_of(node)
        if above.type in ("export_specifier", "type_query"):
            return True
        if above.type == "variable_declarator":
            return above.child_by_field_name("name") == node
        if above.type == "member_expression":
            return is_read(above) and self._is_text(above)
        while above.type in ("spread_element", "array", "pair", "object", "arguments"):
            above = parent_of(above)
        return self._helper(above) in LOOKERS

    def _is_text(self, node: Node) -> bool:
        try:
            return isinstance(self._member(node), str)
        except Unreadable:
            return False


READERS: dict[str, Callable[[Script, Node], Any]] = {
    "string": Script._string,
    "template_string": Script._string,
    "number": Script._number,
    "true": lambda _script, _node: True,
    "false": lambda _script, _node: False,
    "undefined": lambda _script, _node: None,
    "null": lambda _script, _node: None,
    "array": Script._array,
    "object": Script._object,
    "identifier": Script._identifier,
    "member_expression": Script._member,
    "call_expression": Script._call,
}


def _a_function() -> None:
    """Stands for any function: `unsafeSql` may be one, nothing that is compared is."""
