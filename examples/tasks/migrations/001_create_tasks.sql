CREATE TABLE users (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE
);

CREATE TABLE tasks (
    id     INTEGER PRIMARY KEY,
    title  TEXT NOT NULL,
    done   INTEGER NOT NULL DEFAULT 0,
    owner  INTEGER REFERENCES users (id) ON DELETE SET NULL
);

CREATE INDEX tasks_by_owner ON tasks (owner);
