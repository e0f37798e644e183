package dev.deckle.lm;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.deckle.chat.ChatTemplate;
import dev.deckle.chat.Conversation;
import dev.deckle.nn.PagedKvCache;
import dev.deckle.nn.PagedMemory;
import java.util.Optional;

/// A conversation with a model: what was said is written by the model's chat template and continued. Its cache outlives
/// a turn, so that a turn computes what is new.
///
/// ```java
/// try (Chat chat = model.chat()) {
///     chat.system("You answer in rhymes.");
///     chat.say("What is a deckle edge?").forEach(System.out::print);
/// }
/// ```
public final class Chat implements AutoCloseable {
    private final Model model;
    private final ChatTemplate template;
    private final Settings settings;
    private final PagedMemory memory;
    private JsonArray messages = new JsonArray();
    private Optional<Answer> open = Optional.empty();

    Chat(Model model, ChatTemplate template, Settings settings) {
        this.model = model;
        this.template = template;
        this.settings = settings;
        // room for a whole context and a turn beside it; blocks take memory when they are used
        int blocks = Math.ceilDiv(model.network().maxPositionEmbeddings(), PagedKvCache.BLOCK_SIZE);
        memory = new PagedMemory(2 * blocks + 1);
    }

    /// Begins anew with a system prompt; an empty one is none.
    public void system(String prompt) {
        requireEnded();
        messages = new JsonArray();
        if (!prompt.isEmpty()) {
            messages.add(message("system", prompt));
        }
    }

    /// Adds what the user says, and answers. The answer joins the conversation when it ends or is closed, as far as it
    /// was read; it must end before the next turn.
    ///
    /// @throws dev.deckle.jinja.TemplateException if the template refuses the conversation, which is then as before
    /// @throws IllegalArgumentException if it has become longer than the model's positions
    /// @throws IllegalStateException if the last answer has not ended
    public Answer say(String user) {
        requireEnded();
        JsonArray asked = messages.deepCopy();
        asked.add(message("user", user));
        int[] prompt = model.tokenizer().encode(template.render(Conversation.of(asked)));
        Answer answer = model.generate(prompt, settings, memory, text -> {
            JsonArray answered = asked.deepCopy();
            answered.add(message("assistant", text));
            messages = answered;
        });
        open = Optional.of(answer);
        return answer;
    }

    /// All messages so far, as a chat template takes them: objects with `role` and `content`.
    public JsonArray messages() {
        return messages.deepCopy();
    }

    /// Goes on from other messages, such as those of a file.
    public void restore(JsonArray other) {
        requireEnded();
        messages = other.deepCopy();
    }

    private void requireEnded() {
        if (open.filter(a -> !a.isOver()).isPresent()) {
            throw new IllegalStateException("the last answer has not ended: read it to its end, or close it");
        }
    }

    private static JsonObject message(String role, String content) {
        JsonObject m = new JsonObject();
        m.addProperty("role", role);
        m.addProperty("content", content);
        return m;
    }

    @Override
    public void close() {
        open.ifPresent(Answer::close);
        memory.close();
    }
}
