"""`qdexp encode`, in this process; the end-to-end tests run the real command."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qdexp.cli import encode_command
from qdexp.cli.encode_command import Request
from qdexp.config.configuration import Configuration
from qdexp.config.data_config import DataConfig
from qdexp.config.presets import PRESETS
from qdexp.data.dataset import LatentDataset
from qdexp.data.latent_cache import TRAIN
from qdexp.errors import DataError, InterruptedRunError, RequestError
from qdexp.experiment.configuration_file import read_configuration
from qdexp.experiment.reader import read_spec
from tests.unit.data.conftest import MakeVideo, make_video  # noqa: F401 - a fixture

SIZES: dict[str, object] = {"num_frames": 5, "height": 32, "width": 32}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: MakeVideo) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("videos")
    for number in range(3):
        make_video(folder / f"{number}.mp4", num_frames=20, seed=number)
    return folder


@pytest.fixture(scope="module")
def latents(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "latents"
    assert encode_command.encode(Request(videos=videos, out=out, fields=SIZES)) == 0
    return out


def request(videos: Path, out: Path, **fields: object) -> Request:
    return Request(videos=videos, out=out, fields=SIZES | fields)


def test_what_is_printed_can_be_pasted_into_a_configuration_and_a_spec(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my latents: 虫"

    assert encode_command.encode(request(videos, out, stride=2, fit="letterbox")) == 0

    printed = capsys.readouterr().out
    section, lines = re.split("in a spec:\n", printed.partition("in a configuration:\n")[2])
    assert "evaluation:\n  num_clips: 2\n  codebook_tokens: 256\n  curve_clips: 2\n" in section
    (tmp_path / "config.yaml").write_text(section)
    data = read_configuration(tmp_path / "config.yaml").data
    assert (data.kind, data.path, data.stride) == ("latents", str(out), 2)
    assert LatentDataset().prepare(data, tmp_path) == out

    factors = "factors: {model.num_embeddings: {levels: [8, 16], baseline: 8}}\n"
    for preset in PRESETS:
        head = f"name: pasted\nquestion: Does it fit?\npreset: {preset}\n"
        (tmp_path / "spec.yaml").write_text(f"{head}{lines}{factors}")
        (_, configuration), *_ = read_spec(tmp_path / "spec.yaml").grid.conditions
        assert isinstance(configuration, Configuration)
        assert configuration.data == data


def test_fewer_held_out_clips_than_two_are_noticed(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = videos / "0.mp4"

    assert encode_command.encode(request(only, tmp_path / "two", num_frames=9)) == 0
    two = capsys.readouterr()
    assert encode_command.encode(request(only, tmp_path / "four")) == 0
    four = capsys.readouterr()

    assert "--held-out-share, a higher --overlap or a lower --num-frames" in two.err
    assert "evaluation:" not in two.out
    assert "at least 2" not in four.err
    assert "2 clips to train on and 2 held out" in four.out


def test_videos_that_are_not_there_are_named_by_their_argument(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^VIDEOS: .*nosuch: expected a folder of videos"):
        encode_command.encode(request(tmp_path / "nosuch", tmp_path / "latents"))


def test_the_same_command_again_encodes_nothing(
    videos: Path, latents: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [(path.name, path.stat().st_mtime_ns) for path in latents.iterdir()]

    assert encode_command.encode(request(videos, latents)) == 0

    assert [(path.name, path.stat().st_mtime_ns) for path in latents.iterdir()] == before
    assert "encoding" not in capsys.readouterr().err
    assert not latents.with_name("latents.parts").exists()


def test_damaged_latents_are_encoded_again(videos: Path, latents: Path, tmp_path: Path) -> None:
    out = shutil.copytree(latents, tmp_path / "latents")
    (out / TRAIN).write_bytes(b"damaged")

    assert encode_command.encode(request(videos, out)) == 0

    assert (out / TRAIN).read_bytes() == (latents / TRAIN).read_bytes()


def test_bad_videos_are_listed_and_the_exit_code_says_so(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(videos, tmp_path / "videos")
    (folder / "text.mp4").write_text("no video")

    assert encode_command.encode(request(folder, tmp_path / "latents")) == 1

    said = capsys.readouterr()
    assert "bad video: text.mp4: expected a video, found 8 bytes" in said.err
    assert "held out, of 3 videos" in said.out


def test_progress_is_said_with_clips_and_their_speed(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encode_command.encode(request(videos, tmp_path / "latents"))

    assert re.search(r"encoding: \d+%, 1 clips, \d.mp4", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"num_frames": 16}, "--num-frames: expected 1 + 4k, found 16; the nearest are 13 and 17"),
        ({"overlap": 5}, "--overlap: expected less than --num-frames, found 5 and 5"),
        ({"fps": 5.0, "stride": 2}, "--stride: expected 1 with --fps, found 2"),
        ({"autoencoder": "wan"}, "--autoencoder-path: expected the folder of"),
        ({"autoencoder_path": "here"}, "did you mean --autoencoder wan?"),
        ({"height": 36}, "--height: expected a multiple of 8, found 36; the nearest are 32 and 40"),
        ({"width": 2049}, "--width: expected"),
        ({"height": 7}, "--height: expected a multiple of 8, found 7; the nearest is 32"),
        ({"fps": 0.0}, "--fps: expected greater than 0"),
        ({"held_out_share": 1.0}, "--held-out-share: expected less than 1"),
        ({"fit": "stretch"}, "--fit: expected 'crop' or 'letterbox'"),
    ],
)
def test_what_cannot_be_is_refused_in_the_words_of_the_options(
    videos: Path, tmp_path: Path, fields: dict[str, object], problem: str
) -> None:
    with pytest.raises(RequestError) as refusal:
        encode_command.encode(request(videos, tmp_path / "latents", **fields))

    assert problem in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_there_are_refused(videos: Path, tmp_path: Path) -> None:
    wanted = request(
        videos, tmp_path / "latents", autoencoder="wan", autoencoder_path=str(tmp_path / "wan")
    )

    with pytest.raises(DataError, match="found no folder; --autoencoder-path is the folder 'vae'"):
        encode_command.encode(wanted)


def test_a_folder_of_something_else_is_never_overwritten(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("precious")

    with pytest.raises(RequestError, match=r"found .*thesis with chapter.tex in it"):
        encode_command.encode(request(videos, tmp_path / "thesis"))

    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "precious"


def test_latents_of_other_videos_or_options_are_never_overwritten(
    videos: Path, latents: Path
) -> None:
    with pytest.raises(RequestError, match="latents of other videos or by other options"):
        encode_command.encode(request(videos, latents, stride=2))


def test_a_file_is_no_folder_to_write(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RequestError, match="--out: expected a folder, found a file"):
        encode_command.encode(request(videos, tmp_path / "file" / "latents"))


def test_an_interruption_says_that_the_same_command_goes_on(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qdexp.data.preparation.prepare_latents", interrupt)

    with pytest.raises(InterruptedRunError, match="the same command goes on"):
        encode_command.encode(request(videos, tmp_path / "latents"))


def test_options_have_the_defaults_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    from qdexp.cli.app import app

    asked: list[Request] = []

    def note(request: Request) -> int:
        asked.append(request)
        return 0

    monkeypatch.setattr(encode_command, "encode", note)

    CliRunner().invoke(app, ["encode", "videos", "--out", "latents"])

    assert asked[0].config() == DataConfig(kind="video_folder", path="videos")
