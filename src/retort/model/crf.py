"""What a linear-chain CRF loses on emissions and targets, in TensorFlow; `tasks.chain` decodes by the same scores.

Source: Lafferty et al. 2001, Conditional Random Fields.
"""

import tensorflow as tf

from retort.model.operations import Tensor


def crf_losses(emissions: Tensor, targets: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """-log p(targets) of each row in nats (B,), from emissions (B, T, L) float32 and targets (B, T) int64.

    Places of target -1 (special tokens, later sub-tokens, padding) are left out as if they did not exist; a row of
    nothing else loses 0.  `transitions` (L, L) from row to column, `start` and `end` (L,) are `Chain`'s, float32.
    """
    emissions, tags, mask = _close_up(emissions, targets)
    every = _log_sum(emissions, mask, transitions, start, end)
    losses = every - _score(emissions, tags, mask, transitions, start, end)
    return tf.where(mask[:, 0] > 0, losses, 0.0)


def _close_up(emissions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What is kept of each row, moved to its beginning: emissions (B, W, L), tags (B, W), mask (B, W) float32.

    W, at least 1, is the most that a row keeps, so that the recursion takes no step in vain.
    """
    kept = targets >= 0
    width = tf.maximum(tf.reduce_max(tf.math.count_nonzero(kept, 1)), 1)
    order = tf.argsort(tf.cast(~kept, tf.int32), axis=1, stable=True)[:, :width]
    emissions, targets = tf.gather(emissions, order, batch_dims=1), tf.gather(targets, order, batch_dims=1)
    return emissions, tf.maximum(targets, 0), tf.cast(targets >= 0, tf.float32)


def _score(emissions: Tensor, tags: Tensor, mask: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The score of `tags`, (B,)."""
    at_words = tf.reduce_sum(tf.gather(emissions, tags, batch_dims=2) * mask, 1)
    moves = tf.gather_nd(transitions, tf.stack([tags[:, :-1], tags[:, 1:]], -1))
    last = tf.maximum(tf.reduce_sum(tf.cast(mask, tf.int32), 1, keepdims=True) - 1, 0)
    at_ends = tf.gather(start, tags[:, 0]) + tf.gather(end, tf.gather(tags, last, batch_dims=1)[:, 0])
    return at_words + tf.reduce_sum(moves * mask[:, 1:], 1) + at_ends


def _log_sum(emissions: Tensor, mask: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """log of the summed exp(score) of all sequences, (B,)."""
    rows, present = tf.transpose(emissions, [1, 0, 2]), tf.transpose(mask)[:, :, None] > 0

    def step(word: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        reached = tf.reduce_logsumexp(scores[:, :, None] + transitions, 1) + rows[word]
        return word + 1, tf.where(present[word], reached, scores)

    first = (tf.constant(1), rows[0] + start)
    _, scores = tf.while_loop(lambda word, _: word < tf.shape(rows)[0], step, first)
    return tf.reduce_logsumexp(scores + end, 1)
