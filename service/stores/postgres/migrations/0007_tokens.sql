-- Bearer tokens of the HTTP API. A token's text names its row by tenant and id, so that finding it takes one look-up
-- by the primary key, and proves itself by a random secret of 256 bits, of which a SHA-256 alone is kept.
--
-- A token for the whole service belongs to the tenant of all zeros, which no tenant has; so the key begins with its
-- tenant like every other. There is no foreign key for that reason: the token of a removed tenant finds no tenant.
CREATE TABLE tokens (
    tenant_id uuid NOT NULL,
    token_id uuid NOT NULL,
    name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    scope text NOT NULL CHECK (scope IN ('full', 'read-only', 'support', 'tenant')),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    created timestamptz NOT NULL DEFAULT now(),
    expires timestamptz,
    last_used timestamptz,
    revoked timestamptz,
    PRIMARY KEY (tenant_id, token_id),
    CHECK ((scope = 'tenant') = (tenant_id <> '00000000-0000-0000-0000-000000000000'))
);
CREATE UNIQUE INDEX tokens_name ON tokens (tenant_id, name) WHERE revoked IS NULL;

DO $$
BEGIN
    IF to_regrole('poplar_api') IS NOT NULL THEN
        GRANT SELECT, INSERT ON tokens TO poplar_api;
        GRANT UPDATE (digest, expires, last_used, revoked) ON tokens TO poplar_api;
    END IF;
END $$;
