"""The tables of the store on a PostgreSQL server, and its larger questions."""

from typing import Final

SCHEMA: Final = "rhapsode_documents_1"
"""Its last number is the version: another one would have tables of its own."""

TABLES: Final = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.collections (
    number bigserial PRIMARY KEY,
    id text NOT NULL UNIQUE,
    name text NOT NULL,
    embedding text NOT NULL,
    dimensions integer NOT NULL,
    revision bigint NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.documents (
    number bigserial PRIMARY KEY,
    collection bigint NOT NULL REFERENCES {SCHEMA}.collections ON DELETE CASCADE,
    id text NOT NULL,
    view text NOT NULL,
    text text NOT NULL,
    judge text NOT NULL,
    UNIQUE (collection, id)
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.chunks (
    number bigserial PRIMARY KEY,
    document bigint NOT NULL REFERENCES {SCHEMA}.documents ON DELETE CASCADE,
    starts integer NOT NULL,
    ends integer NOT NULL,
    page integer,
    headings text NOT NULL,
    text text NOT NULL,
    vector bytea NOT NULL,
    judged bytea,
    words integer NOT NULL
);
CREATE INDEX IF NOT EXISTS chunks_of_document ON {SCHEMA}.chunks (document);
CREATE TABLE IF NOT EXISTS {SCHEMA}.words (
    term text NOT NULL,
    chunk bigint NOT NULL REFERENCES {SCHEMA}.chunks ON DELETE CASCADE,
    times integer NOT NULL,
    PRIMARY KEY (term, chunk)
);
CREATE INDEX IF NOT EXISTS words_of_chunk ON {SCHEMA}.words (chunk);
"""

COLLECTIONS: Final = f"""
SELECT c.id, c.name, c.embedding, count(DISTINCT d.number) AS documents, count(p.number) AS chunks
FROM {SCHEMA}.collections c
LEFT JOIN {SCHEMA}.documents d ON d.collection = c.number
LEFT JOIN {SCHEMA}.chunks p ON p.document = d.number
"""

MATCHING: Final = f"""
WITH place AS (
    SELECT p.number, p.words FROM {SCHEMA}.chunks p
    JOIN {SCHEMA}.documents d ON d.number = p.document
    JOIN {SCHEMA}.collections c ON c.number = d.collection WHERE c.id = ANY($2)
), whole AS (
    SELECT count(*)::float8 AS passages, greatest(avg(words), 1)::float8 AS length FROM place
), found AS (
    SELECT w.term, w.chunk, w.times, place.words FROM {SCHEMA}.words w
    JOIN place ON place.number = w.chunk WHERE w.term = ANY($1)
), rare AS (
    SELECT term, ln(1 + (passages - count(*) + 0.5) / (count(*) + 0.5)) AS weight
    FROM found, whole GROUP BY term, passages
)
SELECT chunk, sum(weight * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * found.words / length))) AS score
FROM found JOIN rare USING (term), whole GROUP BY chunk ORDER BY score DESC, chunk LIMIT $3
"""
"""BM25 with k1 = 1.2 and b = 0.75, as FTS5 has it; counted over the collections that are searched."""

PASSAGES: Final = f"""
SELECT p.number, c.id AS collection, d.view, p.page, p.headings, p.starts, p.ends, p.text, c.embedding,
    p.vector, d.judge, p.judged
FROM {SCHEMA}.chunks p
JOIN {SCHEMA}.documents d ON d.number = p.document
JOIN {SCHEMA}.collections c ON c.number = d.collection
WHERE p.number = ANY($1)
"""

AROUND: Final = f"""
SELECT p.page, p.headings FROM {SCHEMA}.chunks p
JOIN {SCHEMA}.documents d ON d.number = p.document
JOIN {SCHEMA}.collections c ON c.number = d.collection
WHERE c.id = $1 AND d.id = $2 AND p.starts <= $3 ORDER BY p.starts DESC LIMIT 1
"""
