"""Makes a directory a kind of tokenizer with Hugging Face's tokenizers 0.23.2: python make.py CORPUS [OUT [TEXTS [SEED]]]

CORPUS is a folder of text (the sources of this repository will do). Each kind is built as published models of its
family are, trained small on the corpus and on random texts of everything that tokenizers trip over. golden.json: a
list of {text, ids, wrapped, decoded}: ids without the special tokens of the template, with them, and the text of the
ids; without "ids" where the library refuses the text. dec.json: random ids and their text."""
import base64
import json
import random
import struct
import sys
import unicodedata
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = Path(sys.argv[1])
OUT = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
TEXTS = int(sys.argv[3]) if len(sys.argv) > 3 else 60
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else 7
BLANKS = [" "] * 12 + list("\n\n\n\r\t\x0b\x0c\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000\u180e\u200b\ufeff\x1c") + ["\r\n"]
SUFFIXES = "'s 't 're 've 'm 'll 'd 'S 'RE 'Ve 'lL 'ſ 'x ''s 'r 'l '".split()
WORDS = ("the public void return don't naïve straße привет Ελλάδα ΌΣΟΣ שלום مرحبا हिन्दी ไทย 手撕 こんにちは カタカナ ー 한국어 İstanbul "
         "e\u0301a \u1e9b\u0323 ﬁne Ⅷ ｆｕｌｌ ㎏ \u212b ǅ camelCase HTTPServer x1y2 3.14 1,000,000 $5 €7 a_b <0x41> ▁ ▁▁ ▁x ## Ġ ``quoted'' "
         "&amp; http://a.b/c?d=e#f do not is n't ! ? ,").split()
EMOJI = ["👩‍👩‍👧‍👦", "🤖🚀", "🇩🇪", "👍🏽", "❤️", "🏳️‍🌈", "#️⃣"]
DIGITS = [0x30, 0x660, 0x966, 0xFF10, 0x1D7CE, 0x2160, 0xBC, 0x2460, 0x3021]
R = random.Random(SEED)


def some(alphabet, n):
    return "".join(R.choice(alphabet) for _ in range(R.randint(1, n)))


def anything(limit=0x110000):
    while True:
        c = R.randrange(limit)  # characters newer than the library's tables are left out: see README
        if not 0xD800 <= c < 0xE000 and (limit < 0x110000 or unicodedata.category(chr(c)) != "Cn"):
            return chr(c)


def text(added):
    kinds = [
        lambda: some("abcdefghijklmnopqrstuvwxyzABCXYZ", 10),
        lambda: R.choice(SUFFIXES),
        lambda: some([chr(R.choice(DIGITS) + i) for i in range(3)], 7),
        lambda: some("!?.,;:-_()[]{}<>|/\\\"#$%&*+=@^`~'", 4),
        lambda: R.choice(EMOJI),
        lambda: some([chr(R.randrange(0x4E00, 0x9FA0)) for _ in range(4)], 4),
        lambda: R.choice("aeiouñ") + chr(R.randrange(0x300, 0x345)),
        lambda: chr(R.randrange(0x20)) + R.choice(["", "\x7f", "\x80", "\x9f", "\ufffd"]),
        lambda: anything(0x590), lambda: anything(0x500),
        lambda: some([chr(R.randrange(0xA0, 0x500)) for _ in range(3)], 4),
        lambda: R.choice(added), lambda: R.choice(added),
        lambda: R.choice(WORDS), lambda: R.choice(WORDS), lambda: R.choice(WORDS),
        lambda: R.choice("ab -=\n▁") * R.randint(1, 40),
    ]
    parts = []
    for _ in range(R.randint(0, 12)):
        if R.random() < 0.75:
            parts.append("".join(R.choice(BLANKS) for _ in range(R.choice([1, 1, 1, 1, 2, 3, 5]))))
        parts.append(R.choice(kinds)())
    return "".join(parts)


def charsmap(rules):
    """SentencePiece's layout: a double-array trie of UTF-8, and replacements that end at zero bytes."""
    blob, root = b"", {}
    for source, target in sorted(rules.items()):
        node = root
        for b in source.encode():
            node = node.setdefault(b, {})
        node[None] = len(blob)
        blob += target.encode() + b"\0"
    units, used = {0: 0}, {0}

    def place(node, at):
        labels = [0 if label is None else label for label in node]
        base = next(b for b in range(1, 1 << 21) if all(b ^ label not in used for label in labels))
        used.update(base ^ label for label in labels)
        offset = at ^ base
        units[at] |= offset << 10 if offset < 1 << 21 else offset >> 8 << 10 | 1 << 9
        units[at] |= (None in node) << 8
        for label, child in node.items():
            units[base ^ (label or 0)] = child | 1 << 31 if label is None else label
        for label, child in node.items():
            if label is not None:
                place(child, base ^ label)

    place(root, 0)
    trie = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(max(units) + 1))
    return struct.pack("<I", len(trie)) + trie + blob


