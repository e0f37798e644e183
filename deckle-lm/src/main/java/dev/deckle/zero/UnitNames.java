package dev.deckle.zero;

import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// Which unit each parameter belongs to, in the order in which a model asks for them.
///
/// A layer is a unit: the part of a name up to its first number. What comes before the first layer is one unit, what
/// comes after the last another. Where several models live in one home, a name says whose it is:
/// `critic/lm_head.weight`.
final class UnitNames {
    private static final String BEFORE = "the embedding";
    private static final String AFTER = "the head";

    private final Set<String> seen = new HashSet<>();
    private String unit = ""; // the last parameter's

    /// Takes the next parameter.
    ///
    /// @return whether a unit begins with it
    /// @throws IllegalArgumentException if the parameters of its unit do not follow each other
    boolean begins(String parameter) {
        String next = unitOf(parameter);
        if (next.equals(unit)) {
            return false;
        }
        if (!seen.add(next)) {
            throw new IllegalArgumentException("the parameters of " + next + " do not follow each other (" + parameter
                    + " comes later), so this model cannot be divided");
        }
        unit = next;
        return true;
    }

    /// The unit of the parameter that came last.
    String unit() {
        return unit;
    }

    private String unitOf(String parameter) {
        String[] parts = parameter.split("\\.");
        for (int i = 0; i < parts.length; i++) {
            if (!parts[i].isEmpty() && parts[i].chars().allMatch(Character::isDigit)) {
                return String.join(".", List.of(parts).subList(0, i + 1));
            }
        }
        int slash = parameter.indexOf('/');
        String whose = slash < 0 ? "" : " of " + parameter.substring(0, slash);
        boolean first = !seen.contains(BEFORE + whose) || unit.equals(BEFORE + whose);
        return (first ? BEFORE : AFTER) + whose;
    }
}
