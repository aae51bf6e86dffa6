"""Which Python expressions are sizes: whole numbers that come from shapes and lengths, and never from data.

A size is made of whole numbers that stand in the text, lengths, names that are bound to nothing but sizes, attributes
listed here that are set to nothing but sizes, and calls of functions that return nothing but sizes. A parameter is
taken for what its annotation says. A sequence of sizes is a size, too. What cannot be told is none.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

ATTRIBUTES = frozenset({"shape", "size", "itemsize", "grid", "heads", "num_heads", "tokens", "threads",
                        "size_divisor", "PANEL", "SLACK", "STEPS"})  # fmt: skip
COUNTED = "n_"  # begins the names of the others: n_channels, n_tokens
ANNOTATIONS = frozenset({"int", "int | None", "tuple[int, ...]"})
OF_ANYTHING = frozenset({"count_nonzero", "cpu_count", "len"})
LIBRARIES = frozenset({"math", "np", "os"})
OF_SIZES = frozenset({"abs", "arange", "divmod", "enumerate", "int", "max", "min", "prod", "range", "sum", "zip"})

Scope = ast.Module | ast.FunctionDef | ast.Lambda


class Sizes:
    """Judges the expressions of some modules, whose constants and functions know each other by name."""

    def __init__(self, modules: Iterable[ast.Module]) -> None:
        self._parents: dict[ast.AST, ast.AST] = {}
        self._bound: dict[tuple[ast.AST, str], list[ast.Name | ast.arg]] = defaultdict(list)  # of scope and name
        self._constants: dict[str, list[ast.Name | ast.arg]] = defaultdict(list)  # of all modules
        self._functions: dict[str, list[ast.FunctionDef]] = defaultdict(list)
        self._set: dict[str, list[ast.Attribute]] = defaultdict(list)  # attributes, of any object
        self._untold: set[str] = set()  # names that are bound in ways that are not followed
        self._pending: set[ast.AST] = set()
        for module in modules:
            for node in ast.walk(module):
                self._parents |= dict.fromkeys(ast.iter_child_nodes(node), node)
            for node in ast.walk(module):
                self._enter(node)

    def _enter(self, node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef):
            self._functions[node.name].append(node)
        elif isinstance(node, ast.arg):
            self._bound[self._parents[self._parents[node]], node.arg].append(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            scope = next(self._scopes(node))
            self._bound[scope, node.id].append(node)
            if isinstance(scope, ast.Module):
                self._constants[node.id].append(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            self._set[node.attr].append(node)
        elif isinstance(node, ast.Nonlocal | ast.Global):
            self._untold.update(node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            self._untold.add(node.name)

    def _scopes(self, node: ast.AST) -> Iterator[Scope]:
        """Functions around a node, the innermost first, and its module."""
        while node in self._parents:
            node = self._parents[node]
            if isinstance(node, Scope):
                yield node

    def holds(self, node: ast.AST) -> bool:
        """Whether an expression, or an assignment in place, is made of nothing but sizes."""
        if node in self._pending:  # what refers to itself is a size if all else in it is
            return True
        self._pending.add(node)
        try:
            return self._judge(node)
        finally:
            self._pending.remove(node)

    def _judge(self, node: ast.AST) -> bool:
        match node:
            case ast.Constant(value=value):
                found = type(value) is int
            case ast.arg(annotation=annotation):
                found = annotation is not None and ast.unparse(annotation) in ANNOTATIONS
            case ast.Attribute(attr=name):
                listed = name in ATTRIBUTES or name.startswith(COUNTED)
                found = listed and all(self.holds(self._source(each)) for each in self._set[name])
            case ast.Name():
                found = self._is_bound_to_sizes(node)
            case ast.Call(func=function, args=arguments, keywords=[]):
                found = self._returns_sizes(function, arguments)
            case ast.BinOp(left=ast.List(), op=ast.Mult(), right=times):  # a list repeated
                found = self.holds(times)
            case _:
                parts = _parts(node)
                found = bool(parts) and all(map(self.holds, parts))
        return found

    def _is_bound_to_sizes(self, node: ast.Name) -> bool:
        own = (self._bound[scope, node.id] for scope in self._scopes(node) if (scope, node.id) in self._bound)
        bound = next(own, None) or self._constants.get(node.id, [])
        return (
            bool(bound)
            and node.id not in self._untold
            and all(self.holds(each if isinstance(each, ast.arg) else self._source(each)) for each in bound)
        )

    def _source(self, target: ast.Name | ast.Attribute) -> ast.AST:
        """The expression that a name or an attribute is set to; what is no expression where that cannot be told."""
        binding, place = self._parents[target], None
        if isinstance(binding, ast.Tuple):  # a, b = ...
            place = None if any(isinstance(each, ast.Starred) for each in binding.elts) else binding.elts.index(target)
            binding = self._parents[binding]
        if isinstance(binding, ast.For | ast.comprehension):
            return _each(binding.iter, place)
        if isinstance(binding, ast.Assign | ast.AnnAssign | ast.AugAssign) and binding.value is not None:
            return _part(binding.value, place)
        return target.ctx

    def _returns_sizes(self, function: ast.expr, arguments: list[ast.expr]) -> bool:
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        owner = function.value if isinstance(function, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id in LIBRARIES:
            owner = None
        if name in OF_ANYTHING and owner is None:
            return True
        if name in OF_SIZES and all(map(self.holds, arguments if owner is None else [owner, *arguments])):
            return True
        local = isinstance(function, ast.Name) and any((s, name) in self._bound for s in self._scopes(function))
        return not local and name in self._functions and all(map(self._is_of_sizes, self._functions[name]))

    def _is_of_sizes(self, function: ast.FunctionDef) -> bool:
        own = [
            node for node in ast.walk(function) if isinstance(node, ast.Return) and next(self._scopes(node)) is function
        ]
        declared = function.returns is not None and ast.unparse(function.returns) in ANNOTATIONS
        return declared and bool(own) and all(node.value is not None and self.holds(node.value) for node in own)


def _parts(node: ast.AST) -> list[ast.expr]:
    """What must be sizes, so that an expression is; none where it cannot be told."""
    match node:
        case ast.BinOp(left=left, right=right) | ast.AugAssign(target=left, value=right):
            return [left, right]
        case ast.IfExp(body=left, orelse=right):
            return [left, right]
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts):
            return parts
        case ast.Subscript(value=value) | ast.UnaryOp(operand=value) | ast.Starred(value=value):
            return [value]
    return []


def _part(value: ast.expr, place: int | None) -> ast.AST:
    """What an assignment binds the name at some place of its target to."""
    if place is None or not isinstance(value, ast.Tuple) or any(isinstance(part, ast.Starred) for part in value.elts):
        return value
    return value.elts[place]


def _each(sequence: ast.expr, place: int | None) -> ast.AST:
    """What an iteration over a sequence binds the name at some place of its target to."""
    match sequence:
        case ast.Call(func=ast.Name(id="enumerate"), args=[items]) if place is not None:
            return ast.Constant(0) if place == 0 else items
        case ast.Call(func=ast.Name(id="zip"), args=items) if place is not None:
            return items[place]
    return sequence
