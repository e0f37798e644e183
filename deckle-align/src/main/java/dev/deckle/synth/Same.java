package dev.deckle.synth;

import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.text.Normalizer;
import java.util.HexFormat;
import java.util.Locale;

/// What counts as the same.
final class Same {
    private Same() {}

    /// A text without what does not make it another: compatibility forms, case, the length of blanks.
    static String text(String text) {
        return Normalizer.normalize(text, Normalizer.Form.NFKC).toLowerCase(Locale.ROOT).strip()
                .replaceAll("\\s+", " ");
    }

    /// A name for all of these texts together.
    static String key(String... texts) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (String text : texts) {
                byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
                digest.update((bytes.length + ":").getBytes(StandardCharsets.UTF_8));
                digest.update(bytes);
            }
            return HexFormat.of().formatHex(digest.digest(), 0, 16);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError(e); // every Java has it
        }
    }

    /// Of a record: whatever it teaches, without where it comes from.
    static String key(JsonObject made) {
        String[] parts = new String[Records.TAUGHT.size()];
        for (int i = 0; i < parts.length; i++) {
            var part = made.get(Records.TAUGHT.get(i));
            parts[i] = part == null ? "" : text(part.isJsonPrimitive() ? part.getAsString() : part.toString());
        }
        return key(parts);
    }
}
