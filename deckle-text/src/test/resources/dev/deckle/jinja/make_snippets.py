"""Writes snippets.json: small templates and what Jinja2 3.1.6 makes of them, set up as transformers 5.17 sets it up.

python make_snippets.py [COUNT SEED] > snippets.json

A template that fails has the result null. Without arguments: those written by hand and 600 random ones.
"""
import json
import random
import sys
from transformers.utils.chat_template_utils import _cached_compile_jinja_template as compile_template

VARIABLES = r'''{"s": "it's a \"Test\", with  two\nlines ", "e": "", "u": "Größe 😀 ÉTÉ ß ǆ", "n": -7, "z": 0, "big": 123456789012345678901234567890,
 "f": 2.5, "g": 1e-7, "h": 1e16, "one": 1.0, "t": true, "no": false, "nil": null, "l": [3, 1, 2], "m": ["b", "A", "c", "a"], "x": [],
 "d": {"b": 1, "a": "x", "C": null, "items": [1]}, "o": {}, "deep": {"k": [{"v": 1.0}, {"v": "q'"}]},
 "p": [{"name": "Bo", "age": 3, "g": "x"}, {"name": "al", "age": 1, "g": "Y"}, {"name": "Cy", "age": 2, "g": "x"}]}'''

HAND = r'''
{{ 1 }} {{ 1.0 }} {{ true }} {{ none }} {{ [1, 'a', "it's", None, 2.50] }} {{ {'a': 1, "b": [true]} }} {{ (1,) }} {{ () }} {{ (1, 2) }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e300 * 10 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}
{{ 0.1 + 0.2 }} {{ 1e15 }} {{ 1e16 }} {{ 123456.789e3 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1e22 }} {{ -0.0 }} {{ 1e400 }}
{{ big * big }} {{ big // 7 }} {{ big % 7 }} {{ -big // 7 }} {{ big / 7 }} {{ big == 1.2345678901234568e29 }}
{{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 1 == 1.0 }} {{ true == 1 }} {{ '1' == 1 }} {{ [1] == [1.0] }} {{ [1] == (1,) }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 'a' < 1 }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 }} {{ 'a' + 'b' * 3 }} {{ 3 * 'ab' }} {{ [1] * 2 + [3] }} {{ 'a' * -1 }} {{ 'a' + 1 }}
{{ not true or true }} {{ not (true or true) }} {{ 1 and 0 or 'x' }} {{ '' or none }} {{ x or 'empty' }}
{{ 'a' if true }} {{ 'a' if false }} {{ 'a' if false else 'b' if true else 'c' }} {{ ('a' if false) is undefined }}
{{ missing }} {{ missing.a }}
{{ missing is defined }} {{ d.zzz is defined }} {{ d.zzz }} {{ d['zzz'].y }}
{{ nil.a }} {{ nil['a'] }} {{ nil.a.b }}
{{ n.a is undefined }} {{ l.a is undefined }} {{ l[9] is undefined }} {{ l[-1] }} {{ l['0'] is undefined }} {{ s[0] }} {{ s[-1] | tojson }} {{ u[6] }} {{ l[true] }}
{{ l[1:] }} {{ l[::-1] }} {{ l[:-1] }} {{ l[-2:] }} {{ l[5:] }} {{ l[::2] }} {{ s[3:6] }} {{ s[::-1] }} {{ u[5:8] }} {{ u[::-2] }} {{ l[2:0:-1] }} {{ (1, 2, 3)[1:] }} {{ range(10)[2:8:3] }}
{{ l[::0] }}
{{ nil[1:] }}
{{ missing[1:] }}
{{ d.items }}{{ o.foo }}
{{ d['items'] }} {{ d.get('a') }} {{ d.get('q') }} {{ d.get('q', 5) }} {{ o['items'] is callable }} {{ d.items() }} {{ d.keys() }} {{ d.values() }}
{{ d.pop }}|{{ l.append }}
{{ l.append(1) }}
{{ d.update({'a': 1}) }}
{{ d.__class__ }}
{{ d.keys() | list }} {{ d | list }} {{ d | length }} {{ 'a' in d }} {{ 'A' in d }} {{ 1 in l }} {{ 'Te' in s }} {{ 5 not in l }} {{ 'a' in d.keys() }} {{ ('a', 'x') in d.items() }}
{{ 1 in 'abc' }}
{{ 1 in 5 }}
{{ missing in l }} {{ 'a' in missing }} {{ missing == missing2 }} {{ missing == none }}
{{ 'a\nb\t\\ \x41 \u00e9 \U0001F600 \101 \q \'' }} {{ "a" 'b' "c" }}
{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1_0.5 }} {{ 1e3 }} {{ 1.5E-3 }}
{{ range(5) }} {{ range(1, 4) | list }} {{ range(10, 0, -3) | list }} {{ range(3) | length }} {{ range(5)[2] }} {{ 2 in range(3) }} {{ range(2, 3) }} {{ range(0, 9, 2) }}
{{ range(100001) }}
{{ range(1, 2, 0) }}
{{ dict(a=1, b='x') }} {{ dict({'a': 1}, c=2) }} {{ dict([('k', 1)]) }} {{ namespace(a=1) }} {{ namespace(a=1).a }} {{ namespace().b is defined }}
{{ s | upper }} {{ s | lower }} {{ s | title }} {{ s | capitalize }} {{ u | upper }} {{ u | lower }} {{ u | title }} {{ u.title() }} {{ u.swapcase() }} {{ "they're bill's".title() }} {{ "x-ray (y)" | title }}
{{ '  a b ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ '  a '.lstrip() }}|{{ 'abcb'.rstrip('bc') }}|{{ 'abc'.strip('ac') }}|{{ none | trim }}|{{ 5 | trim }}
{{ s | replace('t', 'T') }} {{ s | replace('t', 'T', 1) }} {{ 'abc' | replace('', '-') }} {{ 'abc'.replace('b', '') }} {{ 5 | replace(5, 6) }} {{ 'aaa'.replace('a', 'b', 2) }}
{{ l | join }} {{ l | join(', ') }} {{ m | join('-') }} {{ p | join(',', attribute='name') }} {{ 'abc' | join('.') }} {{ [none, 1.0, true] | join(' ') }}
{{ ', '.join(m) }}
{{ ', '.join(l) }}
{{ l | sort }} {{ m | sort }} {{ m | sort(case_sensitive=true) }} {{ m | sort(reverse=true) }} {{ p | sort(attribute='age') | map(attribute='name') | list }} {{ p | sort(attribute='g,age') | map(attribute='name') | list }} {{ l | sort(true) }}
{{ [1, 'a'] | sort }}
{{ m | unique | list }} {{ ['a', 'A', 'b'] | unique | list }} {{ ['a', 'A'] | unique(true) | list }} {{ [1, 1.0, true] | unique | list }}
{{ m | min }} {{ m | max }} {{ l | min }} {{ l | max }} {{ x | min }} {{ p | max(attribute='age') }} {{ l | sum }} {{ p | sum(attribute='age') }} {{ [1.5, 2] | sum }} {{ [[1], [2]] | sum(start=[]) }}
{{ l | first }} {{ l | last }} {{ x | first }} {{ 'abc' | first }} {{ 'abc' | last }} {{ d | first }} {{ d | last }} {{ x | first is undefined }}
{{ l | reverse | list }} {{ 'abc' | reverse }} {{ d | reverse | list }}
{{ m | map('upper') | list }} {{ p | map(attribute='zz', default=0) | list }} {{ deep.k | map(attribute='v') | list }} {{ m | map('replace', 'a', 'q') | join }} {{ ['1', '2x'] | map('int', 9) | list }}
{{ m | map | list }}
{{ l | select('odd') | list }} {{ l | reject('odd') | list }} {{ [0, 1, '', 'a', none] | select | list }} {{ [0, 1] | reject | list }} {{ l | select('>', 1) | list }} {{ p | selectattr('age', 'gt', 1) | map(attribute='name') | list }} {{ p | rejectattr('g', 'equalto', 'x') | list }} {{ p | selectattr('zz') | list }} {{ p | selectattr('zz', 'undefined') | list | length }}
{{ l | select('odd') | length }}
{{ p | groupby('g') }} {{ p | groupby('g', case_sensitive=true) }} {% for g, items in p | groupby('g') %}{{ g }}:{{ items | length }};{% endfor %} {% for x in p | groupby('age') %}{{ x.grouper }}{{ x.list | length }}{% endfor %}
{{ d | dictsort }} {{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'a': 2} | dictsort(by='value', reverse=true) }} {{ d | items | list }} {{ missing | items | list }}
{{ l | batch(2) | list }} {{ l | batch(2, 'x') | list }} {{ range(7) | slice(3) | list }} {{ range(7) | slice(3, '-') | list }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('> ') }}|{{ 'a\n' | indent }}|{{ '' | indent(first=true) }}
{{ 'foo bar baz qux' | truncate(9) }} {{ 'foo bar baz qux' | truncate(9, true) }} {{ 'foo bar baz qux' | truncate(11) }} {{ 'foo bar baz qux' | truncate(11, false, '..', 0) }} {{ 'foo' | truncate(2, end='') }} {{ s | wordcount }} {{ 'a' | center(6) }}|
{{ '42' | int }} {{ '42.9' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ '0x1f' | int(base=16) }} {{ 'ff' | int(0, 16) }} {{ ' 5 ' | int }} {{ none | int }} {{ 3.99 | int }} {{ -3.99 | int }} {{ true | int }} {{ '1_000' | int }} {{ '1e3' | int }}
{{ '4.5' | float }} {{ 'x' | float }} {{ 3 | float }} {{ '1e5' | float }} {{ 'inf' | float }} {{ 'nan' | float }} {{ none | float }} {{ '.5' | float }} {{ '5.' | float }} {{ 'x' | float(1) }} {{ '1f' | float }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 2.1 | round(0, 'ceil') }} {{ 2.19 | round(1, 'floor') }} {{ 5 | round }} {{ 1234 | round(-2) }} {{ 1250 | round(-2) }} {{ -2.5 | round }} {{ 42.55 | round(1) }} {{ 2.5 | round | int }}
{{ n | abs }} {{ -2.5 | abs }} {{ true | abs }} {{ 5 | string }} {{ [1] | string | length }} {{ 'abc' | list }} {{ none | string }} {{ missing | string }}|
{{ missing | default('x') }} {{ '' | default('x') }} {{ '' | default('x', true) }} {{ none | d('x') }} {{ none | d('x', true) }} {{ missing | default }}| {{ d.q | default(d.a) }}
{{ '<a href="x">' | e }} {{ '<' | escape ~ '<' }} {{ ('<' | e) + '<' }} {{ '<' + ('>' | safe) }} {{ '<' | safe | e }} {{ '<' | e | forceescape }} {{ ('<%s>' | safe) % '<' }} {{ ['<' | safe] }} {{ 'x' | safe | upper + '<' }}
{{ 'a b/ü&=' | urlencode }} {{ {'a': 'b c', 'd': 1} | urlencode }} {{ [('x', '/')] | urlencode }}
{{ '%s is %d, %5.2f|%-5s|%05d|%x|%r|%%' % ('a', 3, 2.456, 'b', 42, 255, "q'") }} {{ '%s' % 5 }} {{ '%(a)s' % {'a': 1} }} {{ '%+d % d' % (1, 2) }} {{ '%e %g %g %g' % (12345.678, 0.00001, 123456789, 100.0) }} {{ '%c%c' % ('a', 98) }} {{ '%.3s' % 'abcdef' }} {{ '%s %s' | format('a', 1) }} {{ '%(x)s' | format(x=2) }} {{ '%s' % [1, 2] }} {{ '%i' % 3.9 }} {{ '%#x %o' % (255, 8) }} {{ '%*d' % (5, 3) }}
{{ '%d' % 'a' }}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '{} {}'.format(1, 'a') }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x} {y[0]} {z.k}'.format(x=1, y=[5], z={'k': 2}) }} {{ '{:>5}|{:<5}|{:^5}|{:*^7}'.format(1, 'a', 'b', 'c') }} {{ '{:05d} {:.2f} {:,} {:x} {:+} {:%} {:e} {:b} {:g}'.format(42, 3.14159, 1234567, 255, 5, 0.25, 12345.0, 5, 0.5) }} {{ '{{}} {!r}'.format('a') }} {{ '{:10.3}|{:.3}'.format('abcdef', 2.0) }} {{ '{:{}}'.format('a', 4) }}| {{ '{:,.1f}'.format(1234567.89) }} {{ '{}'.format(none) }} {{ '{:_}'.format(1234567) }}
{{ '{} {}'.format(1) }}
{{ '{:d}'.format('a') }}
{{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ '  a  b c '.split() }} {{ ' a b c '.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a--b--c'.split('--') }} {{ 'aaa'.rsplit('aa') }} {{ 'a b'.split(maxsplit=0) }} {{ 'a b '.rsplit(maxsplit=0) }}
{{ 'a\nb\r\nc\n'.splitlines() }} {{ 'a\nb'.splitlines(true) }} {{ 'a\x0bb\u2028c'.splitlines() }} {{ ''.splitlines() }} {{ 'a\n\n'.splitlines() }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('c') }} {{ 'abc'.endswith(('b', 'bc')) }} {{ 'abc'.startswith('b', 1) }} {{ 'abc'.startswith('') }} {{ 'abc'.endswith('b', 0, 2) }} {{ 'abc'.startswith('', 4) }} {{ ''.startswith('a') }}
{{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'abc'.find('x') }} {{ 'abcabc'.index('b', 2) }} {{ 'abcabc'.count('bc') }} {{ 'aaa'.count('aa') }} {{ 'abc'.count('') }} {{ u.find('É') }} {{ 'abc'.find('c', -1) }} {{ 'abc'.find('', 5) }} {{ 'abcabc'.rindex('a', 0, 3) }}
{{ 'abc'.index('x') }}
{{ l.index(2) }} {{ l.count(1) }} {{ l.copy() }} {{ (1, 2).index(2) }} {{ d.copy() }}
{{ l.index(9) }}
{{ 'abc'.isalpha() }} {{ '12'.isdigit() }} {{ '1a'.isalnum() }} {{ ' \n'.isspace() }} {{ 'ab'.islower() }} {{ 'AB1'.isupper() }} {{ 'Ab Cd'.istitle() }} {{ '½'.isnumeric() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ 'é'.isascii() }} {{ 'a_1'.isidentifier() }} {{ ''.isalpha() }} {{ 'a\n'.isprintable() }} {{ '日本'.isalpha() }} {{ '１'.isdecimal() }}
{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.y'.removesuffix('.y') }} {{ 'x'.removesuffix('') }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3) }} {{ 'ab'.center(5, '*') }} {{ 'abc'.center(6, '*') }} {{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'a'.partition('=') }} {{ 'ß'.upper() }} {{ 'ΑΣ'.lower() }} {{ 'ß'.casefold() }} {{ 'ab'.capitalize() }} {{ 'ǆab'.capitalize() }}
{{ d | tojson }} {{ s | tojson }} {{ u | tojson }} {{ u | tojson(ensure_ascii=true) }} {{ '<&>' | tojson }} {{ [1, 2.0, 1e16, none, true, 'a'] | tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ (1, 2) | tojson }} {{ '\x7f\x01/' | tojson }} {{ '\u2028' | tojson }}
{{ d | tojson(indent=2) }} {{ deep | tojson(indent=1, separators=(',', ':')) }} {{ {'b': [], 'a': {}} | tojson(indent=4, sort_keys=true) }} {{ [1, [2]] | tojson(indent='--') }} {{ l | tojson(separators=(',', ':')) }} {{ [] | tojson(indent=2) }} {{ [1] | tojson(indent=0) }} {{ deep | tojson(true, 1) }}
{{ missing | tojson }}
{{ range(3) | tojson }}
{{ ('nan' | float) | tojson }} {{ [1e400, -1e400] | tojson }} {{ ('nan' | float) == ('nan' | float) }}
{{ 1 is odd }} {{ 2 is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ 'a' is string }} {{ 1 is number }} {{ true is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }} {{ d is mapping }} {{ l is sequence }} {{ 's' is sequence }} {{ d is sequence }} {{ 5 is sequence }} {{ l is iterable }} {{ 5 is iterable }} {{ none is none }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ true is boolean }} {{ 'a' is lower }} {{ 'A' is upper }} {{ 1 is sameas 1 }} {{ 1 is sameas true }} {{ 1 is eq 1 }} {{ 1 is ne 2 }} {{ 2 is gt 1 }} {{ 2 is ge(2) }} {{ 1 is lessthan 2 }} {{ 1 is in l }} {{ 'upper' is filter }} {{ 'zz' is filter }} {{ 'odd' is test }} {{ range is callable }} {{ missing is iterable }} {{ missing is sequence }} {{ d.items() is sequence }} {{ d.items() is iterable }} {{ 'a' is escaped }} {{ none is not none }} {{ 1 is not string }} {{ nil is defined }}
{{ 1 is zz }}
{{ 1 | zz }}
{{ l | map('upper') }}
{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }}{{ loop.cycle('a', 'b') }} {% endfor %}
{% for i in [1, 1, 2] %}{{ loop.changed(i) }} {% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for c in 'ab😀' %}{{ c }}.{% endfor %}
{% for i in l if i > 1 %}{{ i }}{{ loop.last }}{{ loop.length }}{% else %}none{% endfor %}{% for i in x %}{% else %}empty{% endfor %}{% for i in l if i > 9 %}{{ i }}{% else %}none{% endfor %}
{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}{% for i in l %}{{ i }}{% break %}{% endfor %}{% for i in l %}{% continue %}{% else %}else{% endfor %}{% for i in l %}{% break %}{% else %}else{% endfor %}
{% for i in l recursive %}{{ i }}{% if loop.depth < 3 and i == 3 %}[{{ loop([i - 1, 3]) }}]{% endif %}{{ loop.depth }}{% endfor %}
{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [[1]] %}{{ a }}{% endfor %}
{% for i in 5 %}{% endfor %}
{% for i in none %}{% endfor %}
{% for i in missing %}x{% else %}y{% endfor %}
{% set a = 1 %}{% for i in l %}{% set a = a + i %}{{ a }} {% endfor %}{{ a }}
{% set ns = namespace(a=1) %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{% set ns.b = 'x' %}{{ ns.b }}{{ ns }}
{% set a.b = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}{% set (e, g) = [3, 4] %}{{ e }}{{ g }}
{% set a %}x{{ 1 }}{% endset %}{{ a }}{% set b | upper | trim %} y {% endset %}{{ b }}|{% set q %}{% set inner = 1 %}{% endset %}{{ inner is defined }}
{% if false %}{% set a = 1 %}{% endif %}{{ a is defined }}{% if true %}{% set b = 1 %}{% endif %}{{ b }}{% if z %}a{% elif n %}b{% else %}c{% endif %}
{% macro m(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=5) }}{{ m(b=1, a=2) }}{{ m() }}{{ m | string | length > 5 }}
{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=1) }}
{% macro m() %}[{{ caller(1) }}]{% endmacro %}{% call(v) m() %}{{ v }}{{ s | length }}{% endcall %}{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}
{% macro m(a) %}{{ outer }}{% endmacro %}{% set outer = 1 %}{{ m() }}{% set outer = 2 %}{{ m() }}{% for outer in [5] %}{{ m() }}{% endfor %}
{% macro m(x, y='d') %}{{ x }}{{ y }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'x': 3}) }}{{ m(1, **{'y': 4}) }}
{% call m2() %}{% endcall %}
{% filter upper | replace('A', 'b') %}abc{{ 'def' }}{% endfilter %}{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set c = 3 %}{% endwith %}{{ a is defined }}{{ c is defined }}
{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}
{% raw %}{{ x }}{% y %}{% endraw %}{%- raw -%}  a  {%- endraw -%}  b
{% generation %}x{% set y = 1 %}{{ 1 }}{% endgeneration %}{{ y is defined }}{% print 1, 2 %}
{% set j = joiner(', ') %}{% for i in l %}{{ j() }}{{ i }}{% endfor %}{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}
a {#- c -#} b {# c #}\n c\n  {# d #}\ne {#+ f +#}\n g
a\n  {% if true %}\n  b\n  {% endif %}\n  c {% if true %} d {% endif %} e
a\n  {%- if true -%}\n  b\n  {%- endif -%}\n  c
a\n  {%+ if true +%}\n  b\n  {%+ endif +%}\n  c
  {% if true %}x{% endif %}  \n  {{ 1 }}  \n{{- 2 -}}\n  3 {{+ 4 }}\n
\n\n{{ 1 }}\n\n
{% for i in [1, 2] -%}\n  {{ i }}\n{% endfor %}\nend\n
{{ {'a': {'b': 1}}['a']['b'] }}{{ {}}}{{ {'a': {}}}}
{{ [1, 2,] }} {{ {'a': 1,} }} {{ (1, 2,) }} {{ d.get('a',) }} {{ l.0 }} {{ deep.k.1.v }} {{ deep['k'][0]['v'] }}
{{ -l[0] | abs }} {{ -3 | abs }} {{ 2 + 3 | string | length }} {{ 'a' ~ 'b' | upper }} {{ not l is string }} {{ 1 if l is string else 2 }} {{ l | length > 2 }} {{ l | length == 3 and true }}
{{ 1 +}}
{{ (1 }}
{% if true %}
{% endif %}
{% foo %}
{% for i in %}{% endfor %}
{{ 'abc }}
{{ a b }}
{% set 1 = 2 %}
{% set true = 2 %}
{% break %}
{# never ends
{% raw %}x
{{ 1 is odd is even }}
{{ f(a=1, 2) }}
{{ 5() }}
{{ missing() }}
{{ d.missing() }}
{{ 's'.missing() }}
{{ raise_exception('no') }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ none + 1 }}
{{ {} + 1 }}
{{ {[]: 1} }}
{{ -'a' }}
{{ u | length }} {{ u | first }} {{ '😀' | tojson(ensure_ascii=true) }} {{ ['😀', '\u200b', '\xa0', '\x85', '\ud7ff', 'é'] }} {{ "'" }} {{ ["'", '"', '\'"', '\\'] }}
'''

