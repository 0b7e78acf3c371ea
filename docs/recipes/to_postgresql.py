import sqlite3
import sys

import psycopg

with sqlite3.connect(sys.argv[1]) as old, psycopg.connect(sys.argv[2]) as new:
    for table in ("payhub_payments", "payhub_observations", "payhub_transitions", "payhub_heartbeats"):
        rows = old.execute(f"SELECT * FROM {table}")
        with new.cursor().copy(f"COPY {table} ({', '.join(it[0] for it in rows.description)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        if table != "payhub_heartbeats":
            new.execute(f"SELECT setval('{table}_id_seq', max(id)) FROM {table}")
