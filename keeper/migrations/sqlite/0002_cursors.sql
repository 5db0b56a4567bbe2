-- How far streams of the chain's logs were taken in.
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
