#!/usr/bin/env python3
"""Executes the notebooks without a browser, prints what each one printed, and fails with the cell that fails.

Run it through notebooks.sh, which makes the environment. Names (without .ipynb) choose notebooks; none means all.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def main(names):
    known = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"error: no notebook {', '.join(unknown)}; known are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = [name for name in (names or known) if not execute(known[name])]
    if failed:
        print(f"error: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def execute(path):
    started = time.monotonic()
    print(f"== {path.name}", flush=True)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute()
        return True
    except CellExecutionError as error:
        print(str(error).strip().splitlines()[-1], file=sys.stderr)
        return False
    finally:
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if output.get("output_type") == "stream":
                    print(output["text"], end="")
        print(f"-- {path.name}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
