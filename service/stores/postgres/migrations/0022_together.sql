-- Appends messages of senders that have nothing to do with each other: what append_messages does, for all of them in two
-- statements and one commit. No maildrop may be named twice. It waits for nobody: where another transaction holds a
-- maildrop, such as a long removal, or there is none, the outcome is 'busy', and nothing was done; the caller appends
-- that message by itself. Arrays go with arrays, the n-th outcome is the n-th message's.

CREATE FUNCTION append_messages_together(
    the_tenants uuid[], the_maildrops uuid[], unique_ids uuid[], imported text[], all_octets bigint[],
    all_header_octets bigint[], all_dotted boolean[], blob_keys text[], digests bytea[], traces bytea[],
    moments timestamptz[], all_beginnings bytea[]
) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    held bigint[];
    outcomes text[];
BEGIN
    SELECT array_agg(h.place) INTO held FROM (
        SELECT e.place FROM unnest(the_tenants, the_maildrops) WITH ORDINALITY AS e (tenant_id, maildrop_id, place)
        JOIN maildrops m ON m.tenant_id = e.tenant_id AND m.maildrop_id = e.maildrop_id
        FOR NO KEY UPDATE OF m SKIP LOCKED
    ) AS h;
    -- This statement begins once the locks are held, so that it sees all that was committed under them before.
    WITH asked AS (
        SELECT e.*, m.next_sequence, CASE
            WHEN m.status = 'removed' THEN 'no_recipient'
            WHEN EXISTS (
                SELECT FROM messages k
                WHERE k.tenant_id = e.tenant_id AND k.maildrop_id = e.maildrop_id AND k.unique_id = e.unique_id
            ) THEN 'stored'
            WHEN t.status <> 'active' OR o.status <> 'active' OR m.status <> 'active' THEN 'suspended'
            WHEN e.octets > q.octets OR q.messages < 1 THEN 'never_fits'
            WHEN m.octets + e.octets > q.octets OR m.messages >= q.messages THEN 'over_quota'
        END AS outcome
        FROM unnest(the_tenants, the_maildrops, unique_ids, imported, all_octets, all_header_octets, all_dotted,
                    blob_keys, digests, traces, moments, all_beginnings) WITH ORDINALITY
            AS e (tenant_id, maildrop_id, unique_id, imported_unique_id, octets, header_octets, dotted,
                  blob_key, sha256, trace, received, beginnings, place)
        JOIN maildrops m ON m.tenant_id = e.tenant_id AND m.maildrop_id = e.maildrop_id
        JOIN tenants t ON t.tenant_id = m.tenant_id
        JOIN domains o ON o.tenant_id = m.tenant_id AND o.name = m.domain
        CROSS JOIN LATERAL (
            SELECT ((t.policy || m.policy) ->> 'quota_octets')::bigint AS octets,
                   ((t.policy || m.policy) ->> 'quota_messages')::bigint AS messages
        ) q
        WHERE e.place = ANY (held)
    ), added AS (
        INSERT INTO messages (tenant_id, maildrop_id, sequence, unique_id, imported_unique_id, octets,
                              header_octets, dotted, blob_key, sha256, trace, received, beginnings)
        SELECT tenant_id, maildrop_id, next_sequence, unique_id, imported_unique_id, octets,
               header_octets, dotted, blob_key, sha256, trace, received, beginnings
        FROM asked WHERE outcome IS NULL
    ), counted AS (
        UPDATE maildrops m
        SET messages = m.messages + 1, octets = m.octets + a.octets, next_sequence = m.next_sequence + 1
        FROM asked a
        WHERE m.tenant_id = a.tenant_id AND m.maildrop_id = a.maildrop_id AND a.outcome IS NULL
    )
    SELECT array_agg(CASE WHEN a.place IS NULL THEN 'busy' ELSE coalesce(a.outcome, 'stored') END ORDER BY n)
    INTO outcomes
    FROM generate_subscripts(the_tenants, 1) AS n LEFT JOIN asked a ON a.place = n;
    RETURN outcomes;
END $$;

REVOKE ALL ON FUNCTION append_messages_together(
    uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[], text[], bytea[], bytea[], timestamptz[], bytea[]
) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_lmtp') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION append_messages_together(
            uuid[], uuid[], uuid[], text[], bigint[], bigint[], boolean[], text[], bytea[], bytea[], timestamptz[], bytea[]
        ) TO poplar_lmtp;
    END IF;
END $$;
