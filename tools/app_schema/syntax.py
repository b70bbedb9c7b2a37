"""A parsed script: its nodes, its constants, and what it takes from WatermelonDB."""

from collections.abc import Iterator

import tree_sitter_typescript
from tree_sitter import Language, Node, Parser

from tools.app_schema.unreadable import Unreadable

PACKAGE = "@nozbe/watermelondb"
INSTEAD = "; give JSON instead (docs/app-schema.md)"
WRAPPERS = (
    "parenthesized_expression",
    "as_expression",
    "satisfies_expression",
    "non_null_expression",
)
# Around an `appSchema(…)` that is called once, when the file is loaded.
PLAIN = {"variable_declarator", "lexical_declaration", "variable_declaration", "export_statement"}
PLAIN |= {"assignment_expression", "expression_statement", "object", "pair", *WRAPPERS}
WRITES = {"assignment_expression", "augmented_assignment_expression", "update_expression"}
WRITES |= {"unary_expression", "for_in_statement"}  # delete; `for (it of …)`


def parse(text: str, *, is_typed: bool) -> Node:
    """The root of TypeScript, or of JavaScript, JSX and TSX. Raises Unreadable."""
    language = tree_sitter_typescript.language_tsx
    if is_typed:
        language = tree_sitter_typescript.language_typescript
    root = Parser(Language(language())).parse(text.encode()).root_node
    if root.has_error:
        broken = next(node for node in walk(root) if node.is_error or node.is_missing)
        raise refusal(broken, "this is not understood")
    return root


def is_read(member: Node) -> bool:
    above = parent_of(member)
    if above.type.endswith("_pattern"):  # something is taken apart into it
        return False
    return above.type not in WRITES or above.child_by_field_name("right") == member


def parent_of(node: Node) -> Node:
    if node.parent is None:
        raise refusal(node, "this stands alone")
    return node.parent


def expect_plain(call: Node) -> None:
    above = call.parent
    while above and above.type != "program":
        if above.type not in PLAIN:
            raise refusal(call, "this appSchema(…) is not called when the file is loaded")
        above = above.parent


def imported(root: Node) -> Iterator[tuple[str, str]]:
    """(name here, WatermelonDB's name), from `import { … }` and `const { … } = require(…)`."""
    for node in walk(root):
        if node.type == "import_statement" and _is_package(child(node, "source")):
            for one in (n for n in walk(node) if n.type == "import_specifier"):
                name = text_of(child(one, "name"))
                yield text_of(one.child_by_field_name("alias") or child(one, "name")), name
        elif node.type == "variable_declarator" and _is_require(node.child_by_field_name("value")):
            for one in child(node, "name").named_children:
                if one.type == "shorthand_property_identifier_pattern":
                    yield text_of(one), text_of(one)
                elif one.type == "pair_pattern":
                    yield text_of(child(one, "value")), text_of(child(one, "key"))


def _is_require(node: Node | None) -> bool:
    if node is None or node.type != "call_expression":
        return False
    arguments = child(node, "arguments").named_children
    return text_of(child(node, "function")) == "require" and all(map(_is_package, arguments))


def _is_package(node: Node) -> bool:
    path = text_of(node)[1:-1]
    return path == PACKAGE or path.startswith(f"{PACKAGE}/")


def constants(root: Node) -> Iterator[tuple[str, Node]]:
    """(name, value) of each `const` of the file itself."""
    for statement in root.named_children:
        inner = statement.child_by_field_name("declaration")
        declaration = inner if statement.type == "export_statement" and inner else statement
        if declaration.type == "lexical_declaration" and declaration.children[0].type == "const":
            for one in declaration.named_children:
                value = one.child_by_field_name("value")
                if one.type == "variable_declarator" and value:
                    yield text_of(child(one, "name")), value


def items(node: Node) -> Iterator[Node]:
    return (child for child in node.named_children if child.type != "comment")


def walk(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting += reversed(here.children)


def child(node: Node, field: str) -> Node:
    child = node.child_by_field_name(field)
    if child is None:
        raise refusal(node, f"`{text_of(node)[:40]}` is not understood")
    return child


def text_of(node: Node) -> str:
    return (node.text or b"").decode()


def line_of(node: Node) -> int:
    return int(node.start_point[0]) + 1


def refusal(node: Node, why: str) -> Unreadable:
    return Unreadable(f"line {line_of(node)}: {why}{INSTEAD}")
