-- Who leads; the term rises with each change and is what writes are held against.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder BLOB NOT NULL,
    term INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;

-- Jobs are open, done or dead; what waits is counted by epoch.
DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (epoch, validator, round, id) WHERE state = 'open';
CREATE INDEX jobs_dead ON jobs (epoch, id) WHERE state = 'dead';
CREATE INDEX jobs_old ON jobs (epoch);
CREATE INDEX evidence_old ON evidence (epoch);
