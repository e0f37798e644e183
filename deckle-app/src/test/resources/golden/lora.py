import json, os, sys, torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
# python lora.py HF OUT: adapters by PEFT on the checkpoints in HF, each with the log-probabilities and gradients there
hf, out = sys.argv[1:3]
V = {
 'llama-linear-bias': dict(r=3, lora_alpha=7, target_modules=['q_proj', 'v_proj']),
 'llama-gqa': dict(r=4, lora_alpha=5, target_modules='all-linear', use_rslora=True),
 'gpt2-odd': dict(r=2, lora_alpha=9, target_modules=['c_attn', 'mlp.c_proj', 'lm_head'], fan_in_fan_out=True),
 'deepseek-v3': dict(r=3, lora_alpha=2.5, target_modules=['q_a_proj', 'q_b_proj', 'kv_a_proj_with_mqa', 'kv_b_proj', 'o_proj']),
 'deepseek-noq': dict(r=2, lora_alpha=5, target_modules=['q_proj', 'kv_b_proj']),
 'qwen3-moe': dict(r=4, lora_alpha=6, target_modules=['k_proj', 'o_proj'], layers_to_transform=[0, 2]),
 'gemma2': dict(r=3, lora_alpha=3, target_modules=r'.*\.[13]\.(self_attn|mlp)\.(o_proj|up_proj)'),
 'mistral': dict(r=2, lora_alpha=8, target_modules=['gate_proj', 'down_proj'], exclude_modules=['1.mlp.gate_proj']),
}
for i, (name, kw) in enumerate(V.items()):
    torch.manual_seed(200 + i)
    base = AutoModelForCausalLM.from_pretrained(os.path.join(hf, name), attn_implementation='eager')
    m = get_peft_model(base, LoraConfig(task_type='CAUSAL_LM', lora_dropout=0.1, **kw)).eval()
    for n, p in m.named_parameters():
        if 'lora_B' in n: p.data.normal_(0, 0.3)
    d = os.path.join(out, name); m.save_pretrained(d)
    c = json.load(open(d + '/adapter_config.json'))
    c['base_model_name_or_path'] = '../../hf/' + name
    c['target_modules'] = sorted(c['target_modules']) if isinstance(c['target_modules'], list) else c['target_modules']
    json.dump(c, open(d + '/adapter_config.json', 'w'), indent=1)
    if os.path.exists(d + '/README.md'): os.remove(d + '/README.md')
    ids = torch.randint(3, 83, (1, 19)); prompt = ids[:, :6]
    o = m(ids, labels=ids); o.loss.backward()
    save_file({n.replace('.default', ''): p.grad for n, p in m.named_parameters() if p.requires_grad}, d + '/gradients.safetensors')
    with torch.no_grad():
        lp = o.logits[0].log_softmax(-1)
        greedy = m.generate(input_ids=prompt, max_new_tokens=12, do_sample=False, pad_token_id=0)[0].tolist()
        with m.disable_adapter(): off = m(ids).logits[0, -1].tolist()
    json.dump(dict(input_ids=ids[0].tolist(), loss=o.loss.item(), next_logprobs=[lp[t, ids[0, t + 1]].item() for t in range(18)],
      last_logits=o.logits[0, -1].tolist(), base_last_logits=off, prompt=prompt[0].tolist(), greedy=greedy), open(d + '/golden.json', 'w'))
    print(name, len([n for n, p in m.named_parameters() if p.requires_grad]), [n for n, p in m.named_parameters() if p.requires_grad][:2])
