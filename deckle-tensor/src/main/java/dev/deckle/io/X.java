package dev.deckle.io;
final class X{}