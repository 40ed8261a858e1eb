"""How the layers of several frameworks come to stand beside each other."""

from __future__ import annotations

from harness.commands.layers import ShownLayer, aligned_rows, parameter_differences


def layer(text: str) -> ShownLayer:
    """Of ``name:kind 6x24x24 156``; the name and its number of parameters may be missing."""
    kind, shape, *count = text.split()
    name, _, kind = kind.rpartition(":")
    return ShownLayer(
        name=name,
        kind=kind,
        output_shape=tuple(int(extent) for extent in shape.split("x")),
        parameters=int(count[0]) if count else 0,
    )


def layers(*texts: str) -> list[ShownLayer]:
    return [layer(text) for text in texts]


def kinds(*columns: list[ShownLayer]) -> list[tuple[str, ...]]:
    return [tuple(cell.kind if cell else "" for cell in row) for row in aligned_rows(columns)]


def test_layers_without_names_are_aligned_between_those_with_names():
    defined = layers("c:conv 6x24x24 156", "sigmoid 6x24x24", "max_pool 6x12x12", "d:dense 10 9")
    activated = layers(
        "c:Conv2D 24x24x6 156", "MaxPooling2D 12x12x6", "Flatten 864", "d:Dense 10 9"
    )
    spelled = layers(
        "c:Conv2d 6x24x24 156", "Sigmoid 6x24x24", "MaxPool2d 6x12x12", "d:Linear 10 9"
    )
    assert kinds(defined, activated, spelled) == [
        ("conv", "Conv2D", "Conv2d"),
        ("sigmoid", "", "Sigmoid"),
        ("max_pool", "MaxPooling2D", "MaxPool2d"),
        ("", "Flatten", ""),
        ("dense", "Dense", "Linear"),
    ]


def test_of_layers_of_one_size_those_of_one_kind_are_aligned():
    defined = layers("b:batch_norm 8x3x3 16", "residual 8x3x3", "relu 8x3x3", "dropout 8x3x3")
    without_sum = layers("b:BatchNorm 8x3x3 16", "Activation 8x3x3", "Dropout 8x3x3")
    other_order = layers("b:BN 8x3x3 16", "Dropout 8x3x3", "Add 8x3x3")
    assert kinds(defined, without_sum) == [
        ("batch_norm", "BatchNorm"),
        ("residual", ""),
        ("relu", "Activation"),
        ("dropout", "Dropout"),
    ]
    paired = kinds(defined, other_order)
    assert ("dropout", "Dropout") in paired
    assert ("", "Add") in paired


def test_what_comes_before_the_first_name_and_names_that_others_lack_have_rows_of_their_own():
    one = layers("a:conv 4 2", "b:dense 3 4")
    other = layers("Rescaling 5", "b:Dense 3 4", "x:Dense 2 6")
    assert kinds(one, other) == [
        ("", "Rescaling"),
        ("conv", ""),
        ("dense", "Dense"),
        ("", "Dense"),
    ]


def test_names_in_another_order_stand_in_the_rows_of_the_first_column():
    one = layers("a:conv 4 2", "relu 4", "b:conv 4 3")
    other = layers("b:Conv 4 3", "a:Conv 4 2", "ReLU 4")
    assert kinds(one, other) == [("conv", "Conv"), ("relu", "ReLU"), ("conv", "Conv")]
    assert parameter_differences(one, other) == (
        "layer 1 of those with parameters is b with 3, expected a with 2",
    )


def test_differences_in_parameters_are_told_in_full():
    expected = layers("a:conv 4 1000", "relu 4", "b:dense 3 40")
    assert parameter_differences(expected, layers("a:X 4 1000", "b:Y 3 40", "flat 9")) == ()
    assert parameter_differences(expected, layers("a:X 4 1000", "b:Y 3 36")) == (
        "1,036 parameters, expected 1,040",
        "layer 2 of those with parameters is b with 36, expected b with 40",
    )
    assert parameter_differences(expected, layers("a:X 4 1000")) == (
        "1,000 parameters, expected 1,040",
        "layer 2 of those with parameters is none, expected b with 40",
    )
