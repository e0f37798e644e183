package dev.deckle.tokenizer;

import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.PriorityQueue;
import java.util.concurrent.ConcurrentLinkedQueue;

/// Learns the merges of a byte-level BPE tokenizer from text (Sennrich et al., 2016; over bytes: Radford et al., 2019).
///
/// **Goal.** The vocabulary is the special tokens, the 256 bytes, and then, one at a time, the most frequent pair of
/// neighbouring tokens in the text so far, as one new token. Of equally frequent pairs the one with the lower left id,
/// then the lower right id, is taken. That rule makes the result a function of the text alone, whatever the order of
/// the documents and the number of threads, and it is the rule of Hugging Face's trainer.
///
/// **Structure.** Two passes of very different size.
/// 1. [#count] cuts text into pieces and counts how often each distinct piece occurs. Pairs never cross pieces, so
///    these counts are all that training needs: 29 MB of Java are 6.2 million pieces, 64 thousand of them distinct.
///    Each calling thread counts in a table of its own.
/// 2. [#train] merges inside the distinct pieces ("words"). For every pair it keeps its count and the words it has been
///    seen in, so a merge touches only those. A merge changes the counts of its neighbours only; the pairs wait in a
///    heap by count, where one whose count has fallen since it was put there is put back when it comes up.
///
/// Each merge makes a new token. All that ever stood between two boundaries that are still there was merged alike
/// wherever these bytes stand between two such; so once `a` + `bc` has made `abc`, no `ab` is left beside a `c`.
///
/// Memory is linear in the text of distinct words: four bytes a symbol, and a few words a pair.
///
/// **Rejected.** Recounting all pairs for each merge: the definition, and the test's reference, but thousands of
/// passes. A heap that moves a pair at each change of its count: most changes never matter, since most pairs never
/// come up.
///
/// ```java
/// var trainer = new BpeTrainer(2048, List.of("<|endoftext|>"));
/// for (byte[] text : texts) {
///     trainer.count(text);
/// }
/// Tokenizer tokenizer = trainer.train();
/// ```
public final class BpeTrainer {
    /// Distinct words with their counts; the work of one thread.
    private static final class WordCounts {
        final SpanTable words = new SpanTable();
        long[] counts = new long[1 << 9];

        void add(byte[] text, int from, int end, long count) {
            int word = words.add(text, from, end);
            if (word == counts.length) {
                counts = Arrays.copyOf(counts, word * 2);
            }
            counts[word] += count;
        }
    }

    /// A pair of neighbouring tokens: how often it occurs, and in which words it has been seen (a word may have lost it
    /// again, or be listed twice).
    private static final class Pair {
        final int left;
        final int right;
        final IntList words = new IntList();
        long count;
        boolean grown; // since it was last put on the heap

        Pair(int left, int right) {
            this.left = left;
            this.right = right;
        }
    }

    /// A pair on the heap with its count when it was put there.
    private record Candidate(Pair pair, long count) implements Comparable<Candidate> {
        @Override
        public int compareTo(Candidate other) {
            int byCount = Long.compare(other.count, count);
            int byLeft = Integer.compare(pair.left, other.pair.left);
            return byCount != 0 ? byCount : byLeft != 0 ? byLeft : Integer.compare(pair.right, other.pair.right);
        }
    }

    private final int vocabularySize;
    private final List<String> specialTokens;
    private final PieceScanner pieces = new PieceScanner.Gpt2();
    private final ConcurrentLinkedQueue<WordCounts> tables = new ConcurrentLinkedQueue<>();

    // The words in training: symbols end to end, the live ones of word w are symbols[from[w], to[w]).
    private int[] symbols = {};
    private int[] from = {};
    private int[] to = {};
    private long[] weight = {};

    private final PairTable pairIndex = new PairTable(0);
    private final List<Pair> pairs = new ArrayList<>();
    private final PriorityQueue<Candidate> heap = new PriorityQueue<>();
    private final List<Pair> grown = new ArrayList<>();

    /// @param vocabularySize how many tokens to end with, special tokens and bytes included
    /// @param specialTokens get the ids 0, 1, ...; the first one ends a text
    public BpeTrainer(int vocabularySize, List<String> specialTokens) {
        if (vocabularySize < 256 + specialTokens.size() || vocabularySize >= 1 << 24) {
            throw new IllegalArgumentException("vocabulary size " + vocabularySize + ": expected at least "
                    + (256 + specialTokens.size()) + " (256 bytes and " + specialTokens.size()
                    + " special tokens) and less than 16,777,216");
        }
        if (new HashSet<>(specialTokens).size() < specialTokens.size()) {
            throw new IllegalArgumentException("special tokens must differ: " + specialTokens);
        }
        for (String token : specialTokens) {
            byte[] text = ByteAlphabet.spells(token) ? ByteAlphabet.toBytes(token) : Utf8.encode(token);
            if (text.length == 0 || pieces.pieceEnd(text, 0, text.length) == text.length) {
                throw new IllegalArgumentException("special token '" + token + "': expected one that no merges can "
                        + "make of ordinary text, such as <|" + token + "|>");
            }
        }
        this.vocabularySize = vocabularySize;
        this.specialTokens = List.copyOf(specialTokens);
    }

