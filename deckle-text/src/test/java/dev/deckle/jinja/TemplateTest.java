package dev.deckle.jinja;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Messages and limits; what templates print is in [SnippetsTest].
class TemplateTest {
    private static String render(String source) {
        return Template.parse("t", source).render(new JsonObject(), Map.of());
    }

    private static String refusal(String source) {
        String message = assertThrows(TemplateException.class, () -> render(source)).getMessage();
        assertTrue(message.startsWith("t") && message.lines().count() == 1, message);
        return message;
    }

    @ParameterizedTest
    @CsvSource(
            delimiterString = " => ",
            quoteCharacter = '`',
            value = {
                "{{ a.b }} => 'a' is undefined",
                "{{ {}.b.c }} => 'dict object' has no attribute 'b'",
                "{{ 'a' + 1 }} => can only concatenate str (not \"int\") to str",
                "{{ [] + 1 }} => can only concatenate list (not \"int\") to list",
                "{{ none + 1 }} => unsupported operand type(s) for +: 'NoneType' and 'int'",
                "{{ 'a' < 1 }} => '<' not supported between instances of 'str' and 'int'",
                "{{ [].append(1) }} => access to attribute 'append' of 'list' object is unsafe.",
                "{{ ''.__class__() }} => access to attribute '__class__' of 'str' object is unsafe.",
                "{{ 1 | random }} => the filter 'random' is not supported",
                "{{ 1 | nothing }} => No filter named 'nothing'.",
                "{{ 1 is nothing }} => No test named 'nothing'.",
                "{{ lipsum() }} => lipsum() is not supported",
                "{% include 'x' %} => the tag 'include' is not supported",
                "{% for x in y %} => the template ends before else or endfor",
                "{% what %} => unknown tag 'what'",
                "{% break %} => break stands outside of a loop",
                "{{ 'a => unexpected char \"'\" at 3",
                "{{ (1] }} => unexpected ']', expected ')'",
                "{{ }} => expected an expression, got '}}'",
                "{{ '' | replace }} => replace() misses its argument 'old'",
                "{{ '' | trim(1, 2) }} => trim() takes at most 1 arguments, 2 were given",
                "{{ '' | trim(c=2) }} => trim() got an unexpected keyword argument 'c'"
            })
    void refusesInOneLineThatSaysWhy(String source, String why) {
        assertTrue(refusal(source).contains(why), refusal(source));
    }

    @Test
    void namesTheLine() {
        assertTrue(refusal("a\n{% if true %}\n  {{ 1 +\n 'a' }}\n{% endif %}").startsWith("t, line 3: "));
        assertTrue(refusal("{% macro m() %}\n{{ none + 1 }}{% endmacro %}\n{{ m() }}").startsWith("t, line 2: "));
        assertTrue(refusal("{# a\nb #}\n{% raw %}\n{% endraw %}\n{{ 1 ! }}").startsWith("t, line 5: "));
    }

