package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertNull;

import org.junit.jupiter.api.Test;

/// The reader of typed lines, where no stream is a terminal, as under Maven.
class LinesTest {
    @Test
    void loadsNoNativeLibrary() throws Exception {
        try (var _ = new Lines.Typed("> ")) {
            Class<?> loader = Class.forName("org.jline.nativ.JLineNativeLoader");
            assertNull(loader.getMethod("getNativeLibraryPath").invoke(null));
        }
    }
}
