-- Numbers are 64-bit, hashes and addresses are blobs, messages are JSON as they travel. Nothing here asks the database
-- for the time.

CREATE TABLE jobs (
    id BLOB PRIMARY KEY,
    validator BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    netuid INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    round INTEGER NOT NULL,
    -- open, done or dead
    state TEXT NOT NULL DEFAULT 'open',
    attempt INTEGER NOT NULL DEFAULT 0,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    verdict INTEGER,
    tokens INTEGER,
    result TEXT,
    reason TEXT
) STRICT;
CREATE INDEX jobs_open ON jobs (epoch, validator, round, id) WHERE state = 'open';
CREATE INDEX jobs_done ON jobs (epoch, netuid, uid) WHERE state = 'done';
CREATE INDEX jobs_dead ON jobs (epoch, id) WHERE state = 'dead';
CREATE INDEX jobs_old ON jobs (epoch);

CREATE TABLE commits (
    epoch INTEGER NOT NULL,
    netuid INTEGER NOT NULL,
    validator BLOB NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (epoch, netuid, validator, seq)
) STRICT;

CREATE TABLE reveals (
    epoch INTEGER NOT NULL,
    netuid INTEGER NOT NULL,
    validator BLOB NOT NULL,
    message TEXT NOT NULL,
    fault TEXT,
    PRIMARY KEY (epoch, netuid, validator)
) STRICT;

CREATE TABLE proposals (
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    round INTEGER NOT NULL,
    proposer BLOB NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (epoch, attempt, round, proposer)
) STRICT;

-- The rows of lists, apart from who proposed them when.
CREATE TABLE lists (
    epoch INTEGER NOT NULL,
    content BLOB NOT NULL,
    reveals TEXT NOT NULL,
    PRIMARY KEY (epoch, content)
) STRICT;

CREATE TABLE votes (
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    round INTEGER NOT NULL,
    step INTEGER NOT NULL,
    keeper BLOB NOT NULL,
    content BLOB NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (epoch, attempt, round, step, keeper, content)
) STRICT;

CREATE TABLE choices (
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (epoch, attempt)
) STRICT;

CREATE TABLE attestations (
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    keeper BLOB NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (epoch, attempt, keeper)
) STRICT;
CREATE INDEX attestations_by_keeper ON attestations (keeper, epoch);

CREATE TABLE evidence (
    kind TEXT NOT NULL,
    subject BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    statements TEXT NOT NULL,
    PRIMARY KEY (kind, subject, epoch, statements)
) STRICT;
CREATE INDEX evidence_old ON evidence (epoch);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    sender BLOB NOT NULL,
    purpose TEXT NOT NULL,
    target BLOB NOT NULL,
    data BLOB NOT NULL,
    nonce INTEGER NOT NULL,
    gas_limit INTEGER NOT NULL,
    -- signed, broadcast, mined, final or lost
    state TEXT NOT NULL
) STRICT;
-- One transaction of a key is under way at a time.
CREATE UNIQUE INDEX outbox_in_flight ON outbox (sender) WHERE state IN ('signed', 'broadcast');

CREATE TABLE outbox_attempts (
    tx INTEGER NOT NULL REFERENCES outbox (id),
    n INTEGER NOT NULL,
    hash BLOB NOT NULL,
    raw BLOB NOT NULL,
    max_fee TEXT NOT NULL,
    tip TEXT NOT NULL,
    signed_ms INTEGER NOT NULL,
    PRIMARY KEY (tx, n)
) STRICT;

-- Who leads; the term rises with each change and is what writes are held against.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder BLOB NOT NULL,
    term INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;
