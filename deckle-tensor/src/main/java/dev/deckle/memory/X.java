package dev.deckle.memory;
final class X{}