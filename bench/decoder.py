"""The decoder of `deckle bench train` in PyTorch, trained for some steps on random tokens: one line of JSON.

    python3 decoder.py --preset 10m --dtype f32 [--compile] [--threads 2]

Same sizes, same work: RMSNorm, rotary positions, causal attention by the fused kernel, SwiGLU, a head of its own,
cross entropy; gradients clipped to length 1; fused AdamW. bf16 is autocast, with weights and moments in f32.
The figure is the median of 8 steps after 4. Told apart: how long after the start of the process the first step was
done, imports and compiling included, and the memory at its peak.
"""
import argparse
import json
import os
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

PRESETS = {  # vocabulary, width, heads, layers, batch, context
    "10m": (65, 384, 6, 6, 12, 256),
    "58m": (32000, 512, 8, 8, 4, 512),
}


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        inner = width * 8 // 3 // 64 * 64
        self.heads = heads
        self.norm1 = nn.RMSNorm(width)
        self.norm2 = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x, cos, sin):
        b, t, width = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, t, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(turned(q, cos, sin), turned(k, cos, sin), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, width))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


def turned(x, cos, sin):
    low, high = x.chunk(2, dim=-1)
    return torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1)


class Decoder(nn.Module):
    def __init__(self, vocabulary, width, heads, layers):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.half = width // heads // 2

    def forward(self, ids, targets):
        x = self.embedding(ids)
        rates = 10000.0 ** (-torch.arange(self.half) / self.half)
        angles = torch.arange(ids.shape[1])[:, None] * rates
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def seconds_since_start():
    ticks = float(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--preset", choices=PRESETS, default="10m")
    p.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    p.add_argument("--batch-size", type=int, default=0, help="in place of the preset's")
    p.add_argument("--context", type=int, default=0, help="in place of the preset's")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--threads", type=int, default=0)
    a = p.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    vocabulary, width, heads, layers, batch, context = PRESETS[a.preset]
    batch, context = a.batch_size or batch, a.context or context
    torch.manual_seed(1)
    model = Decoder(vocabulary, width, heads, layers)
    step_loss = torch.compile(model) if a.compile else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.01, fused=True)
    seconds = []
    first = 0
    for _ in range(12):
        ids = torch.randint(vocabulary, (batch, context))
        targets = torch.randint(vocabulary, (batch, context))
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.dtype == "bf16"):
            loss = step_loss(ids, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
        first = first or seconds_since_start()
    print(json.dumps({
        "preset": a.preset, "dtype": a.dtype, "batch_size": batch, "context": context, "compile": a.compile, "torch": torch.__version__,
        "first_step_s": round(first, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "tok_per_s": round(batch * context / statistics.median(seconds[4:]), 1)}))


if __name__ == "__main__":
    main()