VALUES = ["s", "e", "u", "n", "z", "big", "f", "g", "h", "one", "t", "no", "nil", "l", "m", "x", "d", "o", "deep", "p", "missing", "(1, 'a')",
          "'ab'", "'%s'", "range(4)", "d.items()", "' x '", "1.0", "'12'", "p[0]", "'<b>' | safe", "1e-5", "'A1'"]
FILTERS = ["upper", "lower", "title", "capitalize", "trim", "trim('a ')", "length", "list", "first", "last", "join", "join('-')", "sort", "reverse | list", "unique | list",
           "min", "max", "sum", "abs", "int", "int(5)", "float", "round", "round(1)", "string", "tojson", "tojson(indent=2)", "tojson(ensure_ascii=true)", "default('D')",
           "default('D', true)", "replace('a', 'b')", "items | list", "dictsort", "map('string') | list", "map(attribute='name') | list", "select | list", "reject('none') | list",
           "selectattr('age') | list", "batch(2) | list", "slice(2) | list", "indent(2)", "truncate(8)", "wordcount", "e", "urlencode", "groupby('g')", "center(9)", "safe", "format(1)",
           "attr('items') is callable", "count"]
TESTS = ["defined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "float", "boolean", "odd", "even", "true", "false", "lower", "upper", "callable",
         "eq(1)", "in(l)", "in('abc')", "sameas(none)", "divisibleby(2)", "gt(0)"]
