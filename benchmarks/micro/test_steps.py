"""A training step and its parts, on one staged batch."""

from impls import costs


def test_forward(bench, pieces, batch, mode, batch_size, measure):
    measure(
        lambda: pieces.forward(batch),
        piece="forward",
        mode=mode,
        batch_size=batch_size,
        cost=costs.forward(bench.job.model, batch_size),
    )


def test_forward_backward(bench, pieces, batch, mode, batch_size, measure):
    measure(
        lambda: pieces.forward_backward(batch),
        piece="forward_backward",
        mode=mode,
        batch_size=batch_size,
        cost=costs.forward_backward(bench.job.model, batch_size),
    )


def test_optimizer_step(bench, pieces, batch, mode, batch_size, measure):
    pieces.forward_backward(batch)
    measure(
        pieces.optimizer_step,
        piece="optimizer_step",
        mode=mode,
        batch_size=batch_size,
        cost=costs.optimizer_step(bench.job.model, bench.job.optimizer),
    )


def test_train_step(bench, adapter, batch, mode, batch_size, measure):
    """One call for one step, as the suite trains, with its sums of loss and hits."""
    measure(
        lambda: adapter.train(batch),
        piece="train_step",
        mode=mode,
        batch_size=batch_size,
        cost=costs.train_step(bench.job.model, bench.job.optimizer, batch_size),
    )
    adapter.take_metrics()
