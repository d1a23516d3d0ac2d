"""The loader: draws that depend on seed, epoch and scene alone; shares that add up; crops and SNRs as asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from arrayse import data, manifest
from arrayse.data import SceneReader, Share, batch_entries, epoch_batches, valid_batches
from arrayse.manifest import SceneEntry
from arrayse.mixture import open_dataset, snr_db
from arrayse.objectives import Batch

WHOLE = Share()


@pytest.fixture
def reader(tiny_dataset: Path) -> SceneReader:
    """Crops of 0.3 s at −5 to 15 dB."""
    return SceneReader(open_dataset(tiny_dataset), "train", [-5.0, 15.0], 0.3, seed=1)


def batches(reader: SceneReader, epoch: int = 0, first: int = 0, share: Share = WHOLE, size: int = 2) -> list[Batch]:
    steps = range(first, len(reader.entries()) // size)
    return list(epoch_batches(reader, reader.entries(), size, epoch, steps, share))


def assert_equal(got: list[Batch], expected: list[Batch]) -> None:
    assert [batch.ids for batch in got] == [batch.ids for batch in expected]
    for a, b in zip(got, expected, strict=True):
        assert torch.equal(a.noisy, b.noisy)
        assert torch.equal(a.target, b.target)


def test_shapes_and_types(reader: SceneReader) -> None:
    for batch in batches(reader):
        assert batch.noisy.shape == batch.target.shape == (2, 5, 4800)
        assert batch.noisy.dtype == batch.target.dtype == torch.float32
        assert len(batch.ids) == 2


def test_the_same_seed_and_epoch_give_the_same_batches(reader: SceneReader) -> None:
    assert_equal(batches(reader, epoch=3), batches(replace(reader), epoch=3))


def test_another_seed_or_epoch_gives_other_orders_crops_and_snrs(reader: SceneReader) -> None:
    orders = {tuple(i for b in batches(reader, epoch) for i in b.ids) for epoch in range(4)}
    assert len(orders) > 1
    entry = reader.entries()[0]
    noisy = reader.read(entry, 0)[0]
    assert not np.array_equal(noisy, reader.read(entry, 1)[0])
    assert not np.array_equal(noisy, replace(reader, seed=2).read(entry, 0)[0])


def test_draws_come_back_whatever_the_seed(reader: SceneReader) -> None:
    """Epochs 1 and 3 of two draws hear the same crops, in other orders; another seed has the same items."""
    twice, other = replace(reader, draws=2), replace(reader, draws=2, seed=7)

    def items(source: SceneReader, epoch: int) -> dict[str, bytes]:
        got = {key: bytes(b.noisy[i].numpy()) for b in batches(source, epoch) for i, key in enumerate(b.keys)}
        assert len(got) == 6
        return got

    assert items(twice, 1) == items(twice, 3) == items(other, 1)
    assert set(items(twice, 0)).isdisjoint(items(twice, 1))
    assert set(items(reader, 1)).isdisjoint(items(reader, 3))
    orders = [
        [i for b in batches(source, epoch) for i in b.ids] for source, epoch in ((twice, 1), (twice, 3), (other, 1))
    ]
    assert len({tuple(order) for order in orders}) > 1


def test_a_key_says_scene_crop_and_snr(reader: SceneReader) -> None:
    item, entry = reader.read(reader.entries()[0], 0), reader.entries()[0]
    scene, start, length, snr = item.key.split("_")
    assert (scene, int(length)) == (entry.id, 4800)
    assert float(snr.removesuffix("dB")) == pytest.approx(item.snr_db, abs=1e-9)
    mixture = reader.dataset.read(entry, int(start), int(length), item.snr_db)
    np.testing.assert_array_equal(item.noisy, mixture.noisy)
    (batch, *_) = batches(reader)
    assert batch.snr_db.tolist() == pytest.approx([float(key.split("_")[-1][:-2]) for key in batch.keys], abs=1e-5)


def test_an_epoch_has_every_scene_once(reader: SceneReader) -> None:
    seen = Counter(scene for batch in batches(reader) for scene in batch.ids)
    assert seen == Counter(entry.id for entry in reader.entries())


def test_a_last_batch_that_is_not_full_is_left_out(reader: SceneReader) -> None:
    assert [len(batch.ids) for batch in batches(reader, size=4)] == [4]
    left_out = {frozenset(batches(reader, epoch, size=4)[0].ids) for epoch in range(6)}
    assert len(left_out) > 1


@pytest.mark.parametrize("first", [1, 2, 3])
def test_an_epoch_entered_in_the_middle_goes_on_as_the_whole(reader: SceneReader, first: int) -> None:
    assert_equal(batches(reader, epoch=2, first=first), batches(reader, epoch=2)[first:])


def test_shares_of_a_batch_add_up_to_the_whole(reader: SceneReader) -> None:
    parts = [batches(reader, share=Share(rank, 2)) for rank in range(2)]
    for whole, even, odd in zip(batches(reader), *parts, strict=True):
        assert [even.ids[0], odd.ids[0]] == whole.ids
        assert torch.equal(torch.cat([even.noisy, odd.noisy]), whole.noisy)
        assert torch.equal(torch.cat([even.target, odd.target]), whole.target)


def test_the_scenes_of_a_batch_are_known_without_reading_it(reader: SceneReader) -> None:
    for number, batch in enumerate(batches(reader, epoch=5)):
        named = [entry.id for entry in batch_entries(reader, reader.entries(), 2, 5, number)]
        assert named == batch.ids


def test_repeated_draws_are_known_without_reading_audio(reader: SceneReader) -> None:
    twice = replace(reader, draws=2)
    items = [twice.read(entry, draw) for draw in range(2) for entry in twice.entries()]
    assert twice.crops() == {item.key: (4800, item.snr_db) for item in items}


def test_the_line_of_a_scene_is_read_once_for_all_its_draws(
    reader: SceneReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Mock(wraps=manifest._read_line)
    monkeypatch.setattr(manifest, "_read_line", read)
    replace(reader, draws=3).crops()
    assert read.call_count == 6
    reader.read(reader.entries()[0], 0)
    assert read.call_count == 7


def test_an_epoch_is_put_in_order_once(reader: SceneReader, monkeypatch: pytest.MonkeyPatch) -> None:
    order = Mock(wraps=data.epoch_order)
    monkeypatch.setattr(data, "epoch_order", order)
    assert len(batches(reader)) == 3
    assert order.call_count == 1


def test_crops_lie_inside_the_scene_and_move(reader: SceneReader) -> None:
    entry, starts = reader.entries()[0], set()
    whole = reader.dataset.read(entry).target[0]
    for epoch in range(8):
        target = reader.read(entry, epoch)[1][0]
        assert len(target) == 4800
        windows = np.lib.stride_tricks.sliding_window_view(whole, 4800)
        (found,) = np.nonzero((windows[:, :50] == target[:50]).all(axis=1) & (windows[:, -1] == target[-1]))
        assert len(found) >= 1
        starts.add(int(found[0]))
    assert len(starts) > 4


def test_snr_lies_in_the_range_and_varies(reader: SceneReader) -> None:
    whole, drawn = replace(reader, seconds=5.0, snr_db=[2.0, 6.0]), []
    for epoch in range(6):
        entry = whole.entries()[0]
        noisy, *_ = whole.read(entry, epoch)
        speech = whole.dataset.read(entry).speech[0]
        drawn.append(snr_db(speech, noisy[0] - speech))
    assert all(1.95 < value < 6.05 for value in drawn)
    assert max(drawn) - min(drawn) > 0.5
    fixed = replace(whole, snr_db=[3.0, 3.0])
    noisy, *_ = fixed.read(entry, 0)
    assert snr_db(speech, noisy[0] - speech) == pytest.approx(3.0, abs=0.05)


def test_a_scene_shorter_than_the_crop_is_read_whole(reader: SceneReader) -> None:
    assert replace(reader, seconds=9.0).read(reader.entries()[0], 0)[0].shape == (5, 16000)


def test_validation_sees_every_scene_in_order_and_always_alike(reader: SceneReader) -> None:
    entries = reader.entries()
    got = list(valid_batches(reader, entries, 4, WHOLE))
    assert [scene for batch in got for scene in batch.ids] == [entry.id for entry in entries]
    assert [len(batch.ids) for batch in got] == [4, 2]
    assert_equal(list(valid_batches(reader, entries, 4, WHOLE)), got)
    shares = [list(valid_batches(reader, entries, 4, Share(rank, 2))) for rank in range(2)]
    assert sorted(s for share in shares for b in share for s in b.ids) == sorted(entry.id for entry in entries)


def test_scenes_of_different_lengths_in_a_batch_are_refused(reader: SceneReader) -> None:
    entries = reader.entries()
    shorter = SceneEntry(entries[0].folder, {**entries[0].numbers, "n_samples": 4000})
    with pytest.raises(ValueError, match="seconds: expected crops that no scene is shorter than, got 4000 and 4800"):
        list(valid_batches(reader, [shorter, entries[1]], 2, WHOLE))
