"""Write the published JSON schema of predictions from the classes in prediction/documents.py.

Run with ``python tools/prediction_schema.py`` after one of them changed;
tests/prediction/test_documents.py compares the file with the classes.
"""

from traitscope.files import write_json
from traitscope.prediction.documents import SCHEMA_FILE, schema

if __name__ == "__main__":
    write_json(SCHEMA_FILE, schema())
    print(f"wrote {SCHEMA_FILE.name}")
