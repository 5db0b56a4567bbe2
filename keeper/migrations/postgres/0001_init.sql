-- The same as for SQLite in PostgreSQL's words: numbers are 64-bit, hashes and addresses bytea, messages JSON as they
-- travel. Only leases ask the database for the time.

-- One partition per epoch, made when its jobs are published and dropped when they are forgotten.
CREATE TABLE jobs (
    id BYTEA NOT NULL,
    validator BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    netuid BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    round BIGINT NOT NULL,
    -- open, done or dead
    state TEXT NOT NULL DEFAULT 'open',
    attempt BIGINT NOT NULL DEFAULT 0,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    verdict BIGINT,
    tokens BIGINT,
    result TEXT,
    reason TEXT,
    PRIMARY KEY (id, epoch)
) PARTITION BY LIST (epoch);
CREATE INDEX jobs_open ON jobs (validator, round, id) WHERE state = 'open';
CREATE INDEX jobs_done ON jobs (netuid, uid) WHERE state = 'done';
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';

CREATE TABLE commits (
    epoch BIGINT NOT NULL,
    netuid BIGINT NOT NULL,
    validator BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (epoch, netuid, validator, seq)
);

CREATE TABLE reveals (
    epoch BIGINT NOT NULL,
    netuid BIGINT NOT NULL,
    validator BYTEA NOT NULL,
    message TEXT NOT NULL,
    fault TEXT,
    PRIMARY KEY (epoch, netuid, validator)
);

CREATE TABLE proposals (
    epoch BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    round BIGINT NOT NULL,
    proposer BYTEA NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (epoch, attempt, round, proposer)
);

-- The rows of lists, apart from who proposed them when.
CREATE TABLE lists (
    epoch BIGINT NOT NULL,
    content BYTEA NOT NULL,
    reveals TEXT NOT NULL,
    PRIMARY KEY (epoch, content)
);

CREATE TABLE votes (
    epoch BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    round BIGINT NOT NULL,
    step BIGINT NOT NULL,
    keeper BYTEA NOT NULL,
    content BYTEA NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (epoch, attempt, round, step, keeper, content)
);

CREATE TABLE choices (
    epoch BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (epoch, attempt)
);

CREATE TABLE attestations (
    epoch BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    keeper BYTEA NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (epoch, attempt, keeper)
);
CREATE INDEX attestations_by_keeper ON attestations (keeper, epoch);

-- Statements may be longer than an index takes: their digest stands for them.
CREATE TABLE evidence (
    epoch BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    statements TEXT NOT NULL,
    PRIMARY KEY (epoch, kind, subject, digest)
);

CREATE TABLE outbox (
    id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    sender BYTEA NOT NULL,
    purpose TEXT NOT NULL,
    target BYTEA NOT NULL,
    data BYTEA NOT NULL,
    nonce BIGINT NOT NULL,
    gas_limit BIGINT NOT NULL,
    -- signed, broadcast, mined, final or lost
    state TEXT NOT NULL
);
-- One transaction of a key is under way at a time.
CREATE UNIQUE INDEX outbox_in_flight ON outbox (sender) WHERE state IN ('signed', 'broadcast');

CREATE TABLE outbox_attempts (
    tx BIGINT NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    n BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    raw BYTEA NOT NULL,
    max_fee TEXT NOT NULL,
    tip TEXT NOT NULL,
    signed_ms BIGINT NOT NULL,
    PRIMARY KEY (tx, n)
);

-- Who leads; the term rises with each change and is what writes are held against.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder BYTEA NOT NULL,
    term BIGINT NOT NULL,
    until TIMESTAMPTZ NOT NULL
);

-- The sign-once guard that replicas share, beside the file that each of them has. Never pruned.
CREATE TABLE signed (
    chain_id BIGINT NOT NULL,
    contract BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (chain_id, contract, epoch, attempt)
);
