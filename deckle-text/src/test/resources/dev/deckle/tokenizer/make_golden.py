"""Makes golden.json with Hugging Face's tokenizers 0.23.2: python make_golden.py

Random texts of everything that tokenizers trip over; for each of several tokenizers its tokenizer.json (trained on the
texts by their BpeTrainer), the ids of the texts, and decodings of random ids."""
import json
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

R = random.Random(11)
BLANKS = [" "] * 8 + list("\n\n\r\t\x0b\x0c\x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u180e\u200b\ufeff\x1c") + ["\r\n"]
SUFFIXES = "'s 't 're 've 'm 'll 'd 'S 'RE 'Ve 'lL 'ſ 'x ''s 'r 'l '".split()
WORDS = "the public void return don't naïve straße привет Ελλάδα שלום مرحبا हिन्दी ไทย 手撕 こんにちは".split()
EMOJI = ["👩‍👩‍👧‍👦", "🤖🚀", "🇩🇪", "👍🏽", "❤️", "🏳️‍🌈"]
ADDED = ["<|endoftext|>", "<|end", "<x>", "<xx>", "<xx", "cat", "é手", "Ġ", "naïve", "code:", "x\u0301"]
DIGITS = [0x30, 0x660, 0x966, 0xFF10, 0x1D7CE, 0x2160, 0xBC, 0x2460, 0x3021]


def some(alphabet, n):
    return "".join(R.choice(alphabet) for _ in range(R.randint(1, n)))


def anything():
    while True:
        c = R.randrange(0x110000)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


KINDS = [
    lambda: some("abcdefghijklmnopqrstuvwxyzABCXYZ", 10),
    lambda: R.choice(SUFFIXES),
    lambda: some([chr(R.choice(DIGITS) + i) for i in range(3)], 7),
    lambda: some("!?.,;:-_()[]{}<>|/\\\"#$%&*+=@^`~", 4),
    lambda: R.choice(EMOJI),
    lambda: some([chr(R.randrange(0x4E00, 0x9FFF)) for _ in range(4)], 4),
    lambda: R.choice("aeiouñ") + chr(R.randrange(0x300, 0x370)),
    lambda: chr(R.randrange(0x20)) + R.choice(["", "\x7f", "\x80", "\x9f"]),
    anything,
    lambda: some([chr(R.randrange(0x80, 0x800)) for _ in range(3)], 4),
    lambda: R.choice(ADDED),
    lambda: R.choice(WORDS),
    lambda: R.choice("ab -=\n") * R.randint(1, 60),
]


def text():
    parts = []
    for _ in range(R.randint(0, 12)):
        if R.random() < 0.75:
            parts.append("".join(R.choice(BLANKS) for _ in range(R.choice([1, 1, 1, 2, 3, 5]))))
        parts.append(R.choice(KINDS)())
    return "".join(parts)


texts = [text() for _ in range(400)]
LLAMA = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(regex):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


FLAGS = [("<x>", dict(lstrip=True)), ("<xx>", dict(rstrip=True, special=True)), ("<xx", dict(special=True)),
         ("cat", dict(single_word=True)), ("é手", dict(normalized=False, lstrip=True, rstrip=True)),
         ("naïve", dict(single_word=True, normalized=False)), ("code:", dict(special=True, single_word=True)),
         ("x\u0301", dict(normalized=True)), ("<|end", dict(normalized=True))]
golden = {"texts": texts, "tokenizers": {}}
for name, pieces in {"gpt2": pre_tokenizers.ByteLevel(add_prefix_space=False), "llama3": split(LLAMA % "{1,3}"),
                     "qwen2": split(LLAMA % "")}.items():
    t = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
    t.pre_tokenizer, t.decoder = pieces, decoders.ByteLevel()
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=700, special_tokens=["<|endoftext|>"],
                          initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if name == "llama3":  # a token that no merges lead to
        j = json.loads(t.to_str())
        j["model"]["vocab"]["Ġpublicvoid"] = 700
        t = Tokenizer.from_str(json.dumps(j))
    if name == "qwen2":
        t.add_tokens([AddedToken(content, **flags) for content, flags in FLAGS])
    size = t.get_vocab_size()
    ids = [[R.randrange(size if i % 2 else 258) for _ in range(R.randint(0, 9))] for i in range(100)]
    golden["tokenizers"][name] = {
        "tokenizer": json.loads(t.to_str()), "ids": [t.encode(x).ids for x in texts],
        "decodings": [[x, t.decode(x, skip_special_tokens=False)] for x in ids]}
with open("golden.json", "w") as out:
    json.dump(golden, out, separators=(",", ":"))
