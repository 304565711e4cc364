-- Sessions that see only mail received since a moment.
--
-- The counters of a maildrop's row count everything, so such a session counts for itself when it begins, by an index that
-- has all it needs. It takes the place of messages_received, and serves whatever that one served. Making it reads the
-- table once: deliveries and removals wait meanwhile, and senders and clients come again.
CREATE INDEX messages_shown ON messages (tenant_id, maildrop_id, received) INCLUDE (octets, sequence)
    WHERE removed_at IS NULL;
DROP INDEX messages_received;

-- As open_maildrop, of the messages received since a moment and within so many days, whichever is later; null is no limit.
-- `since` is what came of both: the session's listing is selected by it, whenever it is loaded. `first` is the least
-- sequence number counted, from which on that listing need only look.
CREATE FUNCTION open_maildrop_since(
    the_tenant uuid, the_maildrop uuid, the_fence uuid, the_since timestamptz, the_days integer
) RETURNS TABLE (messages bigint, octets bigint, upto bigint, removals bigint, since timestamptz, first bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    begins CONSTANT timestamptz := greatest(the_since, now() - make_interval(days => the_days));
BEGIN
    IF NOT EXISTS (SELECT FROM open_maildrop(the_tenant, the_maildrop, the_fence)) THEN
        RETURN;
    END IF;
    -- One statement, which sees the counters and the messages of one instant.
    RETURN QUERY
    SELECT s.messages, s.octets, d.next_sequence - 1, d.removals, begins, s.first
    FROM maildrops d
    CROSS JOIN (
        SELECT count(*) AS messages, coalesce(sum(m.octets), 0)::bigint AS octets, coalesce(min(m.sequence), 1) AS first
        FROM messages m
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
          AND m.removed_at IS NULL AND m.received >= begins
    ) s
    WHERE d.tenant_id = the_tenant AND d.maildrop_id = the_maildrop;
END $$;

REVOKE ALL ON FUNCTION open_maildrop_since(uuid, uuid, uuid, timestamptz, integer) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_front') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION open_maildrop_since(uuid, uuid, uuid, timestamptz, integer) TO poplar_front;
    END IF;
END $$;
