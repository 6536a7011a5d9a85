"""Videos of every kind give their frames, upright and in order, or say what is wrong."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from qdexp.config.data_config import DataConfig
from qdexp.data.video_reader import VideoReader
from tests.unit.data.conftest import CODECS, MakeVideo, moving_stripes, numbers


def config(**changes: object) -> DataConfig:
    sizes = {"num_frames": 5, "height": 48, "width": 64}
    return DataConfig.model_validate({"kind": "video_folder", "path": "videos"} | sizes | changes)


def read(path: Path, **changes: object) -> tuple[np.ndarray, VideoReader]:
    """Returns all clips (n, 3, f, h, w) and the reader that read them."""
    wanted = config(**changes)
    reader = VideoReader(path, wanted)
    shape = (0, 3, wanted.num_frames, wanted.height, wanted.width)
    return np.array(list(reader.clips()) or np.zeros(shape, np.uint8)), reader


@pytest.mark.parametrize("suffix", CODECS)
def test_every_format_gives_its_frames_in_order(
    tmp_path: Path, make_video: MakeVideo, suffix: str
) -> None:
    path = make_video(tmp_path / f"video{suffix}", num_frames=20)

    clips, reader = read(path)

    assert (reader.problem, reader.note) == (None, None)
    assert clips.shape == (4, 3, 5, 48, 64)
    assert clips.dtype == np.uint8
    if suffix != ".gif":  # whose palette has not these greys
        assert numbers(clips) == np.arange(20).reshape(4, 5).tolist()
    assert reader.share_read > 0.9


def test_pixels_are_those_of_the_frames(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "video.mp4", num_frames=5)

    (clip,), _ = read(path)

    original = np.stack([moving_stripes(n, 48, 64) for n in range(5)]).transpose(3, 0, 1, 2)
    difference = clip[:, :, 16:].astype(float) - original[:, :, 16:]
    assert np.abs(difference).mean() < 8  # colours are stored at half the size
    assert abs(difference.mean()) < 1.5


def test_white_and_black_use_the_whole_range(tmp_path: Path, make_video: MakeVideo) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[24:] = 255
    path = make_video(tmp_path / "video.mp4", frames=[frame] * 5)

    (clip,), _ = read(path)

    assert clip[:, :, :20].max() <= 2
    assert clip[:, :, 28:].min() >= 253


@pytest.mark.parametrize("rotation", [0, 90, -90, 180])
def test_phone_videos_are_turned_upright(
    tmp_path: Path, make_video: MakeVideo, rotation: int
) -> None:
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:32, :48], frame[:32, 48:] = (255, 0, 0), (0, 255, 0)
    frame[32:, :48], frame[32:, 48:] = (0, 0, 255), (255, 255, 255)
    path = make_video(tmp_path / "phone.mp4", frames=[frame] * 5, rotation=rotation)
    upright = np.rot90(frame, rotation // 90)
    height, width = upright.shape[:2]

    (clip,), _ = read(path, height=height, width=width)

    shown = clip[:, 2].transpose(1, 2, 0).astype(int)
    corners = [(8, 8), (8, width - 9), (height - 9, 8), (height - 9, width - 9)]
    for corner in corners:
        assert np.abs(shown[corner] - upright[corner].astype(int)).max() < 12


def test_cropping_keeps_the_middle(tmp_path: Path, make_video: MakeVideo) -> None:
    frame = np.zeros((64, 192, 3), np.uint8)
    frame[:, 64:128] = 200
    path = make_video(tmp_path / "wide.mp4", frames=[frame] * 5)

    (clip,), _ = read(path, height=32, width=32)

    assert np.abs(clip[:, :, 2:-2, 2:-2].astype(int) - 200).max() < 12


def test_a_letterbox_keeps_all_and_adds_black(tmp_path: Path, make_video: MakeVideo) -> None:
    frame = np.full((64, 128, 3), 200, np.uint8)
    path = make_video(tmp_path / "wide.mp4", frames=[frame] * 5)

    (clip,), _ = read(path, height=64, width=64, fit="letterbox")

    assert clip[:, :, :16].max() == clip[:, :, 48:].max() == 0
    assert np.abs(clip[:, :, 20:44].astype(int) - 200).max() < 8


def test_small_videos_are_enlarged(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "small.mp4", size=(16, 16), num_frames=5)

    clips, _ = read(path, height=64, width=96)

    assert clips.shape == (1, 3, 5, 64, 96)


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path, make_video: MakeVideo) -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:, :32] = 200
    path = make_video(tmp_path / "dvd.mp4", frames=[frame] * 5, pixel_aspect=Fraction(2, 1))

    (clip,), _ = read(path, height=64, width=128)

    assert np.abs(clip[:, :, :, :60].astype(int) - 200).max() < 12
    assert clip[:, :, :, 68:].max() < 12


def test_a_rate_is_taken_by_time(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "video.mp4", num_frames=40, rate=20)

    clips, _ = read(path, fps=5)

    assert numbers(clips) == [[0, 4, 8, 12, 16], [20, 24, 28, 32, 36]]


def test_a_stride_and_an_overlap_are_taken_by_number(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "video.mp4", num_frames=20)

    clips, _ = read(path, stride=2, overlap=3)

    assert numbers(clips) == [[0, 2, 4, 6, 8], [4, 6, 8, 10, 12], [8, 10, 12, 14, 16]]


def test_a_varying_rate_is_said_and_a_rate_takes_frames_by_time(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    times = [*range(0, 1000, 100), *range(1000, 2000, 50)]
    path = make_video(tmp_path / "phone.mp4", num_frames=30, times=times)

    by_number, reader = read(path)
    by_time, timed_reader = read(path, fps=10)

    assert reader.problem is None
    assert reader.note is not None
    assert "varies, from 10 to 20 a second" in reader.note
    assert "set fps" in reader.note
    assert numbers(by_number) == np.arange(30).reshape(6, 5).tolist()
    assert timed_reader.note is None
    assert numbers(by_time)[:2] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert numbers(by_time)[2:] == [[10, 12, 14, 16, 18], [20, 22, 24, 26, 28]]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_broken_off_video_keeps_the_clips_before_and_says_where(
    tmp_path: Path, make_video: MakeVideo, suffix: str
) -> None:
    whole = make_video(
        tmp_path / f"whole{suffix}",
        num_frames=200,
        size=(96, 128),
        options={"movflags": "faststart"} if suffix == ".mp4" else {},
    )
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])

    clips, reader = read(path, height=96, width=128)

    assert reader.problem is not None
    assert reader.problem.startswith("breaks off after ")
    assert 10 < len(clips) < 40
    assert numbers(clips)[5] == [25, 26, 27, 28, 29]


def test_an_mp4_without_its_index_says_what_is_wrong(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "cut.mp4")
    path.write_bytes(path.read_bytes()[:-200])

    clips, reader = read(path)

    assert len(clips) == 0
    assert reader.problem is not None
    assert f"found {path.stat().st_size} bytes: invalid data" in reader.problem


@pytest.mark.parametrize("content", [b"", b"This is a text, and no video.\n" * 20])
def test_what_is_no_video_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.mp4"
    path.write_bytes(content)

    clips, reader = read(path)

    assert len(clips) == 0
    assert reader.problem is not None
    assert reader.problem.startswith(f"expected a video, found {len(content)} bytes: ")


@pytest.mark.parametrize("num_frames", [1, 4])
def test_a_video_too_short_for_a_clip_is_said_with_its_frames(
    tmp_path: Path, make_video: MakeVideo, num_frames: int
) -> None:
    path = make_video(tmp_path / "short.mp4", num_frames=num_frames)

    clips, reader = read(path)

    assert len(clips) == 0
    assert reader.problem == f"expected at least 5 frames for one clip, found {num_frames}"


def test_a_video_with_one_frame_is_a_clip_of_one_frame(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    path = make_video(tmp_path / "still.mp4", num_frames=1)

    clips, reader = read(path, num_frames=1)

    assert clips.shape == (1, 3, 1, 48, 64)
    assert reader.problem is None


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 44_100
        for _ in range(10):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())

    _, reader = read(path)

    assert reader.problem is not None
    assert "a file without video" in reader.problem


def test_names_may_have_spaces_and_any_letters(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "Ein Käfer: 100 % 虫 %03d.mp4")

    clips, reader = read(path)

    assert (len(clips), reader.problem) == (4, None)


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    _, reader = read(tmp_path / "gone.mp4")

    assert reader.problem is not None
    assert "no such file or directory" in reader.problem


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_part_of_a_video_can_be_read(tmp_path: Path, make_video: MakeVideo, suffix: str) -> None:
    path = make_video(tmp_path / f"video{suffix}", num_frames=80)

    reader = VideoReader(path, config(), start=0.5, stop=0.75)
    clips = np.array(list(reader.clips()))

    assert len(clips) == 4
    assert numbers(clips) == np.arange(40, 60).reshape(4, 5).tolist()
    assert reader.problem is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".gif", ".mpg"])
def test_whatever_bytes_are_damaged_reading_ends_with_words(
    tmp_path: Path, make_video: MakeVideo, suffix: str
) -> None:
    whole = make_video(tmp_path / f"whole{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / f"damaged{suffix}"
    for _ in range(12):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(0, len(content), 40)] = rng.integers(0, 256, 40)
        path.write_bytes(content.tobytes())

        clips, reader = read(path)

        assert len(clips) == reader.num_clips <= 5
        assert len(clips) or reader.problem
