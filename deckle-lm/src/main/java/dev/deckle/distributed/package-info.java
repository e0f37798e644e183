/// N ranks that compute together: the collectives, what they send, and when.
package dev.deckle.distributed;
