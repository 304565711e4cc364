-- The digests of each blob's beginnings, so that TOP is verified without reading all of a large message, and RETR before
-- a wrong octet is sent. Null for what was stored before, and by the release before: such a blob is verified as a whole.
--
-- The check isn't made of the rows that are there, as the column is null in all of them: nothing is read, nobody waits.

ALTER TABLE messages
    -- SHA-256 of the blob's header, then of each whole number of MiB that is less than all of it: 32 octets each.
    ADD COLUMN beginnings bytea;

ALTER TABLE messages ADD CONSTRAINT messages_beginnings_check
    CHECK (octet_length(beginnings) >= 32 AND octet_length(beginnings) % 32 = 0) NOT VALID;

-- As before, with the digests of the beginnings.
CREATE FUNCTION append_messages(
    the_tenants uuid[], the_maildrops uuid[], unique_ids uuid[], imported text[], all_octets bigint[],
    all_header_octets bigint[], all_dotted boolean[], blob_keys text[], digests bytea[], traces bytea[],
    moments timestamptz[], all_beginnings bytea[]
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    outcomes text[] := array_fill(NULL::text, ARRAY[cardinality(the_tenants)]);
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
            INSERT INTO messages (tenant_id, maildrop_id, sequence, unique_id, imported_unique_id, octets,
                                  header_octets, dotted, blob_key, sha256, trace, received, beginnings)
            VALUES (the_tenants[n], the_maildrops[n], d.next_sequence, unique_ids[n], imported[n], all_octets[n],
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

-- What a delivery of the release before calls.
CREATE OR REPLACE FUNCTION append_messages(
    the_tenants uuid[], the_maildrops uuid[], unique_ids uuid[], imported text[], all_octets bigint[],
    all_header_octets bigint[], all_dotted boolean[], blob_keys text[], digests bytea[], traces bytea[],
    moments timestamptz[]
) RETURNS text[] LANGUAGE sql AS $$
    SELECT append_messages(
        the_tenants, the_maildrops, unique_ids, imported, all_octets, all_header_octets, all_dotted, blob_keys, digests,
        traces, moments, array_fill(NULL::bytea, ARRAY[cardinality(the_tenants)])
    )
$$;

REVOKE ALL ON FUNCTION append_messages(
    uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[], text[], bytea[], bytea[], timestamptz[], bytea[]
) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_lmtp') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION append_messages(
            uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[], text[], bytea[], bytea[], timestamptz[], bytea[]
        ) TO poplar_lmtp;
    END IF;
END $$;
