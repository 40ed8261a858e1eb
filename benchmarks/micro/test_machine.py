"""What the framework gets out of this machine at best: the two edges of its roofline."""

import numpy as np

from impls import costs

SIZE = 1024
MEBIBYTES = 64


def test_matmul(bench, pieces, measure):
    generator = np.random.RandomState(bench.job.seed)
    one, other = generator.standard_normal((2, SIZE, SIZE)).astype(np.float32)
    product = measure(pieces.matmul(one, other), piece="matmul", cost=costs.matmul(SIZE))
    assert np.allclose(pieces.on_host(product)[:8], one[:8] @ other, rtol=1e-3, atol=1e-2)


def test_copy(bench, pieces, measure):
    array = np.arange(MEBIBYTES * 2**18, dtype=np.float32)
    copied = measure(pieces.copy(array), piece="copy", cost=costs.copy(array.nbytes))
    assert np.array_equal(pieces.on_host(copied), array)
