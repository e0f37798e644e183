package dev.deckle.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.jinja.TemplateException;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The folders under `golden` hold templates, and in `cases.json` what transformers 5.17 renders of them; where a case
/// has `strftime`, its text holds the format in place of the date.
class ChatTemplateTest {
    private static final ZonedDateTime DAY = ZonedDateTime.of(2026, 3, 5, 14, 7, 9, 0, ZoneOffset.UTC);
    private static final JsonObject HELLO =
            JsonParser.parseString("{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}").getAsJsonObject();

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(
            strings = {"brackets", "chatml", "declarations", "headers", "parts", "retrieval", "thinking", "xml-calls"})
    void rendersWhatTransformersRenders(String name) throws IOException, URISyntaxException {
        Path golden = Path.of(ChatTemplateTest.class.getResource("golden/" + name).toURI());
        ChatTemplate template = ChatTemplate.load(golden).at(Clock.fixed(DAY.toInstant(), ZoneOffset.UTC));
        JsonArray cases = JsonParser.parseString(Files.readString(golden.resolve("cases.json"))).getAsJsonArray();
        assertTrue(cases.size() >= 5);
        for (JsonElement element : cases) {
            JsonObject c = element.getAsJsonObject();
            Conversation conversation = Conversation.of(c.getAsJsonObject("request"), name);
            if (c.has("error")) {
                var e = assertThrows(TemplateException.class, () -> template.render(conversation));
                assertTrue(e.getMessage().contains(c.get("error").getAsString()), e.getMessage());
            } else {
                String want = c.get("text").getAsString();
                if (c.has("strftime")) {
                    String format = c.get("strftime").getAsString();
                    String pattern = format.equals("%d %b %Y") ? "dd MMM yyyy" : "yyyy-MM-dd";
                    want = want.replace(format, DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH).format(DAY));
                }
                assertEquals(want, template.render(conversation));
            }
        }
    }

    private void write(String file, String text) throws IOException {
        Path path = folder.resolve(file);
        Files.createDirectories(path.getParent());
        Files.writeString(path, text);
    }

    private String render(String... more) throws IOException {
        JsonObject request = HELLO.deepCopy();
        for (int i = 0; i < more.length; i += 2) {
            request.add(more[i], JsonParser.parseString(more[i + 1]));
        }
        return ChatTemplate.load(folder).render(Conversation.of(request, "request"));
    }

    @Test
    void findsTheTemplateWhereverItIs() throws IOException {
        var none = assertThrows(IOException.class, this::render);
        assertTrue(none.getMessage().startsWith(folder + ": no chat template"), none.getMessage());
        write("chat_template.json", "{\"chat_template\": \"legacy\"}");
        assertEquals("legacy", render());
        write("tokenizer_config.json", "{\"chat_template\": \"config\"}");
        assertEquals("config", render());
        write("chat_template.jinja", "file");
        assertEquals("file", render());
    }

    @Test
    void choosesAmongNamedTemplates() throws IOException {
        write("chat_template.jinja", "default");
        write("additional_chat_templates/tool_use.jinja", "tools");
        write("additional_chat_templates/rag.jinja", "documents");
        assertEquals("default", render());
        assertEquals("default", render("tools", "null"));
        assertEquals("tools", render("tools", "[]"));
        assertEquals("documents", render("chat_template", "\"rag\"", "tools", "[]"));
        var e = assertThrows(IllegalArgumentException.class, () -> render("chat_template", "\"{{ 1 }}\""));
        assertTrue(e.getMessage().endsWith("named '{{ 1 }}'; there is default, rag, tool_use"), e.getMessage());
    }

    @Test
    void aTemplateSeesSpecialTokensAndVariables() throws IOException {
        write("chat_template.jinja",
                "{{ bos_token }} {{ eos_token }} {{ pad_token }} {{ image_token }} {{ add_bos_token }} "
                        + "{{ tools }} {{ documents }} {{ add_generation_prompt }} {{ mood }} {{ messages }}");
        write("tokenizer_config.json",
                "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}, \"pad_token\": null, "
                        + "\"add_bos_token\": true, \"extra_special_tokens\": {\"image_token\": \"<img>\"}}");
        String messages = "[{'role': 'user', 'content': 'Hello'}]";
        assertEquals("<s> </s>  <img>  None None False  " + messages, render());
        write("special_tokens_map.json", "{\"bos_token\": \"<b>\", \"pad_token\": \"<p>\"}");
        assertEquals("<b> </s> <p> <img>  None None False  " + messages, render());
        assertEquals(
                "x </s> <p> <img>  [] [{'a': 1.0}] True good " + messages,
                render("bos_token", "\"x\"", "tools", "[]", "documents", "[{\"a\": 1.0}]", "mood", "\"good\"",
                        "add_generation_prompt", "true"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{}|request: messages is missing, expected a list of messages",
                "{\"messages\": []}|request: messages is empty, expected at least one message",
                "{\"messages\": \"a\"}|request: messages is a string, expected a list of objects",
                "{\"messages\": [[]]}|request: messages: entry 0 is a list, expected an object",
                "{\"messages\": [{}], \"tools\": {}}|request: tools is an object, expected a list of objects",
                "{\"messages\": [{}], \"documents\": [1]}|request: documents: entry 0 is 1, expected an object",
                "{\"messages\": [{}], \"add_generation_prompt\": 1}"
                        + "|request: add_generation_prompt is 1, expected true or false",
                "{\"messages\": [{}], \"continue_final_message\": true}"
                        + "|request: continue_final_message is not supported"
            })
    void refusesWhatIsNoConversation(String request, String why) {
        JsonObject json = JsonParser.parseString(request).getAsJsonObject();
        var e = assertThrows(IllegalArgumentException.class, () -> Conversation.of(json, "request"));
        assertEquals(why, e.getMessage());
    }

    @Test
    void aBrokenTemplateIsNamed() throws IOException {
        write("tokenizer_config.json",
                "{\"chat_template\": [{\"name\": \"default\", \"template\": \"\\n{{ 1 + }}\"}]}");
        var e = assertThrows(TemplateException.class, this::render);
        assertTrue(e.getMessage()
                .startsWith(folder.resolve("tokenizer_config.json") + ", chat_template 'default', line 2: "));
        write("tokenizer_config.json", "{\"chat_template\": 1}");
        var wrong = assertThrows(IOException.class, this::render);
        assertTrue(wrong.getMessage().endsWith("chat_template is expected to be a text or a list of named ones"));
    }

    @Test
    void formatsTimesAsCDoes() {
        String format =
                "%a %A %b %B %d %e %-d %H %I %-I %M %S %p %y %Y %j %m %U %W %V %G %u %w %F %T %D %c %x %X %% %q";
        assertEquals(
                "Thu Thursday Mar March 05  5 5 14 02 2 07 09 PM 26 2026 064 03 09 09 10 2026 4 4 2026-03-05 14:07:09 "
                        + "03/05/26 Thu Mar  5 14:07:09 2026 03/05/26 14:07:09 % %q",
                Strftime.format(format, DAY));
        ZonedDateTime newYear = LocalDate.of(2027, 1, 1).atStartOfDay(ZoneOffset.UTC);
        assertEquals("12 AM 001 00 00 53 2026 5", Strftime.format("%I %p %j %U %W %V %G %u", newYear));
    }
}
