"""All benchmarks, one after another: `python -m benchmarks`. Each prints its table; exit 1 when one failed."""

import subprocess
import sys

NAMES = ("migration", "ingest", "catalogue")


def main() -> int:
    """Each in a process of its own, so that none measures what another left in memory."""
    failed = []
    for name in NAMES:
        print(f"\n## {name}\n", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
