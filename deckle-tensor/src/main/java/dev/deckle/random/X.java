package dev.deckle.random;
final class X{}