-- Tenants, their domains, maildrops, aliases and credentials, the messages, the fences and the audit.
--
-- Every table begins with tenant_id, and so does every primary, unique and foreign key: a row of one tenant cannot
-- point at another's. Two names are unique over all tenants besides: tenants.name, and domains.name, because a domain
-- claimed by two tenants would let one read the other's mail. deploy/decisions/schema.md gives the reasons.
--
-- A row whose status is 'removed' is kept until the sweep has seen to its messages; its name is free at once.

CREATE TABLE tenants (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (name ~ '^[a-z0-9-]{1,63}$'),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'removed')),
    -- Keys login_delay (seconds), expire_days, quota_octets, quota_messages: whole numbers; a null or absent one
    -- means no delay, never, no limit.
    policy jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(policy) = 'object'),
    created timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX tenants_name ON tenants (name) WHERE status <> 'removed';

CREATE TABLE domains (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
    -- In lower-case A-labels.
    name text NOT NULL CHECK (name <> '' AND octet_length(name) <= 255),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'removed')),
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name)
);
CREATE UNIQUE INDEX domains_name ON domains (name) WHERE status <> 'removed';

-- The counters change with every delivery and every removal: no index names them and each page keeps room, so that
-- those updates stay heap-only.
CREATE TABLE maildrops (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
    maildrop_id uuid NOT NULL,
    messages bigint NOT NULL DEFAULT 0 CHECK (messages >= 0),
    octets bigint NOT NULL DEFAULT 0 CHECK (octets >= 0),
    next_sequence bigint NOT NULL DEFAULT 1 CHECK (next_sequence >= 1),
    -- How many times messages were removed; a message removed by the n-th has removed_in = n. A session that read
    -- removals = r with its counters lists the rows with removed_in IS NULL OR removed_in > r, whatever happened since.
    removals bigint NOT NULL DEFAULT 0 CHECK (removals >= 0),
    created timestamptz NOT NULL DEFAULT now(),
    domain text NOT NULL,
    local text NOT NULL CHECK (local <> '' AND octet_length(local) <= 64),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'removed')),
    -- Overrides the tenant's policy key by key; a key that is present with null lifts the tenant's limit.
    policy jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(policy) = 'object'),
    PRIMARY KEY (tenant_id, maildrop_id),
    FOREIGN KEY (tenant_id, domain) REFERENCES domains (tenant_id, name)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX maildrops_address ON maildrops (tenant_id, domain, local) WHERE status <> 'removed';
CREATE INDEX maildrops_removed ON maildrops (tenant_id, maildrop_id) WHERE status = 'removed';
CREATE INDEX maildrops_overriding ON maildrops (tenant_id, maildrop_id) WHERE policy <> '{}';

-- The alias with the empty local part is the domain's catch-all: it needs no nullable column that would tie
-- domains and maildrops in a circle.
CREATE TABLE aliases (
    tenant_id uuid NOT NULL,
    domain text NOT NULL,
    local text NOT NULL CHECK (octet_length(local) <= 64),
    maildrop_id uuid NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, domain, local),
    FOREIGN KEY (tenant_id, domain) REFERENCES domains (tenant_id, name),
    FOREIGN KEY (tenant_id, maildrop_id) REFERENCES maildrops (tenant_id, maildrop_id) ON DELETE CASCADE
);
CREATE INDEX aliases_maildrop ON aliases (tenant_id, maildrop_id);

CREATE TABLE credentials (
    tenant_id uuid NOT NULL,
    maildrop_id uuid NOT NULL,
    credential_id uuid NOT NULL,
    kind text NOT NULL DEFAULT 'password',
    -- What proves the secret, never the secret itself.
    verifier text NOT NULL,
    label text NOT NULL DEFAULT '',
    scopes text[] NOT NULL DEFAULT '{pop3}',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    expires timestamptz,
    created timestamptz NOT NULL DEFAULT now(),
    last_used timestamptz,
    PRIMARY KEY (tenant_id, maildrop_id, credential_id),
    FOREIGN KEY (tenant_id, maildrop_id) REFERENCES maildrops (tenant_id, maildrop_id) ON DELETE CASCADE
);

-- Fixed columns of 8 and 16 octets stand first, so that no row is padded. What a client retrieves is the trace
-- followed by the blob; the blob's own octets are octets - octet_length(trace), so the two can't disagree.
--
-- To restore a removed message, insert a copy of its row under a new sequence number (the maildrop's next_sequence,
-- with its counters adjusted, under the lock of the maildrop's row) and a new unique_id. Clearing removed_at instead
-- would put a message back into listings that were frozen without it.
CREATE TABLE messages (
    tenant_id uuid NOT NULL,
    maildrop_id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 1),
    -- What RETR sends, unstuffed, trace included.
    octets bigint NOT NULL,
    -- Of the blob alone.
    header_octets bigint NOT NULL CHECK (header_octets >= 0),
    received timestamptz NOT NULL,
    unique_id uuid NOT NULL,
    removed_at timestamptz,
    removed_in bigint,
    -- The fence of the session that removed it; null when the sweep or staff did.
    removed_by uuid,
    dotted boolean NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    blob_key text NOT NULL,
    imported_unique_id text CHECK (imported_unique_id ~ '^[\x21-\x7E]{1,70}$'),
    trace bytea NOT NULL DEFAULT '',
    -- The included columns let a listing be read from the index alone.
    PRIMARY KEY (tenant_id, maildrop_id, sequence) INCLUDE (octets, unique_id, removed_in, imported_unique_id),
    UNIQUE (tenant_id, maildrop_id, unique_id),
    FOREIGN KEY (tenant_id, maildrop_id) REFERENCES maildrops (tenant_id, maildrop_id),
    CHECK (octets >= octet_length(trace) + header_octets),
    CHECK ((removed_at IS NULL) = (removed_in IS NULL))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.05);
-- A key is never compared but for equality: a hash of 4 octets serves, and the key already names its tenant.
CREATE INDEX messages_blob ON messages USING hash (blob_key);
CREATE INDEX messages_removed ON messages (removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX messages_received ON messages (tenant_id, maildrop_id, received) WHERE removed_at IS NULL;

-- Unlogged: one write a login, and losing it is safe, because a session without a fence can remove nothing.
CREATE UNLOGGED TABLE fences (
    tenant_id uuid NOT NULL,
    maildrop_id uuid NOT NULL,
    fence uuid NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, maildrop_id),
    FOREIGN KEY (tenant_id, maildrop_id) REFERENCES maildrops (tenant_id, maildrop_id) ON DELETE CASCADE
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- What staff did, written in the transaction that did it. No foreign key: it outlives what it tells of.
CREATE TABLE audit (
    tenant_id uuid NOT NULL,
    audit_id bigint GENERATED ALWAYS AS IDENTITY,
    moment timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, audit_id)
);
