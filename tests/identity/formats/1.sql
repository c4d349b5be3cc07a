PRAGMA application_id = 0x4F6E6C6B;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    created REAL NOT NULL,
    born INTEGER NOT NULL,
    change INTEGER NOT NULL
);
INSERT INTO "collections" VALUES(1,'staff','mobilefacenet',1.7955700931045043469e+09,1,8);
INSERT INTO "collections" VALUES(2,'guests','dlib_resnet',1.79557009310698938372e+09,2,7);
CREATE TABLE counter (change INTEGER NOT NULL);
INSERT INTO "counter" VALUES(8);
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
    vector BLOB NOT NULL,
    UNIQUE (collection, face_id)
);
INSERT INTO "faces" VALUES(4,1,'c51d2890-1582-5700-a4d5-52db43292143','0735347f-192d-5b6b-bd81-da34aa7c15e9','anna',0.125,0.25,0.5,0.375,99.5,X'D9625B3E7565023F34C5513EDFD14EBF');
INSERT INTO "faces" VALUES(6,1,'28b50db8-5138-40cc-bcaa-c29551c79b48','704cb936-8131-5fca-81bc-a29a6c00e4e9',NULL,0.125,0.25,0.5,0.375,99.5,X'5D291C3F2B8C43BF80EDFF3DB5C52DBE');
INSERT INTO "faces" VALUES(7,2,'ee13d608-5165-57f2-b82a-74264fe33919','0735347f-192d-5b6b-bd81-da34aa7c15e9','carl',0.125,0.25,0.5,0.375,99.5,X'287DAEBE8D17BBBDEFB15E3F5375B03E');
CREATE INDEX faces_in_order ON faces (collection, number);
CREATE INDEX deletions_in_order ON deletions (collection, number);
COMMIT;
