# Makes cases.json beside it, with torch 2.13 and transformers 5.17 on a CPU: `python make.py`.
# batches: left-padded prompts of unequal length, greedy; beams: several sequences of one prompt; scores: what the
# logits processors make of logits, in transformers' own order.
import json
import pathlib

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

here = pathlib.Path(__file__).parent
torch.manual_seed(7)
random = torch.Generator().manual_seed(11)
PAD = 0


def prompt(n):
    return torch.randint(3, 97, (n,), generator=random).tolist()


def open_model(name):
    model = AutoModelForCausalLM.from_pretrained(here.parent / "hf" / name, dtype=torch.float32).eval()
    model.generation_config = GenerationConfig(pad_token_id=PAD)
    return model


def trim(ids, ends):
    for i, t in enumerate(ids):
        if t in ends:
            return ids[: i + 1]
    return ids


def batch(name, lengths, ends, new, **more):
    model = open_model(name)
    prompts = [prompt(n) for n in lengths]
    longest = max(lengths)
    ids = torch.tensor([[PAD] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    out = model.generate(ids, attention_mask=mask, max_new_tokens=new, eos_token_id=ends, output_logits=True,
                         return_dict_in_generate=True, **more)
    logits = torch.stack(out.logits, 1).log_softmax(-1)  # (B, new, vocab)
    made = out.sequences[:, longest:]
    fresh = [trim(row.tolist(), ends) for row in made]
    logprobs = logits.gather(2, made.unsqueeze(2)).squeeze(2)
    return dict(model=name, prompts=prompts, eos_token_id=ends, max_new_tokens=new, new_ids=fresh,
                logprobs=[[round(x, 6) for x in row[: len(f)].tolist()] for row, f in zip(logprobs, fresh)], **more)


def beams(name, length, ends, new, **more):
    model = open_model(name)
    ids = prompt(length)
    out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, length, dtype=torch.long),
                         max_new_tokens=new, eos_token_id=ends, output_scores=True, return_dict_in_generate=True,
                         **more)
    return dict(model=name, prompt=ids, eos_token_id=ends, max_new_tokens=new,
                new_ids=[trim(row.tolist(), ends) for row in out.sequences[:, length:]],
                scores=[round(x, 6) for x in out.sequences_scores.tolist()], **more)


def scores(model, vocab, before, **more):
    config = GenerationConfig(do_sample=True, **more)
    defaults = config._get_default_generation_params()
    config.update(**defaults, defaults_only=True)
    config._eos_token_tensor = torch.tensor([2])
    logits = (3 * torch.randn(1, vocab, generator=random)).round(decimals=2)  # rounded: some are equal
    processors = model._get_logits_processor(config, input_ids_seq_length=len(before), device="cpu")
    out = processors(torch.tensor([before]), logits.clone()).softmax(-1)
    return dict(logits=[round(x, 2) for x in logits[0].tolist()], before=before,
                probabilities=[float(f"{x:.7g}") for x in out[0].tolist()], **more)


llama = open_model("llama-gqa")
cases = dict(
    batches=[
        batch("llama-gqa", [3, 17, 9, 31], [2], 20),
        batch("llama-gqa", [1, 5, 5, 40], [2, 17, 33, 60, 80], 24),
        batch("mistral", [2, 16, 17, 45], [2], 24),
        batch("gpt2", [4, 21, 11], [2, 9, 40], 20),
        batch("qwen3", [30, 6, 15], [2], 20),
        batch("deepseek-v3", [7, 33, 12], [2], 20),
        batch("qwen2", [12], [2], 24, repetition_penalty=1.4),
        batch("llama-gqa", [6], [2, 17, 33, 60, 80], 24, repetition_penalty=1.1, min_new_tokens=12),
    ],
    beams=[
        beams("llama-gqa", 9, [2], 16, num_beams=4, num_return_sequences=4),
        beams("llama-gqa", 5, [2, 17, 33, 60], 20, num_beams=3, num_return_sequences=3, early_stopping=True),
        beams("mistral", 19, [2, 5, 50], 24, num_beams=5, num_return_sequences=2, early_stopping="never",
              length_penalty=2.0),
        beams("gpt2", 7, [2, 5, 50, 70], 16, num_beams=4, num_return_sequences=4, length_penalty=-0.5),
        beams("qwen3", 6, [2, 11, 12], 14, num_beams=3, num_return_sequences=3, repetition_penalty=1.3),
        beams("deepseek-v3", 6, [2, 11, 12, 13], 14, num_beams=3, num_return_sequences=3, min_new_tokens=6),
    ],
    scores=[
        scores(llama, 13, [1, 2, 2]),
        scores(llama, 13, [1, 5], top_k=3),
        scores(llama, 13, [1], top_k=1),
        scores(llama, 13, [1], top_k=400, temperature=0.5),
        scores(llama, 60, [1], top_k=0),
        scores(llama, 60, [1]),
        scores(llama, 60, [7], top_p=0.5),
        scores(llama, 60, [7], top_p=0.9, top_k=20, temperature=1.7),
        scores(llama, 60, [7], top_p=0.01),
        scores(llama, 60, [7], min_p=0.1, temperature=2.0),
        scores(llama, 60, [7], min_p=1.0),
        scores(llama, 60, [7, 8, 9, 8, 0], repetition_penalty=1.5, top_k=0),
        scores(llama, 60, [7, 8, 9, 8, 0], repetition_penalty=0.7, temperature=0.9, top_k=30, top_p=0.95, min_p=0.02),
    ],
)
(here / "cases.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
for k, v in cases.items():
    print(k, len(v))
print([len(x) for c in cases["batches"] for x in c["new_ids"]])
print([len(x) for c in cases["beams"] for x in c["new_ids"]])
