"""One running application with a document store and small embeddings."""

from tests.support.fixtures.document_fixtures import app, shelves

__all__ = ["app", "shelves"]
