"""How many lines an implementation's models take, read from its ``models.py``."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}

Definition = ast.FunctionDef | ast.ClassDef


def model_lines(*folders: Path) -> dict[str, int]:
    """Model → lines of its code in ``models.py``; empty where that can't be said.

    Of the first of ``folders`` that has one: an implementation's own, then those that it shares.

    Counted are the lines of the function or class that ``MODELS`` has under the model's name, and
    of whatever it uses of the same file; blank lines, comments and docstrings are not.
    """
    try:
        places = (folder / "models.py" for folder in folders)
        path = next((place for place in places if place.exists()), folders[0] / "models.py")
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        code = _code_lines(source, tree)
    except (OSError, SyntaxError, UnicodeDecodeError, tokenize.TokenError):
        return {}
    definitions = {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    return {
        model: len(
            {
                line
                for used in _used(name, definitions)
                for line in _lines_of(definitions[used])
                if line in code
            }
        )
        for model, name in _models(tree).items()
        if name in definitions
    }


def _models(tree: ast.Module) -> dict[str, str]:
    """The table ``MODELS``: model → name of what makes it."""
    for node in tree.body:
        targets = (
            [node.target]
            if isinstance(node, ast.AnnAssign)
            else node.targets
            if isinstance(node, ast.Assign)
            else []
        )
        named = [each.id for each in targets if isinstance(each, ast.Name)]
        value = getattr(node, "value", None)
        if named == ["MODELS"] and isinstance(value, ast.Dict):
            return {
                key.value: made.id
                for key, made in zip(value.keys, value.values, strict=True)
                if isinstance(key, ast.Constant)
                and isinstance(key.value, str)
                and isinstance(made, ast.Name)
            }
    return {}


def _used(name: str, definitions: dict[str, Definition]) -> set[str]:
    """``name``, and all definitions that it needs, directly or not."""
    found, left = {name}, [name]
    while left:
        for node in ast.walk(definitions[left.pop()]):
            if isinstance(node, ast.Name) and node.id in definitions and node.id not in found:
                found.add(node.id)
                left.append(node.id)
    return found


def _lines_of(node: Definition) -> range:
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    assert node.end_lineno is not None
    return range(first, node.end_lineno + 1)


def _code_lines(source: str, tree: ast.Module) -> set[int]:
    """Numbers of all lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(
            node
        ):
            text = node.body[0]
            assert text.end_lineno is not None
            lines -= set(range(text.lineno, text.end_lineno + 1))
    return lines
