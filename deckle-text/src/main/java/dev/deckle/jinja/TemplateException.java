package dev.deckle.jinja;

/// Why a template cannot be read or rendered; the message names the template and, where it is known, the line.
public final class TemplateException extends IllegalArgumentException {
    private static final long serialVersionUID = 1;

    private final boolean placed;

    /// A complaint of a function that a template called: the place is added on the way out.
    public TemplateException(String message) {
        this(message, false);
    }

    private TemplateException(String message, boolean placed) {
        super(message);
        this.placed = placed;
    }

    /// The same complaint at a place; one that has its place keeps it.
    TemplateException at(String template, int line) {
        return placed ? this : new TemplateException(template + ", line " + line + ": " + getMessage(), true);
    }
}
