-- The old backend's tables, as far as they count here (SQLite; MySQL and PostgreSQL are alike).
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, name TEXT, password_hash TEXT, verified INTEGER);
CREATE TABLE projects (id TEXT PRIMARY KEY, user_id INTEGER, name TEXT, created_at TEXT);
CREATE TABLE tasks (id TEXT PRIMARY KEY, user_id INTEGER, project_id TEXT, title TEXT, done INTEGER, created_at TEXT, color TEXT);
INSERT INTO users VALUES (1, 'ada@example.com', 'Ada', '$2a$10$.mq31hUSpKA3icHxWXKB0u./AyrKrFj6P3FU.YFwPq3v5b/VG9Hv2', 1), (2, 'bob@example.com', 'Bob', NULL, 0);
INSERT INTO projects VALUES ('p1', 1, 'Home', '2024-03-01 08:00:00'), ('p2', 2, 'Garden', '2024-03-02 08:00:00');
INSERT INTO tasks VALUES ('t1', 1, 'p1', 'Paint', 1, '2024-03-01 08:30:00', 'red'), ('t2', 1, 'p1', 'Swéep 🧹', 0, '2024-03-01 09:00:00', NULL), ('t3', 2, 'p2', 'Sow', 0, '2024-03-02 09:00:00', NULL);
