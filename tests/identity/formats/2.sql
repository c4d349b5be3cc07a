PRAGMA application_id = 0x4F6E6C6B;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    created REAL NOT NULL,
    born INTEGER NOT NULL,
    change INTEGER NOT NULL
, faces INTEGER NOT NULL DEFAULT 0, users INTEGER NOT NULL DEFAULT 0, method TEXT NOT NULL DEFAULT 'auto');
INSERT INTO "collections" VALUES(1,'staff','mobilefacenet',1.7955700931045043469e+09,1,8,2,0,'auto');
INSERT INTO "collections" VALUES(2,'guests','dlib_resnet',1.79557009310698938372e+09,2,7,1,0,'auto');
INSERT INTO "collections" VALUES(3,'others','unheard_of',1795570093.5,9,12,1,1,'exact');
CREATE TABLE counter (change INTEGER NOT NULL);
INSERT INTO "counter" VALUES(12);
CREATE TABLE deletions (
    number INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face INTEGER NOT NULL
);
INSERT INTO "deletions" VALUES(8,1,5);
CREATE TABLE faces (
    number INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face_id TEXT NOT NULL,
    image_id TEXT NOT NULL,
    external_image_id TEXT,
    box_left REAL NOT NULL,
    box_top REAL NOT NULL,
    box_width REAL NOT NULL,
    box_height REAL NOT NULL,
    confidence REAL NOT NULL,
    vector BLOB NOT NULL, user INTEGER REFERENCES users (made),
    UNIQUE (collection, face_id)
);
INSERT INTO "faces" VALUES(4,1,'c51d2890-1582-5700-a4d5-52db43292143','0735347f-192d-5b6b-bd81-da34aa7c15e9','anna',0.125,0.25,0.5,0.375,99.5,X'D9625B3E7565023F34C5513EDFD14EBF',NULL);
INSERT INTO "faces" VALUES(6,1,'28b50db8-5138-40cc-bcaa-c29551c79b48','704cb936-8131-5fca-81bc-a29a6c00e4e9',NULL,0.125,0.25,0.5,0.375,99.5,X'5D291C3F2B8C43BF80EDFF3DB5C52DBE',NULL);
INSERT INTO "faces" VALUES(7,2,'ee13d608-5165-57f2-b82a-74264fe33919','0735347f-192d-5b6b-bd81-da34aa7c15e9','carl',0.125,0.25,0.5,0.375,99.5,X'287DAEBE8D17BBBDEFB15E3F5375B03E',NULL);
INSERT INTO "faces" VALUES(11,3,'6c1e9d3e-25a6-4d5e-9b44-1a7e0a6e7f10','6c1e9d3e-25a6-5d5e-9b44-1a7e0a6e7f11','ann',0.1,0.2,0.3,0.4,99.0,X'3333B33F0000000000000000',10);
CREATE TABLE keys (store BLOB NOT NULL, secret BLOB NOT NULL);
INSERT INTO "keys" VALUES(X'00000000000000000000000000000000',X'0000000000000000000000000000000000000000000000000000000000000000');
CREATE TABLE requests (
    operation TEXT NOT NULL,
    token TEXT NOT NULL,
    digest BLOB NOT NULL,
    made REAL NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (operation, token)
) WITHOUT ROWID;
CREATE TABLE tags (
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (collection, key)
) WITHOUT ROWID;
INSERT INTO "tags" VALUES(3,'team','red');
CREATE TABLE users (
    made INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    faces INTEGER NOT NULL DEFAULT 0,
    number INTEGER UNIQUE,
    vector BLOB,
    UNIQUE (collection, user_id)
);
INSERT INTO "users" VALUES(10,3,'ann',1,12,X'3333B33F0000000000000000');
CREATE INDEX faces_in_order ON faces (collection, number);
CREATE INDEX deletions_in_order ON deletions (collection, number);
CREATE INDEX collections_in_order ON collections (born);
CREATE INDEX users_made ON users (collection, made);
CREATE INDEX users_in_order ON users (collection, number);
CREATE INDEX faces_of_users ON faces (user, number) WHERE user IS NOT NULL;
CREATE INDEX requests_by_age ON requests (made);
COMMIT;
