"""Training beside PyTorch on this machine: both in turn, each time in fresh processes, and the ratio of each pair.

    python3 bench/beside_torch.py --python VENV/bin/python [--preset 10m] [--dtype bf16] [--pairs 5]
                                  [--batch-size 1 --context 4096]

VENV holds PyTorch, which nothing else here needs. Other work on the machine disturbs both sides of a pair alike, so
the ratio is what counts, and its spread says how quiet the machine was. Exit code 1 where a side failed.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def figures(command, pick=-1):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(lines[pick])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--python", required=True, help="a Python with PyTorch")
    p.add_argument("--preset", default="10m")
    p.add_argument("--dtype", default="f32")
    p.add_argument("--batch-size", type=int, help="in place of the preset's")
    p.add_argument("--context", type=int, help="in place of the preset's")
    p.add_argument("--pairs", type=int, default=5)
    a = p.parse_args()
    work = ["--preset", a.preset, "--dtype", a.dtype]
    for flag, value in ("--batch-size", a.batch_size), ("--context", a.context):
        work += [flag, value] if value else []
    ours = [HERE.parent / "deckle", "bench", "train", "--json"] + work
    eager = [a.python, HERE / "decoder.py"] + work
    sides = {"deckle": ours, "torch": eager, "torch compiled": eager + ["--compile"]}
    seen = {name: [] for name in sides}
    for i in range(a.pairs):
        for name, command in sides.items():
            seen[name].append(figures(command))
        print(f"{i + 1} of {a.pairs}: " + ", ".join(f"{name} {runs[-1]['tok_per_s']:,.0f} tok/s"
                                                    for name, runs in seen.items()), flush=True)
    for name in list(sides)[1:]:
        ratios = [o["tok_per_s"] / t["tok_per_s"] for o, t in zip(seen["deckle"], seen[name])]
        print(f"{a.preset} {a.dtype}: {statistics.median(ratios):.2f} times {name} "
              f"({min(ratios):.2f} to {max(ratios):.2f} in {a.pairs} pairs)")
    for name, runs in seen.items():
        print(f"{name:15} {statistics.median(r['tok_per_s'] for r in runs):8,.0f} tok/s, "
              f"first step after {statistics.median(r['first_step_s'] for r in runs):.2f} s, "
              f"peak {statistics.median(r['peak_mb'] for r in runs):,.0f} MB")


main()
