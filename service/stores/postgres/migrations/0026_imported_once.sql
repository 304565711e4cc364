-- Two imports at once into one maildrop each asked which unique-ids it has, and then gave the same to two messages. Now
-- the append itself looks, which holds the maildrop's row: where another message has it, removed or not, the one that
-- comes later has its own.
--
-- The index has only what an import kept. Making it reads the table once: deliveries and removals wait meanwhile, and
-- senders and clients come again.
CREATE INDEX messages_imported ON messages (tenant_id, maildrop_id, imported_unique_id)
    WHERE imported_unique_id IS NOT NULL;

-- As before, but that no imported unique-id is stored twice.
CREATE OR REPLACE FUNCTION append_messages(
    the_tenants uuid[], the_maildrops uuid[], unique_ids uuid[], imported text[], all_octets bigint[],
    all_header_octets bigint[], all_dotted boolean[], blob_keys text[], digests bytea[], traces bytea[],
    moments timestamptz[], all_beginnings bytea[]
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    outcomes text[] := array_fill(NULL::text, ARRAY[cardinality(the_tenants)]);
    kept text;
    n integer;
    d record;
BEGIN
    FOR n IN
        SELECT i FROM generate_subscripts(the_tenants, 1) AS i ORDER BY the_tenants[i], the_maildrops[i], i
    LOOP
        SELECT m.messages, m.octets, m.next_sequence, m.status AS own_status,
               t.status = 'active' AND o.status = 'active' AND m.status = 'active' AS active,
               ((t.policy || m.policy) ->> 'quota_octets')::bigint AS quota_octets,
               ((t.policy || m.policy) ->> 'quota_messages')::bigint AS quota_messages
        INTO d
        FROM maildrops m
        JOIN tenants t ON t.tenant_id = m.tenant_id
        JOIN domains o ON o.tenant_id = m.tenant_id AND o.name = m.domain
        WHERE m.tenant_id = the_tenants[n] AND m.maildrop_id = the_maildrops[n]
        FOR NO KEY UPDATE OF m;
        outcomes[n] := CASE
            WHEN d IS NULL OR d.own_status = 'removed' THEN 'no_recipient'
            WHEN EXISTS (
                SELECT FROM messages m
                WHERE m.tenant_id = the_tenants[n] AND m.maildrop_id = the_maildrops[n]
                  AND m.unique_id = unique_ids[n]
            ) THEN 'stored'
            WHEN NOT d.active THEN 'suspended'
            WHEN all_octets[n] > d.quota_octets OR d.quota_messages < 1 THEN 'never_fits'
            WHEN d.octets + all_octets[n] > d.quota_octets OR d.messages >= d.quota_messages THEN 'over_quota'
        END;
        IF outcomes[n] IS NULL THEN
            kept := imported[n];
            IF kept IS NOT NULL AND EXISTS (
                SELECT FROM messages m
                WHERE m.tenant_id = the_tenants[n] AND m.maildrop_id = the_maildrops[n]
                  AND m.imported_unique_id = kept
            ) THEN
                kept := NULL;
            END IF;
            INSERT INTO messages (tenant_id, maildrop_id, sequence, unique_id, imported_unique_id, octets,
                                  header_octets, dotted, blob_key, sha256, trace, received, beginnings)
            VALUES (the_tenants[n], the_maildrops[n], d.next_sequence, unique_ids[n], kept, all_octets[n],
                    all_header_octets[n], all_dotted[n], blob_keys[n], digests[n], traces[n], moments[n],
                    all_beginnings[n]);
            UPDATE maildrops m
            SET messages = m.messages + 1, octets = m.octets + all_octets[n], next_sequence = m.next_sequence + 1
            WHERE m.tenant_id = the_tenants[n] AND m.maildrop_id = the_maildrops[n];
            outcomes[n] := 'stored';
        END IF;
    END LOOP;
    RETURN outcomes;
END $$;