    /// Counts the words of one document in UTF-8. Several threads may call this at once.
    public void count(byte[] text) {
        WordCounts pooled = tables.poll();
        WordCounts table = pooled != null ? pooled : new WordCounts();
        for (int i = 0; i < text.length;) {
            int end = pieces.pieceEnd(text, i, text.length);
            table.add(text, i, end, 1);
            i = end;
        }
        tables.add(table);
    }

    /// Learns the merges from all that was counted. A text with fewer pairs than asked for gives a smaller vocabulary:
    /// see [Tokenizer#vocabularySize()]. Called once.
    public Tokenizer train() {
        List<String> vocabulary = new ArrayList<>(specialTokens);
        int[] idOfByte = new int[256];
        for (int b : ByteAlphabet.bytesByChar()) {
            idOfByte[b] = vocabulary.size();
            vocabulary.add(String.valueOf(ByteAlphabet.toChar(b)));
        }

        layOut(mergeTables(), idOfByte);
        countPairs();
        var merges = new ArrayList<BpeModel.Merge>();
        while (vocabulary.size() < vocabularySize && !heap.isEmpty()) {
            Candidate best = heap.poll();
            if (best.count != best.pair.count) {
                offer(best.pair);
                continue;
            }
            int id = vocabulary.size();
            vocabulary.add(vocabulary.get(best.pair.left) + vocabulary.get(best.pair.right));
            merges.add(new BpeModel.Merge(best.pair.left, best.pair.right, id));
            merge(best.pair, id);
        }
        return tokenizer(vocabulary, merges);
    }

    private Tokenizer tokenizer(List<String> vocabulary, List<BpeModel.Merge> merges) {
        var config = new JsonObject();
        config.addProperty("tokenizer_class", "PreTrainedTokenizerFast");
        config.addProperty("clean_up_tokenization_spaces", false);
        if (!specialTokens.isEmpty()) {
            config.addProperty("eos_token", specialTokens.getFirst());
        }
        return new Tokenizer(new TokenizerFiles(TokenizerJson.write(specialTokens, vocabulary, merges), config));
    }

    private WordCounts mergeTables() {
        WordCounts all = tables.isEmpty() ? new WordCounts() : tables.poll();
        for (WordCounts part; (part = tables.poll()) != null;) {
            for (int w = 0; w < part.words.size(); w++) {
                int start = part.words.start(w);
                all.add(part.words.array(), start, start + part.words.length(w), part.counts[w]);
            }
        }
        return all;
    }

    private void layOut(WordCounts table, int[] idOfByte) {
        SpanTable words = table.words;
        symbols = new int[words.totalBytes()];
        from = new int[words.size()];
        to = new int[words.size()];
        weight = table.counts;
        for (int i = 0; i < symbols.length; i++) {
            symbols[i] = idOfByte[words.array()[i] & 0xFF];
        }
        for (int w = 0; w < words.size(); w++) {
            from[w] = words.start(w);
            to[w] = from[w] + words.length(w);
        }
    }

    private void countPairs() {
        for (int w = 0; w < from.length; w++) {
            for (int i = from[w]; i + 1 < to[w]; i++) {
                add(symbols[i], symbols[i + 1], w, weight[w]);
            }
        }
        offerGrown();
    }

    /// Replaces `pair` by `id` in every word, from left to right, and passes what that changes on to the counts.
    private void merge(Pair pair, int id) {
        int a = pair.left;
        int b = pair.right;
        for (int k = 0; k < pair.words.size(); k++) {
            int w = pair.words.get(k);
            int end = to[w];
            int write = from[w];
            for (int read = from[w]; read < end;) {
                if (symbols[read] != a || read + 1 == end || symbols[read + 1] != b) {
                    symbols[write++] = symbols[read++];
                    continue;
                }
                if (write > from[w]) {
                    remove(symbols[write - 1], a, weight[w]);
                    add(symbols[write - 1], id, w, weight[w]);
                }
                if (read + 2 < end) {
                    remove(b, symbols[read + 2], weight[w]);
                    add(id, symbols[read + 2], w, weight[w]);
                }
                symbols[write++] = id;
                read += 2;
            }
            to[w] = write;
        }
        offerGrown();
    }

    private void add(int left, int right, int word, long count) {
        long key = PairTable.pair(left, right);
        int index = (int) pairIndex.get(key);
        if (index == PairTable.NONE) {
            index = pairs.size();
            pairIndex.put(key, index);
            pairs.add(new Pair(left, right));
        }
        Pair pair = pairs.get(index);
        pair.count += count;
        if (pair.words.size() == 0 || pair.words.get(pair.words.size() - 1) != word) {
            pair.words.add(word);
        }
        if (!pair.grown) {
            pair.grown = true;
            grown.add(pair);
        }
    }

    private void remove(int left, int right, long count) {
        pairs.get((int) pairIndex.get(PairTable.pair(left, right))).count -= count;
    }

    private void offerGrown() {
        for (Pair pair : grown) {
            pair.grown = false;
            offer(pair);
        }
        grown.clear();
    }

    private void offer(Pair pair) {
        if (pair.count > 0) {
            heap.add(new Candidate(pair, pair.count));
        }
    }
}
