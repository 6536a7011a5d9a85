"""Sample clips in a report: shown where they are, accounted for where they are not."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from qdexp_analysis import clips as module
from qdexp_analysis import render
from qdexp_analysis.contact_sheet import save_contact_sheet, token_frames
from qdexp_analysis.sampled_codes import save_sampled_codes

from qdexp.results.folders import trial_folder
from qdexp.results.ledger import Ledger

Make = Callable[[Any], Path]
IMAGES = re.compile(r'<img src="(data:image/gif;base64,[^"]+)" alt="([^"]+)"')


def animation(shade: int, side: int = 16) -> bytes:
    frames = [Image.new("RGB", (2 * side, side), (shade, 10 * number, 0)) for number in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:], loop=0)
    return buffer.getvalue()


def leave_clips(runs: Path, *, without: Sequence[int] = (), own_real: bool = False) -> None:
    """Puts clips into the folders of all trials, but those of some codebook sizes."""
    with Ledger(runs) as ledger:
        for record in ledger.members("codebook_size"):
            codes = record.trial.ours.model.num_embeddings
            if codes not in without:
                folder = trial_folder(runs, record.trial_id)
                folder.mkdir(parents=True, exist_ok=True)
                shade = codes // 128 + record.trial.seed
                (folder / "samples.gif").write_bytes(animation(shade))
                (folder / "real.gif").write_bytes(animation(shade if own_real else 255))


def test_every_condition_moves_beside_real_clips(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made())
    leave_clips(runs)
    page = render("codebook_size", runs, "html")
    assert [alt for _, alt in IMAGES.findall(page)] == [
        "Animation: held-out clips",
        "Animation: samples of num_embeddings 4096, seed 0",
        "Animation: samples of num_embeddings 8192, seed 0",
        "Animation: samples of num_embeddings 16384, seed 0",
    ]
    assert len({source for source, _ in IMAGES.findall(page)}) == 4
    assert "Models are those of seed 0." in page
    assert page.count('media="print, (prefers-reduced-motion: reduce)"') == 4
    assert "left samples.gif" not in page


def test_real_clips_that_differ_say_whose_they_are(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made())
    leave_clips(runs, own_real=True)
    page = render("codebook_size", runs, "html")
    assert len(IMAGES.findall(page)) == 6
    assert "Held-out clips of num_embeddings 8192" in page


def test_missing_clips_are_said_in_words(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made())
    for format_ in ("html", "md"):
        text = render("codebook_size", runs, format_).replace("\\", "")
        assert text.count("no trial left samples.gif in its folder") == 3
    leave_clips(runs, without=[8192])
    page = render("codebook_size", runs, "html")
    assert "num_embeddings 8192: no trial left samples.gif" in page
    assert len(IMAGES.findall(page)) == 3


def test_clips_of_a_trial_that_did_not_complete_are_not_shown(
    make_ledger: Make, made: type[Any]
) -> None:
    statuses = {((4096,), 0): "diverged"} | {((16384,), seed): "failed" for seed in range(3)}
    runs = make_ledger(made(statuses=statuses))
    leave_clips(runs)
    page = render("codebook_size", runs, "html")
    assert "num_embeddings 4096, seed 1" in page
    assert "num_embeddings 8192, seed 0" in page
    assert "num_embeddings 16384: no trial has completed." in page


def test_damaged_clips_are_as_good_as_none(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made())
    leave_clips(runs)
    for path in runs.glob("trials/*/samples.gif"):
        path.write_bytes(b"GIF89a, and no more")
    assert "no trial left samples.gif" in render("codebook_size", runs, "html")


def test_a_page_stays_small_and_says_what_it_leaves_out(
    make_ledger: Make, made: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = make_ledger(made())
    leave_clips(runs)
    one = len(animation(1)) * 4 // 3
    monkeypatch.setattr(module, "MOST_BYTES", 3 * one + one // 2)
    page = render("codebook_size", runs, "html")
    assert len(IMAGES.findall(page)) == 3
    assert "num_embeddings 16384: left out to keep this page small; see trials/" in page


def test_markdown_names_the_files(make_ledger: Make, made: type[Any]) -> None:
    runs = make_ledger(made())
    leave_clips(runs)
    section = render("codebook_size", runs, "md").split("## Sample clips")[1].split("##")[0]
    for name in re.findall(r"`(.*?)` in the runs folder", section):
        assert (runs / name).is_file()
    assert section.count("samples.gif") == 3


def test_frames_belong_to_the_tokens_that_show_them() -> None:
    assert [list(each) for each in token_frames(9, 1)] == [[0], [1, 2, 3, 4], [5, 6, 7, 8]]
    assert [list(each) for each in token_frames(13, 2)] == [[*range(5)], [*range(5, 13)]]
    assert [list(each) for each in token_frames(1, 1)] == [[0]]


@pytest.mark.parametrize("has_codes", [True, False])
def test_a_contact_sheet_shows_every_frame(tmp_path: Path, has_codes: bool) -> None:  # noqa: FBT001
    frames = np.zeros((9, 16, 32, 3), dtype=np.uint8)
    frames[..., 0] = 255
    codes = np.arange(3 * 2 * 4).reshape(3, 2, 4) if has_codes else None
    path = save_contact_sheet(
        frames, codes, num_codes=64, latents_per_token=1, path=tmp_path / "sheet.png"
    )
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    red = (pixels == [255, 0, 0]).all(axis=-1)
    rows = red.any(axis=1).astype(int)
    assert (np.diff(rows) == 1).sum() == 3
    widest = red.sum(axis=1).argmax()
    assert (np.diff(red[widest].astype(int)) == 1).sum() == 4


def test_the_same_codes_draw_the_same_picture(tmp_path: Path) -> None:
    drawn = [
        save_sampled_codes([5, 3, 0, 1], [900, 500, 100], [0.5, 0.7, 0.2], [2, 3, 1], path)
        for path in (tmp_path / "a.png", tmp_path / "b.png")
    ]
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
