import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.eclipse.jdt.core.JavaCore;
import org.eclipse.jdt.core.ToolFactory;
import org.eclipse.jdt.core.formatter.CodeFormatter;
import org.eclipse.jdt.core.formatter.DefaultCodeFormatterConstants;
import org.eclipse.jface.text.Document;
import org.eclipse.text.edits.TextEdit;

/// Formats the sources, or checks that they are formatted: `Format --check|--write FOLDER...`, run by `mvn verify` and
/// `mvn -Pformat process-sources`.
///
/// Indentation, spaces and lines that are too long are settled here; where a line that fits is broken is the author's
/// choice, because an argument list in groups or a table of numbers says something. A comment is left alone too, but
/// that a line which is too long hands its last words on to the next.
/// (palantir-java-format was tried: it spreads an argument list over as many lines as it has arguments, and does not
/// read Markdown comments.)
final class Format {
    private static final int COLUMNS = 120;
    /// The margin of a line of prose, and what kind of line begins there.
    private static final Pattern COMMENT = Pattern.compile("^( *///? +)(?!```|\\|)(- |@|)");
    /// `case A _,B _ ->`: the one place where the formatter takes a space out that belongs there.
    private static final Pattern TIGHT_PATTERNS =
            Pattern.compile("(?<=^[ ]{0,80}case [^\\n]{0,110}\\b_),(?=\\w)", Pattern.MULTILINE);

    private static final Map<String, String> RULES = Map.ofEntries(
            Map.entry("tabulation.char", "space"),
            Map.entry("tabulation.size", "4"),
            Map.entry("lineSplit", String.valueOf(COLUMNS)),
            Map.entry("continuation_indentation", "2"),
            Map.entry("continuation_indentation_for_array_initializer", "1"),
            Map.entry("indent_switchstatements_compare_to_switch", "true"),
            Map.entry("join_wrapped_lines", "false"),
            Map.entry("alignment_for_arguments_in_annotation", "16"), // 16: where necessary
            Map.entry("alignment_for_expressions_in_array_initializer", "16"),
            Map.entry("alignment_for_assignment", "16"),
            Map.entry("alignment_for_switch_case_with_arrow", "0"),
            Map.entry("join_lines_in_comments", "false"),
            Map.entry("comment.format_line_comments", "false"),
            Map.entry("comment.format_block_comments", "false"),
            Map.entry("comment.format_javadoc_comments", "false"),
            Map.entry("comment.format_markdown_comments", "false"),
            Map.entry("text_block_indentation", "3"), // 3: as it is
            Map.entry("insert_new_line_at_end_of_file_if_missing", "insert"),
            Map.entry("insert_space_after_comma_in_switch_case_expressions", "insert"),
            Map.entry("insert_space_after_opening_brace_in_array_initializer", "do not insert"),
            Map.entry("insert_space_before_closing_brace_in_array_initializer", "do not insert"),
            Map.entry("number_of_empty_lines_to_preserve", "1"),
            Map.entry("blank_lines_before_field", "0"),
            Map.entry("blank_lines_before_method", "0"),
            Map.entry("blank_lines_before_abstract_method", "0"),
            Map.entry("blank_lines_before_member_type", "0"),
            Map.entry("blank_lines_before_new_chunk", "0"),
            Map.entry("blank_lines_between_type_declarations", "0"),
            Map.entry("keep_type_declaration_on_one_line", "one_line_if_empty"),
            Map.entry("keep_record_declaration_on_one_line", "one_line_if_empty"),
            Map.entry("keep_record_constructor_on_one_line", "one_line_if_empty"),
            Map.entry("keep_anonymous_type_declaration_on_one_line", "one_line_if_empty"),
            Map.entry("keep_enum_declaration_on_one_line", "one_line_preserve"),
            Map.entry("keep_method_body_on_one_line", "one_line_if_empty"),
            Map.entry("keep_loop_body_block_on_one_line", "one_line_if_empty"),
            Map.entry("keep_code_block_on_one_line", "one_line_if_empty"),
            Map.entry("keep_lambda_body_block_on_one_line", "one_line_preserve"),
            Map.entry("keep_switch_case_with_arrow_on_one_line", "one_line_preserve"));

    private Format() {}

    public static void main(String... args) throws Exception {
        boolean write = args[0].equals("--write");
        Map<String, String> options = DefaultCodeFormatterConstants.getEclipseDefaultSettings();
        JavaCore.setComplianceOptions("25", options);
        RULES.forEach((rule, value) -> options.put("org.eclipse.jdt.core.formatter." + rule, value));
        CodeFormatter formatter = ToolFactory.createCodeFormatter(options);
        int wrong = 0;
        for (String folder : List.of(args).subList(1, args.length)) {
            for (Path file : sources(Path.of(folder))) {
                String text = Files.readString(file);
                String formatted = format(formatter, file, text);
                if (formatted.equals(text)) {
                    continue;
                }
                wrong++;
                if (write) {
                    Files.writeString(file, formatted);
                } else {
                    System.err.println(file + ":" + firstDifference(text, formatted) + ": not formatted");
                }
            }
        }
        if (!write && wrong > 0) {
            System.err.println(wrong + " files are not formatted: mvn -Pformat process-sources does it");
            System.exit(1);
        }
    }

    private static List<Path> sources(Path folder) throws Exception {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(file -> file.toString().endsWith(".java") && !file.toString().contains("/target/"))
                    .sorted()
                    .toList();
        }
    }

    private static String format(CodeFormatter formatter, Path file, String text) throws Exception {
        boolean module = file.endsWith("module-info.java");
        int kind = module ? CodeFormatter.K_MODULE_INFO : CodeFormatter.K_COMPILATION_UNIT;
        TextEdit edit = formatter.format(kind | CodeFormatter.F_INCLUDE_COMMENTS, text, 0, text.length(), 0, "\n");
        if (edit == null) {
            throw new IllegalArgumentException(file + " is not Java");
        }
        var document = new Document(text);
        edit.apply(document);
        return wrapComments(TIGHT_PATTERNS.matcher(document.get()).replaceAll(", "));
    }

    /// Prose only: fenced code and tables stay as they are.
    private static String wrapComments(String text) {
        List<String> lines = new ArrayList<>(text.lines().toList());
        boolean fenced = false;
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i);
            fenced ^= line.strip().startsWith("/// ```");
            Matcher comment = COMMENT.matcher(line);
            int cut = line.lastIndexOf(' ', COLUMNS);
            if (line.length() <= COLUMNS || fenced || !comment.find() || cut < comment.end()) {
                continue;
            }
            String rest = line.substring(cut + 1);
            lines.set(i, line.substring(0, cut));
            // the words of an item or a tag go on under its text
            String margin = comment.group(1) + " ".repeat(switch (comment.group(2)) {
                case "" -> 0;
                case "- " -> 2;
                default -> 7; // @param, @throws, @return
            });
            Matcher next = COMMENT.matcher(i + 1 < lines.size() ? lines.get(i + 1) : "");
            if (next.find() && next.group(1).equals(margin) && next.group(2).isEmpty()) {
                lines.set(i + 1, margin + rest + " " + lines.get(i + 1).substring(margin.length()));
            } else {
                lines.add(i + 1, margin + rest);
            }
        }
        return String.join("\n", lines) + "\n";
    }

    private static long firstDifference(String a, String b) {
        int same = 0;
        while (same < Math.min(a.length(), b.length()) && a.charAt(same) == b.charAt(same)) {
            same++;
        }
        return 1 + a.substring(0, same).lines().skip(1).count();
    }
}
