-- A credential's label is its natural name within the maildrop: staff and programs address it so.
CREATE UNIQUE INDEX credentials_label ON credentials (tenant_id, maildrop_id, label);
