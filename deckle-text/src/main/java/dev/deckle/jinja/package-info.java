/// Templates in the language of Jinja2, rendered as Python renders them: lexer, parser, evaluator.
package dev.deckle.jinja;
