"""The model of languages that processes share answers as the packaged one does."""

from pathlib import Path

from pipeline.engines.weights.language_identifier import language_identifier, unpacked_model
from pipeline.engines.weights.prepared_folders import made, no_progress

SENTENCES = [
    "The old keeper climbed the stairs of the lighthouse every evening.",
    "Der alte Wärter stieg jeden Abend die Treppe des Leuchtturms hinauf.",
    "Cada noche el viejo guardián subía la escalera del faro.",
    "Каждый вечер старый смотритель поднимался на маяк.",
    "老看守人每天晚上都爬上灯塔的楼梯。",
    "1234",
    "",
]


def test_the_shared_model_answers_as_the_packaged_one(tmp_path: Path) -> None:
    packaged = language_identifier(tmp_path)
    made(unpacked_model(), tmp_path, no_progress)
    shared = language_identifier(tmp_path)
    assert shared.nb_ptc.base is not None
    assert packaged.labels == shared.labels
    for sentence in SENTENCES:
        assert shared.rank(sentence) == packaged.rank(sentence)
