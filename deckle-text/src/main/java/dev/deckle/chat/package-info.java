/// Conversations to prompts: the chat templates that models come with.
package dev.deckle.chat;
