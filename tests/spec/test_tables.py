from __future__ import annotations

import msgspec
import pytest

from harness.spec.recipes import Recipe
from harness.spec.tables import record
from impls.definition import Model

TABLE = {
    "name": "r",
    "model": "lenet",
    "dataset": "d",
    "batch_size": 4,
    "epochs": 1,
    "init": "xavier",
    "optimizer": {"kind": "sgd", "learning_rate": 0.1},
    "published": {"source": "s", "hardware": "h", "test_accuracy": [0.5]},
}


def test_a_table_becomes_its_record():
    assert record(TABLE, Recipe) == msgspec.convert(TABLE, Recipe)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"epoch": 1}, r"`epoch` - at `\$`"),
        ({"optimizer": {**TABLE["optimizer"], "rate": 1}}, r"`rate` - at `\$\.optimizer`"),
        ({"published": {**TABLE["published"], "by": "x"}}, r"`by` - at `\$\.published`"),
    ],
)
def test_a_misspelt_field_is_named_with_its_place(wrong, named):
    with pytest.raises(msgspec.ValidationError, match=named):
        record({**TABLE, **wrong}, Recipe)


def test_a_layer_inside_another_is_looked_at_too():
    layers = [{"kind": "residual", "layers": [{"kind": "relu", "slope": 1}]}]
    with pytest.raises(msgspec.ValidationError, match=r"`slope` - at `\$\.layers\[0\]\.layers"):
        record({"name": "m", "input_shape": [1, 8, 8], "layers": layers}, Model)


def test_a_stored_record_with_a_field_from_the_future_can_be_read():
    later = {**TABLE, "augmentation": "none", "tolerances": {"step_1": 1e-6}, "agreement": 0.02}
    assert msgspec.convert(later, Recipe).agreement == 0.02
