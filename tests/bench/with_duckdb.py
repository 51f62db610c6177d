"""What DuckDB takes to read a dump into a table and to count types: ``python with_duckdb.py FILE``. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import duckdb

COLUMNS = """{address: 'UBIGINT', type: 'VARCHAR', size: 'UBIGINT', name: 'VARCHAR', len: 'UBIGINT',
              value: 'VARCHAR', refs: 'UBIGINT[]'}"""


def timed(connection: Any, sql: str, parameters: list[str]) -> tuple[float, list[Any]]:
    """Seconds that a statement takes, and its rows."""
    started = time.perf_counter()
    rows = connection.execute(sql, parameters).fetchall()
    return time.perf_counter() - started, rows


def main(path: str) -> None:
    """Reads and counts. The columns are given, so that nothing has to be guessed."""
    connection = duckdb.connect()
    read, _ = timed(connection, f"create table obj as select * from read_ndjson(?, columns={COLUMNS})", [path])
    histogram, rows = timed(connection, "select count(*), type from obj group by type order by 1", [])
    answer = {
        "version": duckdb.__version__,
        "read": read,
        "histogram": histogram,
        "objects": sum(row[0] for row in rows),
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
