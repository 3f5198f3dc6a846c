"""Pictures of cells: their contents, their layout, and the escaping of text."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from PIL import Image, ImageChops

from darts_core.drawing import Frame, cells_of, epoch_title, scene_of, to_svg
from darts_core.drawing.animation import to_gif
from darts_core.drawing.curves import sharpest
from darts_core.drawing.frames import MOST_FRAMES, evenly
from darts_core.drawing.layout import layout_of
from darts_core.drawing.palette import THEMES, Colours, role_of
from darts_core.drawing.raster import to_image, to_png
from darts_core.drawing.scene import Words, line_width
from darts_core.errors import DrawingError
from darts_core.genotypes import (
    KNOWN,
    KNOWN_RECURRENT,
    AnyGenotype,
    Genotype,
    derive,
    derive_recurrent,
    random_genotype,
    softmaxed,
)
from darts_core.primitives import (
    CNN_GENOTYPE_OPERATIONS,
    CNN_PRIMITIVES,
    RNN_PRIMITIVES,
    edges_of,
    recurrent_edges_of,
)

pytestmark = pytest.mark.light

SVG = "{http://www.w3.org/2000/svg}"
PUBLISHED = [*KNOWN.items(), *KNOWN_RECURRENT.items()]


def _recurrent(seed: int, nodes: int = 8) -> AnyGenotype:
    source = random.Random(seed)
    rows = [[source.random() for _ in RNN_PRIMITIVES] for _ in range(recurrent_edges_of(nodes))]
    return derive_recurrent(rows, RNN_PRIMITIVES)


def _drawn(genotype: AnyGenotype, title: str = "") -> ElementTree.Element:
    return ElementTree.fromstring(to_svg(scene_of(cells_of(genotype), title)))


def _texts(picture: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in picture.iter(f"{SVG}text")]


def _titles(picture: ElementTree.Element) -> list[str]:
    return [title.text or "" for title in picture.iter(f"{SVG}title")]


@pytest.mark.parametrize(("name", "genotype"), PUBLISHED)
def test_every_operation_stands_in_the_svg_by_its_full_name(name: str, genotype: AnyGenotype) -> None:
    texts = _texts(_drawn(genotype))
    kept = [o.name for cell in cells_of(genotype) for node in cell.nodes for o in node]
    assert sorted(t for t in texts if t in CNN_GENOTYPE_OPERATIONS | set(RNN_PRIMITIVES)) == sorted(kept)


@pytest.mark.parametrize(("name", "genotype"), PUBLISHED)
def test_every_edge_has_its_line_and_its_words(name: str, genotype: AnyGenotype) -> None:
    titles = _titles(_drawn(genotype))
    for cell in cells_of(genotype):
        lines = layout_of(cell).curves
        for number, node in enumerate(cell.nodes, cell.first):
            for i, operation in enumerate(node):
                assert ("read", number, i) in lines
                assert f"node {number}: {operation.name} of {cell.state(operation.source)}" in titles
        assert {key for key in lines if key[0] == "concat"} == {("concat", number) for number in cell.concat}


@pytest.mark.parametrize(("name", "genotype"), PUBLISHED)
def test_a_line_begins_where_it_is_read_and_ends_at_its_operation(name: str, genotype: AnyGenotype) -> None:
    for cell in cells_of(genotype):
        layout = layout_of(cell)
        for number, node in enumerate(cell.nodes, cell.first):
            for i, operation in enumerate(node):
                line = layout.curves["read", number, i]
                read = operation.source >= cell.first or cell.recurrent
                begin = layout.boxes["state" if read else "input", operation.source]
                end = layout.boxes["operation", number, i]
                assert line.tip is not None
                for (x, y), box in ((line.points[0], begin), (line.tip, end)):
                    assert abs(x - box.x) <= box.width / 2 + 4
                    assert abs(y - box.y) <= box.height / 2 + 4


@pytest.mark.parametrize("nodes", [1, 3, 4, 6])
def test_boxes_stand_where_they_stood_whatever_the_genotype(nodes: int) -> None:
    layouts = [layout_of(cells_of(random_genotype(seed, nodes=nodes))[0]) for seed in range(6)]
    assert all(layout.boxes == layouts[0].boxes for layout in layouts)
    recurrent = [layout_of(cells_of(_recurrent(seed, nodes))[0]) for seed in range(6)]
    assert all(layout.boxes == recurrent[0].boxes for layout in recurrent)


@pytest.mark.parametrize(("name", "genotype"), PUBLISHED)
def test_no_two_boxes_touch(name: str, genotype: AnyGenotype) -> None:
    for cell in cells_of(genotype):
        boxes = list(layout_of(cell).boxes.values())
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                apart = abs(a.x - b.x) - (a.width + b.width) / 2, abs(a.y - b.y) - (a.height + b.height) / 2
                assert max(apart) > 5


@pytest.mark.parametrize("seed", range(8))
def test_lines_turn_smoothly(seed: int) -> None:
    for cell in cells_of(random_genotype(seed)):
        # The last piece may be the short one that leads into a box.
        assert all(sharpest(line.points[:-3]) < 1.3 for line in layout_of(cell).curves.values())


def test_width_follows_the_weight_of_the_chosen_operation() -> None:
    source = random.Random(3)
    table = [[source.gauss(0, 2) for _ in CNN_PRIMITIVES] for _ in range(edges_of(4))]
    strengths = softmaxed({"normal": table, "reduce": table})
    cells = cells_of(derive(table, table, CNN_PRIMITIVES), strengths, CNN_PRIMITIVES)
    picture = ElementTree.fromstring(to_svg(scene_of(cells)))
    widths = {}
    for group in picture.iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        if title is not None and title.text and "weight" in title.text:
            weight = float(title.text.split("weight ")[1].rstrip(")"))
            widths[weight] = {float(path.get("stroke-width", 0)) for path in group.iter(f"{SVG}path")}
    assert len(widths) > 3
    ordered = [widths[weight] for weight in sorted(widths)]
    assert all(max(a) < min(b) for a, b in pairwise(ordered))


def test_weights_are_the_strengths_of_the_kept_operations() -> None:
    rows = [[0.75, 0.25]] * 2 + [[0.0, 1.0]] * 3
    cells = cells_of(derive(rows, rows, ("none", "skip_connect")), {"normal": rows}, ("none", "skip_connect"))
    assert [[o.weight for o in node] for node in cells[0].nodes] == [[0.25, 0.25], [1.0, 1.0]]


def test_strengths_of_another_cell_are_refused() -> None:
    with pytest.raises(DrawingError, match="strengths of the normal cell do not fit"):
        cells_of(KNOWN["DARTS_V2"], {"normal": [[0.5, 0.25]], "reduce": []}, CNN_PRIMITIVES)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"onload="x', "a&b", "]]>", "\x00\x1b", "_{", "a\u202eb"]
)
def test_a_hostile_name_is_text_and_nothing_else(name: str) -> None:
    document = to_svg(scene_of(cells_of(KNOWN["DARTS_V2"]), name))
    plain = to_svg(scene_of(cells_of(KNOWN["DARTS_V2"]), "x"))
    picture = ElementTree.fromstring(document)
    assert [e.tag for e in picture.iter()] == [e.tag for e in ElementTree.fromstring(plain).iter()]
    assert "script" not in {e.tag.removeprefix(SVG) for e in picture.iter()}
    assert not any(key.startswith("on") for e in picture.iter() for key in e.attrib)


@pytest.mark.parametrize("title", ["Epoch 6 of 6: validation perplexity 241.45", "long name " * 20])
def test_a_title_fits_over_a_narrow_cell_whose_nodes_stand_where_they_stood(title: str) -> None:
    cells = cells_of(_recurrent(0, nodes=4))
    scene = scene_of(cells, title)
    assert scene.width == scene_of(cells, "short").width
    [words] = [item for item in scene.groups[0].items if isinstance(item, Words)]
    assert words.size >= 10
    assert 0.6 * words.size * len(words.text) <= scene.width


def test_a_picture_has_a_text_alternative() -> None:
    picture = _drawn(KNOWN["DARTS_V2"], "DARTS_V2")
    assert picture.get("role") == "img"
    assert [child.tag.removeprefix(SVG) for child in picture][:2] == ["title", "desc"]
    assert picture[0].text == "DARTS_V2"
    assert "Node 5 is skip_connect of c_{k-2} plus dil_conv_3x3 of node 2." in (picture[1].text or "")


def test_the_svg_refers_to_nothing_outside_itself() -> None:
    document = to_svg(scene_of(cells_of(KNOWN["DARTS_V2"])))
    assert document.count("http") == 1  # the name of SVG itself
    assert "@import" not in document
    assert "url(" not in document


def _contrast(a: str, b: str) -> float:
    """WCAG 2.2's contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("page", "role", "colours"),
    [
        pytest.param(theme.page, role, colours, id=f"{name}-{role}")
        for name, theme in THEMES.items()
        for role, colours in theme.roles.items()
    ],
)
def test_contrast_is_aa_on_light_and_dark(page: str, role: str, colours: Colours) -> None:
    if role != "concat":  # lines only
        assert _contrast(colours.text, page if colours.fill == "none" else colours.fill) >= 4.5
    if colours.line != "none":
        assert _contrast(colours.line, page) >= 3