RULES = {chr(c): unicodedata.normalize("NFKC", chr(c)) for c in
         [*range(0xA0, 0x180), *range(0xFF01, 0xFF60), *range(0x2460, 0x2470), 0xFB01, 0x212B, 0x338F, 0x2167, 0x3000]
         if unicodedata.normalize("NFKC", chr(c)) != chr(c)}
RULES |= {a + m: unicodedata.normalize("NFC", a + m) for a in "aeiouAEIOUn" for m in "\u0300\u0301\u0302\u0303\u0308"
          if len(unicodedata.normalize("NFC", a + m)) == 1}
RULES |= {"\t": " ", "\n": " ", "\r": " ", "\u200b": " ", "\u2028": " ", "\x01": "", "\x7f": "", "\ufeff": ""}

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+"
          r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s")
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
KIMI = "|".join([
    r"[\p{Han}]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"]
CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"

N, P, D = normalizers, pre_tokenizers, decoders
ALPHABET = P.ByteLevel.alphabet()
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def special(content, **flags):
    return AddedToken(content, special=True, normalized=False, **flags)


def byte_level(pieces, normalizer=None, vocab=500, alphabet=ALPHABET, **model):
    t = Tokenizer(models.BPE(**model))
    t.pre_tokenizer, t.decoder = pieces, D.ByteLevel()
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=alphabet, show_progress=False,
                                                     special_tokens=["<|endoftext|>"]))
    return t


def splits(*regexes, behavior="isolated"):
    return P.Sequence([P.Split(Regex(r), behavior) for r in regexes] + [P.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentencepiece_bpe(normalizer, pieces, decoder, vocab=700, **model):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True, **model))
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = P.Metaspace(prepend_scheme="never")
    t.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=vocab, limit_alphabet=70, show_progress=False,
                                                     special_tokens=["<unk>", "<s>", "</s>"] + BYTES))
    j = json.loads(t.to_str())  # bytes are tokens of the model, not added ones
    j["added_tokens"] = j["added_tokens"][:3]
    t = Tokenizer.from_str(json.dumps(j))
    t.pre_tokenizer, t.decoder = pieces, decoder
    t.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", 1)])
    return t


def unigram(normalizer, pieces, decoder, unk="<unk>", first=("<s>", "<pad>", "</s>"), vocab=500):
    t = Tokenizer(models.Unigram())
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer, t.decoder = pieces, decoder
    few = [line for line in LINES if line.isascii()] + [word for word in WORDS if max(word) < "\u0400"]
    t.train_from_iterator(few, trainers.UnigramTrainer(vocab_size=vocab, special_tokens=[*first, unk], unk_token=unk,
                                                         show_progress=False))
    return t


def wordpiece(normalizer, pieces, vocab=500):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=30))
    t.normalizer, t.pre_tokenizer, t.decoder = normalizer, pieces, D.WordPiece()
    t.train_from_iterator(LINES, trainers.WordPieceTrainer(
        vocab_size=vocab, limit_alphabet=80, show_progress=False,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    return t


def words(pieces, decoder=None, normalizer=None, unk="[UNK]", vocab=300):
    t = Tokenizer(models.WordLevel(unk_token=unk))
    t.pre_tokenizer = pieces
    if normalizer:
        t.normalizer = normalizer
    if decoder:
        t.decoder = decoder
    t.train_from_iterator(LINES, trainers.WordLevelTrainer(vocab_size=vocab, special_tokens=[unk] if unk else [], show_progress=False))
    return t


def edited(t, change):
    j = json.loads(t.to_str())
    change(j)
    return Tokenizer.from_str(json.dumps(j))


def llama2():
    return sentencepiece_bpe(N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), None, D.Sequence(
        [D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)]))


def mistral():
    t = sentencepiece_bpe(None, P.Metaspace(prepend_scheme="first", split=False), D.Sequence(
        [D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)]))
    t.add_special_tokens([special("[INST]"), special("[/INST]")])
    return t


def gemma():
    t = sentencepiece_bpe(N.Replace(" ", "▁"), P.Split(" ", "merged_with_previous"), D.Sequence(
        [D.Replace("▁", " "), D.ByteFallback(), D.Fuse()]))
    t.add_special_tokens([special("<start_of_turn>"), special("<end_of_turn>")])
    t.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("▁▁▁", normalized=False)])
    return t


