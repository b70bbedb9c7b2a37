"""What a script does to a schema or a step after WatermelonDB made it of its constants."""

from collections.abc import Iterator

from tree_sitter import Node

from tools.app_schema.syntax import WRAPPERS, is_read, parent_of, refusal, text_of

CHAIN = ("member_expression", "subscript_expression", *WRAPPERS)
BINDS = {"variable_declarator": "name", "assignment_expression": "left"}
MUTATORS = {"push", "pop", "shift", "unshift", "splice", "sort", "reverse", "fill", "copyWithin"}
GLOBALS = ("Object.", "Reflect.")
LOOKS = {"Object.freeze", "Object.keys", "Object.values", "Object.entries"}


def expect_unchanged(nodes: list[Node], made: list[Node]) -> None:
    """`made` are the calls that make them. Raises Unreadable with the line of a change."""
    calls = {call.id for call in made}
    names = {name for call in made for name in _names(call)}
    for node in nodes:
        is_named = node.type in ("identifier", "member_expression") and text_of(node) in names
        if (is_named or node.id in calls) and _is_changed(node):
            raise refusal(node, f"`{text_of(node)[:40]}` might be changed here")


def _names(call: Node) -> Iterator[str]:
    """What the statement around it calls the result."""
    above = call.parent
    while above:
        if above.type in BINDS and (name := above.child_by_field_name(BINDS[above.type])):
            yield text_of(name)
        above = above.parent


def _is_changed(node: Node) -> bool:
    top = node
    while (above := parent_of(top)).type in CHAIN and above.named_children[0] == top:
        top = above
    if above.type == "arguments":
        function = text_of(parent_of(above).named_children[0])
        return function.startswith(GLOBALS) and function not in LOOKS
    if top == node:
        return False
    if above.type == "call_expression":
        name = top.child_by_field_name("property")
        return name is None or text_of(name) in MUTATORS
    return not is_read(top)
