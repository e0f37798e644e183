package dev.deckle.synth;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SegmentSearchTest {
    /// Each segment's surprise is its first digit; theirs is the sum.
    private static double sum(String thoughts) {
        return thoughts.chars().filter(Character::isDigit).map(c -> c - '0').sum();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "a. b! c?|a. ;b! ;c?", "one|one", "a.\\n\\nb. c\\nd|a.\\n\\n;b. c\\n;d", "先想。再做！好|先想。;再做！;好",
        "3.5 is. more|3.5 is. ;more"})
    void cutsIntoSegments(String text, String expected) {
        String whole = text.replace("\\n", "\n");
        List<String> segments = SegmentSearch.segments(whole);
        assertEquals(expected.replace("\\n", "\n"), String.join(";", segments));
        assertEquals(whole, String.join("", segments));
    }

    @Test
    void keepsWhatLowersThePerplexitySegmentBySegment() throws IOException {
        List<String> seen = new ArrayList<>();
        SegmentSearch.Found found = SegmentSearch.improve("9\n5\n4", 7, (segments, i, round) -> {
            seen.add(round + ":" + i + ":" + String.join(",", segments).replace("\n", ""));
            int own = segments.get(i).charAt(0) - '0';
            return List.of("" + Math.min(9, own + 1), " " + Math.max(4, own - 3) + " ", "" + Math.max(4, own - 2));
        }, SegmentSearchTest::sum);
        assertEquals(new SegmentSearch.Found("4\n4\n4", 18, 12, 3, 3), found);
        // in the second round the first is improved once more; the third changes nothing and is the last
        assertEquals(List.of("0:0:9,5,4", "0:1:6,5,4", "0:2:6,4,4", "1:0:6,4,4", "1:1:4,4,4", "1:2:4,4,4",
                "2:0:4,4,4", "2:1:4,4,4", "2:2:4,4,4"), seen);
    }

    @Test
    void endsAfterTheRounds() throws IOException {
        assertEquals(new SegmentSearch.Found("7 7", 18, 14, 2, 2), SegmentSearch.improve("9 9", 2,
                (segments, i, round) -> List.of(segments.getFirst().replace('8', '7').replace('9', '8')),
                SegmentSearchTest::sum));
        assertEquals(new SegmentSearch.Found("9 9", 18, 18, 1, 0),
                SegmentSearch.improve("9 9", 2, (segments, i, round) -> List.of(), SegmentSearchTest::sum));
    }

    /// As good is not better.
    @Test
    void equalsStay() throws IOException {
        assertEquals(new SegmentSearch.Found("3a", 3, 3, 1, 0),
                SegmentSearch.improve("3a", 5, (segments, i, round) -> List.of("3b"), SegmentSearchTest::sum));
    }
}
