-- Maildrops that several sessions open at the same time, in one statement: each as open_maildrop opens one, but that this
-- waits for no lock and makes no row. A maildrop whose fence another transaction holds, as a long removal does, or that
-- has none, since its first session or a crash, is left out, and is to be opened by itself: nobody waits for another's.

CREATE FUNCTION open_maildrops_together(
    places bigint[], the_tenants uuid[], the_maildrops uuid[], the_fences uuid[]
) RETURNS TABLE (place bigint, messages bigint, octets bigint, upto bigint, removals bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    held bigint[];
BEGIN
    SELECT array_agg(e.place) INTO held
    FROM unnest(places, the_tenants, the_maildrops) AS e (place, tenant_id, maildrop_id)
    CROSS JOIN LATERAL (
        SELECT FROM fences f WHERE f.tenant_id = e.tenant_id AND f.maildrop_id = e.maildrop_id
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS free;
    -- This statement begins once the locks are held, so that it sees all that was committed under them before.
    RETURN QUERY
    UPDATE fences f SET fence = e.fence, since = now()
    FROM unnest(places, the_tenants, the_maildrops, the_fences) AS e (place, tenant_id, maildrop_id, fence)
    JOIN maildrops m ON m.tenant_id = e.tenant_id AND m.maildrop_id = e.maildrop_id AND m.status <> 'removed'
    WHERE f.tenant_id = e.tenant_id AND f.maildrop_id = e.maildrop_id AND e.place = ANY (held)
    RETURNING e.place, m.messages, m.octets, m.next_sequence - 1, m.removals;
END $$;

REVOKE ALL ON FUNCTION open_maildrops_together(bigint[], uuid[], uuid[], uuid[]) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_front') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION open_maildrops_together(bigint[], uuid[], uuid[], uuid[]) TO poplar_front;
    END IF;
END $$;
