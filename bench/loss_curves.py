"""Whether bf16 costs accuracy: one decoder trained by Deckle and by PyTorch, in f32 and in bf16, on the same tokens.

    python3 bench/loss_curves.py --python VENV/bin/python [--steps 1000] [--seeds 2] [--svg docs/loss-curves.svg]

VENV holds PyTorch, which nothing else here needs. For each seed: `deckle train` in f32 and bf16, and bench/decoder.py
in both. All four have the same tokens (Deckle's token files), the same weights to start from (those that Deckle draws
from the seed), the same windows in every step, the same schedule, clipping and AdamW, and are measured on the same
held-out windows, each in its own type. What is left to differ is arithmetic. Another seed is another start and other
windows of the same tokens, so the distance of seeds is the yardstick.

The text is Deckle's default corpus, the sources of java.base, as one document: of many documents the seed would also
choose which ones are held out, and losses on two texts are not comparable. Its last twentieth is held out.

As many runs at once as there are processors, each on one thread: losses do not depend on it. PyTorch also measures the
models that Deckle finished in f32; exit code 1 where that is not the loss Deckle reported, or where a side failed.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
MODEL = {"layers": 4, "hidden-size": 192, "heads": 6, "context": 128, "batch-size": 16, "vocab-size": 2048}
TRAIN = {"lr": 2e-3, "min-lr": 2e-4, "warmup-steps": 50, "weight-decay": 0.1, "grad-clip": 1.0, "adam-beta1": 0.9,
         "adam-beta2": 0.95, "adam-eps": 1e-8}
HELD_OUT_WINDOWS = 1024  # the most that Deckle's last evaluation takes
SMOOTH = 50
WAYS = ("Deckle f32", "Deckle bf16", "PyTorch f32", "PyTorch bf16")
PAIRS = (("Deckle bf16", "Deckle f32"), ("PyTorch bf16", "PyTorch f32"), ("Deckle f32", "PyTorch f32"),
         ("Deckle bf16", "PyTorch bf16"))
YARDSTICK = "PyTorch f32, seed 2 less seed 1"
COLOURS = {"Deckle f32": ("#0072b2", ""), "Deckle bf16": ("#d55e00", ""), "PyTorch f32": ("#009e73", "7 4"),
           "PyTorch bf16": ("#cc79a7", "2 3"), YARDSTICK: ("#aaaaaa", "")}


# ---- one run of PyTorch, in a process of its own

def tokens_of(file):
    """The ids of a token file of Deckle: a header of 104 bytes, then two or four bytes an id."""
    import torch
    data = bytearray(pathlib.Path(file).read_bytes())
    magic, width = struct.unpack_from("<8si", data)
    if magic != b"DECKTOK1":
        sys.exit(f"{file}: not a token file")
    ids = torch.frombuffer(data, dtype=torch.int16 if width == 2 else torch.int32, offset=104).long()
    return ids & 0xFFFF if width == 2 else ids


def weights_of(file):
    """The tensors of a safetensors file of F32."""
    import torch
    data = bytearray(pathlib.Path(file).read_bytes())
    length, = struct.unpack_from("<Q", data)
    tensors = {}
    for name, t in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            if t["dtype"] != "F32":
                sys.exit(f"{file}: {name} is {t['dtype']}, F32 is expected")
            begin, end = t["data_offsets"]
            tensors[name] = torch.frombuffer(data, dtype=torch.float32, count=(end - begin) // 4,
                                             offset=8 + length + begin).reshape(t["shape"])
    return tensors


def mixed(x):
    """SplitMix64, the counter behind Deckle's batches."""
    mask = (1 << 64) - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
    x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
    return x ^ x >> 31


def place(places, seed, counter):
    """Where Deckle's window `counter` of a seed begins."""
    return mixed((mixed(seed) + counter) & (1 << 64) - 1) * places >> 64


def rows(ids, places, context):
    import torch
    both = torch.stack([ids[p:p + context + 1] for p in places])
    return both[:, :-1], both[:, 1:]


def named(model):
    """The decoder's parameters by Deckle's names: joined matrices in parts."""
    yield "model.embed_tokens.weight", model.embedding.weight
    yield "model.norm.weight", model.norm.weight
    yield "lm_head.weight", model.head.weight
    for i, layer in enumerate(model.layers):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", layer.norm1.weight
        yield p + "post_attention_layernorm.weight", layer.norm2.weight
        yield p + "self_attn.o_proj.weight", layer.out.weight
        yield p + "mlp.down_proj.weight", layer.down.weight
        yield from zip((p + f"self_attn.{x}_proj.weight" for x in "qkv"), layer.qkv.weight.chunk(3))
        yield from zip((p + f"mlp.{x}_proj.weight" for x in ("gate", "up")), layer.gate_up.weight.chunk(2))


