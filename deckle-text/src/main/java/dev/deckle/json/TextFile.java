package dev.deckle.json;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;

/// The small files of a folder that comes from a stranger.
public final class TextFile {
    private TextFile() {}

    /// Whether there is anything of that name. A link that leads nowhere counts: half a download is not a missing file.
    public static boolean exists(Path file) {
        return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
    }

    /// All of a file. It must be one, or a link to one: a pipe or a device would never end.
    ///
    /// @param largest bytes that it may have
    /// @throws IOException in one line that names the file
    public static String read(Path file, long largest) throws IOException {
        if (!Files.isRegularFile(file)) {
            String why = !exists(file) ? "there is no such file"
                    : Files.exists(file) ? "is no file" : "is a link to a file that is not there";
            throw new IOException(file + ": " + why);
        }
        if (Files.size(file) > largest) {
            throw new IOException(file + ": " + Files.size(file) + " bytes are too many, at most " + largest
                    + " are read");
        }
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new IOException(file + ": not UTF-8", e);
        } catch (AccessDeniedException e) {
            throw new IOException(file + ": no permission to read it", e);
        } catch (IOException e) {
            throw new IOException(file + ": cannot be read: " + e.getMessage(), e);
        }
    }
}
