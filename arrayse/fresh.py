"""Training on scenes that are simulated when they are needed: every epoch hears new ones."""

from __future__ import annotations

from dataclasses import dataclass

from arrayse.data import Item, SceneReader, item_key
from arrayse.manifest import SceneEntry
from arrayse.mixture import Dataset
from simulate.description import stored_recipe
from simulate.render import render
from simulate.scene import World, draw_scene


@dataclass(frozen=True)
class FreshReader(SceneReader):
    """Draws and renders the scenes of the world that ``dataset`` was made from; nothing is read from its shards.

    A scene is a function of (seed of the world, split, number, epoch), its crop and SNR of the training's seed too, so
    a run that resumes hears what it would have heard.

    Attributes:
        world: what scenes are drawn from.
        n_scenes: scenes of an epoch.
    """

    world: World
    n_scenes: int

    def entries(self) -> list[SceneEntry]:
        """The scenes of an epoch, by number; what they are depends on the epoch."""
        folder = self.dataset.folder / self.split
        return [SceneEntry(folder, {"id": f"{self.split}-fresh-{i:06d}", "index": i}) for i in range(self.n_scenes)]

    def read(self, entry: SceneEntry, draw: int) -> Item:
        """Draw number ``draw`` of one scene; every draw is another scene."""
        scene = draw_scene(self.world, self.split, entry.numbers["index"], draw)
        rng = self.generator(draw, scene.seed)
        start, n_samples, snr_db = self.draw_crop(scene.n_samples, rng)
        mixture = render(scene, self.world.geometry)[0].at_snr(snr_db)
        cut = slice(start, start + n_samples)
        key = item_key(f"{entry.id}-{draw}", start, n_samples, snr_db)
        return Item(mixture.noisy[:, cut], mixture.target[:, cut], snr_db, key)


def fresh_samples(dataset: Dataset) -> int:
    """Length of the scenes that the recipe of a dataset gives."""
    return round(stored_recipe(dataset.folder).seconds * dataset.sample_rate)