    @Test
    void callsTheFunctionsOfItsHost() {
        Template t = Template.parse("t", "{{ twice([1]) }}\n{{ twice(text='a') }}");
        assertEquals("[1][1]\naa", t.render(new JsonObject(), Map.of("twice", s -> s + s)));
        Template refused = Template.parse("t", "\n\n{{ stop('not\nso') }}");
        var e = assertThrows(TemplateException.class, () -> refused.render(new JsonObject(), Map.of("stop", s -> {
            throw new TemplateException(s);
        })));
        assertEquals("t, line 3: not\nso", e.getMessage());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
                "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
                "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
                "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(99) %}"
                        + "{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
                "{% set n = namespace(x=[1]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
                "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
                "{% set n = namespace(x=3) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
                "{{ 'a' * 2000000000 }}",
                "{{ [0] * 2000000000 }}",
                "{{ 'a'.center(2000000000) }}",
                "{{ '%2000000d' % 1 }}",
                "{{ '{:2000000}'.format(1) }}",
                "{{ [[1]] | tojson(indent=2000000000) }}",
                "{{ ('a\n' * 9999) | indent(2000000000) }}",
                "{{ 2 ** 99999999 }}",
                "{{ range(2000000000) }}",
                "{{ [] | batch(2, 0) | list }}{{ [1] | batch(2000000000, 0) | list }}",
                "{{ [] | slice(2000000000) | list }}",
                "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
                "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
                "{% set x %}{% for i in range(99999) %}{{ 'abcdefghij' * 1000 }}{% endfor %}{% endset %}"
            })
    void endsWhatWouldNotEnd(String source) {
        refusal(source);
    }

    @Test
    void nestingIsBoundedEvenWhereTheStackIsSmall() throws InterruptedException {
        String[] sources = {
            "{{ " + "(".repeat(9999) + "1" + ")".repeat(9999) + " }}",
            "{{ " + "[".repeat(9999) + " }}",
            "{{ " + "-".repeat(9999) + "1 }}",
            "{{ " + "not ".repeat(9999) + "1 }}",
            "{{ " + "1 if 1 else ".repeat(9999) + "1 }}",
            "{{ 1" + " + 1".repeat(9999) + " }}",
            "{{ 1" + " | abs".repeat(9999) + " }}",
            "{{ x" + "[0]".repeat(9999) + " }}",
            "{{ 1" + " is odd".repeat(9999) + " }}",
            "{% if 1 %}".repeat(9999),
            "{% for i in [1] %}".repeat(9999),
            "{% macro m(x) %}{{ [[[[x, m([x])]]]] }}{% endmacro %}{{ m(1) }}",
            "{% set " + "(".repeat(9999) + "x = 1 %}",
            "{{ '" + "\\n".repeat(9999) + "' + 1 }}",
            "{{ " + "1".repeat(99999) + " }}",
            "{{ " + "1_".repeat(9999) + "1.5 + '' }}"
        };
        var failed = new StringBuilder();
        Thread small = new Thread(null, () -> {
            for (String source : sources) {
                try {
                    render(source);
                    failed.append("rendered ").append(source, 0, 20);
                } catch (TemplateException e) {
                    // what is wanted
                } catch (Throwable e) {
                    failed.append(e).append(" of ").append(source, 0, 20);
                }
            }
        }, "small", 256 << 10);
        small.start();
        small.join();
        assertEquals("", failed.toString());
    }

    @Test
    void longTextsAndListsTakeRegularTime() {
        String many = "{{ 1 }} {# c #} {% if true %}x{% endif %}\n".repeat(20_000);
        assertEquals("1  x".repeat(20_000), render(many));
        assertEquals("100000", render("{{ ('é😀' * 50000) | list | length }}"));
        assertEquals("99999", render("{% set s = '日本😀' * 33333 %}{% set n = namespace(c=0) %}"
                + "{% for i in range(s | length) %}{% if s[i] %}{% set n.c = n.c + 1 %}{% endif %}{% endfor %}"
                + "{{ n.c }}"));
    }

    /// What a template marks as the assistant's is found again on the page; in a value nobody knows where it goes.
    @ParameterizedTest
    @CsvSource(delimiterString = " => ", quoteCharacter = '`', value = {
        "plain => []",
        "a{% generation %}bc{% endgeneration %}d{% generation %}{% endgeneration %} => [1, 3, 4, 4]",
        "{% for i in 'xy' %}-{{ i }}{% generation %}{{ i }}!{% endgeneration %}{% endfor %} => [2, 4, 6, 8]",
        "{% set s %}ab{% endset %}{{ s }}{% generation %}{{ s }}{% endgeneration %}. => [2, 4]",
        "{% generation %}a{% endgeneration %}{% set s %}{% generation %}b{% endgeneration %}{% endset %}{{ s }} => []",
        "{% macro m() %}{% generation %}b{% endgeneration %}{% endmacro %}aa{{ m() }} => []",
        "{% generation %}a{% generation %}b{% endgeneration %}{% endgeneration %} => []",
    })
    void generated(String source, String places) {
        Template.Rendered r = Template.parse("t", source).rendered(new JsonObject(), Map.of());
        assertEquals(places, r.generated().toString());
        assertEquals(render(source), r.text());
    }
}
