"""Everything that makes the shipped network, in one run: towns, training, the compact checkpoint, its numbers.

On a GPU machine: ``python scripts/train_shipped.py --jobs 16 --seconds 1500``. What is done already is skipped, so an
interrupted run is simply repeated. How the shipped one was made, in some three hours on two CPU cores, is in
docs/model_card.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TRAINING = ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10", *map(str, range(14, 22)))
VALIDATION, UNSEEN = "08", ("11", "12", "13")
NOTES = (
    "trained on simulated drives alone (docs/model_card.md)",
    "classes that a simulator shows differently from the world are not to be relied upon",
)


def main() -> int:
    """Runs the steps; the first that fails ends it."""
    from model_card_rows import table

    args = _arguments()
    town, run = args.work / "town", args.work / "run"
    frames, every = str(10 * args.seconds), str(args.spacing)
    names = (*TRAINING[: args.towns], VALIDATION, *UNSEEN)
    pasco("data", "simulate", str(town), "--frames", frames, "--scans-every", every, "--seed", str(args.seed),
          "--jobs", str(args.jobs), "--sequences", *names)
    resume = ("--resume",) if (run / "last.ckpt").exists() else ()
    towns = "data.train_sequences=" + str(list(TRAINING[: args.towns]))
    pasco("train", args.recipe, "--data", str(town), "--out", str(run), *resume, *settings([towns, *args.set]))
    best = run / "best.safetensors"  # of the validations, if there were any
    ship(best if best.exists() else run / "final.safetensors", ROOT / "pasco_core" / "shipped" / "small.safetensors")
    for source in ((), ("--baselines",)):
        out = args.work / ("baselines" if source else "shipped")
        pasco("eval", str(town), *source, "--sequences", *UNSEEN, "--jobs", str(args.jobs), "--out", str(out))
    pasco("eval", str(town), "--sequences", *UNSEEN, "--every", "4", "--corruptions", "all",
          "--jobs", str(args.jobs), "--out", str(args.work / "corrupted"))
    for name in ("shipped", "baselines", "corrupted"):
        print(table(args.work / name))
    return 0


def pasco(*arguments: str) -> None:
    """Runs a command of this checkout."""
    print("pasco", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "pasco_core", *arguments], cwd=ROOT, check=True)


def settings(pairs: list[str]) -> list[str]:
    """``--set`` for each pair."""
    return [part for pair in pairs for part in ("--set", pair)]


def ship(source: Path, target: Path) -> None:
    """The trained weights in half the size, with what a user should know of them in the header."""
    from dataclasses import replace

    from pasco_core.checkpoints import load_checkpoint, save_checkpoint

    loaded = load_checkpoint(source)
    save_checkpoint(target, loaded.state_dict, replace(loaded.header, notes=NOTES), compact=True)
    print(f"{target}: {target.stat().st_size / 2**20:.1f} MiB", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--work", type=Path, default=Path("out/shipped"), help="for data, run and results (default: out/shipped)")
    n = len(TRAINING)
    add("--towns", type=int, default=n, help=f"towns to train on, at most {n} (default: {n})")
    add("--seconds", type=int, default=100, help="length of the drive through each (default: 100)")
    add("--spacing", type=int, default=25, help="one scan of so many is kept (default: 25)")
    add("--seed", type=int, default=11, help="of the towns (default: 11)")
    add("--jobs", type=int, default=2, help="processes for simulation and evaluation (default: 2)")
    add("--recipe", default="small", help="experiment file (default: small)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the experiment; may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
