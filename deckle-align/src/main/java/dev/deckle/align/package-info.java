/// From a language model to a policy: preference losses, rewards and advantages.
package dev.deckle.align;
