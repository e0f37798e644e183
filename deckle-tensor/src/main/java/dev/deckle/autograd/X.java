package dev.deckle.autograd;
final class X{}