def t5():
    t = unigram(N.Precompiled(charsmap(RULES)), P.Sequence([P.WhitespaceSplit(), P.Metaspace()]), D.Metaspace(),
                first=("<pad>", "</s>"))
    t.add_special_tokens([special(f"<extra_id_{i}>", lstrip=i == 1, rstrip=i == 2) for i in range(3)])
    t.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    return t


def xlmr():
    t = unigram(N.Sequence([N.Precompiled(charsmap(RULES)), N.Replace(Regex(" {2,}"), " ")]), P.Metaspace(),
                D.Metaspace(), first=("<s>", "<pad>", "</s>"))
    t.add_special_tokens([special("<mask>", lstrip=True)])
    t.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)])
    return t


def albert():
    return unigram(N.Sequence([N.Replace("``", '"'), N.Replace("''", '"'), N.NFKD(), N.StripAccents(), N.Lowercase(),
                               N.Precompiled(charsmap(RULES)), N.Replace(Regex(" {2,}"), " ")]),
                   P.Metaspace(prepend_scheme="first"), D.Metaspace(prepend_scheme="first"))


def unigram_bytes():
    t = unigram(N.Sequence([N.Nmt(), N.NFKC(), N.Strip()]), P.Metaspace(prepend_scheme="never", split=False),
                D.Sequence([D.ByteFallback(), D.Metaspace(prepend_scheme="never")]))

    def change(j):
        kept = [entry for entry in j["model"]["vocab"] if len(entry[0]) > 1 or entry[0] < "s"]
        j["model"] |= {"byte_fallback": True, "vocab": kept + [[b, -30.0] for b in BYTES]}
        j["model"]["unk_id"] = [entry[0] for entry in kept].index("<unk>")
        j["added_tokens"] = []
    return edited(t, change)


def bert():
    t = wordpiece(N.BertNormalizer(), P.BertPreTokenizer())
    t.add_tokens([AddedToken("Straße", normalized=True), AddedToken("cat", single_word=True)])
    t.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1",
                                                     [("[CLS]", 2), ("[SEP]", 3)])
    return t


def bert_cased():
    t = wordpiece(N.BertNormalizer(lowercase=False, strip_accents=None), P.BertPreTokenizer())
    t.decoder = D.WordPiece(cleanup=False)
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def clip():
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>"))
    t.normalizer = N.Sequence([N.NFC(), N.Replace(Regex(r"\s+"), " "), N.Lowercase()])
    t.pre_tokenizer = P.Sequence([P.Split(Regex(CLIP), "removed", invert=True), P.ByteLevel(add_prefix_space=False)])
    t.decoder = D.Sequence([D.ByteLevel(), D.Replace("</w>", " "), D.Strip(" ", 0, 1)])
    t.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=700, initial_alphabet=ALPHABET, show_progress=False,
                                                     end_of_word_suffix="</w>", special_tokens=["<|startoftext|>", "<|endoftext|>"]))
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), False, False)
    return t


def openai_gpt():
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.normalizer, t.pre_tokenizer, t.decoder = N.BertNormalizer(), P.BertPreTokenizer(), D.BPEDecoder()
    t.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=500, limit_alphabet=60, end_of_word_suffix="</w>",
                                                     special_tokens=["<unk>"], show_progress=False))
    return t


def subword_prefix():
    t = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    t.pre_tokenizer, t.decoder = P.Whitespace(), D.WordPiece(cleanup=False)
    t.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=500, limit_alphabet=60, continuing_subword_prefix="##",
                                                     special_tokens=["<unk>"], show_progress=False))
    return t


def falcon():
    return byte_level(P.Sequence([P.Punctuation("contiguous"), P.ByteLevel(add_prefix_space=False),
                                  P.Digits(individual_digits=False), P.Split(Regex("[0-9][0-9][0-9]"), "isolated")]))


def neox():
    t = byte_level(P.ByteLevel(add_prefix_space=False), N.NFC())
    t.add_tokens([AddedToken(" " * n, normalized=True) for n in range(8, 1, -1)])
    return t


def roberta():
    t = byte_level(P.ByteLevel(add_prefix_space=True))
    t.add_special_tokens([special("<s>"), special("</s>"), special("<mask>", lstrip=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")))
    return t


def whisper():
    t = byte_level(P.ByteLevel(add_prefix_space=False))
    t.add_special_tokens([special(f"<|{i / 50:.2f}|>") for i in range(50)] + [special("<|en|>")])
    t.post_processor = processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(
        "<|en|> <|0.00|> $A <|endoftext|>", "<|en|> $A $B <|endoftext|>",
        [(x, t.token_to_id(x)) for x in ["<|en|>", "<|0.00|>", "<|endoftext|>"]])])
    return t


def qwen():
    t = byte_level(splits(LLAMA % ""), N.NFC())
    t.add_special_tokens([special("<|im_start|>"), special("<|im_end|>")])
    t.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("e\u0301x", normalized=True)])
    return t