def learning_rate(step, steps):
    warm = min(1, (step + 1) / max(1, TRAIN["warmup-steps"]))
    low, high = TRAIN["min-lr"], TRAIN["lr"]
    return warm * (low + (high - low) * 0.5 * (1 + math.cos(math.pi * step / steps)))


def train_torch(a):
    """Prints the losses of all steps and the held-out loss as one line of JSON; with 0 steps the latter alone."""
    import torch
    from torch import nn
    from decoder import Decoder
    config = json.loads((a.start / "config.json").read_text())
    model = Decoder(config["vocab_size"], config["hidden_size"], config["num_attention_heads"],
                    config["num_hidden_layers"])
    for norm in model.modules():
        if isinstance(norm, nn.RMSNorm):
            norm.eps = config["rms_norm_eps"]
    torch.set_num_threads(1)
    start = weights_of(a.start / "model.safetensors")
    with torch.no_grad():
        for name, p in named(model):
            value = start.pop(name)
            if p.shape != value.shape:
                sys.exit(f"{name}: {tuple(value.shape)}, but the decoder has {tuple(p.shape)}")
            p.copy_(value)
    if start:
        sys.exit(f"the decoder has no place for {', '.join(start)}")
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": TRAIN["weight-decay"]},
         {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}],
        betas=(TRAIN["adam-beta1"], TRAIN["adam-beta2"]), eps=TRAIN["adam-eps"], fused=True)
    half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.dtype == "bf16")
    context, batch = MODEL["context"], MODEL["batch-size"]
    ids = tokens_of(a.train)
    losses = []
    for step in range(a.steps):
        places = [place(len(ids) - context, a.seed, step * batch + r) for r in range(batch)]
        with half:
            loss = model(*rows(ids, places, context))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, TRAIN["grad-clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, a.steps)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    held = tokens_of(a.validation)
    available = (len(held) - 1) // context
    windows = min(HELD_OUT_WINDOWS, available)
    places = [i * available // windows * context for i in range(windows)]
    total = 0.0
    with torch.no_grad(), half:
        for i in range(0, windows, batch):
            part = places[i:i + batch]
            total += model(*rows(held, part, context)).item() * len(part)
    print(json.dumps({"losses": losses, "held_out": total / windows, "windows": windows}))


# ---- all runs

def default_text(jdk, file):
    """Deckle's default corpus as one file: the sources of java.* in java.base, by name."""
    with zipfile.ZipFile(jdk / "lib" / "src.zip") as archive, open(file, "wb") as out:
        for name in sorted(archive.namelist()):
            if name.startswith("java.base/java/") and name.endswith(".java"):
                out.write(archive.read(name))


class Runs:
    """Starts runs in a folder of its own, with Deckle's token files there too."""

    def __init__(self, python, jdk, folder):
        self.python, self.folder = python, folder
        self.text = folder / "java.txt"
        default_text(jdk, self.text)

    def run(self, command):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                              env=dict(os.environ, XDG_CACHE_HOME=str(self.folder / "cache")))
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout

    def deckle(self, name, seed, dtype, steps, changed=None):
        """`./deckle train`, and what its records say."""
        command = [HERE.parent / "deckle", "train", "--data", self.text, "--out", self.folder / name, "--seed", seed,
                   "--dtype", dtype, "--steps", steps, "--eval-every", steps, "--save-every", steps, "--threads", 1]
        for flag, value in {**MODEL, **TRAIN, **(changed or {})}.items():
            command += [f"--{flag}", value]
        self.run(command)
        lines = [json.loads(line) for line in (self.folder / name / "metrics.jsonl").read_text().splitlines()]
        return {"losses": [line["loss"] for line in lines], "held_out": lines[-1]["val_loss"]}

    def pytorch(self, start, seed, dtype, steps):
        command = [self.python, HERE / "loss_curves.py", "--one", "--start", self.folder / start, "--seed", seed,
                   "--dtype", dtype, "--steps", steps]
        for kind in "train", "validation":
            command += [f"--{kind}", next(self.folder.glob(f"cache/deckle/tokens/{kind}-*.tokens"))]
        return json.loads(self.run(command))

    def start(self, seed):
        """One step so short that no weight moves: the weights that Deckle draws, and its token files."""
        self.deckle(f"start-{seed}", seed, "f32", 1, {"lr": 1e-30, "min-lr": 0})

    def way(self, name, seed, steps):
        since = time.time()
        side, dtype = name.split()
        if side == "PyTorch":
            result = self.pytorch(f"start-{seed}", seed, dtype, steps)
        else:
            result = self.deckle(f"{dtype}-{seed}", seed, dtype, steps)
        print(f"seed {seed}, {name}: held-out loss {result['held_out']:.4f}, {time.time() - since:.0f} s", flush=True)
        return result

    def check(self, seed, ours):
        theirs = self.pytorch(f"f32-{seed}", seed, "f32", 0)
        line = (f"seed {seed}, the model of Deckle f32 on {theirs['windows']} held-out windows: {ours:.6f} by Deckle, "
                f"{theirs['held_out']:.6f} by PyTorch")
        print(line, flush=True)
        if abs(theirs["held_out"] - ours) > 1e-4:
            raise RuntimeError("they do not measure the same: " + line)


def train_all(a, folder):
    """For each seed its ways: name to losses and held-out loss."""
    runs = Runs(a.python, a.jdk, folder)
    numbers = range(1, a.seeds + 1)
    for seed in numbers:
        runs.start(seed)
    seeds = [{} for _ in numbers]
    lock = threading.Lock()
    if a.save and a.save.exists():
        before = json.loads(a.save.read_text())
        if any(len(r["losses"]) != a.steps for s in before for r in s.values()) or len(before) > a.seeds:
            sys.exit(f"{a.save}: losses of other --steps or more --seeds: give another --save")
        seeds[:len(before)] = before

    def way(seed, name):
        if name in seeds[seed - 1]:
            return
        result = runs.way(name, seed, a.steps)
        if name == "Deckle f32":
            runs.check(seed, result["held_out"])
        with lock:
            seeds[seed - 1][name] = result
            if a.save:
                a.save.write_text(json.dumps(seeds))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for job in [pool.submit(way, seed, name) for seed in numbers for name in reversed(WAYS)]:
            job.result()
    return seeds


# ---- tables and the drawing

def mean(numbers):
    numbers = list(numbers)
    return sum(numbers) / len(numbers)


def smoothed(losses):
    """The mean of the last SMOOTH steps, from the first step that has so many before it."""
    window = min(SMOOTH, len(losses))
    sums = [0.0]
    for x in losses:
        sums.append(sums[-1] + x)
    return [(i, (sums[i] - sums[i - window]) / window) for i in range(window, len(losses) + 1)]


def tables(seeds):
    steps = len(seeds[0][WAYS[0]]["losses"])
    hundred = min(100, max(1, steps // 10))
    print(f"\nSeeds: {len(seeds)}. The lines of steps are training losses, means over the seeds.\n")
    print("| | " + " | ".join(WAYS) + " |")
    print("|---" * (len(WAYS) + 1) + "|")
    for first in range(0, steps - hundred + 1, hundred):
        cells = [mean(mean(s[n]["losses"][first:first + hundred]) for s in seeds) for n in WAYS]
        print(f"| steps {first + 1:,} to {first + hundred:,} | " + " | ".join(f"{c:.4f}" for c in cells) + " |")
    print("| held out, mean | " + " | ".join(f"{mean(s[n]['held_out'] for s in seeds):.4f}" for n in WAYS) + " |")
    for i, s in enumerate(seeds):
        print(f"| held out, seed {i + 1} | " + " | ".join(f"{s[n]['held_out']:.4f}" for n in WAYS) + " |")

    def differences(one, other):
        far = max((y - z for (_, y), (_, z) in zip(smoothed(one["losses"]), smoothed(other["losses"]))), key=abs)
        return (one["held_out"] - other["held_out"], mean(one["losses"][-hundred:]) - mean(other["losses"][-hundred:]),
                far, one["losses"][0] - other["losses"][0])

    print(f"\n| apart | held-out loss | training loss, last {hundred} steps | furthest, mean of {SMOOTH} steps "
          "| first step |")
    print("|---|---|---|---|---|")
    for one, other in PAIRS:
        columns = zip(*(differences(s[one], s[other]) for s in seeds))
        print(f"| {one} less {other}, seed by seed | "
              + " | ".join(", ".join(f"{d:+.5f}" for d in column) for column in columns) + " |")
    for i, s in enumerate(seeds[1:]):
        for n in WAYS:
            print(f"| {n}, seed {i + 2} less seed 1 | "
                  + " | ".join(f"{d:+.5f}" for d in differences(s[n], seeds[0][n])) + " |")


def panel(top, height, curves, title, steps):
    """One plot as lines of SVG, with about five rules across."""
    left, width = 60, 560
    values = [y for points in curves.values() for _, y in points]
    low, high = min(values), max(values)
    span = max(high - low, 1e-9)
    unit = next(u * 10.0 ** e for e in range(-9, 9) for u in (1, 2, 5) if span / (u * 10.0 ** e) <= 5)
    low, high = math.floor(low / unit) * unit, math.ceil(high / unit) * unit

    def xy(x, y):
        return f"{left + x / steps * width:.1f},{top + (high - y) / (high - low) * height:.1f}"

    svg = [f'<text x="{left}" y="{top - 8}">{title}</text>']
    digits = max(0, -math.floor(math.log10(unit)))
    for k in range(round((high - low) / unit) + 1):
        y = low + k * unit
        at = top + (high - y) / (high - low) * height
        svg.append(f'<path d="M{left} {at:.1f}h{width}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{y + 0.0:.{digits}f}</text>')
    for k in range(6):
        x = left + k * width / 5
        svg.append(f'<text x="{x:.0f}" y="{top + height + 16}" text-anchor="middle">{steps * k // 5:,}</text>')
    for name, points in curves.items():
        colour, dashes = COLOURS[name]
        thin = points[::max(1, len(points) // 120)]
        if thin[-1] != points[-1]:
            thin.append(points[-1])
        svg.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dashes or "none"}" '
                   f'points="{" ".join(xy(*p) for p in thin)}"/>')
    return svg


def draw(seeds, file):
    steps = len(seeds[0][WAYS[0]]["losses"])
    curves = {n: smoothed([mean(x) for x in zip(*(s[n]["losses"] for s in seeds))]) for n in WAYS}
    base = dict(curves["PyTorch f32"])
    apart = {}
    if len(seeds) > 1:
        one, other = (smoothed(s["PyTorch f32"]["losses"]) for s in seeds[:2])
        apart[YARDSTICK] = [(x, y - z) for (x, z), (_, y) in zip(one, other)]
    for n in "PyTorch bf16", "Deckle f32", "Deckle bf16":
        apart[n] = [(x, y - base[x]) for x, y in curves[n]]
    svg = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 560" font-family="sans-serif" font-size="12">',
           '<rect width="640" height="560" fill="white"/>']
    svg += panel(28, 250, curves, f"training loss, mean of {SMOOTH} steps; seeds: {len(seeds)}", steps)
    svg += panel(338, 150, apart, "the same less that of PyTorch f32", steps)
    for i, n in enumerate(dict.fromkeys([*curves, *apart])):
        x, y = 60 + i % 4 * 140, 530 + i // 4 * 18
        colour, dashes = COLOURS[n]
        svg.append(f'<path d="M{x} {y - 4}h28" stroke="{colour}" stroke-width="2" '
                   f'stroke-dasharray="{dashes or "none"}"/><text x="{x + 34}" y="{y}">{n}</text>')
    pathlib.Path(file).write_text("\n".join(svg + ["</svg>"]) + "\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--python", help="a Python with PyTorch")
    p.add_argument("--steps", type=int, default=1000)
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--svg", help="draw the curves there")
    p.add_argument("--save", type=pathlib.Path,
                   help="keep all losses there, as JSON; runs that are there already are not made again")
    p.add_argument("--load", type=pathlib.Path, help="in place of training: the losses of an earlier --save")
    java = os.environ.get("JAVA_HOME") or pathlib.Path(shutil.which("java") or "java").resolve().parents[1]
    p.add_argument("--jdk", type=pathlib.Path, default=java, help="with lib/src.zip; default: JAVA_HOME")
    p.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    for flag in "--start", "--train", "--validation":
        p.add_argument(flag, type=pathlib.Path, help=argparse.SUPPRESS)
    p.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    p.add_argument("--dtype", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.one:
        return train_torch(a)
    if a.load:
        seeds = [s for s in json.loads(a.load.read_text()) if len(s) == len(WAYS)]
    elif a.python and a.steps > 0 and a.seeds > 0:
        with tempfile.TemporaryDirectory() as folder:
            try:
                seeds = train_all(a, pathlib.Path(folder))
            except (OSError, RuntimeError) as e:
                sys.exit(str(e))
    else:
        p.error("--python is needed, and at least one step and one seed")
    tables(seeds)
    if a.svg:
        draw(seeds, a.svg)


if __name__ == "__main__":
    main()
