package dev.deckle.app;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// An amount of memory as people write it: `512KB`, `32MB`, `1GB`. Units are powers of 1000, so that who means those
/// of 1024 gets no more than was asked for.
final class ByteSize implements ITypeConverter<Long> {
    private static final Pattern SIZE = Pattern.compile("(\\d+) ?([KMG]?)B?");

    @Override
    public Long convert(String text) {
        Matcher m = SIZE.matcher(text.strip().toUpperCase(Locale.ROOT));
        try {
            if (m.matches()) {
                long unit = switch (m.group(2)) {
                    case "K" -> 1_000;
                    case "M" -> 1_000_000;
                    case "G" -> 1_000_000_000;
                    default -> 1;
                };
                return Math.multiplyExact(Long.parseLong(m.group(1)), unit);
            }
        } catch (ArithmeticException | NumberFormatException _) {
            // told below: more than 64 bits hold
        }
        throw new TypeConversionException("'" + text + "' is no amount of memory such as 512KB, 32MB or 1GB");
    }
}
