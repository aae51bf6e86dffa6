"""The lessons, executed: `python -m tests.lessons [NAME ...]` stores their outputs anew.

A notebook is its own source; edit it in Jupyter. Solutions stand folded in <details>, so their code is no cell: it is
executed all the same, in the place where it stands.
"""

import re
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FOLDER = Path(__file__).parents[1] / "lessons"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES, MOST_LINES = 400_000, 20  # of a notebook, and of the code of a cell but for the words of its picture
MINUTES = range(10, 21)  # of reading, for each

SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.S)
ABSOLUTE = re.compile(r"(?<![\w.])/(?:home|root|tmp|usr|work|Users|private|opt|var)/|\b[A-Z]:\\")
NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w])")
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def read(path: Path) -> Any:
    """A notebook; raises when it is not one."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def executed(notebook: Any) -> Any:
    """A copy, executed from top to bottom in a new kernel of this Python; raises CellExecutionError."""
    import nbformat
    from nbclient import NotebookClient

    fresh = deepcopy(notebook)
    for cell in fresh.cells:
        cell.metadata.pop("execution", None)
    stored = list(fresh.cells)
    fresh.cells = []
    for cell in stored:
        fresh.cells.append(cell)
        fresh.cells += [nbformat.v4.new_code_cell(code) for code in solutions(cell)]
    with TemporaryDirectory() as elsewhere:  # a lesson needs nothing that lies beside it
        NotebookClient(
            fresh,
            kernel_manager_class=_of_this_python(),
            timeout=600,
            record_timing=False,
            resources={"metadata": {"path": elsewhere}},
        ).execute()
    fresh.cells = stored
    for count, cell in enumerate(code_cells(fresh), 1):
        cell.execution_count = count
        cell.outputs = list(joined(cell.outputs))
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    return fresh


def _of_this_python() -> type:
    """Kernels of this Python: without folders to look in, none that was installed for another one is found."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        def _kernel_spec_manager_default(self) -> KernelSpecManager:
            return KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)

    return Manager


def joined(outputs: list[Any]) -> Iterator[Any]:
    """Outputs with the pieces of each stream put together: how a kernel cuts them is chance."""
    last = None
    for output in outputs:
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            last = output
            yield output


def solutions(cell: Any) -> list[str]:
    """The code of folded solutions in a cell."""
    return SOLUTION.findall(cell.source) if cell.cell_type == "markdown" else []


def code_cells(notebook: Any) -> list[Any]:
    """Cells of code, in their order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell: Any) -> list[tuple[str, str]]:
    """What a cell printed or showed, kind and text; a picture by its words."""
    return [
        (output.output_type, output.text if output.output_type == "stream" else output.data.get("text/plain", ""))
        for output in cell.outputs
        if output.output_type != "error"
    ]


def differences(stored: Any, fresh: Any) -> Iterator[str]:
    """Where stored outputs are not those of a run: texts must be equal, pictures be there."""
    for number, (old, new) in enumerate(zip(code_cells(stored), code_cells(fresh), strict=True), 1):
        if texts(old) != texts(new):
            yield f"cell {number}: stored {texts(old)}, a run gives {texts(new)}"
        if pictures(old) != pictures(new):
            yield f"cell {number}: stored {pictures(old)} pictures, a run gives {pictures(new)}"
        if old.execution_count != number:
            yield f"cell {number}: stored from another run, as number {old.execution_count}; run all, from top to bottom"


def pictures(cell: Any) -> int:
    """How many images a cell shows."""
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


def problems(notebook: Any, name: str, names: list[str]) -> Iterator[str]:
    """What a lesson lacks.

    Parameters
    ----------
    name, names : of this lesson, and of all in their order
    """
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    everything = "\n".join(prose)
    yield from _frame(prose, name, names)
    exercises = len(re.findall(r"^### Exercise", everything, re.M))
    checked = [code for code in SOLUTION.findall(everything) if "assert" in code]
    if not exercises == len(checked) == 2:
        yield f"expected two exercises and for each a folded solution with an assert, found {exercises} and {len(checked)}"
    for target in LINK.findall(everything):
        if "://" not in target and not (FOLDER / target).exists():
            yield f"link to '{target}', which does not exist"
    seen = "\n".join([cell.source for cell in code_cells(notebook)] + SOLUTION.findall(everything))
    shown = "\n".join(text for cell in code_cells(notebook) for _, text in texts(cell))
    for number in NUMBER.findall(re.sub(r"<details>.*?</details>|`[^`]*`|\]\([^)]*\)", "", everything, flags=re.S)):
        digits = re.sub(r"[.,]", "", number)
        year = re.fullmatch(r"(19|20)\d\d", number)
        if len(digits) > 2 and not year and number.rstrip(",") not in seen + shown:
            yield f"{number} stands in the text, but no cell shows it"
    yield from _cells(notebook)
    if found := ABSOLUTE.search(everything + seen + shown):
        yield f"a path of one machine: {found[0]}"
    if re.search(r"Warning|Traceback", shown):
        yield "a warning among the outputs"


def _frame(prose: list[str], name: str, names: list[str]) -> Iterator[str]:
    """Title, time, and the link at the end."""
    number = names.index(name) + 1
    if not re.match(rf"# {number}\. \S", prose[0]) or not name.startswith(f"{number:02d}-"):
        yield f"expected a first line '# {number}. Title' and a name that begins with {number:02d}-"
    if minutes(prose[0]) not in MINUTES:
        yield f"expected '{MINUTES[0]} to {MINUTES[-1]} minutes' below the title"
    following = names[number] if number < len(names) else "README.md"
    if f"]({following})" not in prose[-1].splitlines()[-1]:
        yield f"expected a last line that links to {following}"


def minutes(first: str) -> int:
    """Time of reading, as the first cell says it; 0 if it does not."""
    found = re.search(r"\b(\d+) minutes\b", first)
    return int(found[1]) if found else 0


def _cells(notebook: Any) -> Iterator[str]:
    """What each cell of code must be like."""
    if not any("Picture(" in cell.source for cell in code_cells(notebook)):
        yield "there is no picture"
    for n, cell in enumerate(code_cells(notebook), 1):
        lines = len(cell.source.partition("Picture(")[0].splitlines())
        if "Picture(" in cell.source and not pictures(cell):
            yield f"cell {n}: a picture is not stored; it must be the last line"
        if lines > MOST_LINES:
            yield f"cell {n}: {lines} lines of code, more than {MOST_LINES}"
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"cell {n}: an error or warning is stored"
            if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
                yield f"cell {n}: a picture without words"


def main(names: list[str]) -> None:
    """Execute and store; all lessons, or those whose names begin so."""
    import nbformat

    whole = time.perf_counter()
    for path in NOTEBOOKS:
        if not names or path.name.startswith(tuple(names)):
            start = time.perf_counter()
            fresh = executed(read(path))
            nbformat.write(fresh, path)
            print(f"{path.name:44}{time.perf_counter() - start:5.1f} s{path.stat().st_size / 1000:7.0f} kB")
    print(f"{'together':44}{time.perf_counter() - whole:5.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
