"""Run every benchmark: `python -m benchmarks [--json]`.

A benchmark is a module of this package that answers to `python -m benchmarks.<name> [--json]`. Each runs in a process
of its own, one after the other, so that peak memory and allocator state of one do not reach the next.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """The benchmarks of this package, alphabetically."""
    return sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if not module.name.startswith("_"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run every benchmark.")
    parser.add_argument("--json", action="store_true", help="one JSON object: benchmark name -> its result")
    as_json = parser.parse_args().json
    results: dict[str, Any] = {}
    failed = []
    for name in names():
        command = [sys.executable, "-m", f"benchmarks.{name}", *(["--json"] if as_json else [])]
        done = subprocess.run(command, cwd=FOLDER.parent, stdout=subprocess.PIPE if as_json else None, check=False)
        if done.returncode:
            failed.append(name)
        elif as_json:
            results[name] = json.loads(done.stdout)
    if as_json:
        print(json.dumps(results, indent=1))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
