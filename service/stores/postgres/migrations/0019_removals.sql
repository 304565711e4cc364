-- Removals leave a row in the audit, in the transaction that removes: one for each QUIT that removed something and one for
-- each step of the retention, never one for each message. A repetition finds nothing left to remove, and adds none.
--
-- A front end may write no audit, so that one that was broken into can't cover its tracks or lay another's: this function
-- adds the row with its owner's rights, and only beside a removal that happened. Who the row is about is read here; the
-- caller names its session, client, mechanism and credential alone. The search_path is empty, every name is qualified.

CREATE FUNCTION remove_messages(
    the_tenant uuid, the_maildrop uuid, the_fence uuid, the_sequences bigint[],
    the_session text, the_client text, the_mechanism text, the_credential text
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    newest uuid;
    d record;
    gone bigint;
    freed bigint;
BEGIN
    SELECT f.fence INTO newest FROM public.fences f
    WHERE f.tenant_id = the_tenant AND f.maildrop_id = the_maildrop FOR NO KEY UPDATE;
    IF newest IS DISTINCT FROM the_fence THEN
        RETURN EXISTS (
            SELECT FROM public.messages m
            WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
              AND m.sequence = ANY (the_sequences) AND m.removed_by = the_fence
        );
    END IF;
    SELECT m.removals + 1 AS serial, m.local || '@' || m.domain AS address INTO d FROM public.maildrops m
    WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop FOR NO KEY UPDATE;
    WITH marked AS (
        UPDATE public.messages m SET removed_at = clock_timestamp(), removed_in = d.serial, removed_by = the_fence
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop
          AND m.sequence = ANY (the_sequences) AND m.removed_at IS NULL
        RETURNING m.octets
    )
    SELECT count(*), coalesce(sum(marked.octets), 0) INTO gone, freed FROM marked;
    IF gone > 0 THEN
        UPDATE public.maildrops m SET messages = m.messages - gone, octets = m.octets - freed, removals = d.serial
        WHERE m.tenant_id = the_tenant AND m.maildrop_id = the_maildrop;
        INSERT INTO public.audit (tenant_id, actor, action, target, detail)
        VALUES (the_tenant, 'client:' || d.address, 'messages.remove', d.address, jsonb_build_object(
            'messages', gone, 'octets', freed, 'session', left(the_session, 64), 'client', left(the_client, 64),
            'mechanism', left(the_mechanism, 64), 'credential', left(the_credential, 64)
        ));
    END IF;
    RETURN true;
END $$;

-- What a front end of the release before calls, so that its removals are audited too.
CREATE OR REPLACE FUNCTION remove_messages(the_tenant uuid, the_maildrop uuid, the_fence uuid, the_sequences bigint[])
RETURNS boolean LANGUAGE sql AS $$
    SELECT remove_messages(the_tenant, the_maildrop, the_fence, the_sequences, '', '', '', '')
$$;

-- As before, with the row in the audit; the sweep may write none by itself either.
CREATE OR REPLACE FUNCTION expire_messages(the_tenant uuid, the_maildrop uuid, before timestamptz, most bigint)
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
          AND m.removed_at IS NULL AND m.received < before
        ORDER BY m.received LIMIT most
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
                jsonb_build_object('messages', gone, 'octets', freed, 'received_before', before));
    END IF;
    RETURN gone;
END $$;

-- The audit of one maildrop is read without those of its neighbours, and the oldest rows are found for the sweep.
CREATE INDEX audit_target ON audit (tenant_id, target, audit_id);
CREATE INDEX audit_moment ON audit (moment);

REVOKE ALL ON FUNCTION remove_messages(uuid, uuid, uuid, bigint[], text, text, text, text) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('poplar_front') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION remove_messages(uuid, uuid, uuid, bigint[], text, text, text, text) TO poplar_front;
    END IF;
    IF to_regrole('poplar_sweep') IS NOT NULL THEN
        GRANT SELECT (tenant_id, audit_id, moment), DELETE ON audit TO poplar_sweep;
    END IF;
END $$;
