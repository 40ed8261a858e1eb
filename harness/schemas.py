"""Typed records described: as JSON Schema for programs, as a table for people."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect as types

PLAIN = {
    types.StrType: "text",
    types.IntType: "integer",
    types.FloatType: "number",
    types.BoolType: "true or false",
    types.NoneType: "null",
}
"""Types that stand for themselves → what a table calls them."""


def described_schema(record: Any) -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``record``, each field with its docstring for a description."""
    (reference,), components = msgspec.json.schema_components(
        [record], ref_template="#/$defs/{name}"
    )
    for kind in record_types([record]):
        component = components.get(kind.__name__, {})
        if "description" in component:
            # Python keeps the indentation of docstrings, up to 3.12.
            component["description"] = inspect.cleandoc(kind.__doc__ or "")
        for field, text in field_docstrings(kind).items():
            if field in component.get("properties", {}):
                component["properties"][field]["description"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **reference,
        "$defs": components,
    }


def record_types(records: Iterable[Any]) -> list[type[msgspec.Struct]]:
    """``records`` and all records that are parts of them, each once, in the order of first use."""
    found: dict[type[msgspec.Struct], None] = {}
    for record in records:
        for info in _inside(types.type_info(record), found):
            found[info.cls] = None
    return list(found)


@cache
def field_docstrings(kind: type) -> dict[str, str]:
    """Field → the string literal that follows its declaration, base classes included."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.split(".")[0] in {"builtins", "msgspec"}:
            continue
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for line, following in zip(definition.body, definition.body[1:], strict=False):
            match line, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = inspect.cleandoc(text).replace("\n", " ")
    return found


def lead(kind: type) -> str:
    """The first paragraph of the docstring, in Markdown."""
    return markdown_words(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0])


def markdown_words(docstring: str) -> str:
    """A docstring's words as they may stand in a table's cell."""
    return docstring.replace("\n", " ").replace("|", "\\|").replace("``", "`").strip()


def record_table(kind: type[msgspec.Struct]) -> str:
    """A Markdown table of the fields: name, type, what it means."""
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    texts = field_docstrings(kind)
    rows = ["| field | type | |", "|---|---|---|"]
    if info.tag_field:
        rows.append(f'| `{info.tag_field}` | `"{info.tag}"` | Tells records apart. |')
    for field in info.fields:
        words = markdown_words(texts.get(field.name, ""))
        words = (words + ("" if field.required else " May be left out.")).strip()
        rows.append(f"| `{field.encode_name}` | {type_in_words(field.type)} | {words} |")
    return "\n".join(rows)


def type_in_words(info: types.Type) -> str:
    """How a table calls a field's type; records are links to their own tables."""
    match info:
        case types.StructType(cls=kind):
            return f"[{kind.__name__}](#{anchor(kind)})"
        case types.LiteralType(values=values):
            return " or ".join(f"`{msgspec.json.encode(value).decode()}`" for value in values)
        case types.UnionType(types=parts):
            return " or ".join(map(type_in_words, parts))
        case types.VarTupleType(item_type=item) | types.ListType(item_type=item):
            return f"list of {type_in_words(item)}"
        case types.TupleType(item_types=items):
            return f"list: {', '.join(map(type_in_words, items))}"
        case types.NamedTupleType(fields=fields):
            return f"list: {', '.join(type_in_words(each.type) for each in fields)}"
        case types.DictType(key_type=key, value_type=value):
            return f"map of {type_in_words(key)} to {type_in_words(value)}"
    return PLAIN[type(info)]


def heading(kind: type) -> str:
    """What stands over a record's table: no frame and no file has such a name."""
    return f"Record {kind.__name__}"


def anchor(kind: type) -> str:
    """How GitHub links to ``heading``."""
    return heading(kind).lower().replace(" ", "-")


def _inside(info: Any, seen: dict[type[msgspec.Struct], None]) -> Iterator[types.StructType]:
    """All record types that ``info`` leads to and that are not in ``seen`` yet."""
    if isinstance(info, types.StructType):
        if info.cls in seen:
            return
        yield info
        for field in info.fields:
            yield from _inside(field.type, seen)
    for name in ("types", "item_types"):
        for part in getattr(info, name, ()):
            yield from _inside(part, seen)
    for name in ("item_type", "key_type", "value_type"):
        if hasattr(info, name):
            yield from _inside(getattr(info, name), seen)
