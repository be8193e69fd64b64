"""The benchmarks, one after another: `python -m benchmarks [NAME …] [--quick]`.

Tables go to stdout as Markdown, progress to stderr. Exit 1 when one failed or missed its bound; what `--quick` measures
shows that a benchmark works and says nothing about speed.
"""

import argparse
import subprocess
import sys

QUICK = {
    "migration": "--small-files 300 --large-files 1 --large-mib 64 --runs 1 --flat",
    "ingest": "--files 60",
    "catalogue": "--segments 200000 --rounds 100",
    "dag": "--segments 100 --runs 1",
    "deletion": "--objects 500 --runs 1",
    "export": "--segment-seconds 20 --clip-seconds 10 --runs 1",
    "mosaic": "--seconds 2 --runs 1",
    "retention": "--objects 1000",
    "planning": "--segments 100000",
    "reconcile": "--rows 200000 --peer-objects 300 --runs 1",
    "metrics": "--segments 200000 --rounds 2",
    "quality": "--segments 200000",
}
"""Every benchmark, and its arguments for a quick look."""


def main() -> int:
    """Each in a process of its own, so that none measures what another left in memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(QUICK)}; all without")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(QUICK):
        parser.error(f"benchmark {sorted(unknown)!r} is not known: expected any of {', '.join(QUICK)}")
    failed = []
    for name in asked.names or QUICK:
        print(f"\n## {name}\n", flush=True)
        arguments = QUICK[name].split() if asked.quick else []
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