METHODS = ["strip()", "lstrip()", "rstrip()", "split()", "split('a')", "split('t', 1)", "rsplit(' ', 1)", "splitlines()", "startswith('i')", "endswith(' ')", "replace('t', '')",
           "find('t')", "rfind('t')", "count('t')", "upper()", "title()", "capitalize()", "swapcase()", "isalpha()", "isdigit()", "isalnum()", "isspace()", "islower()", "isupper()", "istitle()",
           "isnumeric()", "isprintable()", "keys() | list", "values() | list", "items() | list", "get('a')", "get('b', 2)", "index(1)", "count(1)", "copy()", "zfill(5)", "partition('t')",
           "removeprefix('it')", "center(30, '.')", "join(['1', '2'])", "format(1, 2)", "a", "name", "append(1)", "casefold()", "is_integer()"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
KEYS = ["0", "-1", "1", "9", "'a'", "'items'", "1:", ":1", "::-1", "-2:", "::2", "1:9", "none", "1.0", "true", "'age'"]


def random_snippet(r):
    v = lambda: "(%s)" % r.choice(VALUES)
    kind = r.randrange(6)
    if kind == 0:
        return "{{ %s | %s }}" % (v(), r.choice(FILTERS))
    if kind == 1:
        return "{{ %s | %s | %s }}" % (v(), r.choice(FILTERS), r.choice(FILTERS))
    if kind == 2:
        return "{{ %s is %s }}" % (v(), r.choice(TESTS))
    if kind == 3:
        return "{{ %s.%s }}" % (v(), r.choice(METHODS))
    if kind == 4:
        return "{{ %s %s %s }}" % (v(), r.choice(OPERATORS), v())
    return "{%% set v = %s %%}{{ v[%s] }}" % (v(), r.choice(KEYS))


def result(source):
    try:
        text = compile_template(source).render(**json.loads(VARIABLES))  # some filters change what they are given
    except Exception:
        return None
    return text if " at 0x" not in text else 0


def main():
    count, seed = (int(a) for a in sys.argv[1:3]) if len(sys.argv) > 1 else (600, 1)
    r = random.Random(seed)
    sources = [line.replace("\\n", "\n") if "{{ '" not in line and '{{ "' not in line else line for line in HAND.split("\n") if line]
    random_ones = []
    while len(random_ones) < count:
        s = random_snippet(r)
        if "**" not in s or "big" not in s:
            random_ones.append(s)
    rows = [[s, result(s)] for s in sources + random_ones]
    rows = [row for row in rows if row[1] != 0]
    body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    print('{"variables": %s,\n"snippets": [\n%s\n]}' % (VARIABLES, body))


main()
