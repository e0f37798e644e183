import torch, json, sys, os, math
import transformers as T
from transformers import *
out=sys.argv[1]; only=sys.argv[2:] 
R=lambda **k: dict(rope_theta=k.pop('theta',10000.0), **k)
base=dict(vocab_size=83, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, initializer_range=0.25)
def mk(**k): d=dict(base); d.update(k); return d
V={
 'llama-dynamic': (LlamaConfig, mk(head_dim=8, max_position_embeddings=32, rope_parameters=R(rope_type='dynamic', factor=4.0))),
 'llama-linear-bias': (LlamaConfig, mk(head_dim=10, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, rope_parameters=R(rope_type='linear', factor=2.5), hidden_act='gelu')),
 'llama-mqa': (LlamaConfig, mk(num_key_value_heads=1, head_dim=4, rope_parameters=R(rope_type='yarn', factor=8.0, original_max_position_embeddings=32, beta_fast=16, beta_slow=2, truncate=False, attention_factor=1.2))),
 'mistral-window3': (MistralConfig, mk(sliding_window=3, head_dim=12)),
 'mistral-full': (MistralConfig, mk(sliding_window=None, tie_word_embeddings=True, head_dim=8)),
 'qwen2-window': (Qwen2Config, mk(use_sliding_window=True, sliding_window=5, max_window_layers=1)),
 'qwen2-types': (Qwen2Config, mk(use_sliding_window=True, sliding_window=4, max_window_layers=0, layer_types=['sliding_attention','full_attention','sliding_attention'], tie_word_embeddings=True)),
 'qwen3-bias': (Qwen3Config, mk(head_dim=6, attention_bias=True, tie_word_embeddings=True, use_sliding_window=True, sliding_window=6, max_window_layers=2)),
 'qwen3-moe': (Qwen3MoeConfig, mk(head_dim=8, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=12, norm_topk_prob=True)),
 'qwen3-moe-sparse': (Qwen3MoeConfig, mk(num_experts=5, num_experts_per_tok=2, moe_intermediate_size=16, norm_topk_prob=False, decoder_sparse_step=2, mlp_only_layers=[1], num_hidden_layers=4, tie_word_embeddings=True)),
 'deepseek-noq': (DeepseekV3Config, mk(num_key_value_heads=6, q_lora_rank=None, kv_lora_rank=10, qk_rope_head_dim=4, qk_nope_head_dim=6, v_head_dim=8, n_routed_experts=9, n_group=3, topk_group=2, num_experts_per_tok=4, moe_intermediate_size=8, first_k_dense_replace=1, n_shared_experts=2, norm_topk_prob=False, routed_scaling_factor=1.7, rope_interleave=False, attention_bias=True)),
 'deepseek-yarn': (DeepseekV3Config, mk(num_key_value_heads=6, q_lora_rank=14, kv_lora_rank=10, qk_rope_head_dim=6, qk_nope_head_dim=4, v_head_dim=10, n_routed_experts=8, n_group=4, topk_group=2, num_experts_per_tok=3, moe_intermediate_size=8, first_k_dense_replace=0, rope_parameters=R(rope_type='yarn', factor=16.0, original_max_position_embeddings=16, mscale=1.0, mscale_all_dim=0.8, beta_fast=32, beta_slow=1))),
 'gpt2-odd': (GPT2Config, dict(vocab_size=83, n_embd=30, n_head=5, n_layer=3, n_positions=64, n_inner=44, activation_function='gelu', scale_attn_by_inverse_layer_idx=True, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False, initializer_range=0.25)),
 'gemma': (GemmaConfig, mk(head_dim=8, num_key_value_heads=1)),
 'gemma2': (Gemma2Config, mk(head_dim=8, sliding_window=4, query_pre_attn_scalar=20, attn_logit_softcapping=3.0, final_logit_softcapping=4.0, num_hidden_layers=4)),
}
for i,(name,(C,kw)) in enumerate(V.items()):
    if only and name not in only: continue
    torch.manual_seed(100+i)
    c=C(**kw, attn_implementation='eager') if name.startswith('gemma2') else C(**kw)
    m=AutoModelForCausalLM.from_config(c).eval()
    g=torch.Generator().manual_seed(i)
    for n,p in m.named_parameters():
        if 'norm' in n or 'ln_' in n: p.data.add_(0.2*torch.randn(p.shape,generator=g))
        if n.endswith('bias'): p.data.copy_(0.2*torch.randn(p.shape,generator=g))
    for n,b in m.named_buffers():
        if 'e_score' in n: b.copy_(0.1*torch.randn(b.shape,generator=g))
    d=os.path.join(out,name); m.save_pretrained(d)
    ids=torch.randint(3,83,(1,41 if 'dynamic' in name else 29),generator=g); prompt=ids[:,:30 if 'dynamic' in name else 7]
    with torch.no_grad():
        lo=m(ids).logits[0]
        lp=lo.log_softmax(-1)
        nl=[lp[t,ids[0,t+1]].item() for t in range(ids.shape[1]-1)]
        gr=m.generate(prompt,max_new_tokens=24,do_sample=False,pad_token_id=0)[0].tolist()
        bm=m.generate(prompt,max_new_tokens=24,do_sample=False,num_beams=4,pad_token_id=0,return_dict_in_generate=True,output_scores=True)
    json.dump(dict(input_ids=ids[0].tolist(),next_logprobs=nl,last_logits=lo[-1].tolist(),prompt=prompt[0].tolist(),greedy=gr,beam4=bm.sequences[0].tolist(),beam4_score=bm.sequences_scores[0].item()),open(d+'/golden.json','w'))
    print(name, sum(p.numel() for p in m.parameters()), 'end' if 2 in gr[7:] else '')
