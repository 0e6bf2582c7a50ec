"""Audit the locks: `python -m supply.audit --out DIR`. Licences, bills of materials, known vulnerabilities.

The exit status is 0 if all three were looked at and nothing is wrong, 1 if something is, and 3 if nothing is wrong that
could be seen but no advisory service answered: an audit that did not take place does not pass.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from supply import licences, sbom
from supply.locks import TARGETS, Locked, read

SOUND, WRONG, NOT_AUDITED = 0, 1, 3
SECONDS = 900
SERVICES = ("osv", "pypi")
"""Of pip-audit; the first one that knows every package is believed."""


@dataclass(frozen=True, slots=True)
class Advisories:
    """What an advisory service says of a lock."""

    asked: bool
    """Whether a service answered for every package."""
    found: tuple[str, ...] = ()
    """`package version: id, fixed in ...` each."""
    why: str = ""
    """Why not, where it did not."""


def of_report(text: str, lock: Mapping[str, Locked]) -> Advisories:
    """From pip-audit's JSON report: a package that it skipped, or does not name, is one that nobody looked at."""
    told = {line["name"].replace("_", "-").lower(): line for line in json.loads(text)["dependencies"]}
    unseen = sorted(name for name in lock if "vulns" not in told.get(name, {}))
    if unseen:
        return Advisories(
            False, why=f"{len(unseen)} of {len(lock)} packages are unknown to it ({', '.join(unseen[:3])}, ...)"
        )
    found = []
    for name, line in sorted(told.items()):
        for one in line["vulns"]:
            fixed = ", ".join(one.get("fix_versions") or []) or "no version yet"
            found.append(f"{name} {line['version']}: {one['id']}, fixed in {fixed}")
    return Advisories(True, tuple(found))


def advisories(name: str, lock: Mapping[str, Locked], program: str, folder: Path) -> Advisories:
    """Ask an advisory service about a lock, through pip-audit, with a list of its packages in `folder`."""
    why = ""
    file = folder / f"crossmix-{name}.txt"
    # A local version, as of torch's build for CPUs, has no advisories of its own: those of its release hold.
    file.write_text("".join(f"{package}=={locked.version.partition('+')[0]}\n" for package, locked in lock.items()))
    for service in SERVICES:
        command = [program, "-r", str(file), "--disable-pip", "--no-deps", "-s", service, "-f", "json"]
        command += ["--progress-spinner", "off", "--timeout", "15"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            why = f"{service}: {type(error).__name__}"
            continue
        report = re.search(r"^\{.*\}\s*$", done.stdout, re.MULTILINE)
        if report is None:
            why = f"{service}: {(done.stderr.strip() or 'no report').splitlines()[-1].partition(':')[0]}"
            continue
        answer = of_report(report[0], lock)
        if answer.asked:
            return answer
        why = f"{service}: {answer.why}"
    return Advisories(False, why=why)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m supply.audit", description="Audit the images' locks.")
    parser.add_argument("--pip-audit", default="pip-audit", help="the program that asks an advisory service")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bills of materials")
    parser.add_argument("--targets", nargs="*", default=list(TARGETS), help="images; all")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    wrong, unasked = 0, 0
    for name in given.targets:
        lock = read(name)
        bad = [one for one in licences.all_of(lock) if not one.accepted]
        for one in bad:
            print(f"{name}: {one.package}: licence {one.name!r} is not accepted (supply/licences.py)")
        file = given.out / f"crossmix-{name}.cdx.json"
        file.write_text(json.dumps(sbom.of(name, lock), indent=1) + "\n")
        print(f"{name}: {len(lock)} packages, {len(lock) - len(bad)} licences accepted; {file}")
        told = advisories(name, lock, given.pip_audit, given.out)
        wrong += len(bad) + len(told.found)
        for line in told.found:
            print(f"{name}: vulnerable: {line}")
        if told.asked:
            print(f"{name}: {len(told.found)} known vulnerabilities")
        else:
            unasked += 1
            print(f"{name}: NOT audited for vulnerabilities: no advisory service answered ({told.why})")
    if wrong:
        return WRONG
    return NOT_AUDITED if unasked else SOUND


if __name__ == "__main__":
    sys.exit(main())
