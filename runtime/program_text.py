"""What can be said about a Python program without running it. Standard library only; never raises.

A program is a text, or an object of file name -> text as stages pass it on; `files_of` makes it one form.
"""

from __future__ import annotations

import ast
import builtins
import io
import re
import sys
import tokenize
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agenttts.spec.model import Json

MOST_CHARACTERS = 200_000
"""More is no program that a model wrote in one reply; reading it could take long."""
MARKER = re.compile(r"\bTODO\b|\bFIXME\b|^\W*(?i:todo|fixme)\b")
"""In a comment or docstring: the marker in capitals anywhere, or in any case at the line's beginning."""
FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
OWN_NAMES = frozenset({*dir(builtins), "__file__", "__name__", "__doc__", "__builtins__", "__annotations__"})
CLASS_NAMES = frozenset({"__class__", "__module__", "__qualname__"})
"""Names that there are inside of classes only."""
EXTRA_NAMES = frozenset({"exit", "quit"})
"""Names that `site` adds to the interpreter; they are there in a program that is run."""
Unreadable = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What the standard library raises for a text that is no program."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to mend. line: from 1; 0: of the whole file."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        """Return `file:line: what`."""
        return f"{self.file}:{self.line}: {self.what}"


def files_of(program: Json) -> dict[str, str]:
    """Return a program as files; a bare text is `main.py`.

    Raises:
        TypeError: if it is neither a text nor an object of texts.

    >>> files_of("print(1)")
    {'main.py': 'print(1)'}
    """
    if isinstance(program, str):
        return {"main.py": program}
    if isinstance(program, Mapping) and all(isinstance(text, str) for text in program.values()):
        return {name: str(text) for name, text in program.items()}
    raise TypeError(
        f"a program must be a text, or an object of file name -> text, got {type(program).__name__}"
    )


def fenced(text: str) -> str | None:
    """Return the longest fenced block of Python in a reply, the rest of the text where a fence is not closed.

    None where there is no fence. Blocks that name no language count only if none names Python, and those
    that are Python first: replies often end with what the program prints. Other languages come last.
    """
    blocks = [(language.lower(), body) for language, body in FENCE.findall(text)]
    named = [body for language, body in blocks if language in ("python", "python3", "py")]
    nameless = [body for language, body in blocks if not language]
    python = [body for body in nameless if _compiles(body)]
    return max(named or python or nameless or [body for _, body in blocks], key=len, default=None)


def _compiles(text: str) -> bool:
    try:
        parsed(text)
    except Unreadable:
        return False
    return True


def faults(files: Mapping[str, str]) -> tuple[Fault, ...]:
    """Return what a reader of the program would mend, by file and line.

    Does not compile; modules that are neither of the standard library nor among the files; names that are
    nowhere defined; placeholders (see `placeholders`); nothing runs because there are only definitions.
    """
    return tuple(sorted(fault for name in files for fault in set(_of_file(name, files))))


def _of_file(name: str, files: Mapping[str, str]) -> Iterator[Fault]:
    if not name.endswith(".py"):
        return
    text = files[name]
    try:
        tree = parsed(text)
    except Unreadable as error:
        line = getattr(error, "lineno", None) or 0
        yield Fault(
            name, line, f"does not compile: {getattr(error, 'msg', '') or str(error) or type(error).__name__}"
        )
        return
    for line, what in placeholders(text):
        yield Fault(name, line, f"is not written yet: {what}")
    local = {other.removesuffix(".py") for other in files}
    for line, module in _modules(tree):
        if module not in sys.stdlib_module_names and module not in local:
            yield Fault(name, line, f"needs the module {module!r}, which is not of the standard library")
    for line, unknown in _unknown_names(tree):
        yield Fault(name, line, f"the name {unknown!r} is not defined anywhere")
    if name == "main.py" and not any(_does_something(node) for node in tree.body):
        yield Fault(name, 0, "only defines things; nothing calls them when the program runs")


def parsed(text: str) -> ast.Module:
    """Parse and compile a program, without running it.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: if it is none; see `Unreadable`.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has more than {MOST_CHARACTERS} characters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
        compile(tree, "main.py", "exec", dont_inherit=True)
    return tree


def placeholders(text: str) -> list[tuple[int, str]]:
    """Return line and word of every place where something is still to be written.

    The keyword `pass`, wherever it stands; `TODO` and `FIXME` in comments and docstrings (see `MARKER`).

    >>> placeholders("def pass_by(todo):  # pass on\\n    pass  # TODO later")
    [(2, 'pass'), (2, 'TODO')]
    """
    found: list[tuple[int, str]] = []
    for token in _tokens(text):
        if token.type == tokenize.NAME and token.string == "pass":
            found.append((token.start[0], "pass"))
        elif token.type == tokenize.COMMENT or _stands_alone(token):
            for offset, line in enumerate(token.string.splitlines()):
                marker = MARKER.search(line)
                if marker:
                    found.append((token.start[0] + offset, marker[0].strip(" \t#\"'*-([").upper()))
    return found


def without_comments(text: str) -> str:
    """Return a program without comments, docstrings and empty lines; a text that is no program as it is."""
    try:
        parsed(text)
    except Unreadable:
        return text
    lines = text.splitlines()
    for token in reversed(list(_tokens(text))):
        if token.type == tokenize.COMMENT or _stands_alone(token):
            (top, left), (bottom, right) = token.start, token.end
            lines[top - 1 : bottom] = [lines[top - 1][:left] + lines[bottom - 1][right:]]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens; strings that stand alone as a statement get the line as their own (see below)."""
    begins = True
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.STRING and begins:
                token = token._replace(line=ALONE)
            if token.type not in (tokenize.COMMENT, tokenize.NL):
                begins = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
            yield token
    except (tokenize.TokenError, SyntaxError):
        return


ALONE = "\0"
"""Marks a string token that begins a statement: a docstring, or a string used as a comment."""


def _stands_alone(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.STRING and token.line == ALONE


def _modules(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]


def _unknown_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield names that are read and bound nowhere in the file: certain mistakes, not all of them."""
    bound, read, star = set(OWN_NAMES | EXTRA_NAMES | CLASS_NAMES), list[ast.Name](), False
    for node in ast.walk(tree):
        bound.update(parameter.name for parameter in getattr(node, "type_params", ()))  # from Python 3.12 on
        match node:
            case ast.Name(ctx=ast.Load()):
                read.append(node)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.alias(name=name, asname=other):
                star = star or name == "*"
                bound.add(other or name.partition(".")[0])
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                bound.update(names)
            case (
                ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name))
            ):
                bound.add(name)
    if not star:
        yield from ((node.lineno, node.id) for node in read if node.id not in bound)


def _does_something(node: ast.stmt) -> bool:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    value = isinstance(node, ast.Assign | ast.AnnAssign) and not any(
        isinstance(part, ast.Call) for part in ast.walk(node)
    )
    return not (isinstance(node, definitions) or text or value)
