package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// `deckle align` as a command: what it refuses, in which words, and what of a run may change when it is resumed.
@Timeout(60)
class AlignTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden/align");
    private static final Map<String, String> RUNS =
            Map.of("sft", "sft", "dpo", "dpo-sigmoid", "reward", "reward", "grpo", "grpo");

    @TempDir
    private Path folder;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    @BeforeEach
    void rows() throws IOException {
        for (var e : RUNS.entrySet()) {
            Files.copy(GOLDEN.resolve("runs").resolve(e.getValue()).resolve("data.jsonl"),
                    folder.resolve(e.getKey() + ".jsonl"));
        }
        Files.writeString(folder.resolve("empty.jsonl"), "\n");
        Files.createDirectory(folder.resolve("hollow"));
    }

    private int deckle(String args) {
        out.reset();
        err.reset();
        String all = args.strip().replace("FOLDER", folder.toString()).replace("POLICY", GOLDEN + "/policy");
        return Deckle.run(new PrintStream(out), new PrintStream(err), all.split(" +"));
    }

    private int start(String args) {
        String end = args.contains("--steps") ? "" : " --steps 2";
        return deckle("align --json --out FOLDER/run --model POLICY " + args + end);
    }

    private String err() {
        return err.toString(StandardCharsets.UTF_8);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', value = {
        "sft                                                  | --data FILE is needed",
        "grpo                                                 | --data FILE is needed, or --rollouts FILE",
        "dpo --rollouts FOLDER/grpo.jsonl                     | --rollouts goes with grpo alone",
        "sft --data FOLDER/sft.jsonl --steps 0                | --steps must be positive, not 0",
        "sft --data FOLDER/sft.jsonl --steps many             | 'many' is not a long",
        "sft --data FOLDER/sft.jsonl --batch-size -1          | --batch-size must be positive, not -1",
        "sft --data FOLDER/sft.jsonl --grad-accum 0           | --grad-accum must be positive, not 0",
        "sft --data FOLDER/sft.jsonl --lr 0                   | --lr must be above 0 and below 10, not 0.0",
        "sft --data FOLDER/sft.jsonl --lr NaN                 | --lr must be above 0 and below 10, not NaN",
        "sft --data FOLDER/sft.jsonl --lr -2                  | --lr must be above 0 and below 10, not -2.0",
        "sft --data FOLDER/sft.jsonl --lr-schedule step       | --lr-schedule must be constant, linear or cosine",
        "sft --data FOLDER/sft.jsonl --warmup-steps -3        | --warmup-steps must not be negative, not -3",
        "sft --data FOLDER/sft.jsonl --weight-decay NaN       | --weight-decay must be from 0 to 10, not NaN",
        "sft --data FOLDER/sft.jsonl --grad-clip -1           | --grad-clip must be from 0 to 1e30, not -1.0",
        "sft --data FOLDER/sft.jsonl --adam-beta1 1           | --adam-beta1 must be at least 0 and below 1, not 1.0",
        "sft --data FOLDER/sft.jsonl --adam-beta2 -0.1        | --adam-beta2 must be at least 0 and below 1, not -0.1",
        "sft --data FOLDER/sft.jsonl --adam-eps 0             | --adam-eps must be above 0 and below 1, not 0.0",
        "sft --data FOLDER/sft.jsonl --max-length 1           | --max-length must be at least 2, not 1",
        "sft --data FOLDER/sft.jsonl --dtype f16              | --dtype",
        "sft --data FOLDER/sft.jsonl --loss sigmoid           | --loss: sft has one loss alone",
        "sft --data FOLDER/sft.jsonl --lora-rank -1           | --lora-rank must be from 1 to 65536, not -1",
        "sft --data FOLDER/sft.jsonl --lora-targets q_proj    | --lora-targets goes with --lora-rank R",
        "reward --data FOLDER/reward.jsonl --lora-rank 2 --lora-dropout 0.1 | --lora-dropout goes with sft alone",
        "dpo --data FOLDER/dpo.jsonl --lora-rank 2 --lora-dropout 0.1 | --lora-dropout goes with sft alone",
        "sft --data FOLDER/sft.jsonl --save-every -1          | --save-every must not be negative, not -1",
        "dpo --data FOLDER/dpo.jsonl --packing                | --packing goes with sft alone",
        "grpo --rollouts FOLDER/grpo.jsonl --eval-data x      | --eval-data goes with sft, reward and dpo alone",
        "reward --data FOLDER/reward.jsonl --loss hinge       | --loss: reward has one loss alone",
        "dpo --data FOLDER/dpo.jsonl --loss grpo              | --loss must be one of sigmoid, hinge, ipo, ",
        "dpo --data FOLDER/dpo.jsonl --beta 0                 | --beta must be above 0 for dpo, not 0.0",
        "dpo --data FOLDER/dpo.jsonl --beta NaN               | --beta must be above 0 for dpo, not NaN",
        "dpo --data FOLDER/dpo.jsonl --beta -0.5              | --beta must be above 0 for dpo, not -0.5",
        "grpo --rollouts FOLDER/grpo.jsonl --beta NaN         | --beta must be at least 0 and below 1e6, not NaN",
        "grpo --rollouts FOLDER/grpo.jsonl --epsilon-high -2  | --epsilon-high must be at least 0 and below 100",
        "dpo --data FOLDER/dpo.jsonl --label-smoothing 0.5    | --label-smoothing must be at least 0 and below 0.5",
        "dpo --data FOLDER/dpo.jsonl --ranks 3                | --batch-size 8 must be a multiple of the 3 ranks",
        "dpo --data FOLDER/dpo.jsonl --ranks 2 --zero 4       | --zero must be 0, 1, 2 or 3, not 4",
        "grpo --rollouts FOLDER/grpo.jsonl --data x           | only one of them",
        "grpo --rollouts FOLDER/grpo.jsonl --loss ppo         | --loss must be one of grpo, dr_grpo, dapo, gspo, bnpo",
        "grpo --rollouts FOLDER/grpo.jsonl --group-size 1     | --group-size must be at least 2, not 1",
        "grpo --rollouts FOLDER/grpo.jsonl --group-size 3     | --batch-size 8 must be a multiple of --group-size 3",
        "grpo --rollouts FOLDER/grpo.jsonl --iterations 0     | --iterations must be positive, not 0",
        "grpo --rollouts FOLDER/grpo.jsonl --epsilon 1        | --epsilon must be at least 0 and below 1, not 1.0",
        "grpo --rollouts FOLDER/grpo.jsonl --epsilon-high 1e9 | --epsilon-high must be at least 0 and below",
        "grpo --rollouts FOLDER/grpo.jsonl --temperature 0    | --temperature must be above 0 and below 100, not 0.0",
        "ppo --data FOLDER/sft.jsonl --reward format --critic two | --critic must be own or shared, not two",
        "ppo --data FOLDER/sft.jsonl --reward format --beta 0 --kl-target 1 | --kl-target steers --beta, which must be",
        "grpo --rollouts FOLDER/grpo.jsonl --ranks 2 --grad-accum 3 | must be a multiple of the 2 ranks times",
    })
    void wrongUsage(String args, String told) {
        assertEquals(2, start(args), err());
        assertTrue(err().contains(told), err());
        assertTrue(err().lines().count() <= 3, err());
        assertFalse(err().contains("\tat "), err());
        assertEquals(0, out.size());
        assertFalse(Files.exists(folder.resolve("run")));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', value = {
        "align                                                        | METHOD is missing",
        "align tune --model POLICY                                    | tune",
        "align sft --data x                                           | --model DIR is needed",
        "align --resume FOLDER/run --out FOLDER/other                 | leave --out away",
        "align sft --resume FOLDER/run                                | the run has its method, model and data",
        "align --resume FOLDER/run --data x                           | the run has its method, model and data",
    })
    void wrongUsageOfTheVerb(String args, String told) {
        assertEquals(2, deckle(args), err());
        assertTrue(err().contains(told), err());
        assertTrue(err().lines().count() <= 3, err());
    }

    /// Before the first step, in one line, and with nothing left behind.
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', value = {
        "align sft --model POLICY --data FOLDER/nowhere.jsonl         | FOLDER/nowhere.jsonl: there is no such file",
        "align sft --model POLICY --data FOLDER                       | FOLDER: ",
        "align sft --model POLICY --data FOLDER/sft.jsonl --lora-rank 2 --lora-targets c_attn | target_modules names ",
        "align sft --model FOLDER/nowhere --data FOLDER/sft.jsonl     | FOLDER/nowhere",
        "align sft --model FOLDER/hollow --data FOLDER/sft.jsonl      | FOLDER/hollow/config.json: ",
        "align sft --model POLICY --data FOLDER/empty.jsonl           | FOLDER/empty.jsonl: holds no rows",
        "align sft --model POLICY --data FOLDER/dpo.jsonl             | FOLDER/dpo.jsonl, line 1: has the keys ",
        "align dpo --model POLICY --data FOLDER/sft.jsonl             | FOLDER/sft.jsonl, line 1: has the keys ",
        "align reward --model POLICY --data FOLDER/sft.jsonl          | FOLDER/sft.jsonl, line 1: has the keys ",
        "align grpo --model POLICY --rollouts FOLDER/sft.jsonl        | FOLDER/sft.jsonl, line 1: logprobs is missing",
        "align sft --model POLICY --data FOLDER/sft.jsonl --trace FOLDER/no/t | --trace FOLDER/no/t: cannot be ",
        "align grpo --model POLICY --rollouts FOLDER/grpo.jsonl --batch-size 64 | FOLDER/grpo.jsonl: holds ",
        "align grpo --model POLICY --rollouts FOLDER/grpo.jsonl           | --group-size 8: rollout 5 of FOLDER/grpo",
        "align ppo --model POLICY --data FOLDER/sft.jsonl --reward model:POLICY      | POLICY: score.weight (1, ",
        "align ppo --model POLICY --data FOLDER/sft.jsonl --reward model:FOLDER/hollow | FOLDER/hollow/config.json: ",
        "align --resume FOLDER/nowhere                                | FOLDER/nowhere: there is no such run",
        "align --resume FOLDER/hollow                                 | FOLDER/hollow: holds no checkpoint",
    })
    void refusedBeforeTraining(String args, String told) {
        int code = deckle(args + (args.contains("--resume") ? "" : " --json --steps 2 --out FOLDER/run"));
        assertTrue(code == 1 || code == 2, code + err());
        String line = err().lines().filter(l -> l.startsWith("deckle")).toList().getLast();
        String expected = told.replace("FOLDER", folder.toString()).replace("POLICY", GOLDEN + "/policy");
        assertTrue(line.contains(expected), err());
        assertEquals(1, err().lines().filter(l -> l.startsWith("deckle")).count(), err());
        assertFalse(err().contains("\tat "), err());
        assertEquals(0, out.size());
        assertFalse(Files.exists(folder.resolve("run")));
    }

    /// What a run with an adapter leaves is what its last line says, and opens like a model; nothing of it may change
    /// when it is resumed, and the next run starts from it when it is merged.
    @Test
    void anAdapterComesOut() throws IOException {
        assertEquals(0, start("dpo --data FOLDER/dpo.jsonl --batch-size 4 --lora-rank 2 --lora-targets q_proj,v_proj "
                + "--lr 1e-2 --lr-schedule constant --ranks 2 --zero 3"), err());
        assertTrue(err().contains("an adapter of 512 parameters"), err());
        String next = err().lines().filter(l -> l.startsWith("Next:  ./deckle ")).findFirst().orElseThrow();
        assertEquals("generate --model FOLDER/run --prompt \"...\"".replace("FOLDER", folder.toString()),
                next.substring("Next:  ./deckle ".length()));
        assertTrue(Files.readString(folder.resolve("run/adapter_config.json")).contains("\"v_proj\""));
        assertEquals(0, deckle("generate --model FOLDER/run --prompt x --max-new-tokens 3"), err());
        for (String other : List.of("--lora-rank 3", "--lora-alpha 16", "--lora-targets q_proj")) {
            assertEquals(2, deckle("align --resume FOLDER/run --steps 4 " + other), err());
            assertTrue(err().contains(other.split(" ")[0] + ": the run to resume has "), err());
        }
        assertEquals(0, deckle("align --json --resume FOLDER/run --steps 3"), err());
        String again = "align sft --json --steps 1 --data FOLDER/sft.jsonl --out FOLDER/more --model FOLDER/";
        assertEquals(1, deckle(again + "run --lora-rank 2"), err());
        assertTrue(err().contains("not a model: merge it into that first (deckle convert)"), err());
        assertEquals(0, deckle("convert --model FOLDER/run --out FOLDER/merged"), err());
        double[] chances = new double[2];
        for (int i = 0; i < 2; i++) {
            String model = List.of("run", "merged").get(i);
            assertEquals(0, deckle("score --json --ids 4,8,15,16,23,42 --model FOLDER/" + model), err());
            chances[i] = JsonParser.parseString(out.toString(StandardCharsets.UTF_8)).getAsJsonObject().get("ppl")
                    .getAsDouble();
        }
        assertEquals(chances[0], chances[1], 1e-4 * chances[0]);
        assertEquals(0, deckle(again + "merged --lora-rank 2"), err());
    }

    /// A model that judges cannot go on with a text.
    @Test
    void whatIsNext() {
        assertEquals(0, deckle("align reward --out FOLDER/run --model POLICY --data FOLDER/reward.jsonl --steps 1 "
                + "--eval-data FOLDER/reward.jsonl"), err());
        String next = "Next:  ./deckle align grpo --model " + GOLDEN + "/policy --data PROMPTS.jsonl --reward model:";
        assertTrue(err().contains(next + folder.resolve("run")), err());
        assertTrue(err().contains("step 1: held-out loss 0.") && err().contains(", accuracy "), err());
        assertEquals(0, deckle("align sft --out FOLDER/words --model POLICY --data FOLDER/sft.jsonl --steps 1"), err());
        assertTrue(err().contains("Next:  ./deckle generate --model " + folder.resolve("words")), err());
    }

    /// It writes nothing, so that nobody is sent to `generate`, and judges what others write.
    @Test
    void aModelThatJudgesComesOut() throws IOException {
        assertEquals(0, start("reward --data FOLDER/reward.jsonl --batch-size 4 --lora-rank 2 --ranks 2 --zero 1"),
                err());
        assertTrue(err().contains("an adapter of ") && err().contains("--reward model:"), err());
        Files.writeString(folder.resolve("prompts.jsonl"), "{\"prompt_ids\": [5, 6]}\n{\"prompt_ids\": [7]}\n");
        assertEquals(0, deckle("align grpo --json --model POLICY --data FOLDER/prompts.jsonl --reward model:FOLDER/run "
                + "--steps 1 --batch-size 4 --group-size 2 --max-new-tokens 3 --out FOLDER/grpo"), err());
        double judged = JsonParser.parseString(out.toString(StandardCharsets.UTF_8)).getAsJsonObject().get("reward")
                .getAsDouble();
        assertTrue(Double.isFinite(judged) && judged != 0, out.toString());
        assertEquals(1, deckle("generate --model FOLDER/run --prompt x"), err());
        assertTrue(err().contains("adapter_config.json: task_type is \"SEQ_CLS\", expected CAUSAL_LM"), err());
        assertEquals(0, deckle("align --json --resume FOLDER/run --steps 3"), err());
    }

    @Test
    void whatMayChangeWhenARunIsResumed() throws IOException {
        assertEquals(0, start("dpo --data FOLDER/dpo.jsonl --batch-size 4 --lr-schedule constant"), err());
        for (String other : List.of("--beta 0.2", "--lr 1e-3", "--loss ipo", "--seed 2", "--dtype bf16",
                "--batch-size 8", "--no-shuffle", "--max-length 9", "--label-smoothing 0.1")) {
            assertEquals(2, deckle("align --resume FOLDER/run --steps 4 " + other), err());
            String flag = other.split(" ")[0].replace("--no-", "--");
            assertTrue(err().contains(flag + ": the run to resume has "), err());
        }
        assertTrue(deckle("align --resume FOLDER/run --steps 1") != 0);
        assertTrue(err().contains("--steps 1: the run is at step 2 already"), err());
        assertEquals(0, deckle("align --json --resume FOLDER/run --steps 3 --ranks 2 --zero 3"), err());
        assertEquals(1, out.toString(StandardCharsets.UTF_8).lines().count());
        Path data = folder.resolve("dpo.jsonl");
        Files.writeString(data, Files.readString(data) + "\n");
        assertTrue(deckle("align --json --resume FOLDER/run --steps 4") != 0);
        assertTrue(err().contains("the data has changed since the run began"), err());
        assertEquals(0, out.size());
    }
}