def partial_bytes():
    """Bytes that training has not met are no tokens: they are left out."""
    return byte_level(P.ByteLevel(add_prefix_space=False), alphabet=[])


def byte_normalizer():
    t = byte_level(P.Split(Regex("Ġ?[^Ġ]+|Ġ"), "isolated"), N.ByteLevel(), ignore_merges=True)
    t.add_tokens([AddedToken("naïve", normalized=True), AddedToken("手", normalized=False)])
    return t


def speech():
    t = words(P.Split("", "isolated"), D.CTC("<pad>", "|", True), vocab=60, unk="<unk>")
    return t


def behaviors(behavior):
    return lambda: byte_level(P.Sequence([P.Split(Regex(r"\p{Lu}|-+|\d{2}"), behavior),
                                          P.Split(" ", behavior, invert=behavior == "contiguous"),
                                          P.ByteLevel(add_prefix_space=False, use_regex=False)]), vocab=320)


KINDS = {
    "llama2": llama2, "mistral": mistral, "gemma": gemma, "t5": t5, "xlm-r": xlmr, "albert": albert,
    "unigram-bytes": unigram_bytes, "bert": bert, "bert-cased": bert_cased, "clip": clip, "openai-gpt": openai_gpt,
    "subword-prefix": subword_prefix, "falcon": falcon, "gpt-neox": neox, "roberta": roberta, "whisper": whisper,
    "qwen": qwen, "partial-bytes": partial_bytes, "byte-normalizer": byte_normalizer, "speech": speech,
    "bloom": lambda: byte_level(splits(BLOOM)), "glm": lambda: byte_level(splits(CL100K)),
    "o200k": lambda: byte_level(splits(O200K)), "kimi": lambda: byte_level(splits(KIMI)),
    "deepseek": lambda: byte_level(splits(*DEEPSEEK)),
    "starcoder": lambda: byte_level(P.Sequence([P.Digits(True), P.ByteLevel(add_prefix_space=False)])),
    "removed": behaviors("removed"), "previous": behaviors("merged_with_previous"), "next": behaviors("merged_with_next"),
    "contiguous": behaviors("contiguous"),
    "words": lambda: words(P.Whitespace()),
    "scripts": lambda: words(P.Sequence([P.UnicodeScripts(), P.WhitespaceSplit()]), D.Fuse(), N.Sequence([N.NFD(), N.Lowercase()])),
    "fixed": lambda: words(P.FixedLength(2), D.Sequence([D.Replace(Regex("[aeiou]"), "_"), D.Fuse(), D.Replace("__", "")])),
    "delimiter": lambda: words(P.Sequence([P.CharDelimiterSplit(" "), P.Punctuation("removed"), P.Digits(True)]), None,
                               N.Sequence([N.NFKC(), N.Strip(right=False)]), unk=None),
}


def golden(t, text):
    try:
        ids = t.encode(text, add_special_tokens=False).ids
    except Exception:
        return {"text": text}
    return {"text": text, "ids": ids, "wrapped": t.encode(text).ids, "decoded": decoded(t, ids)}


def decoded(t, ids):
    try:
        return t.decode(ids, skip_special_tokens=False)
    except BaseException:  # a panic of the library, as for no ids at all with Strip or BPEDecoder
        return ""


FILES = sorted(CORPUS.rglob("*.java"))[:60]
LINES = [line for f in FILES for line in f.read_text().split("\n")] + [text(["x"]) for _ in range(1500)] + WORDS * 3
if __name__ == "__main__":
    for name, make in KINDS.items():
        t = make()
        added = [a.content for a in t.get_added_tokens_decoder().values()]
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        j = json.loads(t.to_str())
        (folder / "tokenizer.json").write_text(json.dumps(j, ensure_ascii=False, separators=(",", ":")))
        dump = dict(ensure_ascii=True, separators=(",", ":"))
        texts = ["", " ", "  ", "a", "hello world", "Hello,  world!\n\n", "\x00", "x" * 200, "\U0010ffff"] + [
            text(added or ["x"]) for _ in range(TEXTS)]
        (folder / "golden.json").write_text("[" + ",\n".join(json.dumps(golden(t, x), **dump) for x in texts) + "]\n")
        size = max(t.get_vocab().values()) + 1
        ids = [[R.randrange(size) for _ in range(R.randint(0, 9))] for i in range(TEXTS // 2)]
        (folder / "dec.json").write_text("[" + ",\n".join(json.dumps(
            [x, decoded(t, x)], **dump) for x in ids) + "]\n")
