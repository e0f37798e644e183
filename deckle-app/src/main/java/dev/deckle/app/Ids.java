package dev.deckle.app;

import com.google.gson.JsonArray;
import java.util.Arrays;
import java.util.stream.Collectors;

/// Token ids as the command reads and writes them: `1,2,3`.
final class Ids {
    private Ids() {}

    /// @throws picocli.CommandLine.ParameterException naming the flag and what is no id
    static int[] parse(Verb verb, String flag, String text) {
        String[] parts = text.strip().split("\\s*,\\s*", -1);
        int[] ids = new int[parts.length];
        for (int i = 0; i < parts.length; i++) {
            try {
                ids[i] = Integer.parseInt(parts[i]);
            } catch (NumberFormatException _) {
                throw verb.wrongUsage(flag + ": \"" + parts[i] + "\" is no token id: whole numbers separated by "
                        + "commas are expected");
            }
        }
        return ids;
    }

    static JsonArray json(int[] ids) {
        JsonArray a = new JsonArray();
        for (int id : ids) {
            a.add(id);
        }
        return a;
    }

    static String text(int[] ids) {
        return Arrays.stream(ids).mapToObj(Integer::toString).collect(Collectors.joining(","));
    }
}
