-- The writes that take several steps, each in one round trip and one transaction.
--
-- Every statement of a volatile PL/pgSQL function sees what was committed before it began, so what is read after a
-- lock was waited for is current. Locks are taken in one order: fence, then maildrops by (tenant_id, maildrop_id),
-- then messages.

-- Whether a maildrop exists shows in the result: no row, no maildrop.
CREATE FUNCTION open_maildrop(the_tenant uuid, the_maildrop uuid, the_fence uuid)
RETURNS TABLE (messages bigint, octets bigint, upto bigint, removals bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO fences AS f (tenant_id, maildrop_id, fence)
    SELECT m.tenant_id, m.maildrop_id, the_fence FROM maildrops m
    WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop AND m.status <> 'removed'
    ON CONFLICT (tenant_id, maildrop_id) DO UPDATE SET fence = excluded.fence, since = excluded.since;
    IF FOUND THEN
        RETURN QUERY SELECT m.messages, m.octets, m.next_sequence - 1, m.removals FROM maildrops m
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop;
    END IF;
END $$;

-- True when the messages are removed, by this call or an earlier one under the same fence; false when a newer session
-- holds the maildrop, or the fence was lost in a crash, and nothing was removed.
CREATE FUNCTION remove_messages(the_tenant uuid, the_maildrop uuid, the_fence uuid, the_sequences bigint[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    newest uuid;
    serial bigint;
    gone bigint;
    freed bigint;
BEGIN
    SELECT f.fence INTO newest FROM fences f
    WHERE f.tenant_id = the_tenant AND f.maildrop_id = the_maildrop FOR NO KEY UPDATE;
    IF newest IS DISTINCT FROM the_fence THEN
        RETURN EXISTS (
            SELECT FROM messages m
            WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
              AND m.sequence = ANY (the_sequences) AND m.removed_by = the_fence
        );
    END IF;
    SELECT d.removals + 1 INTO serial FROM maildrops d
    WHERE d.tenant_id = the_tenant AND d.maildrop_id = the_maildrop FOR NO KEY UPDATE;
    WITH marked AS (
        UPDATE messages m SET removed_at = clock_timestamp(), removed_in = serial, removed_by = the_fence
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
          AND m.sequence = ANY (the_sequences) AND m.removed_at IS NULL
        RETURNING m.octets
    )
    SELECT count(*), coalesce(sum(marked.octets), 0) INTO gone, freed FROM marked;
    IF gone > 0 THEN
        UPDATE maildrops d SET messages = d.messages - gone, octets = d.octets - freed, removals = serial
        WHERE d.tenant_id = the_tenant AND d.maildrop_id = the_maildrop;
    END IF;
    RETURN true;
END $$;

-- Removes the oldest messages received before a moment, at most so many; returns how many.
CREATE FUNCTION expire_messages(the_tenant uuid, the_maildrop uuid, before timestamptz, most bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    serial bigint;
    gone bigint;
    freed bigint;
BEGIN
    SELECT d.removals + 1 INTO serial FROM maildrops d
    WHERE d.tenant_id = the_tenant AND d.maildrop_id = the_maildrop FOR NO KEY UPDATE;
    WITH due AS (
        SELECT m.sequence FROM messages m
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
          AND m.removed_at IS NULL AND m.received < before
        ORDER BY m.received LIMIT most
    ), marked AS (
        UPDATE messages m SET removed_at = clock_timestamp(), removed_in = serial FROM due
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
          AND m.sequence = due.sequence AND m.removed_at IS NULL
        RETURNING m.octets
    )
    SELECT count(*), coalesce(sum(marked.octets), 0) INTO gone, freed FROM marked;
    IF gone > 0 THEN
        UPDATE maildrops d SET messages = d.messages - gone, octets = d.octets - freed, removals = serial
        WHERE d.tenant_id = the_tenant AND d.maildrop_id = the_maildrop;
    END IF;
    RETURN gone;
END $$;

-- Appends the n-th message to the n-th maildrop, each under its maildrop's row lock; the n-th outcome is 'stored' or
-- why not. All locks are taken in one order, so crossed recipients can't deadlock.
CREATE FUNCTION append_messages(
    the_tenants uuid[], the_maildrops uuid[], unique_ids uuid[], imported text[], all_octets bigint[],
    all_header_octets bigint[], all_dotted boolean[], blob_keys text[], digests bytea[], traces bytea[],
    moments timestamptz[]
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
                                  header_octets, dotted, blob_key, sha256, trace, received)
            VALUES (the_tenants[n], the_maildrops[n], d.next_sequence, unique_ids[n], imported[n], all_octets[n],
                    all_header_octets[n], all_dotted[n], blob_keys[n], digests[n], traces[n], moments[n]);
            UPDATE maildrops m
            SET messages = m.messages + 1, octets = m.octets + all_octets[n], next_sequence = m.next_sequence + 1
            WHERE m.tenant_id = the_tenants[n] AND m.maildrop_id = the_maildrops[n];
            outcomes[n] := 'stored';
        END IF;
    END LOOP;
    RETURN outcomes;
END $$;

-- Deletes the rows of removed messages for good, then the removed maildrops, domains and tenants that nothing needs.
CREATE FUNCTION forget_messages(the_tenants uuid[], the_maildrops uuid[], the_sequences bigint[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM messages m
    USING unnest(the_tenants, the_maildrops, the_sequences) AS e (tenant_id, maildrop_id, sequence)
    WHERE m.tenant_id = e.tenant_id AND m.maildrop_id = e.maildrop_id AND m.sequence = e.sequence
      AND m.removed_at IS NOT NULL;
    DELETE FROM maildrops d
    WHERE d.status = 'removed'
      AND NOT EXISTS (SELECT FROM messages m WHERE m.tenant_id = d.tenant_id AND m.maildrop_id = d.maildrop_id);
    DELETE FROM domains o
    WHERE o.status = 'removed'
      AND NOT EXISTS (SELECT FROM maildrops d WHERE d.tenant_id = o.tenant_id AND d.domain = o.name)
      AND NOT EXISTS (SELECT FROM aliases a WHERE a.tenant_id = o.tenant_id AND a.domain = o.name);
    DELETE FROM tenants t
    WHERE t.status = 'removed'
      AND NOT EXISTS (SELECT FROM domains o WHERE o.tenant_id = t.tenant_id)
      AND NOT EXISTS (SELECT FROM maildrops d WHERE d.tenant_id = t.tenant_id);
END $$;
