-- Lists of rows apart from who proposed them when, and votes for them.
DROP TABLE proposals;
CREATE TABLE proposals (
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    round INTEGER NOT NULL,
    proposer BLOB NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (epoch, attempt, round, proposer)
) STRICT;

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
