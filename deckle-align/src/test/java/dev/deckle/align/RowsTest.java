package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.chat.ChatTemplate;
import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Rows of data sets as tokens, and those that are refused in a line naming file and line.
class RowsTest {
    private static final int VOCAB = 400;
    private static final String END = "<|endoftext|>";
    private static final String TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}" + END
            + "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

    @TempDir
    private Path folder;

    private Path file;
    private Tokenizer tokenizer;
    private int end;

    @BeforeEach
    void tokenizer() {
        var trainer = new BpeTrainer(290, List.of(END));
        trainer.count("to be or not to be, that is the question: whether tis nobler".getBytes(StandardCharsets.UTF_8));
        tokenizer = trainer.train();
        end = tokenizer.endOfText().orElseThrow();
        file = folder.resolve("rows.jsonl");
    }

    private ChatTemplate template(String text) throws IOException {
        Files.writeString(folder.resolve("chat_template.jinja"), text);
        return ChatTemplate.load(folder);
    }

    private Rows rows(int longest, String... lines) throws IOException {
        Files.writeString(file, String.join("\n", lines).replace('\'', '"'));
        return new Rows(file, Optional.of(tokenizer), Optional.of(template(TURNS)), VOCAB, longest, 100);
    }

    private Rows rows(String... lines) throws IOException {
        return rows(99, lines);
    }

    /// The line alone, without the file's name before it.
    private String refused(Executable read) {
        Exception e = assertThrows(Exception.class, read);
        assertTrue(e instanceof IOException || e instanceof IllegalArgumentException, e.toString());
        assertTrue(e.getMessage().startsWith(file + ""), e.getMessage());
        assertEquals(1, e.getMessage().lines().count(), e.getMessage());
        return e.getMessage().substring((file + "").length());
    }

    /// What counts, as text: pieces between what does not.
    private List<String> learned(Sequence s) {
        List<String> pieces = new ArrayList<>();
        int from = -1;
        for (int i = 0; i <= s.length(); i++) {
            boolean counts = i < s.length() && s.counted()[i];
            if (counts && from < 0) {
                from = i;
            } else if (!counts && from >= 0) {
                pieces.add(tokenizer.decode(java.util.Arrays.copyOfRange(s.ids(), from, i)));
                from = -1;
            }
        }
        return pieces;
    }

    private static void same(int[] ids, String counted, Sequence s) {
        assertArrayEquals(ids, s.ids());
        StringBuilder b = new StringBuilder();
        for (boolean c : s.counted()) {
            b.append(c ? '1' : '0');
        }
        assertEquals(counted, b.toString());
    }

    @Test
    void ids() throws IOException {
        var e = rows("{'prompt_ids': [5, 6], 'completion_ids': [7, 0, 399]}", " ", "",
                "{'completion_ids': [1, 2], 'prompt_ids': [], 'note': 3}").examples();
        assertEquals(2, e.size());
        same(new int[] {5, 6, 7, 0, 399}, "00111", e.getFirst().sequence());
        same(new int[] {1, 2}, "01", e.getLast().sequence()); // nothing predicts the first token
        var p = rows("{'prompt_ids': [5], 'chosen_ids': [6, 7], 'rejected_ids': [8], 'margin': -0.5}").pairs()
                .getFirst();
        same(new int[] {5, 6, 7}, "011", p.chosen());
        same(new int[] {5, 8}, "01", p.rejected());
        assertEquals(-0.5, p.margin());
        assertEquals(0,
                rows("{'prompt_ids': [5], 'chosen_ids': [6], 'rejected_ids': [8]}").pairs().getFirst().margin());
        var r = rows("{'prompt_ids': [5], 'completion_ids': [6, 7], 'reward': -1, 'logprobs': [-0.5, -2]}").rollouts()
                .getFirst();
        same(new int[] {5, 6, 7}, "011", r.sequence());
        assertEquals(-1, r.reward());
        assertArrayEquals(new float[] {-0.5f, -2}, r.logprobs());
        for (String nobody : List.of("", ", 'reward': null")) { // nobody judged it
            String line = "{'prompt_ids': [5], 'completion_ids': [6], 'logprobs': [-1]" + nobody + "}";
            assertEquals(Double.NaN, rows(line).rollouts().getFirst().reward());
        }
        var q = rows("{'prompt_ids': [5, 6], 'answer': 'x'}").prompts().getFirst();
        assertArrayEquals(new int[] {5, 6}, q.ids());
        assertEquals(tokenizer.decode(5, 6), q.text());
        assertEquals("x", q.columns().get("answer").getAsString());
    }

    @Test
    void texts() throws IOException {
        Sequence s = rows("{'prompt': 'to be', 'completion': ' or not'}").examples().getFirst().sequence();
        assertArrayEquals(tokenizer.encode("to be or not" + END), s.ids());
        assertEquals(List.of(" or not" + END), learned(s));
        Sequence ended =
                rows("{'prompt': 'to be', 'completion': ' or not" + END + "'}").examples().getFirst().sequence();
        assertArrayEquals(s.ids(), ended.ids()); // one end is enough
        Sequence alone = rows("{'text': 'to be or not'}").examples().getFirst().sequence();
        assertArrayEquals(s.ids(), alone.ids());
        assertEquals(s.length() - 1, alone.tokens());
        assertEquals(List.of("be" + END), learned(rows("{'completion': 'to be'}").examples().getFirst().sequence())
                .stream().map(t -> t.substring(t.indexOf("be"))).toList());
        var pair = rows("{'prompt': 'to be', 'chosen': ' or', 'rejected': ' not to'}").pairs().getFirst();
        assertEquals(List.of(" or" + END), learned(pair.chosen()));
        assertEquals(List.of(" not to" + END), learned(pair.rejected()));
        var prompt = rows("{'prompt': 'to be', 'n': 4}").prompts().getFirst();
        assertArrayEquals(tokenizer.encode("to be"), prompt.ids());
        assertEquals("to be", prompt.text());
    }

    /// Where the whole's token would reach from the prompt into the completion, both are tokenised alone.
    @Test
    void promptsAreNotMeltedAway() throws IOException {
        int together = tokenizer.encode("question").length;
        int[] before = tokenizer.encode("quest");
        int[] after = tokenizer.encode("ion");
        assertTrue(together < before.length + after.length);
        Sequence s = rows("{'prompt': 'quest', 'completion': 'ion'}").examples().getFirst().sequence();
        assertEquals(before.length + after.length + 1, s.length());
        assertEquals(List.of("ion" + END), learned(s));
    }

    @Test
    void conversations() throws IOException {
        String said = "{'role': 'user', 'content': 'to be?'}, {'role': 'assistant', 'content': 'or not'}";
        String more = ", {'role': 'user', 'content': 'that is?'}, {'role': 'assistant', 'content': 'the question'}";
        Sequence s = rows("{'messages': [" + said + more + "]}").examples().getFirst().sequence();
        assertEquals("<user>to be?" + END + "<assistant>or not" + END + "<user>that is?" + END
                + "<assistant>the question" + END, tokenizer.decode(s.ids()));
        assertEquals(List.of("or not" + END, "the question" + END), learned(s));
        var pair = rows("{'prompt': [{'role': 'user', 'content': 'to be?'}], "
                + "'chosen': [{'role': 'assistant', 'content': 'or not'}], "
                + "'rejected': [{'role': 'assistant', 'content': 'whether'}]}").pairs().getFirst();
        assertEquals(List.of("or not" + END), learned(pair.chosen()));
        assertEquals(List.of("whether" + END), learned(pair.rejected()));
        var whole = rows("{'chosen': [" + said + "], 'rejected': [" + said.replace("or not", "whether") + "]}").pairs();
        assertArrayEquals(pair.chosen().ids(), whole.getFirst().chosen().ids());
        var prompt = rows("{'prompt': [{'role': 'user', 'content': 'to be?'}]}").prompts().getFirst();
        assertEquals("<user>to be?" + END + "<assistant>", prompt.text());
        assertArrayEquals(tokenizer.encode(prompt.text()), prompt.ids());
    }

    /// Where the template marks what is the assistant's, only that counts, even if turns cannot be told by rendering.
    @Test
    void generationBlocks() throws IOException {
        String said =
                "{'messages': [{'role': 'user', 'content': 'to be?'}, {'role': 'assistant', 'content': 'or not'}, "
                        + "{'role': 'user', 'content': 'that is?'}, {'role': 'assistant', 'content': 'the question'}], "
                        + "'prompt': 'not a part of it'}";
        Files.writeString(file, said.replace('\'', '"'));
        Rows marked = new Rows(file, Optional.of(tokenizer), Optional.of(template(
                "{{ messages | length }}{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}"
                        + "{% generation %}{{ m.content }}{% endgeneration %}" + END
                        + "{% else %}{{ m.content }}{% endif %}{% endfor %}")),
                VOCAB, 99, 100);
        Sequence s = marked.examples().getFirst().sequence();
        assertEquals(List.of("or not", "the question"), learned(s)); // without the end, as the template has it
        assertTrue(tokenizer.decode(s.ids()).startsWith("4<user>to be?<assistant>or not" + END), s.toString());
    }

    /// A token over the border of two turns: each is tokenised alone, so that what counts is whole.
    @Test
    void turnsThatWouldMelt() throws IOException {
        Files.writeString(file, "{\"messages\": [{\"role\": \"user\", \"content\": \"quest\"}, "
                + "{\"role\": \"assistant\", \"content\": \"ion\"}]}");
        Rows rows = new Rows(file, Optional.of(tokenizer),
                Optional.of(template("{% for m in messages %}{{ m.content }}{% endfor %}")), VOCAB, 99, 100);
        Sequence s = rows.examples().getFirst().sequence();
        assertEquals(List.of("ion"), learned(s));
        assertEquals("question", tokenizer.decode(s.ids()));
    }

    /// A tokenizer that writes a space before every text must see the conversation as one.
    @Test
    void turnsAreTokensOfTheWhole() throws IOException {
        Files.writeString(folder.resolve("tokenizer.json"), """
                {"version": "1.0", "added_tokens": [{"id": 0, "content": "</s>", "single_word": false, "lstrip": false,
                  "rstrip": false, "normalized": false, "special": true}], "normalizer": null, "pre_tokenizer":
                  {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
                  "post_processor": null, "decoder": {"type": "Metaspace", "replacement": "▁",
                  "prepend_scheme": "first", "split": true}, "model": {"type": "WordLevel", "unk_token": "?",
                  "vocab": {"</s>": 0, "?": 1, "▁u:": 2, "▁a:": 3, "▁yes": 4, "▁no": 5, "▁▁a:": 6, "▁▁yes": 7}}}
                """);
        Files.writeString(folder.resolve("tokenizer_config.json"), "{\"eos_token\": \"</s>\"}");
        Tokenizer spaced = Tokenizer.load(folder);
        Files.writeString(file, "{\"messages\": [{\"role\": \"u\", \"content\": \"no\"}, "
                + "{\"role\": \"assistant\", \"content\": \"yes\"}]}");
        Rows rows = new Rows(file, Optional.of(spaced), Optional.of(template(
                "{% for m in messages %}{{ m.role[0] }}: {{ m.content }} {% endfor %}"
                        + "{% if add_generation_prompt %}a:{% endif %}")),
                VOCAB, 99, 100);
        Sequence s = rows.examples().getFirst().sequence();
        assertArrayEquals(spaced.encode("u: no a: yes "), s.ids());
        assertEquals(3, s.length() - s.tokens()); // "u:", "no", "a:"
    }

    @Test
    void longOnesAreCut() throws IOException {
        var e = rows(4, "{'prompt_ids': [5, 6], 'completion_ids': [7, 8, 9]}").examples().getFirst();
        same(new int[] {5, 6, 7, 8}, "0011", e.sequence());
        assertEquals(", line 1: no token is left to learn within 2 tokens: a longer --max-length, or a shorter "
                + "prompt is needed",
                refused(() -> rows(2, "{'prompt_ids': [5, 6], 'completion_ids': [7]}").examples()));
        assertEquals(", line 1: chosen equals rejected within 3 tokens: a longer --max-length, or a shorter "
                + "prompt is needed",
                refused(() -> rows(3, "{'prompt_ids': [5, 6], 'chosen_ids': [7, 8], 'rejected_ids': [7, 9]}").pairs()));
        assertEquals(", line 1: the prompt has 4 tokens, expected 1 to 3, so that something can follow it",
                refused(() -> rows(4, "{'prompt_ids': [5, 6, 7, 8]}").prompts()));
        assertEquals(", line 1: a prompt of at least one token and at most 3 tokens with the completion are expected, "
                + "not 2 and 4",
                refused(() -> rows(3, "{'prompt_ids': [5, 6], 'completion_ids': [7, 8], 'reward': 1, "
                        + "'logprobs': [0, 0]}").rollouts()));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
        "{'completion_ids': [1]}                          | prompt_ids is missing",
        "{'prompt_ids': [1], 'completion_ids': []}        | no token is left to learn",
        "{'prompt_ids': [1], 'completion_ids': 3}         | completion_ids is no list",
        "{'prompt_ids': [1], 'completion_ids': null}      | completion_ids is no list",
        "{'prompt_ids': [1], 'completion_ids': [400]}     | completion_ids holds 400, the model has ids 0 to 399",
        "{'prompt_ids': [-1], 'completion_ids': [4]}      | prompt_ids holds -1, the model has ids 0 to 399",
        "{'prompt_ids': [1.5], 'completion_ids': [4]}     | prompt_ids holds 1.5, the model has ids 0 to 399",
        "{'prompt_ids': [1e99], 'completion_ids': [4]}    | prompt_ids holds 1e99, the model has ids 0 to 399",
        "{'prompt_ids': ['1'], 'completion_ids': [4]}     | prompt_ids is no number",
        "{'prompt_ids': [[1]], 'completion_ids': [4]}     | prompt_ids is no number",
        "{'prompt': 3, 'completion': 'a'}                 | prompt is no text",
        "{'prompt': 'a', 'completion': null}              | completion is no text",
        "{'text': ['a']}                                  | text is no text",
        "{'messages': 'a'}                                | messages is no list",
        "{'messages': ['a']}                              | messages holds something that is no message",
        "{'messages': [{'content': 'a'}]}                 | role is missing",
        "{'messages': [{'role': 1, 'content': 'a'}]}      | role is no text",
        "{'messages': []}                                 | no message is the assistant's",
        "{'messages': [{'role': 'user', 'content': 'a'}]} | no message is the assistant's",
        "{'question': 'a'}                                | has the keys question, expected completion (and prompt), ",
        "{}                                               | has the keys , expected completion",
        "[1]                                              | expected one JSON object",
        "{'text': 'a'                                     | not JSON",
        "{'text': 'a'} {'text': 'b'}                      | not JSON",
        "{text: 'a'}                                      | not JSON",
        "{'prompt_ids': [NaN], 'completion_ids': [4]}     | not JSON",
    })
    void examplesThatAreRefused(String line, String told) {
        String filler = "{'prompt_ids': [1], 'completion_ids': [2]}";
        String m = refused(() -> rows(line, filler).examples());
        assertTrue(m.startsWith(", line 1: ") && m.contains(told), m);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
        "{'prompt_ids': [1], 'chosen_ids': [2], 'rejected_ids': [2]}               | chosen equals rejected, so",
        "{'prompt': 'a', 'chosen': 'b', 'rejected': 'b'}                           | chosen equals rejected, so",
        "{'prompt': 'a', 'chosen': 'b'}                                            | rejected is missing",
        "{'prompt': 'a', 'chosen': 'b', 'rejected': ['c']}                         | rejected is no text",
        "{'chosen': [{'role': 'assistant', 'content': 'a'}], 'rejected': 'c'}      | rejected is no list",
        "{'prompt_ids': [1], 'chosen_ids': [2], 'rejected_ids': [3], 'margin': ''} | margin is no number",
        "{'prompt': 'a', 'completion': 'b'}                                        | expected chosen and rejected",
        "{'prompt_ids': [1], 'chosen_ids': [2], 'rejected_ids': []}                | no token is left to learn",
    })
    void pairsThatAreRefused(String line, String told) {
        String m = refused(() -> rows(line).pairs());
        assertTrue(m.startsWith(", line 1: ") && m.contains(told), m);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
        "{'prompt_ids': [1], 'completion_ids': [2], 'reward': 1}                      | logprobs is missing",
        "{'prompt_ids': [1], 'completion_ids': [2], 'reward': 1, 'logprobs': []}      | logprobs has 0 numbers for 1",
        "{'prompt_ids': [1], 'completion_ids': [2], 'reward': 1, 'logprobs': ['a']}   | logprobs is no number",
        "{'prompt_ids': [1], 'completion_ids': [2], 'reward': 'x', 'logprobs': [0]}   | reward is no number",
        "{'prompt_ids': [1], 'completion_ids': [2], 'reward': 1e999, 'logprobs': [0]} | reward is no number",
        "{'prompt_ids': [], 'completion_ids': [2], 'reward': 1, 'logprobs': [0]}      | a prompt of at least one token",
    })
    void rolloutsThatAreRefused(String line, String told) {
        String m = refused(() -> rows(line).rollouts());
        assertTrue(m.startsWith(", line 1: ") && m.contains(told), m);
    }

    @Test
    void files() throws IOException {
        assertEquals(": holds no rows, expected one JSON object a line", refused(() -> rows("", "  ").examples()));
        assertEquals(", line 3: has the keys messages, the rows before it completion, prompt",
                refused(() -> rows("{'prompt': 'a', 'completion': 'b'}", "", "{'messages': []}").examples()));
        assertEquals(", line 2: has the keys completion, the rows before it completion, prompt",
                refused(() -> rows("{'prompt': 'a', 'completion': 'b'}", "{'completion': 'b'}").examples()));
        for (String[] mixed : new String[][] {
            {"'a'", "[{'role': 'user', 'content': 'a'}]", "prompt (messages)", "prompt"},
            {"[{'role': 'user', 'content': 'a'}]", "'a'", "prompt", "prompt (messages)"}}) {
            assertEquals(", line 2: has the keys " + mixed[2] + ", the rows before it " + mixed[3],
                    refused(() -> rows("{'prompt': " + mixed[0] + "}", "{'prompt': " + mixed[1] + "}").prompts()));
        }
        Files.write(file, new byte[] {'{', '}', '\n', '\n', (byte) 0xc3, '\n', (byte) 0xff});
        Rows broken = new Rows(file, Optional.of(tokenizer), Optional.empty(), VOCAB, 9, 100);
        assertEquals(", line 3: not UTF-8", refused(broken::examples));
        Files.write(file, "\ufeff{}".getBytes(StandardCharsets.UTF_16LE));
        assertEquals(", line 1: not UTF-8", refused(broken::examples));
        Files.writeString(file, "\ufeff");
        assertEquals(": holds no rows, expected one JSON object a line", refused(broken::examples));
        Files.delete(file);
        assertEquals(": there is no such file", refused(broken::examples));
    }

    /// As an editor of another system may write it.
    @Test
    void lineEndsAndByteOrderMarks() throws IOException {
        var plain =
                rows("{'prompt': 'to be', 'completion': 'or not'}", "{'prompt': '', 'completion': 'be'}").examples();
        String lines = Files.readString(file);
        for (String other : List.of(lines.replace("\n", "\r\n") + "\r\n", "\ufeff" + lines, lines + "\n\n \t\n")) {
            Files.writeString(file, other);
            var same = new Rows(file, Optional.of(tokenizer), Optional.empty(), VOCAB, 99, 100).examples();
            assertEquals(2, same.size());
            for (int i = 0; i < 2; i++) {
                assertArrayEquals(plain.get(i).sequence().ids(), same.get(i).sequence().ids());
            }
        }
        Files.writeString(file, lines.replace("\n", "\r\n") + "\r\n{\r\n");
        assertTrue(refused(() -> new Rows(file, Optional.of(tokenizer), Optional.empty(), VOCAB, 99, 100).examples())
                .startsWith(", line 3: not JSON"));
    }

    /// What helps depends on what is in the way: the run's bound, or the model's.
    @Test
    void promptsBeyondTheContext() throws IOException {
        rows("{'prompt_ids': [1, 2, 3, 4], 'completion_ids': [5], 'chosen_ids': [5], 'rejected_ids': [6]}");
        Rows bounded = new Rows(file, Optional.empty(), Optional.empty(), VOCAB, 1024, 4);
        String told =
                ", line 1: no token is left to learn within 4 tokens: the model takes no more, so a shorter prompt "
                        + "is needed";
        assertEquals(told, refused(bounded::examples));
        assertEquals(told, refused(bounded::pairs));
        assertEquals(", line 1: the prompt has 4 tokens, expected 1 to 3, so that something can follow it",
                refused(bounded::prompts));
    }

    @Test
    void whatAModelLacks() throws IOException {
        rows("{'prompt': 'a', 'completion': 'b'}");
        Rows bare = new Rows(file, Optional.empty(), Optional.empty(), VOCAB, 9, 100);
        String noTokenizer = refused(bare::examples);
        assertTrue(noTokenizer.startsWith(", line 1: is text, and the model's folder holds no tokenizer.json"),
                noTokenizer);
        rows("{'messages': [{'role': 'assistant', 'content': 'a'}]}");
        String noTemplate =
                refused(() -> new Rows(file, Optional.of(tokenizer), Optional.empty(), VOCAB, 9, 100).examples());
        assertTrue(noTemplate.startsWith(", line 1: has messages, and the model's folder holds no chat template"),
                noTemplate);
        String forgetful = "{% for m in messages %}{% if loop.last or m.role == 'user' %}{{ m.content }}{% endif %}"
                + "{% endfor %}";
        rows("{'messages': [{'role': 'assistant', 'content': 'a'}, {'role': 'user', 'content': 'b'}]}");
        Rows other = new Rows(file, Optional.of(tokenizer), Optional.of(template(forgetful)), VOCAB, 9, 100);
        String m = refused(other::examples);
        assertTrue(m.startsWith(", line 1: the chat template shows the assistant's turn 1 otherwise when more"), m);
        Rows raising = new Rows(file, Optional.of(tokenizer), Optional.of(template("{{ raise_exception('no') }}")),
                VOCAB, 9, 100);
        assertTrue(refused(raising::examples).startsWith(", line 1: "));
    }
}