def test_kinds_of_operation_differ_in_colour() -> None:
    assert len({role_of(op) for op in ("skip_connect", "sep_conv_3x3", "dil_conv_3x3", "conv_7x1_1x7")}) == 4
    assert role_of("max_pool_3x3") == role_of("skip_connect")
    for theme in THEMES.values():
        assert len({theme.roles[role_of(op)].fill for op in ("tanh", "relu", "sigmoid", "identity")}) == 4


def test_a_png_is_twice_as_fine_as_the_svg() -> None:
    scene = scene_of(cells_of(KNOWN["DARTS_V2"]))
    with Image.open(io.BytesIO(to_png(scene))) as picture:
        assert picture.size == (2 * round(scene.width), 2 * round(scene.height))


def test_pixels_come_in_light_and_dark() -> None:
    scene = scene_of(cells_of(KNOWN_RECURRENT["DARTS_V2"]))
    assert to_image(scene, "light").getpixel((0, 0)) == (255, 255, 255)
    assert to_image(scene, "dark").getpixel((0, 0)) == (0x12, 0x1A, 0x24)


def _frames(count: int) -> list[Frame]:
    genotypes: list[Genotype] = [random_genotype(seed, nodes=2) for seed in range(count)]
    return [Frame(epoch_title(i, count, {"validation_accuracy": i}), cells_of(g)) for i, g in enumerate(genotypes, 1)]


