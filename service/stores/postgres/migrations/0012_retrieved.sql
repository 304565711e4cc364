-- Since when a message counts as retrieved, and how long a removed one can be restored where its policy says so.
--
-- Both columns are null unless a policy asks for more, and then the indexes hold what the policies concern alone. Making
-- them reads the table once: deliveries and removals wait meanwhile, and senders and clients come again.

ALTER TABLE messages
    -- When the first QUIT of a session that retrieved it was obeyed.
    ADD COLUMN retrieved_at timestamptz,
    -- Until when a removed message can be restored; null means the service's own removed_retention.
    ADD COLUMN kept_until timestamptz;

CREATE INDEX messages_retrieved ON messages (tenant_id, maildrop_id, retrieved_at)
    WHERE retrieved_at IS NOT NULL AND removed_at IS NULL;
CREATE INDEX messages_kept ON messages (kept_until) WHERE kept_until IS NOT NULL;
-- In the place of messages_removed: the sweep finds those that are due without passing by those that are kept longer.
CREATE INDEX messages_forgettable ON messages (removed_at) WHERE removed_at IS NOT NULL AND kept_until IS NULL;
DROP INDEX messages_removed;

-- What a QUIT does that not only removes: as remove_messages, in the same transaction and under the same fence, and what
-- was removed is kept for so many days (null: as long as the service keeps it), what was retrieved is noted, once.
CREATE FUNCTION leave_maildrop(
    the_tenant uuid, the_maildrop uuid, the_fence uuid, the_sequences bigint[], the_retrieved bigint[], undo_days integer,
    the_session text, the_client text, the_mechanism text, the_credential text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT remove_messages(
        the_tenant, the_maildrop, the_fence, the_sequences, the_session, the_client, the_mechanism, the_credential
    ) THEN
        RETURN false;
    END IF;
    -- A repetition that came after a newer session did all this the first time.
    IF NOT EXISTS (
        SELECT FROM fences f
        WHERE f.tenant_id = the_tenant AND f.maildrop_id = the_maildrop AND f.fence = the_fence
    ) THEN
        RETURN true;
    END IF;
    UPDATE messages m SET kept_until = m.removed_at + make_interval(days => undo_days)
    WHERE undo_days IS NOT NULL AND m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
      AND m.sequence = ANY (the_sequences) AND m.removed_by = the_fence AND m.kept_until IS NULL;
    UPDATE messages m SET retrieved_at = clock_timestamp()
    WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
      AND m.sequence = ANY (the_retrieved) AND m.removed_at IS NULL AND m.retrieved_at IS NULL;
    RETURN true;
END $$;

-- As expire_messages, by when messages were retrieved.
CREATE FUNCTION expire_retrieved(the_tenant uuid, the_maildrop uuid, before timestamptz, most bigint)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    d record;
    gone bigint;
    freed bigint;
BEGIN
    SELECT m.removals + 1 AS serial, m.local || '@' || m.domain AS address INTO d FROM public.maildrops m
    WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop FOR NO KEY UPDATE;
    WITH due AS (
        SELECT m.sequence FROM public.messages m
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
          AND m.removed_at IS NULL AND m.retrieved_at < before
        ORDER BY m.retrieved_at LIMIT most
    ), marked AS (
        UPDATE public.messages m SET removed_at = clock_timestamp(), removed_in = d.serial FROM due
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
          AND m.sequence = due.sequence AND m.removed_at IS NULL
        RETURNING m.octets
    )
    SELECT count(*), coalesce(sum(marked.octets), 0) INTO gone, freed FROM marked;
    IF gone > 0 THEN
        UPDATE public.maildrops m SET messages = m.messages - gone, octets = m.octets - freed, removals = d.serial
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop;
        INSERT INTO public.audit (tenant_id, actor, action, target, detail)
        VALUES (the_tenant, 'sweep', 'messages.expire', d.address,
                jsonb_build_object('messages', gone, 'octets', freed, 'retrieved_before', before));
    END IF;
    RETURN gone;
END $$;

REVOKE ALL ON FUNCTION leave_maildrop(uuid, uuid, uuid, bigint[], bigint[], integer, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION expire_retrieved(uuid, uuid, timestamptz, bigint) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_front') IS NOT NULL THEN
        GRANT UPDATE (retrieved_at, kept_until) ON messages TO poplar_front;
        GRANT EXECUTE ON FUNCTION
            leave_maildrop(uuid, uuid, uuid, bigint[], bigint[], integer, text, text, text, text) TO poplar_front;
    END IF;
    IF to_regrole('poplar_sweep') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION expire_retrieved(uuid, uuid, timestamptz, bigint) TO poplar_sweep;
    END IF;
END $$;