def test_a_gif_has_a_frame_an_epoch_all_of_one_size_and_no_two_alike() -> None:
    with Image.open(io.BytesIO(to_gif(_frames(4)))) as gif:
        assert gif.n_frames == 4  # type: ignore[attr-defined]
        assert gif.info["loop"] == 0
        pictures = []
        for number in range(4):
            gif.seek(number)
            pictures.append(gif.convert("RGB"))
    assert all(ImageChops.difference(a, b).getbbox() for a, b in pairwise(pictures))


def test_a_gif_of_one_epoch_is_a_still_picture() -> None:
    with Image.open(io.BytesIO(to_gif(_frames(1)))) as gif:
        assert gif.n_frames == 1  # type: ignore[attr-defined]


def test_frames_are_left_out_evenly_but_never_the_first_or_last() -> None:
    kept = evenly(range(1000), MOST_FRAMES)
    assert (len(kept), kept[0], kept[-1]) == (100, 0, 999)
    assert {b - a for a, b in pairwise(kept)} <= {10, 11}
    assert evenly(range(7), MOST_FRAMES) == range(7)


@pytest.mark.parametrize(
    ("metrics", "title"),
    [
        ({"validation_accuracy": 87.305}, "Epoch 3 of 50: validation accuracy 87.31 %"),
        ({"validation_perplexity": 61.2}, "Epoch 3 of 50: validation perplexity 61.20"),
        ({}, "Epoch 3 of 50"),
    ],
)
def test_a_frame_says_its_epoch_and_how_good_it_is(metrics: dict[str, float], title: str) -> None:
    assert epoch_title(3, 50, metrics) == title


def test_drawing_imports_neither_torch_nor_without_need_pillow() -> None:
    code = "import sys, darts_core.drawing; assert not {'torch', 'numpy', 'PIL'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_graphviz_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from darts_core.drawing import graphviz

    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    graphviz._program.cache_clear()
    with pytest.raises(DrawingError, match="pip install graphviz-pure"):
        graphviz.laid_out("digraph {}")
    graphviz._program.cache_clear()


def test_widths_grow_by_equal_steps() -> None:
    assert line_width(0.5) - line_width(0.25) == pytest.approx(line_width(1.0) - line_width(0.75))
